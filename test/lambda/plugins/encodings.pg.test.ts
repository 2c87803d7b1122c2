// Databases of other encodings, by each plugin: what has UTF-8 arrives as such; a transaction with text that has none is
// named and can be skipped, wherever it lies, and all before and behind it arrives.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { closeBoth, openPair } from '../../../lambda/postgres/connection-pair.ts';
import { pgoutput } from '../../../lambda/postgres/plugins.ts';
import { copySlot } from '../../../lambda/postgres/slot-copy.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline } from '../../support/real-pipeline.ts';
import { clock, databaseOf, soon } from '../postgres/fixtures.ts';

const MARKER = 'MARKER-of-the-row';

/** Bytes of a good text, what it is in UTF-8, and bytes that the server stores and cannot put in UTF-8. */
const ENCODINGS = [
  ['WIN1252', '80e9', '€é', '81'],
  ['EUC_JP', 'c6fc', '日', 'a9a1'],
  ['SQL_ASCII', 'c3a9', 'é', 'e9'],
  ['LATIN1', 'e9', 'é', undefined],
] as const;

const PLUGINS = TESTED_MAJOR < 11 ? (['test_decoding'] as const) : (['test_decoding', 'pgoutput'] as const);

describe('a database of another encoding', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  /** Makes the database with a table and a slot of each plugin. */
  async function prepare(encoding: string) {
    const database = encoding.toLowerCase();
    await server.sql(
      `CREATE DATABASE ${database} ENCODING '${encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    const client = await server.client({ database });
    await client.query('CREATE TABLE t (id int PRIMARY KEY, note text)');
    if (PLUGINS.length > 1) await client.query('CREATE PUBLICATION p FOR ALL TABLES');
    for (const plugin of PLUGINS)
      await client.query(`SELECT pg_create_logical_replication_slot('${database}_${plugin}', '${plugin}')`);
    const row = (id: number, hex: string) =>
      `INSERT INTO t VALUES (${id}, '${MARKER}' || convert_from('\\x${hex}', '${encoding}') || repeat('x', 200))`;
    const pipelineBy = (plugin: (typeof PLUGINS)[number]) =>
      new Pipeline(server, `${database}_${plugin}`, {
        database,
        ...(plugin === 'pgoutput' ? { publications: ['p'] } : {}),
      });
    return { client, database, row, pipelineBy };
  }

  /** Copies the slot of test_decoding to pgoutput. */
  async function copy(database: string): Promise<void> {
    const over = databaseOf(server, { database }, {}, pgoutput(['p']));
    const pair = await openPair(over, { deadline: soon() }, { deadline: soon() });
    try {
      await copySlot(...pair, `${database}_test_decoding`, 'copied', 10_000);
    } finally {
      await closeBoth(pair, clock);
    }
  }

  for (const [encoding, good, text, bad] of ENCODINGS) {
    it(`I1: ${encoding}: tells UTF-8, and names a transaction that has none wherever it lies`, async () => {
      const { client, database, row, pipelineBy } = await prepare(encoding);
      const isBad = (id: number) => bad !== undefined && [1, 4, 7].includes(id);
      const insert = (id: number) => row(id, isBad(id) ? (bad ?? '') : good);
      await client.query(insert(1));
      await client.query(insert(2));
      await client.query(`BEGIN; ${insert(3)}; ${insert(4)}; ${insert(5)}; COMMIT`);
      await client.query(insert(6));
      await client.query(insert(7));
      if (encoding === 'WIN1252' && TESTED_MAJOR >= 12) {
        // Again and again: a backend lets go of the slot a moment after it has reported its error, and the copy must be dropped.
        for (let attempt = 0; attempt < 40; attempt++) {
          await assert.rejects(copy(database), (error: unknown) => {
            assert.ok(error instanceof PipelineError && error.code === 'TRANSACTION_UNDECODABLE', String(error));
            assert.match(error.message, /22P05.*was not made.*Drain "win1252_test_decoding" by its own plugin/);
            return true;
          });
        }
      }
      for (const plugin of PLUGINS) {
        const pipeline = pipelineBy(plugin);
        const refused: string[] = [];
        for (let done = false; !done;) {
          await pipeline.run().then(
            ({ caughtUp }) => {
              done = caughtUp;
            },
            async (error: unknown) => {
              assert.ok(error instanceof PipelineError && refused.length < 3, String(error));
              const cause = error.cause instanceof Error ? error.cause.message : '';
              assert.doesNotMatch(`${error.message} ${cause}`, /MARKER|0x|byte sequence/i, 'I10');
              const commitLsn = /commit LSN (?:is )?([0-9A-F]+\/[0-9A-F]+)/.exec(error.message)?.[1];
              assert.ok(commitLsn !== undefined, error.message);
              refused.push(error.code);
              await pipeline.skip(commitLsn);
            },
          );
        }
        // pgoutput converts while it decodes, so the server itself fails; else what comes is refused at the row.
        const itself = plugin === 'pgoutput' && encoding !== 'SQL_ASCII';
        const expected = itself ? 'TRANSACTION_UNDECODABLE' : 'DECODE_FAILED';
        assert.deepEqual(refused, bad === undefined ? [] : [expected, expected, expected], plugin);
        const keys = pipeline.records.map(({ key }) => key?.['id']);
        assert.deepEqual(keys, bad === undefined ? [1, 2, 3, 4, 5, 6, 7] : itself ? [2, 6] : [2, 3, 6], plugin);
        for (const { row: published } of pipeline.records)
          assert.equal(published?.['note'], `${MARKER}${text}${'x'.repeat(200)}`);
      }
      await client.end();
    });
  }

  it('I1: a name that has no UTF-8 stops a run only where it cannot be left alone, and renaming it helps', async () => {
    for (const [encoding, bad] of [
      ['SQL_ASCII', 'e9'],
      ['WIN1252', '81'],
    ] as const) {
      const database = encoding.toLowerCase();
      const client = await server.client({ database });
      const name = `quote_ident(convert_from('\\x${bad}', '${encoding}'))`;
      const execute = (sql: string) => client.query(`DO $do$ BEGIN EXECUTE ${sql}; END $do$`);
      for (const plugin of PLUGINS)
        await client.query(`SELECT pg_create_logical_replication_slot('${database}_${plugin}_name', '${plugin}')`);
      await execute(`'CREATE TABLE ' || ${name} || ' (id int PRIMARY KEY)'`);
      await client.query('INSERT INTO t VALUES (10)');
      for (const plugin of PLUGINS) {
        const pipeline = new Pipeline(server, `${database}_${plugin}_name`, {
          database,
          ...(plugin === 'pgoutput' ? { publications: ['p'] } : {}),
        });
        const keys = () => pipeline.records.map(({ key }) => key?.['id']);
        if (encoding !== 'SQL_ASCII') {
          await assert.rejects(pipeline.run(), { code: 'DECODE_FAILED', message: /rename it/ });
          await execute(`'ALTER TABLE ' || ${name} || ' RENAME TO renamed'`);
        }
        assert.equal((await pipeline.run()).caughtUp, true);
        assert.deepEqual(keys(), [10], plugin);
        if (encoding !== 'SQL_ASCII') await execute(`'ALTER TABLE renamed RENAME TO ' || ${name}`);
      }
      await client.end();
    }
  });
});
