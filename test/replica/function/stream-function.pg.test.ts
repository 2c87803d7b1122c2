/**
 * The function of a `StreamReplica`: the real pipeline and the emulated stream, its shards given side by side to functions that
 * each have a connection of their own, to a second PostgreSQL.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SplitShardCommand } from '@aws-sdk/client-kinesis';
import type { KinesisStreamEvent } from 'aws-lambda';
import type { StreamFunction } from '../../../replica/function/stream-function.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { type Environment, eventually, NAME, startEnvironment } from '../../chaos/environment.ts';
import { runCli } from '../../support/cli.ts';
import { EventSource } from '../../support/event-source.ts';
import { EMULATOR } from '../../support/kinesis.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { randomOf } from '../rules/model/random.ts';
import { emptying, generatedColumn, RANDOM_UUID } from '../support/by-version.ts';
import { BY_HAND_ARN, eventOf, insertOf, makeFunction, Said } from '../support/function-rig.ts';

const TABLES = ['public.accounts', 'public.orders', 'public.notes'] as const;

/** Tables that can bear it: foreign keys and values out of line, but nothing unique besides the keys. */
const DEFINITIONS = `
  CREATE TABLE public.accounts (id bigint PRIMARY KEY, amount numeric, note text);
  CREATE TABLE public.orders (id integer, part varchar(20), account bigint REFERENCES public.accounts ON UPDATE CASCADE ON DELETE CASCADE,
    doc jsonb, bytes bytea, list text[], ratio real, big text NOT NULL${generatedColumn(TESTED_MAJOR, 'twice bigint GENERATED ALWAYS AS (account * 2) STORED')}, PRIMARY KEY (part, id));
  CREATE TABLE public.notes (id uuid PRIMARY KEY, body text);
  ALTER TABLE public.accounts ALTER note SET STORAGE EXTERNAL;
  ALTER TABLE public.orders ALTER big SET STORAGE EXTERNAL, ALTER bytes SET STORAGE EXTERNAL;`;

let environment: Environment;
let target: PostgresServer;
const said = new Said();
const { logged, measured } = said;
const open: StreamFunction[] = [];

/** A container of the function. */
function container(over: Readonly<Record<string, string>> = {}): StreamFunction {
  const made = makeFunction(target, said, over);
  open.push(made);
  return made;
}

async function hashes(server: PostgresServer, database = 'postgres'): Promise<Record<string, string>> {
  const client = await server.client({ database });
  const found: Record<string, string> = {};
  for (const table of TABLES) {
    const { rows } = await client.query<{ hash: string }>(
      `SELECT count(*) || ' ' || md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) AS hash FROM ${table} AS t`,
    );
    found[table] = rows[0]?.hash ?? '';
  }
  await client.end();
  return found;
}

async function placesAt(): Promise<number[]> {
  return (await target.sql<{ id: number }>('SELECT id FROM public.places WHERE id < 900 ORDER BY id')).map(
    ({ id }) => id,
  );
}

/** Statements of one transaction. */
function transaction(int: (n: number) => number, next: () => number, n: number): string {
  const account = 1 + int(12);
  switch (int(9)) {
    case 0:
      return `INSERT INTO public.accounts SELECT ${account}, ${n}.50, repeat('a${n}', 900) ON CONFLICT (id) DO UPDATE SET amount = accounts.amount + 1`;
    case 1:
      // Another key; its orders follow, and what is out of line is not sent.
      return `UPDATE public.accounts SET id = ${100 + (n % 40)} WHERE id = ${account} AND NOT EXISTS (SELECT FROM public.accounts WHERE id = ${100 + (n % 40)})`;
    case 2:
      return `UPDATE public.accounts SET id = ${account} WHERE id = ${100 + int(40)} AND NOT EXISTS (SELECT FROM public.accounts WHERE id = ${account})`;
    case 3:
      return `INSERT INTO public.orders SELECT ${n}, 'p', id, '{"n": ${n}}', decode('00ff', 'hex'), ARRAY['x', NULL], 1.5, repeat('x${n}', 900) FROM public.accounts ORDER BY id LIMIT 1`;
    case 4:
      return `UPDATE public.orders SET part = CASE WHEN length(part) < 15 THEN part || 'q' ELSE 'p' || ${n} END WHERE id % 5 = ${int(5)}`;
    case 5:
      return `UPDATE public.orders SET ratio = ratio + 1, bytes = ${next() < 0.3 ? `repeat('y', 3000)::bytea` : 'bytes'} WHERE id % 7 = ${int(7)}`;
    case 6:
      return `DELETE FROM public.accounts WHERE id = ${next() < 0.3 ? account : 100 + int(40)}`;
    case 7:
      return next() < 0.3
        ? `${emptying('public.notes')}; INSERT INTO public.notes SELECT ${RANDOM_UUID}, repeat(i::text, 2000) FROM generate_series(1, 3) AS i`
        : next() < 0.1
          ? emptying('public.orders', 'public.accounts')
          : `UPDATE public.notes SET body = body || '!'`;
    default:
      return `INSERT INTO public.notes SELECT ${RANDOM_UUID}, repeat('n', 2500) FROM generate_series(1, 1 + ${int(3)}); UPDATE public.notes SET id = ${RANDOM_UUID} WHERE random() < 0.3`;
  }
}

describe('the function of a StreamReplica', () => {
  before(async () => {
    [environment, target] = await Promise.all([startEnvironment({ shards: 4 }), startPostgres()]);
    await environment.server.createSlot(NAME);
    await Promise.all([environment.server.sql(DEFINITIONS), target.sql(DEFINITIONS)]);
  });
  after(async () => {
    await Promise.all(open.map((each) => each.close()));
    await environment.stop();
    await target.stop();
  });

  it('ends equal, though shards are apart, batches come again, are halved and half done, and both sides are killed', async () => {
    const { int, next } = randomOf(7);
    const writer = await environment.server.client();
    const written = new AbortController();
    const published = new AbortController();
    const containers = new Map<string, StreamFunction>();
    const abandoned: Promise<unknown>[] = [];
    let answers = 0;
    const [shard] = await environment.kinesis.shards(NAME);
    const streamArn = `arn:aws:kinesis:us-east-1:000000000000:stream/${NAME}`;
    const source = new EventSource({
      client: environment.kinesis.client,
      stream: NAME,
      streamArn,
      random: next,
      batchSize: 8,
      invoke: async (id, event) => {
        // Shards get apart, and a container may be another one than before, while that one still has its connection.
        await wait(int(60));
        if (next() < 0.05) containers.delete(id);
        const invoked = containers.get(id) ?? container();
        containers.set(id, invoked);
        // Lambda has given an invocation up, which still runs.
        if (!published.signal.aborted && next() < 0.1)
          abandoned.push(
            container()
              .invoke(event)
              .catch(() => undefined),
          );
        const answer = await invoked.invoke(event);
        // Now and then an invocation takes too long, and nobody gets its answer.
        if (++answers % 20 === 0) throw new Error('timed out');
        return answer;
      },
    });
    const write = async (): Promise<void> => {
      for (let n = 1; n <= 300; n++) {
        await writer.query(`BEGIN; ${transaction(int, next, n)}; COMMIT`);
        if (n === 100) {
          const { HashKeyRange: range } = shard ?? {};
          const middle = (BigInt(range?.StartingHashKey ?? 0) + BigInt(range?.EndingHashKey ?? 0)) / 2n;
          await environment.kinesis.client.send(
            new SplitShardCommand({
              StreamName: NAME,
              ShardToSplit: shard?.ShardId,
              NewStartingHashKey: String(middle),
            }),
          );
        }
        if (n % 60 === 0) {
          await target.sql(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg2kinesis replicate' AND random() < 0.7`,
          );
        }
        await wait(int(12));
      }
      written.abort();
    };
    /** At first the target lacks a column: what comes of the table is not done with. */
    const hinder = async (): Promise<void> => {
      const isStopped = (): boolean => logged.some((line) => line.startsWith('TARGET_LACKS_COLUMN'));
      await eventually(() => source.counts.partial > 2 && isStopped(), 'a batch is half done');
      await target.sql('ALTER TABLE public.orders RENAME other TO big');
    };
    const isOver = (): boolean => written.signal.aborted;
    const publish = async (): Promise<void> => {
      while (!isOver()) {
        const running = await environment.container({ MARKS: 'on' });
        for (let runs = 0; runs < 3 && !isOver(); runs++) {
          const invoked = running.invoke({ action: 'run', maxSeconds: 20 });
          if (runs === 2) await wait(int(150)).then(() => running.kill());
          await invoked;
        }
        await running.kill();
      }
      await eventually(async () => (await environment.lockHolder()) === undefined, 'the lock is free');
      const last = await environment.container({ MARKS: 'on' });
      await last.run({ action: 'drain' });
      await last.kill();
      published.abort();
    };
    await target.sql('ALTER TABLE public.orders RENAME big TO other');
    await Promise.all([write(), hinder(), publish(), source.run(published.signal)]);
    await Promise.all(abandoned);
    assert.deepEqual(await hashes(target), await hashes(environment.server), logged.join('\n'));
    const { again, partial, halved } = source.counts;
    assert.ok(again > 0 && partial > 0 && halved > 0, JSON.stringify(source.counts));
    // Two shards that end at the same moment do not see each other's marks: what they leave is deleted with the next.
    await writer.query(`BEGIN; ${transaction(int, next, 301)}; COMMIT`);
    await (await environment.container({ MARKS: 'on' })).run({ action: 'drain' });
    await source.runInTurn();
    assert.deepEqual(await hashes(target), await hashes(environment.server));
    for (const table of ['note', 'truncate', 'parked', 'waiting']) {
      const [left] = await target.sql<{ count: string }>(`SELECT count(*) FROM pg2kinesis.replica_${table}`);
      assert.equal(left?.count, '0', table);
    }
  });

  it('does the same as `replicate --fast`, which goes on where it was killed, and refuses to go on without --fast', async () => {
    await target.sql('CREATE DATABASE second');
    const second = await target.client({ database: 'second' });
    await second.query(DEFINITIONS);
    const { user, password, host, port } = target.connection;
    const env = {
      PATH: process.env['PATH'] ?? '',
      AWS_REGION: EMULATOR.region,
      AWS_ACCESS_KEY_ID: EMULATOR.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: EMULATOR.credentials.secretAccessKey,
      AWS_ENDPOINT_URL_KINESIS: environment.kinesis.endpoint,
      REPLICATE_TO: `postgres://${user}@${host}:${port}/second?sslmode=disable`,
      REPLICATE_PASSWORD: password,
    };
    const program = fileURLToPath(import.meta.resolve('../../../bin/pg2kinesis.ts'));
    const child = spawn(process.execPath, [program, 'replicate', '--fast'], { env, stdio: 'ignore' });
    await eventually(async () => {
      const { rows } = await second.query<{ there: boolean }>(
        `SELECT to_regclass('pg2kinesis.replica_lane') IS NOT NULL AS there`,
      );
      return rows[0]?.there === true && (await second.query('SELECT FROM pg2kinesis.replica_lane')).rows.length > 5;
    }, 'some of it is applied');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { status, out, err } = await runCli(['replicate', '--fast', '--once', '--json'], env);
    assert.equal(status, 0, err);
    assert.match(err, /^Replicating arn:aws:kinesis:\S+ to "second" at 127\.0\.0\.1:\d+, as changes come\.\n$/);
    const end = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    assert.equal(end['event'], 'end');
    assert.equal(end['caughtUp'], true);
    assert.deepEqual(await hashes(target, 'second'), await hashes(environment.server));
    const without = await runCli(['replicate', '--once'], env);
    assert.equal(without.status, 2);
    assert.match(
      without.err,
      /REPLICA_USAGE: The copy "pg2kinesis" was begun with --fast, and cannot go on without it/,
    );
    const { connection: at } = environment.server;
    const from = `postgres://${at.user}:${at.password}@${at.host}:${at.port}/${at.database}?sslmode=disable`;
    const verified = await runCli(['replicate', '--verify', '--from', from], env);
    assert.match(verified.err, /VERIFY_IMPOSSIBLE: The copy "pg2kinesis" is not kept equal at each moment/);
    // Made anew.
    await second.query('DELETE FROM pg2kinesis.replica; TRUNCATE public.accounts, public.orders, public.notes');
    const anew = await runCli(['replicate', '--fast', '--once'], env);
    assert.equal(anew.status, 0, anew.err);
    assert.deepEqual(await hashes(target, 'second'), await hashes(environment.server));
    const twice = await runCli(['replicate', '--fast', '--once', '--name', 'third'], env);
    assert.equal(twice.status, 2, twice.err);
    assert.match(twice.err, /REPLICA_USAGE: The target has a copy of the stream already, "pg2kinesis"\./);
    await second.query('DELETE FROM pg2kinesis.replica');
    await second.query('CREATE UNIQUE INDEX notes_twice ON public.notes (id, length(body))');
    const refused = await runCli(['replicate', '--fast', '--once', '--name', 'third'], env);
    assert.equal(refused.status, 3, refused.err);
    assert.match(refused.err, /FAST_REFUSED: The table public\.notes .*DROP INDEX public\.notes_twice;/);
  });

  it('applies what is of the copy’s source, and stops where the source has another name: it dropped all of it as another’s', async () => {
    await target.sql('CREATE TABLE IF NOT EXISTS public.places (id int PRIMARY KEY, body text, big text)');
    const own = { REPLICA_NAME: 'renamed' };
    assert.deepEqual(await container(own).invoke(eventOf(insertOf('old', 1))), { batchItemFailures: [] });
    const asked = container({ ...own, SOURCE_NAME: 'new' });
    const answer = await asked.invoke(
      eventOf(insertOf('old', 2), insertOf('other', 3), insertOf('new', 4), insertOf('new', 5)),
    );
    assert.deepEqual(answer, { batchItemFailures: [{ itemIdentifier: '3' }] });
    assert.match(
      logged.at(-1) ?? '',
      /STREAM_CHANGED: The copy is of the source "old", and "new" is asked for\..*UPDATE pg2kinesis\.replica SET source = 'new' WHERE name = '<its name>'/,
    );
    assert.deepEqual(await placesAt(), [1, 2]);
    // As the message says.
    await target.sql(`UPDATE pg2kinesis.replica SET source = 'new' WHERE name = 'renamed'`);
    assert.deepEqual(await asked.invoke(eventOf(insertOf('new', 4), insertOf('new', 5))), { batchItemFailures: [] });
    assert.deepEqual(await placesAt(), [1, 2, 4, 5]);
    // A process that goes on with it, in the other way of following, is refused by name.
    const store = new PositionStore(await target.client(), 'renamed');
    const stream = { arn: BY_HAND_ARN, createdMs: 1 };
    await assert.rejects(
      store.begin(stream, { startAfter: undefined, takeOver: false, awaitsSnapshot: false }),
      /REPLICA_USAGE: The copy "renamed" was begun with --fast/,
    );
    const fast = new PositionStore(await target.client(), 'renamed', 'fast');
    const begun = await fast.begin(stream, { startAfter: undefined, takeOver: true, awaitsSnapshot: false });
    assert.equal(begun.source, 'new');
  });

  it('counts updates whose row is not there, where it may leave them out', async () => {
    await target.sql('CREATE TABLE IF NOT EXISTS public.places (id int PRIMARY KEY, body text, big text)');
    await target.sql('DELETE FROM pg2kinesis.replica');
    const own = { REPLICA_NAME: 'missing', SKIP_MISSING: 'on' };
    const update = { ...insertOf('s', 900), op: 'UPDATE', row: { id: 900, body: 'b' }, unchanged: ['big'] };
    measured.length = 0;
    assert.deepEqual(await container(own).invoke(eventOf(update)), { batchItemFailures: [] });
    const missing = () => measured.filter(([name]) => name === 'ReplicaMissing');
    assert.deepEqual(missing(), [['ReplicaMissing', 1]]);
    // One in a record that cannot be applied is not left out: it is given again, and again.
    const event = eventOf({ ...update, ...insertOf('s', 901), op: 'UPDATE', row: update.row, unchanged: ['big'] });
    const [record] = event.Records;
    assert.ok(record);
    const refused = { ...insertOf('s', 902), table: 'nowhere' };
    const text = Buffer.from(record.kinesis.data, 'base64').toString();
    record.kinesis.data = Buffer.from(`${text}${JSON.stringify(refused)}\n`).toString('base64');
    assert.equal((await container(own).invoke(event)).batchItemFailures.length, 1);
    assert.deepEqual(missing(), [['ReplicaMissing', 1]]);
  });

  it('stops without marks, and goes on by itself once they are there, or the changes are so old that marks may follow', async () => {
    await target.sql('CREATE TABLE IF NOT EXISTS public.places (id int PRIMARY KEY, body text, big text)');
    await target.sql('TRUNCATE public.places; DELETE FROM pg2kinesis.replica');
    const own = container({ REPLICA_NAME: 'unmarked' });
    /** @param given - records, and how many minutes ago the stream took them */
    const invoke = async (...given: readonly (readonly [minutesAgo: number, record: object])[]): Promise<number> => {
      const event = eventOf(...given.map(([, record]) => record));
      for (const [i, { kinesis }] of event.Records.entries())
        kinesis.approximateArrivalTimestamp = Date.now() / 1000 - 60 * (given[i]?.[0] ?? 0);
      return (await own.invoke(event)).batchItemFailures.length;
    };
    logged.length = 0;
    // Of an hour, and old enough that marks may come after them.
    assert.equal(await invoke([90, insertOf('s', 601)], [60, insertOf('s', 602)], [30, insertOf('s', 603)]), 0);
    assert.deepEqual(await placesAt(), [601, 602, 603]);
    assert.equal(await invoke([25, insertOf('s', 604)], [1, insertOf('s', 605)]), 1);
    assert.match(
      logged.at(-1) ?? '',
      /^MARKS_MISSING: The stream holds changes of more than 20 minutes in lane 0 and no marks/,
    );
    assert.deepEqual(await placesAt(), [601, 602, 603, 604]);
    const { commitLsn, commitTime } = insertOf('s', 605);
    const mark = { op: 'MARK', source: 's', commitLsn, commitTime, lane: 0, lanes: 1, system: '1', timeline: 1 };
    assert.equal(await invoke([1, insertOf('s', 605)], [0, mark]), 0);
    assert.equal(await invoke([0, insertOf('s', 606)]), 0);
    assert.deepEqual(await placesAt(), [601, 602, 603, 604, 605, 606]);
  });

  it('answers an empty event, and names each setting that is wrong', async () => {
    assert.deepEqual(await container().invoke({ Records: [] } satisfies KinesisStreamEvent), { batchItemFailures: [] });
    assert.throws(
      () => container({ PGPORT: 'x', PGSSLMODE: 'prefer', START_AFTER: 'now', SKIP_MISSING: 'yes' }),
      /REPLICA_USAGE: PGPORT cannot be "x".*START_AFTER cannot be "now".*PGSSLMODE cannot be "prefer".*SKIP_MISSING cannot be "yes"/,
    );
    assert.throws(
      () => container({ START_AFTER: '0/1', AWAIT_SNAPSHOT: 'on' }),
      /REPLICA_USAGE: START_AFTER says that the target holds its rows, and AWAIT_SNAPSHOT that they are still to come/,
    );
  });
});
