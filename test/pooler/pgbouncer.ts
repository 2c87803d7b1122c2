/**
 * Every action through a real pgbouncer in each of its modes, idle and under load: `npm run test:pooler`. Needs
 * `pgbouncer` on the PATH (Debian: apt-get install pgbouncer), so it is not in `npm test`.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { type HandlerProcess, startHandler } from '../lambda/handler-process.ts';
import { type EmbeddedKinesis, startKinesis } from '../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

const ACTIONS = [
  { action: 'check' },
  { action: 'status' },
  { action: 'create-slot' },
  { action: 'run' },
  { action: 'drain' },
  { action: 'refresh-keys' },
  { action: 'skip-transaction', commitLsn: '0/1' },
  { action: 'snapshot', tables: ['public.t'] },
  // What it writes is read by a run, and unread until then.
  { action: 'snapshot-stop' },
  { action: 'drain' },
  { action: 'drop-slot' },
] as const;
/** The function's time-out where it publishes a backlog, however busy the machine is. */
const FUNCTION_MS = 900_000;
/** What needs more than a pool in session mode to succeed. */
const REFUSED = [
  { action: 'copy-slot', from: 'other' },
  { action: 'an event of CloudFormation', RequestType: 'Create', RequestId: '1', LogicalResourceId: 'Slot' },
] as const;

for (const mode of ['transaction', 'statement', 'session'] as const) {
  describe(`pgbouncer with pool_mode = ${mode}`, () => {
    let server: PostgresServer;
    let kinesis: EmbeddedKinesis;
    let container: HandlerProcess;
    let pooler: { readonly port: number; stop(): void };
    before(async () => {
      [server, kinesis] = await Promise.all([startPostgres({ hba: ['host all all all trust'] }), startKinesis()]);
      await kinesis.createStream('pg2kinesis', 1);
      await server.sql('CREATE ROLE cdc LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY)');
      await server.sql('GRANT SELECT ON t TO cdc');
      pooler = await startPgbouncer(server.port, mode);
      container = await startHandler(settingsFor(pooler.port, kinesis));
    });
    after(async () => {
      await container.stop();
      pooler.stop();
      await Promise.all([server.stop(), kinesis.stop()]);
    });

    const client = async () => {
      const made = new pg.Client({ host: '127.0.0.1', port: pooler.port, user: 'cdc', database: 'postgres' });
      await made.connect();
      return made;
    };
    const settings = async () => {
      const application = await client();
      const { rows } = await application.query(
        `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout, count(*)::int AS rows FROM t`,
      );
      await application.end();
      return rows[0] as unknown;
    };
    const untouched = { path: '"$user", public', timeout: '0', rows: 0 };

    const tryAll = async () => {
      for (const event of mode === 'session' ? ACTIONS : [...ACTIONS, ...REFUSED]) {
        const { answer, error } = await container.invoke(event);
        if (mode === 'session') {
          if (event.action === 'skip-transaction') assert.equal(error?.name, 'EVENT_INVALID', error?.message);
          else assert.equal(error, undefined, `${event.action}: ${error?.message ?? ''}`);
        } else if (event.action === 'check') {
          const { findings } = answer as { findings: { check: string; found: string }[] };
          assert.match(findings.find(({ check }) => check === 'database')?.found ?? '', /^POOLER_REFUSED: /);
        } else {
          assert.equal(error?.name, 'POOLER_REFUSED', `${event.action}: ${error?.message ?? 'no error'}`);
        }
        assert.deepEqual(await settings(), untouched, `after ${event.action}`);
      }
    };

    it(mode === 'session' ? 'I6: works, and leaves nothing behind' : 'I6: is refused, with nothing set', async () => {
      for (let i = 0; i < 3; i++) await tryAll();
    });

    it(mode === 'session' ? 'I6: works under load, too' : 'I6: is refused under load, too', async () => {
      const load = { on: true, failed: 0 };
      const application = Array.from({ length: 8 }, async () => {
        const busy = await client();
        while (load.on) await busy.query('SELECT count(*) FROM t').catch(() => load.failed++);
        await busy.end();
      });
      try {
        await wait(200);
        for (let i = 0; i < 3; i++) await tryAll();
      } finally {
        // Else nothing ends where an assertion fails.
        load.on = false;
        await Promise.all(application);
      }
      assert.equal(load.failed, 0, 'no query of the application failed');
    });
  });
}

describe('a backlog that is read ahead through a pool in session mode', () => {
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;
  before(async () => {
    [server, kinesis] = await Promise.all([
      startPostgres({ hba: ['host all all all trust'], settings: { max_wal_size: '4GB' } }),
      startKinesis(),
    ]);
    await kinesis.createStream('pg2kinesis', 1);
    await server.sql('CREATE ROLE cdc LOGIN REPLICATION; CREATE TABLE t (id serial PRIMARY KEY)');
    await server.createSlot('pg2kinesis');
  });
  after(async () => {
    await Promise.all([server.stop(), kinesis.stop()]);
  });

  /** Publishes a backlog through a pool of so many backends. @returns the answer, and how many copies were there at most */
  async function published(poolSize: number) {
    for (let i = 0; i < 20; i++) await server.sql('INSERT INTO t SELECT FROM generate_series(1, 5000)');
    for (let i = 0; i < 80; i++)
      await server.sql(`SELECT pg_logical_emit_message(true, 'filler', repeat('x', 1048576))`);
    const pooler = await startPgbouncer(server.port, 'session', poolSize);
    const container = await startHandler(settingsFor(pooler.port, kinesis));
    let most = 0;
    const over = new AbortController();
    const watching = (async () => {
      for (; !over.signal.aborted; await wait(20)) most = Math.max(most, (await copies()).length);
    })();
    try {
      const { answer, error } = await container.invoke({ action: 'run', maxSeconds: 600 }, FUNCTION_MS);
      assert.equal(error, undefined, error?.message);
      over.abort();
      await watching;
      // The pool has its backends still.
      return { answer: answer as { caughtUp: boolean; published: number }, most, left: await copies() };
    } finally {
      over.abort();
      await watching;
      await container.stop();
      pooler.stop();
    }
  }

  const copies = () => server.sql(`SELECT slot_name FROM pg_replication_slots WHERE temporary`);

  it('leaves no copy of the slot to a backend of the pool', async () => {
    const { answer, most, left } = await published(12);
    assert.deepEqual([answer.caughtUp, answer.published, most], [true, 100_000, 2]);
    assert.deepEqual(left, []);
  });

  it('does not wait for backends that the pool has not', async () => {
    const { answer, most } = await published(3);
    assert.deepEqual([answer.caughtUp, answer.published, most], [true, 100_000, 0]);
  });
});

/** The function's environment. */
function settingsFor(port: number, kinesis: EmbeddedKinesis): Record<string, string> {
  return {
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGDATABASE: 'postgres',
    PGUSER: 'cdc',
    PGPASSWORD: 'none',
    PGSSLMODE: 'disable',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'y',
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
  };
}

/** Starts pgbouncer on a free port, by an account that it accepts: it refuses root. */
async function startPgbouncer(
  serverPort: number,
  mode: string,
  poolSize = 12,
): Promise<{ port: number; stop(): void }> {
  const probe = createServer();
  await new Promise<void>((ready) => probe.listen(0, '127.0.0.1', ready));
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  const dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-pgbouncer-'));
  chmodSync(dir, 0o755);
  const file = join(dir, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
postgres = host=127.0.0.1 port=${serverPort} dbname=postgres user=cdc
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
; Anybody, as the user above.
auth_type = any
auth_file = ${join(dir, 'users')}
pool_mode = ${mode}
default_pool_size = ${poolSize}
`,
  );
  writeFileSync(join(dir, 'users'), '');
  const account =
    process.getuid?.() === 0
      ? {
          uid: Number(execFileSync('id', ['-u', 'nobody']).toString()),
          gid: Number(execFileSync('id', ['-g', 'nobody']).toString()),
        }
      : {};
  const child: ChildProcess = spawn('pgbouncer', [file], { ...account, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.once('error', (error) => (said += error.message));
  for (let i = 0; !said.includes('process up'); i++) {
    if (child.exitCode !== null || i > 200) throw new Error(`pgbouncer did not start: ${said}`);
    await wait(25);
  }
  return {
    port,
    stop: () => {
      child.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
