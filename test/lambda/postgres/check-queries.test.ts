/** What `check` reads of a setting that the test servers do not have. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCheck } from '../../../lambda/postgres/check-queries.ts';

describe('what check reads of output_plugin_libraries', () => {
  for (const [setting, expected] of [
    [null, undefined],
    ['', []],
    ['pgoutput, test_decoding', ['pgoutput', 'test_decoding']],
    ['"wal2json",pgoutput', ['wal2json', 'pgoutput']],
  ] as const) {
    it(`is ${JSON.stringify(expected)} of ${JSON.stringify(setting)}`, async () => {
      const client = {
        query: (text: string) =>
          Promise.resolve({
            rows: text.includes("name = 'output_plugin_libraries'")
              ? [{ plugins: setting }]
              : text.includes('AS readable')
                ? [{ readable: '0/1', flush: '0/1' }]
                : [],
          }),
      };
      assert.deepEqual((await readCheck(client, 'slot')).outputPlugins, expected);
    });
  }
});
