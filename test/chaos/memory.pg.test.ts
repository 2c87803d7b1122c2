/** I8: what a large transaction and a large row need, at most, in a process of its own each. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { ROW_MARKER } from './container.ts';
import { type Drains, startDrains } from './drain-process.ts';

const FORMATTER = fileURLToPath(new URL('formatter.ts', import.meta.url));

const ROWS = 300_000;
/** Of each row. Held whole, the larger transaction's rows alone are 150 MB as the server prints them. */
const NOTE_BYTES = 460;
/**
 * The tenth already fills every lane, both rounds and the stream's buffers, and the young generation has its full size;
 * what is left is how late the collector comes, and one reading of 256 KiB more or less.
 */
const MAX_MB = 80;
/** Of one value; printed, it takes twice as much, and in an UPDATE under REPLICA IDENTITY FULL four times. */
const VALUE_MB = 64;
/** A process that collects that UPDATE takes twice as much. */
const MAX_FOR_ROWS_MB = 256;

describe('memory', () => {
  let server: PostgresServer;
  let drains: Drains;
  before(async () => {
    server = await startPostgres({ settings: { max_wal_size: '4GB' } });
    drains = await startDrains(server);
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
    await server.sql('CREATE TABLE documents (body bytea, id int PRIMARY KEY)');
    await server.sql('ALTER TABLE documents REPLICA IDENTITY FULL');
  });
  after(async () => {
    drains.stop();
    await server.stop();
  });

  /** Drains one transaction of so many rows. @returns the process's largest resident memory, in MB */
  async function peak(rows: number, over: Readonly<Record<string, string>> = {}): Promise<number> {
    await server.createSlot('memory');
    await server.sql(
      `INSERT INTO t SELECT s, rpad('${ROW_MARKER}', ${NOTE_BYTES}, md5(s::text)) FROM generate_series(1, ${rows}) s`,
    );
    const { maxRssMb, answer } = await drains.drain('memory', over);
    assert.deepEqual(
      { published: answer.published, transactions: answer.transactions },
      { published: rows, transactions: 1 },
    );
    await server.sql(`SELECT pg_drop_replication_slot('memory')`);
    await server.sql('TRUNCATE t');
    return maxRssMb;
  }

  it('I8: does not grow with the size of a transaction', async (t) => {
    const small = await peak(ROWS / 10);
    const large = await peak(ROWS);
    t.diagnostic(`${ROWS / 10} rows: ${small.toFixed(0)} MB; ${ROWS} rows: ${large.toFixed(0)} MB`);
    assert.ok(
      large - small < MAX_MB,
      `${ROWS} rows took ${large.toFixed(0)} MB, a tenth of them ${small.toFixed(0)} MB`,
    );
  });

  it('I8: does not grow with the size of a transaction through a formatter and a compressor', async (t) => {
    const over = { FORMAT: 'module', FORMATTER, AGGREGATION: 'lines', COMPRESSION: 'zstd' };
    const small = await peak(ROWS / 10, over);
    const large = await peak(ROWS / 2, over);
    t.diagnostic(`${ROWS / 10} rows: ${small.toFixed(0)} MB; ${ROWS / 2} rows: ${large.toFixed(0)} MB`);
    assert.ok(
      large - small < MAX_MB,
      `${ROWS / 2} rows took ${large.toFixed(0)} MB, a fifth of them ${small.toFixed(0)} MB`,
    );
  });

  it('I8: does not grow with the size of a row, whose key is published all the same', async (t) => {
    await server.createSlot('rows');
    await server.sql(`INSERT INTO documents VALUES (convert_to(repeat('x', ${VALUE_MB << 20}), 'UTF8'), 1)`);
    // The old row and the new one are sent whole, each with its key behind the large value.
    await server.sql('UPDATE documents SET id = 2');
    await server.sql(`INSERT INTO documents VALUES ('small', 3)`);
    const { maxRssMb, answer } = await drains.drain('rows');
    t.diagnostic(`${VALUE_MB} MB: ${maxRssMb.toFixed(0)} MB`);
    assert.deepEqual(
      { published: answer.published, records: answer.records, truncated: answer.truncated, caughtUp: answer.caughtUp },
      { published: 3, records: 4, truncated: 3, caughtUp: true },
    );
    assert.ok(maxRssMb < MAX_FOR_ROWS_MB, `a value of ${VALUE_MB} MB took ${maxRssMb.toFixed(0)} MB`);
  });
});
