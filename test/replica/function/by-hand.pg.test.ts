/** What the function of a `StreamReplica` does with records made by hand, case by case, at a real target. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Credentials, Login } from '../../../lambda/postgres/credentials.ts';
import type { StreamFunction } from '../../../replica/function/stream-function.ts';
import { connectTarget } from '../../../replica/postgres/connection.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import {
  aggregateOf,
  BY_HAND_ARN,
  eventOf,
  eventOfData,
  insertOf,
  makeFunction,
  markOf,
  Said,
} from '../support/function-rig.ts';

let target: PostgresServer;
let said: Said;
let copies = 0;
const open: StreamFunction[] = [];

/** A copy of its own, into an empty table, in place of the one before. */
async function copyOf(over: Readonly<Record<string, string>> = {}, credentials?: Credentials): Promise<StreamFunction> {
  await target.sql('TRUNCATE public.places');
  if (copies > 0) await target.sql('DELETE FROM pg2kinesis.replica');
  said = new Said();
  const made = makeFunction(target, said, { REPLICA_NAME: `copy-${++copies}`, ...over }, credentials);
  open.push(made);
  return made;
}

async function ids(): Promise<number[]> {
  const rows = await target.sql<{ id: number }>('SELECT id FROM public.places ORDER BY id');
  return rows.map(({ id }) => id);
}

/** The two halves of a move. */
function moveOf(from: number, to: number, lsn: number): [left: object, arrived: object] {
  const { row, key, ...at } = insertOf('s', to, lsn);
  const { big, ...sent } = row;
  assert.equal(big, 'B');
  return [
    { ...at, op: 'DELETE', key: { id: from }, newKey: key, ordinal: 1 },
    { ...at, op: 'INSERT', key, oldKey: { id: from }, row: sent, unchanged: ['big'], ordinal: 2 },
  ];
}

const lines = (...records: readonly object[]): Buffer =>
  Buffer.from(records.map((each) => `${JSON.stringify(each)}\n`).join(''));

describe('the function of a StreamReplica, by hand', () => {
  before(async () => {
    target = await startPostgres();
    await target.sql('CREATE TABLE public.places (id int PRIMARY KEY, body text, big text)');
  });
  after(async () => {
    await Promise.all(open.map((each) => each.close()));
    await target.stop();
  });

  it('drops what the target holds already by START_AFTER', async () => {
    const copy = await copyOf({ START_AFTER: '0/1002' });
    await copy.invoke(eventOf(insertOf('s', 1), insertOf('s', 2), insertOf('s', 3)));
    assert.deepEqual(await ids(), [3]);
    assert.deepEqual([said.total('repeats'), said.total('changes')], [2, 1]);
  });

  it('goes on from rows that were loaded behind a failover, whatever the stream has of before, and from none that were loaded before one', async () => {
    const left = markOf(0, 1, 0x800, { timeline: 2, forks: [[2, '0/800']] });
    for (const [arrivedMs, stopsAt] of [
      [Date.now() - 3_600_000, []],
      [Date.now() + 3_600_000, [{ itemIdentifier: '1' }]],
    ] as const) {
      const copy = await copyOf({ START_AFTER: '0/1002' });
      await copy.invoke(eventOf(markOf(0, 1, 0x700, { forks: [] })));
      const { Records } = eventOf(left, insertOf('s', 2), insertOf('s', 3));
      for (const { kinesis } of Records) kinesis.approximateArrivalTimestamp = arrivedMs / 1000;
      assert.deepEqual((await copy.invoke({ Records })).batchItemFailures, stopsAt);
      assert.deepEqual(await ids(), stopsAt.length === 0 ? [3] : []);
    }
    assert.match(said.logged.at(-1) ?? '', /^HISTORY_CHANGED: /);
  });

  it('measures what it has applied, how late, and which keys wait for the other half of a move', async () => {
    const copy = await copyOf();
    await copy.invoke(eventOfData([lines(insertOf('s', 1))], 'lane-0-of-2'));
    const [left, arrived] = moveOf(1, 2, 0x2000);
    const latest = (name: string) => said.measured.findLast(([each]) => each === name)?.[1];
    await copy.invoke(eventOfData([lines(arrived)], 'lane-1-of-2'));
    assert.deepEqual([latest('ReplicaChanges'), latest('ReplicaWaiting')], [1, 1]);
    // The source committed it in January.
    const day = 86_400;
    assert.ok(Number(latest('ReplicaLagSeconds')) > day);
    await copy.invoke(eventOfData([lines(left)], 'lane-0-of-2'));
    assert.deepEqual([latest('ReplicaChanges'), latest('ReplicaWaiting')], [1, 0]);
    assert.deepEqual(await target.sql('SELECT id, big FROM public.places'), [{ id: 2, big: 'B' }]);
    assert.ok(!said.measured.some(([name]) => name === 'ReplicaMissing'));
  });

  it('refuses records that PARTITION_BY=transaction has put into lanes, where they show their partition keys', async () => {
    const copy = await copyOf();
    const { batchItemFailures } = await copy.invoke(eventOfData([aggregateOf('4711', insertOf('s', 1))]));
    assert.equal(batchItemFailures.length, 1);
    assert.match(said.logged.at(-1) ?? '', /^RECORD_UNUSABLE: The stream is written with PARTITION_BY=transaction/);
    for (const [i, key] of ['public.places:{"id":2}', 'public.places', 's'].entries()) {
      const { batchItemFailures: none } = await copy.invoke(eventOfData([aggregateOf(key, insertOf('s', 2 + i))]));
      assert.deepEqual(none, [], key);
    }
    assert.deepEqual(await ids(), [2, 3, 4]);
  });

  it('stops at a table that is not there, and goes on where it is', async () => {
    const copy = await copyOf();
    const later = { ...insertOf('s', 2), table: 'later' };
    const event = eventOf(insertOf('s', 1), later, insertOf('s', 3));
    assert.deepEqual(await copy.invoke(event), { batchItemFailures: [{ itemIdentifier: '2' }] });
    assert.match(said.logged.at(-1) ?? '', /^TARGET_LACKS_TABLE: The target has no table public\.later/);
    assert.deepEqual(await ids(), [1]);
    await target.sql('CREATE TABLE public.later (LIKE public.places INCLUDING ALL)');
    assert.deepEqual(await copy.invoke(event), { batchItemFailures: [] });
    assert.deepEqual(await ids(), [1, 3]);
    assert.deepEqual(await target.sql('SELECT id FROM public.later'), [{ id: 2 }]);
  });

  it('stops at a change without the key of its row', async () => {
    const copy = await copyOf();
    const keyless = { ...insertOf('s', 2), op: 'DELETE', key: null, row: undefined };
    assert.deepEqual(await copy.invoke(eventOf(insertOf('s', 1), keyless)), {
      batchItemFailures: [{ itemIdentifier: '2' }],
    });
    assert.match(
      said.logged.at(-1) ?? '',
      /^RECORD_UNUSABLE: The DELETE of public\.places .* without the key of its row/,
    );
    assert.deepEqual(await ids(), [1]);
  });

  it('leaves out what was too large for a record where it may, also of a move, whichever half comes first, and counts it', async () => {
    const tooLarge = (change: object) => ({ ...change, row: undefined, unchanged: undefined, truncated: true });
    const apply = async (copy: StreamFunction, lane: number, ...records: readonly object[]) =>
      (await copy.invoke(eventOfData([lines(...records)], `lane-${lane}-of-2`))).batchItemFailures.length;
    for (const isLeftFirst of [true, false]) {
      const copy = await copyOf({ SKIP_TRUNCATED: 'on' });
      assert.equal(await apply(copy, 0, insertOf('s', 1), insertOf('s', 2), tooLarge(insertOf('s', 3))), 0);
      assert.equal(await apply(copy, 0, tooLarge({ ...insertOf('s', 2, 0x1800), op: 'UPDATE' })), 0);
      const [left, arrived] = moveOf(1, 5, 0x2000);
      // The old row that REPLICA IDENTITY FULL sends may be too large, too: the half that leaves its key needs none.
      const halves = [() => apply(copy, 0, tooLarge(left)), () => apply(copy, 1, tooLarge(arrived))] as const;
      for (const half of isLeftFirst ? halves : halves.toReversed()) assert.equal(await half(), 0);
      assert.deepEqual(await ids(), [2]);
      assert.equal(said.total('tooLarge'), 3);
      assert.deepEqual(
        said.measured.filter(([name]) => name === 'ReplicaTruncated').map(([, count]) => count),
        [1, 1, 1],
      );
      // A later change of all columns sets it right, and nothing waits.
      assert.equal(await apply(copy, 1, { ...insertOf('s', 5, 0x3000), op: 'UPDATE' }), 0);
      assert.deepEqual(await ids(), [2, 5]);
      assert.equal(said.measured.findLast(([name]) => name === 'ReplicaWaiting')?.[1], 0);
      await copy.close();
    }
  });

  it('stops at what was too large, and begins anew behind it with START_AFTER', async () => {
    const event = eventOf(insertOf('s', 1), { ...insertOf('s', 2), row: undefined, truncated: true }, insertOf('s', 3));
    assert.deepEqual(await (await copyOf()).invoke(event), { batchItemFailures: [{ itemIdentifier: '2' }] });
    assert.match(said.logged.at(-1) ?? '', /skipTruncated of a StreamReplica.*loaded since, with .*\(startAfter\)/);
    const anew = await copyOf({ START_AFTER: '0/1002' });
    assert.deepEqual(await anew.invoke(event), { batchItemFailures: [] });
    assert.deepEqual(await ids(), [3]);
  });

  it('goes on where the key of a table was changed at both ends, and anew behind it where changes by the old key are left in another lane', async () => {
    const rekeyed = (id: number, lsn: number) => ({ ...insertOf('s', id, lsn), key: { id, body: 'b' } });
    const apply = async (copy: StreamFunction, lane: number, ...records: readonly object[]) =>
      (await copy.invoke(eventOfData([lines(...records)], `lane-${lane}-of-2`))).batchItemFailures.length;
    const change = async (columns: string): Promise<void> => {
      await target.sql(
        `ALTER TABLE public.places DROP CONSTRAINT places_pkey; ALTER TABLE public.places ADD PRIMARY KEY (${columns})`,
      );
    };
    const copy = await copyOf();
    assert.equal(await apply(copy, 0, insertOf('s', 1)), 0);
    const [left] = moveOf(1, 2, 0x2000);
    for (const record of [rekeyed(3, 0x2000), { ...left, key: { id: 1, body: 'b' } }]) {
      assert.equal(await apply(copy, 0, record), 1);
      assert.match(
        said.logged.at(-1) ?? '',
        /^TARGET_KEY_DIFFERS: .* "id", "body", .* --start-after \(startAfter\)\.$/,
      );
    }
    await change('id, body');
    assert.equal(await apply(copy, 0, rekeyed(3, 0x2000)), 0);
    assert.deepEqual(await ids(), [1, 3]);
    assert.equal(await apply(copy, 1, insertOf('s', 4)), 1);
    assert.match(
      said.logged.at(-1) ?? '',
      /^TARGET_KEY_DIFFERS: .* columns "id", .* other lanes hold changes by the old key/,
    );
    const anew = await copyOf({ START_AFTER: '0/1FFF' });
    assert.equal(await apply(anew, 1, insertOf('s', 4), rekeyed(5, 0x2001)), 0);
    assert.equal(await apply(anew, 0, insertOf('s', 1), rekeyed(3, 0x2000)), 0);
    assert.deepEqual(await ids(), [3, 5]);
    await change('id');
  });

  it('goes on with no copy that was begun without --fast, or of another stream', async () => {
    const other = await copyOf({ REPLICA_NAME: 'by-command' });
    const address = { ...target.connection, sslMode: 'disable', sslRootCert: undefined } as const;
    const { client } = await connectTarget(address);
    const positions = new PositionStore(client, 'by-command');
    await positions.begin({ arn: BY_HAND_ARN, createdMs: 1 }, { takeOver: false, awaitsSnapshot: false });
    await client.end();
    await assert.rejects(
      other.invoke(eventOf(insertOf('s', 1))),
      /REPLICA_USAGE: The copy "by-command" was begun without --fast, and cannot go on with it\./,
    );
    const copy = await copyOf({ REPLICA_NAME: 'of-one-stream' });
    await copy.invoke(eventOf(insertOf('s', 1)));
    await copy.close();
    const { Records } = eventOf(insertOf('s', 2));
    const elsewhere = { Records: Records.map((each) => ({ ...each, eventSourceARN: `${BY_HAND_ARN}-2` })) };
    await assert.rejects(
      copy.invoke(elsewhere),
      /STREAM_CHANGED: The copy "of-one-stream" is of the stream \S+by-hand, and the one that is read is \S+by-hand-2\./,
    );
    assert.deepEqual(await ids(), [1]);
  });

  it('writes with TRIGGERS=on to a table with a trigger that fires for replicas', async () => {
    await target.sql(`CREATE TABLE public.heard (id int); CREATE TABLE public.telling (LIKE public.places INCLUDING ALL);
      CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.heard VALUES (NEW.id); RETURN NULL; END';
      CREATE TRIGGER told AFTER INSERT ON public.telling FOR EACH ROW EXECUTE PROCEDURE public.tell();
      ALTER TABLE public.telling ENABLE ALWAYS TRIGGER told`);
    const event = eventOf({ ...insertOf('s', 1), table: 'telling' });
    assert.equal((await (await copyOf()).invoke(event)).batchItemFailures.length, 1);
    assert.match(said.logged.at(-1) ?? '', /^TARGET_UNSAFE: .*fire for replicas, too .*: told\./);
    assert.deepEqual(await (await copyOf({ TRIGGERS: 'on' })).invoke(event), { batchItemFailures: [] });
    assert.deepEqual(await target.sql('SELECT id FROM public.heard'), [{ id: 1 }]);
  });

  it('refuses a table with triggers where its user may not switch them off', async () => {
    await (await copyOf()).invoke(eventOf(insertOf('s', 1)));
    await target.sql(`CREATE ROLE small LOGIN PASSWORD 'small'; GRANT USAGE ON SCHEMA pg2kinesis TO small;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pg2kinesis TO small; GRANT ALL ON public.places TO small;
      CREATE TABLE public.parents (id int PRIMARY KEY);
      CREATE TABLE public.children (id int PRIMARY KEY, body text, big text, parent int REFERENCES public.parents);
      GRANT ALL ON public.parents, public.children TO small`);
    const copy = await copyOf({ PGUSER: 'small', PGPASSWORD: 'small' });
    const event = eventOf(insertOf('s', 1), { ...insertOf('s', 2), table: 'children' });
    assert.deepEqual(await copy.invoke(event), { batchItemFailures: [{ itemIdentifier: '2' }] });
    assert.match(said.logged.at(-1) ?? '', /^TARGET_UNSAFE: .*children.*triggers, rules or foreign keys/);
    assert.deepEqual(await ids(), [1]);
  });

  it('reads its password again where it was changed', async () => {
    const { user, password, host, port, database } = target.connection;
    const login: Login = { host, port, database, user, password: 'of before' };
    const asked: string[] = [];
    const credentials: Credentials = {
      get: () => Promise.resolve(login),
      after: ({ password: refused }) => {
        asked.push(refused);
        return Promise.resolve({ ...login, password });
      },
    };
    const copy = await copyOf({}, credentials);
    await copy.invoke(eventOf(insertOf('s', 1)));
    assert.deepEqual([asked, await ids()], [['of before'], [1]]);
  });

  it('keeps what it has said to be done with over a crash of the target, though that commits asynchronously', async () => {
    const copy = await copyOf();
    await copy.close();
    await target.sql(`ALTER ROLE ${target.connection.user} SET synchronous_commit = off`);
    await target.sql(`ALTER SYSTEM SET wal_writer_delay = '10s'`);
    await target.sql('SELECT pg_reload_conf()');
    try {
      await copy.invoke(eventOf(insertOf('s', 1)));
      await copy.invoke(eventOf(insertOf('s', 2)));
      await target.restart('immediate');
      assert.deepEqual(await ids(), [1, 2]);
    } finally {
      await target.sql(`ALTER ROLE ${target.connection.user} RESET synchronous_commit`);
    }
  });

  it('works where a publication of the target has all tables, so those without a key, too', async () => {
    const copy = await copyOf();
    const apply = async (lane: number, ...records: readonly object[]): Promise<void> => {
      const answer = await copy.invoke(eventOfData([lines(...records)], `lane-${lane}-of-2`));
      assert.deepEqual([answer.batchItemFailures, said.logged], [[], []]);
    };
    await target.sql('CREATE PUBLICATION everything FOR ALL TABLES');
    try {
      const [left, arrived] = moveOf(1, 2, 0x2000);
      await apply(0, insertOf('s', 1), insertOf('s', 3));
      await apply(1, arrived);
      await apply(0, left);
      const truncate = { ...insertOf('s', 0, 0x3000), op: 'TRUNCATE', key: undefined, row: undefined };
      await apply(0, truncate, insertOf('s', 4, 0x3001), markOf(0, 2, 0x4000));
      await apply(1, markOf(1, 2, 0x4000));
      assert.deepEqual(await ids(), [4]);
      const rows = await target.sql(
        'SELECT name FROM pg2kinesis.replica_note UNION ALL SELECT name FROM pg2kinesis.replica_truncate',
      );
      assert.ok(!rows.some(({ name }) => name === `copy-${copies}`));
    } finally {
      await target.sql('DROP PUBLICATION everything');
    }
  });

  it('spares rows that are newer than a TRUNCATE, also where VACUUM FULL came between, but not where an ALTER TABLE or somebody else wrote them anew', async () => {
    const truncate = { ...insertOf('s', 0, 0x2000), op: 'TRUNCATE', key: undefined, row: undefined };
    for (const [statement, left] of [
      ['VACUUM FULL public.places', [2]],
      ['ALTER TABLE public.places ALTER body TYPE varchar', [2]],
      ['UPDATE public.places SET big = big', []],
      ['ALTER TABLE public.places ALTER id TYPE bigint', []],
    ] as const) {
      const copy = await copyOf();
      await copy.invoke(eventOfData([lines(insertOf('s', 1))], 'lane-0-of-2'));
      await copy.invoke(eventOfData([lines(insertOf('s', 2, 0x3000))], 'lane-1-of-2'));
      await target.sql(statement);
      await copy.invoke(eventOfData([lines(truncate)], 'lane-0-of-2'));
      assert.deepEqual((await ids()).map(Number), left, statement);
    }
  });
});
