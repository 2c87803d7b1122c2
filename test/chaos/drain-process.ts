/**
 * A drain in a process of its own, into an endpoint that accepts everything at once, and the most memory it took. The
 * emulator is slow enough to hide a reader that runs ahead of its writer.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { PASSWORD } from './container.ts';

const run = promisify(execFile);
const bench = (name: string): string => fileURLToPath(new URL(`../bench/${name}`, import.meta.url));

/** What a drain came to. */
export interface Drained {
  /** The process's largest resident memory. */
  readonly maxRssMb: number;
  readonly answer: RunAnswer;
}

/** Drains slots of one server. */
export interface Drains {
  /** @param slot - the slot @param over - settings besides the usual @throws {Error} when the drain fails */
  drain(slot: string, over?: Readonly<Record<string, string>>): Promise<Drained>;
  stop(): void;
}

/**
 * Starts the endpoint, and makes the role that drains.
 *
 * @param server - whose slots
 */
export async function startDrains(server: PostgresServer): Promise<Drains> {
  const sink = spawn(process.execPath, [bench('sink.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: sink.stdout }), 'line')) as [string];
  await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
  return {
    async drain(slot, over = {}) {
      const env = {
        PATH: process.env['PATH'],
        PGHOST: server.connection.host,
        PGPORT: String(server.port),
        PGDATABASE: server.connection.database,
        PGUSER: 'cdc',
        PGPASSWORD: PASSWORD,
        PGSSLMODE: 'disable',
        SLOT_NAME: slot,
        FORMAT: 'json',
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'x',
        AWS_SECRET_ACCESS_KEY: 'x',
        AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}`,
        ...over,
      };
      const { stdout, stderr } = await run(process.execPath, [bench('invoke.ts'), '{"action":"drain"}'], {
        env,
        maxBuffer: 1 << 26,
      });
      assert.ok(!(stdout + stderr).includes('MARKER-'), 'I10: a secret was written');
      const line = stdout.split('\n').find((each) => each.startsWith('bench '));
      return JSON.parse(line?.slice(6) ?? '{}') as Drained;
    },
    stop() {
      sink.stdin.end();
    },
  };
}
