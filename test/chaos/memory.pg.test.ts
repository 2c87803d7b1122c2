/**
 * I8: what one transaction needs, at most, and one ten times larger. In a process of its own each, into an endpoint that
 * accepts everything at once: the emulator is slow enough to hide a reader that runs ahead of its writer.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { PASSWORD, ROW_MARKER } from './container.ts';

const run = promisify(execFile);
const bench = (name: string): string => fileURLToPath(new URL(`../bench/${name}`, import.meta.url));
const ROWS = 300_000;
/** Of each row. Held whole, the larger transaction's rows alone are 150 MB as the server prints them. */
const NOTE_BYTES = 460;
/**
 * The tenth already fills every lane, both rounds and the stream's buffers, and the young generation has its full size;
 * what is left is how late the collector comes, and one reading of 256 KiB more or less.
 */
const MOST_MB = 80;

describe('memory', () => {
  let server: PostgresServer;
  let sink: ReturnType<typeof spawn>;
  let port = '';
  before(async () => {
    server = await startPostgres({ settings: { max_wal_size: '4GB' } });
    sink = spawn(process.execPath, [bench('sink.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (sink.stdout === null) throw new Error('the sink has no output');
    [port] = (await once(createInterface({ input: sink.stdout }), 'line')) as [string];
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  after(async () => {
    sink.stdin?.end();
    await server.stop();
  });

  /** Drains one transaction of so many rows. @returns the process's largest resident memory, in MB */
  async function peak(rows: number): Promise<number> {
    await server.createSlot('memory');
    await server.sql(
      `INSERT INTO t SELECT s, rpad('${ROW_MARKER}', ${NOTE_BYTES}, md5(s::text)) FROM generate_series(1, ${rows}) s`,
    );
    const env = {
      PATH: process.env['PATH'],
      PGHOST: server.connection.host,
      PGPORT: String(server.port),
      PGDATABASE: server.connection.database,
      PGUSER: 'cdc',
      PGPASSWORD: PASSWORD,
      PGSSLMODE: 'disable',
      SLOT_NAME: 'memory',
      FORMAT: 'json',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}`,
    };
    const { stdout, stderr } = await run(process.execPath, [bench('invoke.ts'), '{"action":"drain"}'], {
      env,
      maxBuffer: 1 << 26,
    });
    assert.ok(!(stdout + stderr).includes('MARKER-'), 'I10: a secret was written');
    const line =
      stdout
        .split('\n')
        .find((each) => each.startsWith('bench '))
        ?.slice(6) ?? '{}';
    const { maxRssMb, answer } = JSON.parse(line) as { maxRssMb: number; answer: RunAnswer };
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
      large - small < MOST_MB,
      `${ROWS} rows took ${large.toFixed(0)} MB, a tenth of them ${small.toFixed(0)} MB`,
    );
  });
});
