/** Which variables are taken for a setting misspelt, and which are not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfig } from '../../../lambda/settings/config.ts';
import { misspeltSettings } from '../../../lambda/settings/misspelt.ts';
import { SETTINGS } from '../../../lambda/settings/settings-table.ts';

describe('misspeltSettings', () => {
  for (const [given, meant] of [
    ['STREAMNAME', 'STREAM_NAME'],
    ['SLOTNAME', 'SLOT_NAME'],
    ['stream_name', 'STREAM_NAME'],
    ['TABLE_EXCLUDE', 'TABLE_EXCLUDE_LIST'],
    ['TABLES_EXCLUDE_LIST', 'TABLE_EXCLUDE_LIST'],
    ['TABLE_INCLUDES_LIST', 'TABLE_INCLUDE_LIST'],
    ['COLUMNS_EXCLUDE', 'COLUMN_EXCLUDE_LIST'],
    ['MAX_RECORD_KB', 'MAX_RECORD_KIB'],
    ['MAX_RECORD', 'MAX_RECORD_KIB'],
    ['FORMATS', 'FORMAT'],
    ['FROMAT', 'FORMAT'],
    ['OVER_SIZE', 'OVERSIZE'],
    ['PG_HOST', 'PGHOST'],
    ['PG_PASSWORD', 'PGPASSWORD'],
    ['PARTITIONBY', 'PARTITION_BY'],
    ['LOGLEVEL', 'LOG_LEVEL'],
  ] as const) {
    it(`takes ${given} for ${meant}, and shows no value`, () => {
      const warnings = misspeltSettings({ [given]: 's3cret' });
      assert.equal(warnings.length, 1);
      assert.match(String(warnings[0]), new RegExp(`^${given} is set.*is ${meant} meant\\?$`));
      assert.doesNotMatch(String(warnings[0]), /s3cret/);
    });
  }

  it('says nothing of settings, and of what environments hold besides', () => {
    const others = `PATH HOME LANG PWD USER SHELL TERM PORT HOST TZ LC_ALL NODE_ENV DATABASE_URL CI DEBUG EDITOR SHLVL
      AWS_REGION AWS_PROFILE AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_FUNCTION_NAME _HANDLER
      PGPASSFILE PGSSLCERT PGSSLKEY PGHOSTADDR PGOPTIONS PGAPPNAME PGDATA POWERTOOLS_SERVICE_NAME SLOT_RESOURCE
      HOSTNAME LINES COLUMNS LOGNAME KUBERNETES_SERVICE_HOST TABLE STREAM SLOT npm_config_user_agent`.split(/\s+/);
    const env = Object.fromEntries([...others, ...Object.keys(SETTINGS)].map((name) => [name, 'x']));
    assert.deepEqual(misspeltSettings(env), []);
  });

  it('is among the warnings that every run logs and that check shows', () => {
    const { warnings } = readConfig({ PGHOST: 'h', PGDATABASE: 'd', PGUSER: 'u', STREAMNAME: 'x' });
    assert.deepEqual(warnings, ['STREAMNAME is set, but is no setting and has no effect: is STREAM_NAME meant?']);
  });
});
