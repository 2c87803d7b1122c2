/**
 * The same WAL through wal2json and test_decoding gives the same records, byte for byte, but for what stands in docs/plugins.md.
 * `npm run test:wal2json`: see altered-keys.ts for the plugin's folder.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { hostileScript, PREPARATION } from '../lambda/plugins/hostile-script.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { Pipeline } from '../support/real-pipeline.ts';

const FORMATS = ['json', 'csv', 'csv_payload', 'debezium', 'dms'] as const;

/** What docs/plugins.md says that wal2json cannot: which values did not change; before 2.6 NaN and infinities. */
function asWal2json(record: string, saysNumbers: boolean): string {
  const unchanged = record
    .replace(/,"unchanged":\[[^\]]*\]/, '')
    .replaceAll(/"\w+":"__debezium_unavailable_value",/g, '');
  if (saysNumbers) return unchanged;
  // The columns real, double precision and numeric of the table `types`.
  const isNumber = /"(c[456])":"(?:nan|-infinity)"/gi;
  return record.includes('"record-type":"data"')
    ? unchanged.replaceAll(new RegExp(`${isNumber.source},`, 'gi'), '')
    : unchanged.replaceAll(isNumber, '"$1":null');
}

describe('the same WAL through test_decoding and wal2json', () => {
  const folder = process.env['PG2KINESIS_WAL2JSON'];
  let server: PostgresServer;
  let saysNumbers = false;
  before(async () => {
    assert.ok(folder !== undefined, 'set PG2KINESIS_WAL2JSON to the folder of wal2json.so');
    server = await startPostgres({ settings: { dynamic_library_path: `$libdir:${folder}` } });
    for (const statement of PREPARATION) await server.sql(statement);
    for (const format of FORMATS) {
      await server.createSlot(`${format}_of_test_decoding`);
      await server.createSlot(`${format}_of_wal2json`, 'wal2json');
    }
    saysNumbers = await server
      .sql(
        `SELECT 1 FROM pg_logical_slot_peek_binary_changes('json_of_wal2json', '0/1', NULL, 'numeric-data-types-as-string', '1')`,
      )
      .then(
        () => true,
        () => false,
      );
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
      const other = new Pipeline(server, `${name}_of_wal2json`, { format, plugin: 'wal2json' });
      const answers = [await one.run(), await other.run()];
      assert.ok(one.published.length > 60, String(one.published.length));
      assert.deepEqual(
        other.published,
        one.published.map((record) => asWal2json(record, saysNumbers)),
      );
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
