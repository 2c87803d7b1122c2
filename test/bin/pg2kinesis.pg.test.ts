/** The command line as a user has it: processes in a shell, against a real server and an emulated stream. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type EmbeddedKinesis, startKinesis } from '../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

describe('pg2kinesis in a shell', () => {
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;
  const children = new Set<ChildProcess>();

  const environment = (): NodeJS.ProcessEnv => ({
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    PGHOST: '127.0.0.1',
    PGPORT: String(server.port),
    PGDATABASE: server.connection.database,
    PGUSER: server.connection.user,
    PGPASSWORD: server.connection.password,
    PGSSLMODE: 'disable',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'y',
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
  });
  const start = (
    args: string[],
    over: Readonly<Record<string, string>> = {},
  ): { child: ChildProcess; ended: Promise<Ended>; seen: (text: RegExp) => Promise<void> } => {
    const child = spawn(process.execPath, ['bin/pg2kinesis.ts', ...args], {
      cwd: root,
      env: { ...environment(), ...over },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    let out = '';
    let err = '';
    const waiting = new Set<() => void>();
    const look = (): void => waiting.forEach((each) => each());
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      look();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
      look();
    });
    const ended = once(child, 'close').then(([status]) => {
      children.delete(child);
      return { status: status as number | null, out, err };
    });
    return {
      child,
      ended,
      seen: (text) =>
        new Promise((resolve, reject) => {
          const find = (): void => {
            if (!text.test(out) && !text.test(err)) return;
            waiting.delete(find);
            resolve();
          };
          waiting.add(find);
          void ended.then(() => reject(new Error(`it ended without ${text}: ${out}${err}`)));
          find();
        }),
    };
  };
  const cli = (...args: string[]): Promise<Ended> => start(args).ended;

  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startKinesis()]);
    await kinesis.createStream('pg2kinesis', 1);
    await server.sql('CREATE TABLE users (id int PRIMARY KEY)');
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all([server.stop(), kinesis.stop()]);
  });

  it('checks with exit status 1 while something is missing, and 0 once it is not', async () => {
    const missing = await cli('check', '--json');
    assert.equal(missing.status, 1);
    assert.equal((JSON.parse(missing.out) as { ok: boolean }).ok, false);
    assert.equal((await cli('create-slot')).status, 0);
    assert.equal((await cli('check', '--json')).status, 0);
  });

  it('says what to correct where the slot to copy is not there', async () => {
    const { status, err } = await start(['copy-slot', '--from', 'nope'], { SLOT_NAME: 'another' }).ended;
    assert.match(
      err,
      /^SLOT_MISSING: There is no slot "nope" to copy\. The slot "another" was not made\. Correct the name/m,
    );
    assert.equal(status, 1);
  });

  it('ends at once without a password, and does not wait for the server to hang up', async () => {
    const { status, err } = await start(['status'], { PGPASSWORD: '' }).ended;
    assert.equal(status, 1);
    assert.match(
      err,
      /^DATABASE_AUTH_FAILED: .* asks user "postgres" for a password, and there is none: PGPASSWORD is not set/,
    );
    assert.doesNotMatch(await server.log(), /canceling authentication due to timeout/);
  });

  it('prints a run’s answer as one line of JSON, and logs on the standard error', async () => {
    await server.sql('INSERT INTO users VALUES (1)');
    const { status, out } = await cli('--log-json', 'run', '--json');
    assert.equal(status, 0);
    assert.equal(out.trimEnd().split('\n').length, 1);
    assert.equal((JSON.parse(out) as { published: number }).published, 1);
    const dropped = await cli('--log-json', 'drop-slot');
    assert.equal((JSON.parse(dropped.err) as { level: string }).level, 'WARN');
    await cli('create-slot');
  });

  it('exits with 3 from a drain that is not caught up, and from a check that could not find everything out', async () => {
    const { lockKey } = await import('../../lambda/postgres/slot-lock.ts');
    const holder = await server.client();
    await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey('pg2kinesis'))]);
    const locked = await cli('drain', '--json', '--max-seconds', '5');
    await holder.end();
    assert.match(locked.out, /"stopped":"locked"/);
    assert.equal(locked.status, 3);
    const denying = createServer((_, response) =>
      response.writeHead(400, { 'x-amzn-errortype': 'AccessDeniedException' }).end('{"message":"no"}'),
    ).listen(0, '127.0.0.1');
    await once(denying, 'listening');
    const { port } = denying.address() as AddressInfo;
    const unknown = await start(['check', '--json'], { AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${port}` }).ended;
    denying.close();
    assert.match(unknown.out, /"ok":false/);
    assert.match(unknown.out, /may not be described/);
    assert.equal(unknown.status, 3);
    const unreachable = await start(['check', '--json'], { AWS_ENDPOINT_URL_KINESIS: 'http://127.0.0.1:1' }).ended;
    assert.match(unreachable.out, /is not reached: Error \(ECONNREFUSED\)/);
    assert.match(unreachable.out, /in us-east-1 \(127\.0\.0\.1:1\)/);
    assert.equal(unreachable.status, 1);
  });

  for (const [how, args, over] of [
    ['--linger', ['--linger'], {}],
    ['LINGER=on', [], { LINGER: 'on' }],
  ] as const) {
    it(`ends a run that lingers by ${how} after --max-seconds`, async () => {
      const { child, ended } = start(['run', '--json', '--max-seconds', '5', ...args], over);
      const tooLate = setTimeout(() => child.kill('SIGKILL'), 60_000);
      const { status, out } = await ended;
      clearTimeout(tooLate);
      assert.equal(status, 0);
      assert.match(out, /"caughtUp":true/);
    });
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`runs again and again with --every, and ends in good order on ${signal}`, async () => {
      const { child, ended, seen } = start(['run', '--json', '--every', '0.1']);
      await seen(/"caughtUp":true.*\n.*"caughtUp":true/);
      await server.sql('INSERT INTO users SELECT coalesce(max(id), 0) + 1 FROM users');
      await seen(/"published":1,/);
      child.kill(signal);
      const { status, err } = await ended;
      assert.equal(status, 0, err);
      assert.match(err, /what is under way is finished first/);
      const { lockHolder } = JSON.parse((await cli('status', '--json')).out) as { lockHolder: unknown };
      assert.equal(lockHolder, null);
    });
  }

  it('goes on after a failure with --every, as the schedule does', async () => {
    await cli('drop-slot');
    const { child, ended, seen } = start(['run', '--json', '--every', '0.1']);
    await seen(/SLOT_MISSING/);
    assert.equal((await cli('create-slot')).status, 0);
    await seen(/"caughtUp":true/);
    child.kill('SIGTERM');
    const { status, err } = await ended;
    assert.equal(status, 0);
    assert.match(err, /^\d{4}-\d\d-\d\dT\S+Z ERROR SLOT_MISSING: .* code=SLOT_MISSING$/m);
  });

  it('takes a snapshot to its end, refuses by name what it cannot read, and leaves the rest to other runs on Ctrl-C', async () => {
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'pass'; CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (LIKE a INCLUDING ALL);
      CREATE TABLE no_key (id int); CREATE TABLE secret (LIKE a INCLUDING ALL); CREATE TABLE left_out (LIKE a INCLUDING ALL);
      INSERT INTO a SELECT generate_series(1, 3000); INSERT INTO b VALUES (1); GRANT SELECT ON a, b, no_key, left_out TO cdc`);
    const over = { SLOT_NAME: 'snapshots', PGUSER: 'cdc', PGPASSWORD: 'pass', TABLE_EXCLUDE_LIST: 'public.left_out' };
    const snapshot = (...args: string[]) => start(['snapshot', ...args], over);
    await server.createSlot('snapshots');
    const { status: refused, err } = await snapshot(
      '--tables',
      'public.none,public.no_key,public.secret,public.left_out,public.a',
    ).ended;
    assert.equal(refused, 1);
    assert.match(
      err,
      /^SNAPSHOT_REFUSED: There is no table "public.none".*no_key: it has no primary key.*GRANT SELECT ON "public"."secret" TO "cdc";.*public.left_out is left out/s,
    );
    const plugin = await start(['snapshot', '--tables', 'public.a'], { ...over, PLUGIN: 'wal2json' }).ended;
    assert.match(plugin.err, /^SNAPSHOT_REFUSED: .*the plugin wal2json is not read with logical messages/);
    const taken = await snapshot('--tables', 'public.a,public.b').ended;
    assert.equal(taken.status, 0, taken.err);
    assert.match(taken.out, /3,001 rows read, done/);
    const writer = await server.client();
    await writer.query('BEGIN; INSERT INTO b VALUES (2)');
    const waiting = snapshot('--tables', 'public.b', '--json');
    const looks = `SELECT FROM pg_stat_activity WHERE usename = 'cdc' AND query = 'ROLLBACK'`;
    while ((await server.sql(looks)).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    waiting.child.kill('SIGINT');
    const { status, out } = await waiting.ended;
    assert.equal(status, 3, out);
    assert.match(out, /"snapshot":\{[^}]*"done":false[^}]*"waitsFor":"transaction \d+/);
    const again = await snapshot('--tables', 'public.b').ended;
    assert.match(
      again.err,
      /^SNAPSHOT_REFUSED: public.b is being read already: snapshot without tables goes on with it/,
    );
    await writer.query('ROLLBACK');
    await writer.end();
    const next = JSON.parse((await start(['run', '--json'], over).ended).out) as {
      snapshot: { done: boolean; rowsRead: number };
    };
    assert.deepEqual([next.snapshot.done, next.snapshot.rowsRead], [true, 1]);
  });
});
