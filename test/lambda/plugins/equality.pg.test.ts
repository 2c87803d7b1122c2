// The same WAL through each plugin gives the same records, byte for byte; what a plugin cannot say stands in a table here
// and in docs/plugins.md.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';
import { hostileScript, PREPARATION } from './hostile-script.ts';

const FORMATS = ['json', 'csv', 'csv_payload', 'debezium', 'dms'] as const;

// pgoutput is not read on 10.
describe('the same WAL through test_decoding and pgoutput', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ version: String(Math.max(TESTED_MAJOR, 11)) });
    for (const statement of PREPARATION) await server.sql(statement);
    // In this order: what is written before its publication is made cannot be read.
    await server.sql('CREATE PUBLICATION everything FOR ALL TABLES');
    for (const format of FORMATS) {
      await server.createSlot(`${format}_of_test_decoding`);
      await server.createSlot(`${format}_of_pgoutput`, 'pgoutput');
    }
    for (const statement of hostileScript(server.versionNum)) {
      await server.sql(statement).catch((error: unknown) => {
        throw new Error(`${statement}: ${String(error)}`);
      });
    }
  });
  after(() => server.stop());

  for (const name of FORMATS) {
    it(`gives the same records of ${name}`, async () => {
      const format = name === 'csv_payload' ? 'csv-payload' : name;
      const one = new Pipeline(server, `${name}_of_test_decoding`, { format });
      const other = new Pipeline(server, `${name}_of_pgoutput`, { format, publications: ['everything'] });
      const answers = [await one.run(), await other.run()];
      assert.ok(one.published.length > 60, String(one.published.length));
      assert.deepEqual(other.published, one.published);
      const [expected, found] = answers.map(({ changes, published, truncated, skipped, advancedTo, caughtUp }) => ({
        changes,
        published,
        truncated,
        skipped,
        caughtUp,
        advanced: advancedTo !== undefined,
      }));
      assert.deepEqual(found, expected);
    });
  }
});
