/** Containers of a `StreamReplica`'s function that are at work at the same moment, on records made by hand, at a real target. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { prepareFastTables } from '../../../replica/postgres/fast/fast-target.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { eventOfData, insertOf, makeFunction, Said } from '../support/function-rig.ts';

let target: PostgresServer;

const line = (record: object): Buffer => Buffer.from(`${JSON.stringify(record)}\n`);

/** Waits until so many sessions of the target wait for a lock. */
async function lockWaits(count: number): Promise<void> {
  for (let waits = 0; waits !== count;) {
    const rows = await target.sql<{ n: number }>('SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted');
    waits = rows[0]?.n ?? 0;
  }
}

describe('containers of a function, side by side', () => {
  before(async () => {
    target = await startPostgres();
    await target.sql('CREATE TABLE public.places (id int PRIMARY KEY, body text, big text)');
  });
  after(() => target.stop());

  it('begin a copy together, though each of them would make its tables', async () => {
    const lanes = [0, 1, 2, 3, 4, 5];
    const containers = lanes.map(() => makeFunction(target, new Said()));
    const answers = await Promise.allSettled(
      containers.map((each, lane) => each.invoke(eventOfData([line(insertOf('s', lane))], `lane-${lane}-of-6`))),
    );
    assert.deepEqual(
      answers,
      lanes.map(() => ({ status: 'fulfilled', value: { batchItemFailures: [] } })),
    );
    assert.deepEqual(
      (await target.sql<{ id: number }>('SELECT id FROM public.places ORDER BY id')).map(({ id }) => id),
      lanes,
    );
    await Promise.all(containers.map((each) => each.close()));
  });

  it('leave tables alone that another one has made meanwhile, and is at work with', async () => {
    await target.sql('DROP SCHEMA pg2kinesis CASCADE; CREATE SCHEMA pg2kinesis; TRUNCATE public.places');
    const [copy, client] = [makeFunction(target, new Said()), await target.client()];
    const turn = `(hashtext('pg2kinesis.replica tables'), 0)`;
    await client.query(`SELECT pg_advisory_lock${turn}`);
    const invoked = copy.invoke(eventOfData([line(insertOf('s', 1))]), 10_000);
    await lockWaits(1);
    await prepareFastTables(client, 'another');
    await client.query('BEGIN; LOCK TABLE pg2kinesis.replica_lane, pg2kinesis.replica IN ROW EXCLUSIVE MODE');
    await client.query(`SELECT pg_advisory_unlock${turn}`);
    assert.deepEqual(await invoked, { batchItemFailures: [] });
    await Promise.all([client.end(), copy.close()]);
  });

  it('are of one source and server, and of one number of lanes, though each of them is the first to say so', async () => {
    const made = { op: 'MARK', lane: 0, timeline: 1, commitLsn: '0/1', commitTime: '2026-01-02T03:04:05Z', forks: [] };
    const told = (over: object) => line({ ...made, source: 's', lanes: 2, system: '1', ...over });
    const inLane = (lane: number, of: number, ...data: readonly Buffer[]) => eventOfData(data, `lane-${lane}-of-${of}`);
    const cases = [
      ['STREAM_CHANGED', {}, undefined, inLane(0, 2, line(insertOf('a', 1))), inLane(1, 2, line(insertOf('b', 2)))],
      [
        ...(['LANES_CHANGED', { SOURCE_NAME: 's' }, undefined] as const),
        ...[inLane(0, 2, line(insertOf('s', 1))), inLane(3, 4, line(insertOf('s', 2)))],
      ],
      [
        ...(['HISTORY_CHANGED', {}, inLane(0, 2, line(insertOf('s', 0)))] as const),
        ...[
          inLane(0, 2, told({}), line(insertOf('s', 1))),
          inLane(1, 2, told({ system: '2' }), line(insertOf('s', 2))),
        ],
      ],
    ] as const;
    for (const [code, settings, before, ...events] of cases) {
      await target.sql('DELETE FROM pg2kinesis.replica; TRUNCATE public.places');
      const said = new Said();
      const containers = events.map(() => makeFunction(target, said, settings));
      if (before !== undefined) await containers[0]?.invoke(before);
      // Both have read what the copy is of before one of them is done.
      const client = await target.client();
      await client.query('BEGIN; LOCK TABLE public.places');
      const invoked = containers.map((each, i) => each.invoke(events[i] ?? eventOfData([])));
      await lockWaits(2);
      await client.query('COMMIT');
      const answers = await Promise.all(invoked);
      assert.deepEqual(answers.map(({ batchItemFailures }) => batchItemFailures.length).sort(), [0, 1], code);
      assert.match(said.logged.join(), new RegExp(`^${code}: [^]*$`));
      assert.equal((await target.sql('SELECT FROM public.places WHERE id > 0')).length, 1, code);
      await Promise.all([client.end(), ...containers.map((each) => each.close())]);
    }
  });
});
