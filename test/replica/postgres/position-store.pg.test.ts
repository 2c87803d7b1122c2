// What a replica keeps of its position at the target, and who may go on from there.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connectTarget, type TargetConnection } from '../../../replica/postgres/connection.ts';
import { beginShared, prepareFastTables } from '../../../replica/postgres/fast/fast-target.ts';
import { type Beginning, PositionStore } from '../../../replica/postgres/position-store.ts';
import { insertPosition, type ReplicaMode } from '../../../replica/postgres/position-tables.ts';
import { StopAt } from '../../../replica/postgres/stop-at-lsn.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';

const streamOf = (name: string) => ({ arn: `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`, createdMs: 1_000 });
const STREAM = streamOf('one');
const PLAINLY: Beginning = { takeOver: false, awaitsSnapshot: false };

let server: PostgresServer;
const connections: TargetConnection[] = [];

/** A replica's position, over a connection of its own. */
async function open(name: string, mode?: ReplicaMode) {
  const connection = await connectTarget({ ...server.connection, sslMode: 'disable', sslRootCert: undefined });
  connections.push(connection);
  return { client: connection.client, positions: new PositionStore(connection.client, name, mode) };
}

describe('a position', () => {
  before(async () => {
    server = await startPostgres();
  });
  after(async () => {
    for (const { client } of connections) await client.end();
    await server.stop();
  });

  it('begins anew once its row was deleted, whatever else is left of it', async () => {
    const stream = streamOf('anew');
    for (const mode of ['fast', 'consistent'] as const) {
      const { client, positions } = await open('anew', mode);
      const { cut, shards } = await positions.begin(stream, PLAINLY);
      assert.deepEqual([cut, [...shards]], [0n, []]);
      const saved = { sequence: '4711', arrivedMs: 5_000, atEnd: false };
      await positions.saveShards(new Map([['a', saved]]));
      await client.end();
      const again = await open('anew', mode);
      assert.deepEqual([...(await again.positions.begin(stream, PLAINLY)).shards], [['a', saved]]);
      await again.client.query(`DELETE FROM pg2kinesis.replica WHERE name = 'anew'`);
      await again.client.end();
    }
  });

  it('is kept in tables of an earlier version, once their owner has run what the message says', async () => {
    const owner = await server.client();
    await owner.query('CREATE DATABASE earlier');
    await owner.query(`CREATE ROLE applier LOGIN PASSWORD 'password'`);
    await owner.end();
    const administrator = await server.client({ database: 'earlier' });
    await administrator.query(`CREATE SCHEMA pg2kinesis;
      CREATE TABLE pg2kinesis.replica (name text PRIMARY KEY, source text, stream_arn text, stream_created timestamptz,
        mode text, cut pg_lsn, cut_time timestamptz, system text, lane_timelines int[], forks jsonb, epoch bigint, updated_at timestamptz);
      CREATE TABLE pg2kinesis.replica_shard (name text, shard text, sequence text, arrived timestamptz, at_end boolean, PRIMARY KEY (name, shard));
      GRANT USAGE, CREATE ON SCHEMA pg2kinesis TO applier; GRANT ALL ON ALL TABLES IN SCHEMA pg2kinesis TO applier`);
    const connection = await connectTarget({
      ...{ ...server.connection, database: 'earlier', user: 'applier', password: 'password' },
      ...{ sslMode: 'disable', sslRootCert: undefined },
    });
    connections.push(connection);
    const { client } = connection;
    const prepare = async (): Promise<void> => {
      await prepareFastTables(client, 'earlier');
      await new PositionStore(client, 'earlier', 'fast').begin(STREAM, PLAINLY);
    };
    const refused =
      /TARGET_REFUSED: .* \(SQLSTATE 42501\).* belong to "[^"]+"\. Let that user run: (.*) Then start again\.$/;
    for (const table of ['replica', 'replica_lane']) {
      const error = await prepare().then(
        () => undefined,
        (each: unknown) => each,
      );
      const [, sql = ''] = refused.exec(String(error)) ?? [];
      assert.match(sql, new RegExp(`CREATE TABLE IF NOT EXISTS pg2kinesis\\.${table} `), String(error));
      await administrator.query(sql);
      // Of the other tables it may make none.
      await administrator.query('REVOKE CREATE ON SCHEMA pg2kinesis FROM applier');
    }
    await prepare();
    await administrator.end();
  });

  it('says when the copy began until something is applied, and from then on when that was', async () => {
    const { positions } = await open('when');
    const stream = streamOf('when');
    const again = { ...PLAINLY, takeOver: true };
    const began = { ...(await positions.begin(stream, PLAINLY)), copying: [] };
    const savedAt = async (cut: bigint, timelines: readonly number[]): Promise<number> => {
      const { client, positions: later } = await open('when');
      await later.begin(stream, again);
      await later.hold();
      await later.save({ ...began, cut, timelines });
      await client.query('COMMIT');
      return (await later.begin(stream, again)).savedAtMs;
    };
    assert.equal(await savedAt(0n, []), began.savedAtMs);
    assert.ok((await savedAt(5n, [1])) > began.savedAtMs);
  });

  it('is gone on from by one replica: a third one hears of the second, which has taken over', async () => {
    const [first, second, third] = [await open('one'), await open('one'), await open('one')];
    await first.positions.begin(STREAM, PLAINLY);
    await second.positions.begin(STREAM, { ...PLAINLY, takeOver: true });
    await assert.rejects(first.positions.hold(), /TAKEN_OVER/);
    const { rows } = await second.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const busy = new RegExp(`REPLICA_BUSY: .* \\(process ${rows[0]?.pid} of the target`);
    await first.client.end();
    await assert.rejects(third.positions.begin(STREAM, PLAINLY), busy);
    await second.positions.hold();
    await second.client.query('ROLLBACK');
    await second.client.end();
    await third.positions.begin(STREAM, PLAINLY);
  });

  it('is held where a comparison wants it, and not where another session has the number of one that was killed', async () => {
    const stream = streamOf('stopped');
    const { client, positions } = await open('stopped');
    await positions.begin(stream, PLAINLY);
    const { client: comparing } = await open('stopped');
    const stopAt = new StopAt(comparing, 'stopped');
    await stopAt.here();
    await stopAt.set(7n);
    const stop = async (): Promise<bigint | undefined> => {
      const held = await positions.hold();
      await client.query('ROLLBACK');
      return held;
    };
    assert.equal(await stop(), 7n);
    const { client: another } = await open('stopped');
    await comparing.end();
    await another.query('UPDATE pg2kinesis.replica SET stop_pid = pg_backend_pid() WHERE name = $1', ['stopped']);
    assert.equal(await stop(), undefined);
  });

  it('is missed by the replica at work where somebody has deleted it', async () => {
    const { client, positions } = await open('gone');
    await positions.begin(streamOf('gone'), PLAINLY);
    await client.query(`DELETE FROM pg2kinesis.replica WHERE name = 'gone'`);
    await assert.rejects(positions.hold(), /TAKEN_OVER: The copy "gone" has no position at the target any more\./);
  });

  it('is left to the replica that is at work where another is refused', async () => {
    const first = await open('kept');
    const kept = streamOf('kept');
    await first.positions.begin(kept, PLAINLY);
    const refused: readonly (readonly [RegExp, Partial<Beginning>, typeof STREAM?, ReplicaMode?])[] = [
      [/STREAM_CHANGED/, {}, { ...kept, createdMs: 2 }],
      [/REPLICA_USAGE: --start-after/, { startAfter: 1n }],
      [/REPLICA_USAGE: .*--fast/, {}, kept, 'fast'],
      [/^Error: its position$/, { check: () => assert.fail(new Error('its position')) }],
    ];
    for (const [error, how, stream = kept, mode] of refused) {
      const { client, positions } = await open('kept', mode);
      await assert.rejects(positions.begin(stream, { ...PLAINLY, ...how, takeOver: true }), error);
      await client.end();
    }
    await first.positions.hold();
    await first.client.query('ROLLBACK');
  });

  it('is the only one of its stream and source in a target', async () => {
    const stream = streamOf('shared');
    const begin = async (name: string, source?: string) => {
      const { client, positions } = await open(name);
      const { system, timelines, forks, shards } = await positions.begin(stream, { ...PLAINLY, source });
      await positions.hold();
      await positions.save({ cut: 1n, cutMs: 0, source: source ?? 'a', system, timelines, forks, shards, copying: [] });
      await client.query('COMMIT');
      await client.end();
    };
    await begin('of a');
    for (const source of [undefined, 'a'])
      await assert.rejects(begin('other', source), /REPLICA_USAGE: .* already, "of a"\..* Go on with --name of a \(/);
    await begin('of b', 'b');
    for (const name of ['of a', 'of b']) await begin(name, name.slice(3));
  });

  it('is the only one before anything is applied, too, and is of the source that was asked for last until then', async () => {
    const stream = streamOf('early');
    const begin = async (name: string, source?: string) => {
      const { client, positions } = await open(name);
      try {
        return await positions.begin(stream, { ...PLAINLY, source });
      } finally {
        await client.end();
      }
    };
    assert.equal((await begin('first')).source, undefined);
    const unknown =
      /REPLICA_USAGE: The target has a copy of the stream already, "first", which has not read yet .* start "first" with --source/;
    await assert.rejects(begin('second', 'b'), unknown);
    assert.equal((await begin('first', 'wrong')).source, 'wrong');
    assert.equal((await begin('first', 'a')).source, 'a');
    for (const source of [undefined, 'a']) await assert.rejects(begin('second', source), /already, "first"\./);
    assert.equal((await begin('second', 'b')).source, 'b');
    await assert.rejects(begin('second', 'a'), /REPLICA_USAGE: The target has a copy of "a" already/);
    const { client, positions } = await open('second');
    const began = { ...(await positions.begin(stream, PLAINLY)), copying: [] };
    assert.equal(began.source, 'b');
    await positions.hold();
    await positions.save({ ...began, cut: 1n, timelines: [1] });
    await client.query('COMMIT');
    await client.end();
    assert.equal((await begin('second', 'c')).source, 'b');
  });

  it('is the only one of a function’s copies, too, which is of its source from the beginning', async () => {
    const { client } = await open('any');
    const streamArn = streamOf('function').arn;
    const begin = (name: string, source?: string) => beginShared(client, { name, streamArn, source });
    await begin('shared a', 'a');
    for (const source of [undefined, 'a'])
      await assert.rejects(
        begin('other', source),
        /REPLICA_USAGE: .* already, "shared a"\..*REPLICA_NAME.*SOURCE_NAME/,
      );
    await begin('shared b', 'b');
    // What its source is called by now is asked of each record.
    await begin('shared b', 'renamed');
    const { rows } = await client.query<{ all: string[] }>(
      'SELECT array_agg(name || $2 || source ORDER BY name) AS all FROM pg2kinesis.replica WHERE stream_arn = $1',
      [streamArn, ': '],
    );
    assert.deepEqual(rows[0]?.all, ['shared a: a', 'shared b: b']);
  });

  it('is the only one of two that begin at the same moment', async () => {
    const stream = streamOf('moment');
    const [first, second] = [await open('first of two'), await open('second of two')];
    const { rows } = await second.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await first.client.query('BEGIN');
    await insertPosition(first.client, {
      ...{ name: 'first of two', stream, mode: 'consistent', awaitsSnapshot: false, epoch: 0 },
    });
    const begun = second.positions.begin(stream, PLAINLY);
    const isOver = begun.then(
      () => true,
      () => true,
    );
    const isWaiting = async (): Promise<boolean> =>
      (await first.client.query('SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [rows[0]?.pid])).rowCount === 1;
    while (!(await Promise.race([isOver, isWaiting()])));
    await first.client.query('COMMIT');
    await assert.rejects(begun, /REPLICA_USAGE: .* already, "first of two"/);
  });

  it('is begun by one of two that make its tables', async () => {
    const { client, positions } = await open('announced');
    const announce = () => positions.announce(client, streamOf('announced'), { source: 'a', awaitsSnapshot: true });
    await announce();
    await assert.rejects(announce(), /REPLICA_BUSY: Another replica "announced"/);
    const { source, copying } = await positions.begin(streamOf('announced'), PLAINLY);
    assert.deepEqual([source, copying], ['a', 'awaited']);
  });
});
