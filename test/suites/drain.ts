/** Drains a slot by the real function in a process of its own, and says what arrived and what memory it took. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { PostgresServer } from '../support/postgres.ts';
import type { Recorded, RecordingEndpoint } from './recorder.ts';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('../bench/invoke.ts', import.meta.url));

/** What a drain came to. */
export interface Drained {
  readonly answer: RunAnswer;
  readonly records: readonly Recorded[];
  readonly maxRssMb: number;
}

/**
 * Drains a copy of a slot.
 *
 * @param server - where
 * @param database - the slot's
 * @param slot - the slot, which stays where it is
 * @param recorder - the stream
 * @param settings - of the function
 * @throws {Error} when the function fails; the message holds what it wrote
 */
export async function drainCopy(
  server: PostgresServer,
  database: string,
  slot: string,
  recorder: RecordingEndpoint,
  settings: Readonly<Record<string, string>>,
): Promise<Drained> {
  const client = await server.client({ database });
  await client.query(`SELECT pg_copy_logical_replication_slot($1, 'copied')`, [slot]);
  try {
    const { stdout } = await run(process.execPath, [PROGRAM, '{"action":"drain"}'], {
      maxBuffer: 1 << 27,
      env: {
        PATH: process.env['PATH'],
        PGHOST: server.connection.host,
        PGPORT: String(server.port),
        PGDATABASE: database,
        PGUSER: server.connection.user,
        PGPASSWORD: server.connection.password,
        PGSSLMODE: 'disable',
        SLOT_NAME: 'copied',
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'suites',
        AWS_SECRET_ACCESS_KEY: 'suites',
        AWS_ENDPOINT_URL_KINESIS: recorder.endpoint,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
        LOG_LEVEL: 'ERROR',
        ...settings,
      },
    });
    const line = stdout.split('\n').find((each) => each.startsWith('bench ')) ?? '';
    const { answer, maxRssMb } = JSON.parse(line.slice(6)) as Omit<Drained, 'records'>;
    return { answer, maxRssMb, records: recorder.take() };
  } catch (error) {
    recorder.take();
    throw error;
  } finally {
    await client.query(`SELECT pg_drop_replication_slot('copied')`);
    await client.end();
  }
}
