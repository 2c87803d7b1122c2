/** A replica whose source is another server than before, or whose source or target is an older state of the same one. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { eventOf, insertOf, makeFunction, Said } from './support/function-rig.ts';
import { ReplicaRig } from './support/replica-rig.ts';

const TABLE = 'CREATE TABLE public.things (id integer PRIMARY KEY, v text)';

let rig: ReplicaRig;
const others: PostgresServer[] = [];

/** Publishes what another server has. */
const drain = (server: PostgresServer, over: Readonly<Record<string, string>> = {}): Promise<void> =>
  rig.drain({ PGPORT: String(server.port), ...over });

const ids = async (server: PostgresServer): Promise<number[]> =>
  (await server.sql<{ id: number }>('SELECT id FROM public.things ORDER BY id')).map(({ id }) => id);

describe('a replica', () => {
  before(async () => {
    rig = await ReplicaRig.start({ shards: 2 });
    await rig.createSlot();
    for (const server of [rig.source, rig.target]) await server.sql(TABLE);
  });
  after(async () => {
    await Promise.all(others.map((server) => server.stop()));
    await rig.stop();
  });

  it('does not notice an older state of its source’s disk: its timeline is the same', async () => {
    await rig.source.sql(`INSERT INTO public.things VALUES (1, 'a')`);
    await rig.drain();
    assert.equal((await rig.catchUp()).status, 0);
    const disk = await rig.source.copy(true);
    await rig.source.sql(`INSERT INTO public.things VALUES (2, 'lost')`);
    await rig.drain();
    assert.equal((await rig.catchUp()).status, 0);
    const old = await disk.start();
    others.push(old);
    await old.sql(`INSERT INTO public.things VALUES (3, 'b'), (4, 'c')`);
    await drain(old);
    const { status, err } = await rig.catchUp();
    assert.equal(status, 0, err);
    assert.deepEqual(await ids(old), [1, 3, 4]);
    assert.ok((await ids(rig.target)).includes(2));
  });

  it('stops at another server in its source’s place, and a copy that takes its tables over goes on with the source’s new name', async () => {
    await rig.environment.kinesis.createStream('moved', 2);
    const moved = { STREAM_NAME: 'moved', SLOT_NAME: 'moved' };
    await rig.source.createSlot('moved');
    await rig.source.sql(`INSERT INTO public.things VALUES (10, 'of the old server')`);
    await rig.drain(moved);
    await rig.target.sql('CREATE DATABASE moved');
    const client = await rig.target.client({ database: 'moved' });
    await client.query(TABLE);
    await client.query(`INSERT INTO public.things SELECT i, 'loaded' FROM generate_series(1, 4) AS i`);
    const catchUp = (...flags: string[]) => rig.catchUp(['--stream', 'moved', ...flags], 'moved');
    assert.equal((await catchUp()).status, 0);
    const made = await startPostgres();
    others.push(made);
    await made.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${rig.environment.environment()['PGPASSWORD'] ?? ''}'`);
    await made.sql(`${TABLE}; INSERT INTO public.things VALUES (10, 'of the old server')`);
    await made.createSlot('moved');
    await made.sql(
      `INSERT INTO public.things VALUES (11, 'of the new server'); UPDATE public.things SET v = 'changed' WHERE id = 10`,
    );
    await drain(made, { ...moved, SOURCE_NAME: 'renamed' });
    const taken = await catchUp('--name', 'second', '--source', 'renamed');
    assert.equal(taken.status, 0, taken.err);
    const { rows } = await client.query<{ id: number; v: string }>(
      'SELECT id, v FROM public.things WHERE id > 9 ORDER BY id',
    );
    assert.deepEqual(rows, [
      { id: 10, v: 'changed' },
      { id: 11, v: 'of the new server' },
    ]);
    // Under the old name.
    await made.sql(`INSERT INTO public.things VALUES (12, 'b')`);
    await drain(made, moved);
    const stopped = await catchUp('--source', 'postgres/moved');
    assert.equal(stopped.status, 3, stopped.err);
    assert.match(stopped.err, /HISTORY_CHANGED: The source is now another server .*: set SOURCE_NAME, /);
    await client.end();
  });

  it('goes back with its target, which a function does not: Lambda has passed what it has lost', async () => {
    await rig.environment.kinesis.createStream('back', 2);
    await rig.source.createSlot('back');
    await rig.target.sql('CREATE DATABASE back');
    const client = await rig.target.client({ database: 'back' });
    await client.query(TABLE);
    await client.end();
    await rig.target.sql('CREATE TABLE public.places (id integer PRIMARY KEY, body text, big text)');
    const apply = async (server: PostgresServer, id: number): Promise<void> => {
      await rig.source.sql(`INSERT INTO public.things VALUES (${20 + id}, 'a')`);
      await rig.drain({ STREAM_NAME: 'back', SLOT_NAME: 'back' });
      const to = (rig.env('back')['REPLICATE_TO'] ?? '').replace(`:${rig.target.port}/`, `:${server.port}/`);
      const { status, err } = await rig.catchUp(['--stream', 'back', '--to', to], 'back');
      assert.equal(status, 0, err);
      const made = makeFunction(server, new Said(), { REPLICA_NAME: 'function' });
      assert.deepEqual(await made.invoke(eventOf(insertOf('s', id))), { batchItemFailures: [] });
      await made.close();
    };
    await apply(rig.target, 1);
    const disk = await rig.target.copy(true);
    await apply(rig.target, 2);
    const old = await disk.start();
    others.push(old);
    await apply(old, 3);
    const found = async (table: string, database: string): Promise<unknown> => {
      const reader = await old.client({ database });
      const { rows } = await reader.query<{ id: number }>(`SELECT id FROM public.${table} ORDER BY id`);
      await reader.end();
      return rows.map(({ id }) => id);
    };
    assert.deepEqual(await found('things', 'back'), [21, 22, 23]);
    assert.deepEqual(await found('places', 'postgres'), [1, 3]);
  });
});
