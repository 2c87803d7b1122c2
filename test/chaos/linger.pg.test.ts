/** Runs that linger: what comes is published while they stay, and they hand over to whoever waits, without a loss. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { assertAllArrived, assertLanesInOrder, withoutRepeats } from './record-assertions.ts';
import { Book, seeded, TABLES, Writer } from './workload.ts';

const RUN = { action: 'run', maxSeconds: 50 } as const;

describe('a lingering run', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql(TABLES);
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY)');
  });
  after(() => environment.stop());

  it('I6: hands over again and again under load, also to one that dies while it waits: nothing is lost, reordered or sent by two', async (t) => {
    const { server, proxy } = environment;
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    const random = seeded(seed);
    await server.createSlot('pg2kinesis');
    proxy.always(() => ({ kind: 'delay', ms: 5 + random() * 30 }));
    const book = new Book();
    const quiet = new AbortController();
    const writing = new Writer({ owner: 1, random, book, connect: () => server.client() }).write(quiet.signal, 10);
    const settings = { LANES: '4', LINGER: 'on' };
    const containers = await Promise.all([1, 2, 3].map(() => environment.container(settings)));
    const pids: number[] = [];
    const answers: Promise<RunAnswer>[] = [];
    try {
      for (let tick = 0; tick < 6; tick++) {
        const invoked = [containers[tick % 2]];
        // Two ticks at once, as a schedule that delivers at least once may have it.
        if (tick === 3) invoked.push(containers[2]);
        if (tick === 4) {
          const doomed = await environment.container(settings);
          void doomed.invoke(RUN, 60_000);
          await eventually(async () => (await waiters(environment)) > 0, 'it waits');
          await doomed.kill();
        }
        for (const container of invoked) if (container !== undefined) answers.push(container.run(RUN, 15_000));
        const records = proxy.seen.length;
        await eventually(() => proxy.seen.length > records + 5, 'somebody publishes');
        await eventually(async () => (await waiters(environment)) === 0, 'nobody waits any more');
        const holder = await environment.lockHolder();
        if (holder !== undefined) pids.push(holder);
      }
    } finally {
      quiet.abort();
      await writing;
    }
    const ended = await Promise.all(answers);
    assert.ok(new Set(pids).size >= 4, `the slot went from hand to hand: ${pids.join(', ')}`);
    assert.ok(ended.filter(({ stopped }) => stopped === 'handed-over').length >= 3);
    assert.equal(proxy.seen.filter(({ overlapped }) => overlapped).length, 0, 'two published at the same time');
    const all = await environment.arrived();
    // The last one lingered until its function's end: nothing was left, and nothing failed, so nothing came twice.
    assert.equal(assertAllArrived(all, book).length, all.length);
  });

  it('I6: gives the slot to a drain, and has it again afterwards', async () => {
    const { server } = environment;
    const lingering = await environment.container({ LINGER: 'on' });
    const other = await environment.container();
    const before = (await environment.arrived()).length;
    void lingering.invoke(RUN);
    await eventually(async () => (await environment.lockHolder()) !== undefined, 'it has the slot');
    await server.sql('INSERT INTO t SELECT generate_series(1, 10)');
    const drained = await other.run({ action: 'drain' });
    assert.equal(drained.caughtUp, true);
    await eventually(async () => (await environment.lockHolder()) !== undefined, 'it has the slot again');
    await server.sql('INSERT INTO t SELECT generate_series(11, 20)');
    await eventually(
      async () => (await environment.arrived()).length === before + 20,
      'everything arrives while it lingers',
    );
    assert.match(lingering.output, /handed over, and nobody has it any more: this run goes on/);
    await lingering.kill();
    assertLanesInOrder(withoutRepeats(await environment.arrived()));
  });

  it('I6: the next one has the slot at once where the one that lingers is killed', async () => {
    const { server } = environment;
    const before = (await environment.arrived()).length;
    const first = await environment.container({ LINGER: 'on' });
    void first.invoke(RUN);
    await eventually(async () => (await environment.lockHolder()) !== undefined, 'it has the slot');
    const second = await environment.container({ LINGER: 'on' });
    void second.invoke(RUN);
    await eventually(async () => (await waiters(environment)) > 0, 'the next one waits');
    await first.kill();
    await server.sql('INSERT INTO t SELECT generate_series(101, 110)');
    await eventually(async () => (await environment.arrived()).length >= before + 10, 'it arrives');
    await second.kill();
  });

  it('status and check do not wait for it', async () => {
    const lingering = await environment.container({ LINGER: 'on' });
    void lingering.invoke(RUN);
    await eventually(async () => (await environment.lockHolder()) !== undefined, 'it has the slot');
    const other = await environment.container({ LINGER: 'on' });
    const status = (await other.invoke({ action: 'status' })) as { answer: { lockHolder: { pid: number } | null } };
    await other.invoke({ action: 'check' });
    assert.equal(status.answer.lockHolder?.pid, await environment.lockHolder());
    assert.doesNotMatch(lingering.output, /handed over/);
    await lingering.kill();
  });
});

/** How many wait for a lock. */
async function waiters(environment: Environment): Promise<number> {
  const rows = await environment.server.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`);
  return rows.length;
}
