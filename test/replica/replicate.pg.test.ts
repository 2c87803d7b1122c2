// `pg2kinesis replicate` end to end: the real function, the emulated stream, and a second PostgreSQL.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DeleteStreamCommand, MergeShardsCommand, SplitShardCommand } from '@aws-sdk/client-kinesis';
import { replicate } from '../../bin/replicate/replicate.ts';
import { type Environment, eventually, NAME } from '../chaos/environment.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { BANK, Bank, BANK_TABLES, FILL } from './support/bank.ts';
import { hashes, ReplicaRig } from './support/replica-rig.ts';

let rig: ReplicaRig;
let environment: Environment;
let target: PostgresServer;

const catchUp = (...flags: string[]) => rig.catchUp(flags);

const hashesOf = (server: PostgresServer, database?: string) => hashes(server, BANK_TABLES, database);

describe('pg2kinesis replicate', () => {
  before(async () => {
    rig = await ReplicaRig.start();
    ({ environment, target } = rig);
    await rig.createSlot();
    await Promise.all([environment.server.sql(BANK), target.sql(BANK)]);
    await environment.server.sql(FILL);
  });
  after(() => rig.stop());

  it('applies what is in the stream, tells how, and goes on where it was', async () => {
    const container = await environment.container({ MARKS: 'on' });
    await container.run({ action: 'drain' });
    const first = await catchUp();
    assert.equal(first.status, 0, first.err);
    assert.match(
      first.err,
      /^Replicating arn:aws:kinesis:us-east-1:\d+:stream\/pg2kinesis to "postgres" at 127\.0\.0\.1:\d+, from 0\/0 on\.\n$/,
    );
    const end = JSON.parse(first.out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    assert.equal(end['event'], 'end');
    assert.equal(end['caughtUp'], true);
    assert.equal(end['lagSeconds'], 0);
    assert.equal(end['changes'], 50);
    assert.deepEqual(end['tables'], { 'public.left_accounts': 10, 'public.right_accounts': 10, 'public.orders': 30 });
    assert.deepEqual(await hashesOf(target), await hashesOf(environment.server));
    // What was applied is not applied again, and what comes is.
    const bank = new Bank(await environment.server.client(), 1);
    for (let i = 0; i < 40; i++) await bank.write();
    await container.run({ action: 'drain' });
    const second = await catchUp();
    assert.equal(second.status, 0, second.err);
    assert.doesNotMatch(second.err, /from 0\/0 on/);
    assert.deepEqual(await hashesOf(target), await hashesOf(environment.server));
    await container.kill();
  });

  it('reads on through shards that were split and merged, an empty one among them', async () => {
    const container = await environment.container({ MARKS: 'on' });
    const bank = new Bank(await environment.server.client(), 2);
    const open = async () =>
      (await environment.kinesis.shards(NAME)).filter(
        ({ SequenceNumberRange: range }) => range?.EndingSequenceNumber === undefined,
      );
    const [shard] = await open();
    const range = shard?.HashKeyRange;
    const [low, high] = [BigInt(range?.StartingHashKey ?? 0), BigInt(range?.EndingHashKey ?? 0)];
    await environment.kinesis.client.send(
      new SplitShardCommand({
        StreamName: NAME,
        ShardToSplit: shard?.ShardId,
        NewStartingHashKey: String((low + high) / 2n),
      }),
    );
    // Merged again at once: the two in the middle hold nothing.
    const [a, b] = (await open()).filter(({ ParentShardId: parent }) => parent === shard?.ShardId);
    await environment.kinesis.client.send(
      new MergeShardsCommand({ StreamName: NAME, ShardToMerge: a?.ShardId, AdjacentShardToMerge: b?.ShardId }),
    );
    for (let i = 0; i < 20; i++) await bank.write();
    await container.run({ action: 'drain' });
    for (let i = 0; i < 2; i++) {
      const { status, err } = await catchUp();
      assert.equal(status, 0, err);
    }
    assert.deepEqual(await hashesOf(target), await hashesOf(environment.server));
    await container.kill();
  });

  it('goes on in other lanes, where LANES was changed after a drain', async () => {
    const bank = new Bank(await environment.server.client(), 3, 100_000);
    for (const LANES of ['8', '64']) {
      for (let i = 0; i < 10; i++) await bank.write();
      await rig.drain({ LANES });
      const { status, err } = await catchUp();
      assert.equal(status, 0, err);
      assert.deepEqual(await hashesOf(target), await hashesOf(environment.server));
    }
  });

  it('keeps copies of several sources of one stream apart, by their names', async () => {
    const { server, kinesis } = environment;
    await target.sql('CREATE DATABASE several');
    const client = await target.client({ database: 'several' });
    await kinesis.createStream('several', 2);
    const replicating = (...flags: string[]) => rig.catchUp(['--stream', 'several', ...flags], 'several');
    for (const table of ['one', 'two']) {
      const definition = `CREATE TABLE public.${table} (id integer PRIMARY KEY, n integer, kept integer DEFAULT 7)`;
      // The other copy has all tables.
      await Promise.all([server.sql(definition), client.query(definition), target.sql(definition)]);
      await server.createSlot(table);
    }
    // LSNs of both are mixed: the marks of one say nothing of the other.
    for (let i = 0; i < 20; i++)
      await server.sql(`INSERT INTO one VALUES (${i}, 1, 1); INSERT INTO two VALUES (${i}, 1, 1)`);
    const publish = async (table: string): Promise<void> => {
      const over = { SLOT_NAME: table, STREAM_NAME: 'several', TABLE_INCLUDE_LIST: `public\\.${table}`, LANES: '4' };
      await rig.drain({ ...over, COLUMN_EXCLUDE_LIST: 'public\\.two\\.kept' });
    };
    await publish('two');
    await publish('one');
    const refused = await replicating();
    assert.equal(refused.status, 3, refused.err);
    assert.match(refused.err, /STREAM_CHANGED: The stream holds changes of "postgres\/(one|two)" besides those of/);
    await client.query('DELETE FROM pg2kinesis.replica; TRUNCATE one, two');
    for (const table of ['one', 'two']) {
      const { status, err } = await replicating('--source', `postgres/${table}`, '--name', table);
      assert.equal(status, 0, err);
      await server.sql(`UPDATE ${table} SET n = n + 1, kept = 2; DELETE FROM ${table} WHERE id = 0`);
      await publish(table);
    }
    const other = await replicating('--source', 'postgres/two', '--name', 'one');
    assert.equal(other.status, 3, other.err);
    assert.match(
      other.err,
      /STREAM_CHANGED: The copy is of the source "postgres\/one", and "postgres\/two" is asked for/,
    );
    for (const table of ['one', 'two'])
      assert.equal((await replicating('--source', `postgres/${table}`, '--name', table)).status, 0);
    const rows = async (from: typeof client, table: string) =>
      (await from.query(`SELECT id, n${table === 'one' ? ', kept' : ''} FROM public.${table} ORDER BY id`))
        .rows as unknown[];
    const source = await server.client();
    for (const table of ['one', 'two']) assert.deepEqual(await rows(client, table), await rows(source, table));
    // What the pipeline leaves out the copy does not have.
    assert.deepEqual((await client.query('SELECT DISTINCT kept FROM two')).rows, [{ kept: 7 }]);
    for (const table of ['one', 'two']) await server.sql(`SELECT pg_drop_replication_slot($1)`, [table]);
    await client.end();
  });

  it('goes on from a copy that was loaded at a snapshot', async () => {
    const bank = new Bank(await environment.server.client(), 4);
    const replication = await environment.server.client({ replication: 'database' } as object);
    const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
      'CREATE_REPLICATION_SLOT copying TEMPORARY LOGICAL test_decoding EXPORT_SNAPSHOT',
    );
    const [snapshot] = rows;
    for (let i = 0; i < 5; i++) await bank.write();
    await target.sql('CREATE DATABASE loaded');
    const loaded = await target.client({ database: 'loaded' });
    await loaded.query(`SET session_replication_role = replica; ${BANK}`);
    const reader = await environment.server.client();
    await reader.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '${snapshot?.snapshot_name ?? ''}'`,
    );
    for (const table of BANK_TABLES) {
      const { rows: read } = await reader.query<{ rows: string }>(
        `SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text AS rows FROM ${table} AS t`,
      );
      await loaded.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`, [
        read[0]?.rows,
      ]);
    }
    await Promise.all([reader.end(), replication.end()]);
    const container = await environment.container({ MARKS: 'on' });
    await container.run({ action: 'drain' });
    const to = rig.env('loaded')['REPLICATE_TO'] ?? '';
    const start = ['--to', to, '--start-after', snapshot?.consistent_point ?? ''];
    const { status, err } = await catchUp(...start);
    assert.equal(status, 0, err);
    assert.deepEqual(await hashesOf(target, 'loaded'), await hashesOf(environment.server));
    const again = await catchUp(...start);
    assert.equal(again.status, 2);
    assert.match(again.err, /REPLICA_USAGE: --start-after is for a copy that begins, and the copy "pg2kinesis" is at /);
    await container.kill();
  });

  it('stops where the target lacks columns, with the ALTER that adds them as they are at the source, and goes on then', async () => {
    const container = await environment.container({ MARKS: 'on' });
    await environment.server.sql(`CREATE TYPE public.mood AS ENUM ('fine');
      ALTER TABLE public.orders ADD COLUMN "How much" numeric(7, 2), ADD COLUMN mood public.mood;
      INSERT INTO public.orders (id, part, "How much", mood) VALUES (5000, 'late', 1.5, 'fine')`);
    await container.run({ action: 'drain' });
    const unknown = await catchUp();
    assert.equal(unknown.status, 3);
    assert.match(
      unknown.err,
      /with the type that it has at the source: ALTER TABLE public\.orders ADD COLUMN "How much" <type>; ALTER/,
    );
    const known = await catchUp('--from', rig.from);
    assert.equal(known.status, 3);
    const [, alters = ''] = /Add it at the target: (.*) Then start again/.exec(known.err) ?? [];
    assert.equal(
      alters,
      'ALTER TABLE public.orders ADD COLUMN "How much" numeric(7,2); ALTER TABLE public.orders ADD COLUMN "mood" public.mood;',
    );
    // A source that cannot be asked hides nothing.
    const away = await catchUp('--from', 'postgres://nobody@127.0.0.1:1/none?sslmode=disable');
    assert.match(away.err, /TARGET_LACKS_COLUMN.* <type>;/);
    await target.sql(`CREATE TYPE public.mood AS ENUM ('fine'); ${alters}`);
    assert.equal((await catchUp()).status, 0);
    assert.deepEqual(await hashesOf(target), await hashesOf(environment.server));
    await container.kill();
  });

  it('says that there are no marks, after a while', async () => {
    await target.sql('CREATE DATABASE unmarked');
    await environment.kinesis.createStream('unmarked', 1);
    const container = await environment.container({ STREAM_NAME: 'unmarked', MARKS: 'off' });
    const bank = new Bank(await environment.server.client(), 5);
    await bank.write();
    await container.run({ action: 'drain' });
    const { stdout, stderr } = { stdout: { write: () => true }, stderr: { write: () => true } };
    const terminal = {
      env: rig.env(),
      stdout,
      stderr,
      on: () => undefined,
      off: () => undefined,
      exit: () => undefined,
    };
    const options = { stream: 'unmarked', to: rig.env('unmarked')['REPLICATE_TO'] ?? '' };
    await assert.rejects(
      replicate(options, terminal, { client: environment.kinesis.client, patienceMs: 100 }),
      /MARKS_MISSING: The stream holds \d+ changes and no marks, .* What was committed after [\dA-F]+\/[\dA-F]+ was not applied/,
    );
    await container.kill();
  });

  it('ends with 3 where the stream has given up its position, or was made anew', async () => {
    const older = (more: string): string =>
      `UPDATE pg2kinesis.replica_shard SET arrived = arrived - interval '30 days' ${more} WHERE NOT at_end`;
    await target.sql(older(''));
    // A shard of which nothing came for long was at its tip a moment ago.
    assert.equal((await catchUp()).status, 0);
    await target.sql(older(', at_tip = NULL'));
    const old = await catchUp();
    assert.equal(old.status, 3);
    assert.match(
      old.err,
      /POSITION_TRIMMED: The position in shard shardId-\d+ is 720(\.\d)? hours old, and the stream keeps records for 24 hours/,
    );
    await target.sql(`UPDATE pg2kinesis.replica_shard SET arrived = arrived + interval '30 days' WHERE NOT at_end`);
    {
      const again = await catchUp();
      assert.equal(again.status, 0, again.err);
    }
    const [last] = await target.sql<{ sequence: string; shard: string }>(
      'SELECT sequence, shard FROM pg2kinesis.replica_shard WHERE NOT at_end AND sequence IS NOT NULL LIMIT 1',
    );
    // A sequence number that no record has.
    await target.sql(`UPDATE pg2kinesis.replica_shard SET sequence = (sequence::numeric - 1)::text WHERE shard = $1`, [
      last?.shard,
    ]);
    const gone = await catchUp();
    assert.equal(gone.status, 3, gone.err);
    assert.match(gone.err, /POSITION_TRIMMED/);
    await environment.kinesis.client.send(new DeleteStreamCommand({ StreamName: NAME }));
    await eventually(async () => {
      try {
        await environment.kinesis.createStream(NAME, 1);
        return true;
      } catch {
        return false;
      }
    }, 'the stream is made anew');
    const anew = await catchUp();
    assert.equal(anew.status, 3, anew.err);
    assert.match(anew.err, /STREAM_CHANGED: The copy "pg2kinesis" is of the stream/);
  });
});
