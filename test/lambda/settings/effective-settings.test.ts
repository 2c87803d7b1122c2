/** Which settings check shows, and from where. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { effectiveSettings, withFound } from '../../../lambda/settings/effective-settings.ts';

const shown = (env: Record<string, string>) =>
  Object.fromEntries(effectiveSettings(env).map(({ name, value, from }) => [name, `${value} (${from})`]));

describe('effectiveSettings', () => {
  it('shows what is given and what is the default, and nothing of what has no value', () => {
    const list = shown({ PGHOST: 'db', FORMAT: 'json', LANES: '' });
    assert.equal(list['PGHOST'], 'db (environment)');
    assert.equal(list['FORMAT'], 'json (environment)');
    assert.equal(list['LANES'], '64 (default)');
    assert.ok(!('TABLE_INCLUDE_LIST' in list) && !('PGUSER' in list));
  });

  it('I10: shows no password, and no certificate', () => {
    const list = shown({ PGPASSWORD: 's3cret', PGSSLROOTCERT: '-----BEGIN CERTIFICATE-----\nabc' });
    assert.equal(list['PGPASSWORD'], '(set) (environment)');
    assert.equal(list['PGSSLROOTCERT'], '(set) (environment)');
  });

  it('adds what the secret, the ARN and the database say', () => {
    const list = withFound(effectiveSettings({ PGHOST: 'db' }), {
      login: { host: 'db', port: 5432, database: 'app', user: 'cdc' },
      fromSecret: true,
      slot: 'pg2kinesis',
      streamRegion: 'eu-west-1',
      region: 'eu-west-1',
    });
    const of = (name: string) =>
      list.filter((each) => each.name === name).map(({ value, from }) => `${value} (${from})`);
    assert.deepEqual(of('PGHOST'), ['db (environment)']);
    assert.deepEqual(of('PGUSER'), ['cdc (secret)']);
    assert.deepEqual(of('SOURCE_NAME'), ['app/pg2kinesis (default)']);
    assert.deepEqual(of('AWS_REGION'), ['eu-west-1 (STREAM_NAME)']);
  });
});
