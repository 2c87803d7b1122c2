/** Containers of a `StreamReplica`'s function that are at work at the same moment, on records made by hand, at a real target. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { eventOfData, insertOf, makeFunction, Said } from '../support/function-rig.ts';

let target: PostgresServer;

const line = (record: object): Buffer => Buffer.from(`${JSON.stringify(record)}\n`);

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
});
