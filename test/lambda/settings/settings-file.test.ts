/** The file with the settings that are too long for the environment. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { withSettingsFile } from '../../../lambda/settings/settings-file.ts';

const ENV = { SETTINGS_FILE: '/opt/settings.json', PGHOST: 'db', PGDATABASE: 'app', PGUSER: 'cdc', PGPASSWORD: 'x' };

describe('withSettingsFile', () => {
  it('leaves the environment as it is where it names no file', () => {
    const env = { LANES: '8', SETTINGS_FILE: '' };
    assert.equal(
      withSettingsFile(env, () => assert.fail('It was read.')),
      env,
    );
  });

  it('adds what the file holds, and lets the environment win', () => {
    const text = JSON.stringify({ TABLE_INCLUDE_LIST: 'public\\.a,public\\.b', LANES: '8' });
    const env = withSettingsFile({ ...ENV, LANES: '16' }, (path) => (assert.equal(path, '/opt/settings.json'), text));
    const config = readConfig(env);
    assert.equal(config.lanes, 16);
    assert.equal(config.filters.tableInclude.length, 2);
  });

  for (const [title, read, pattern] of [
    [
      'is not there',
      () => {
        throw new Error('ENOENT');
      },
      /cannot be read, nothing was done/,
    ],
    ['is not JSON', () => '{"s3cret"', /is not JSON, nothing was done/],
    ['is a list', () => '["s3cret"]'.replace('"s3cret"', '1'), /no JSON object of texts/],
    ['is null', () => 'null', /no JSON object of texts/],
    ['holds a number', () => '{"LANES":8}', /no JSON object of texts/],
  ] as const) {
    it(`fails with CONFIG_INVALID where the file ${title}`, () => {
      assert.throws(
        () => withSettingsFile(ENV, read),
        (error) => {
          assert.ok(error instanceof PipelineError);
          assert.equal(error.code, 'CONFIG_INVALID');
          assert.match(error.message, pattern);
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        },
      );
    });
  }
});
