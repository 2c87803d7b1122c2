/** Runs that linger: what comes is published while they stay, and they hand over to whoever waits, without a loss. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { TESTED_MAJOR } from '../support/postgres.ts';
import { DRAIN_MS } from './container.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { FAULTS, waiters } from './hand-over.ts';
import { goneOn, linger, RUN } from './lingering.ts';
import { assertAllArrived, assertLanesInOrder, withoutRepeats } from './record-assertions.ts';
import { Book, seeded, TABLES, Writer } from './workload.ts';

describe('a lingering run', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql(TABLES);
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY)');
  });
  after(() => environment.stop());

  let pipelines = 0;
  /** @returns the settings of a pipeline of the test's own, and what concerns it alone */
  async function startPipeline(over: Readonly<Record<string, string>> = {}) {
    const { server, kinesis, proxy } = environment;
    const name = `own${++pipelines}`;
    await kinesis.createStream(name, 2);
    await server.createSlot(name);
    const settings = { LANES: '4', ...over, SLOT_NAME: name, STREAM_NAME: name };
    const sent = () => proxy.seen.filter(({ body }) => body.StreamName === name);
    return {
      slot: name,
      sent,
      lingering: () => environment.container({ ...settings, LINGER: 'on' }),
      other: (more: Readonly<Record<string, string>> = {}) => environment.container({ ...settings, ...more }),
      arrived: () => environment.arrived(name),
      lockHolder: () => environment.lockHolder(name),
      hasSlot: () => eventually(async () => (await environment.lockHolder(name)) !== undefined, 'it has the slot'),
      async publishes(requests: number) {
        const before = sent().length;
        await eventually(() => sent().length > before + requests, 'somebody publishes');
      },
      somebodyWaits: () => eventually(async () => (await waiters(environment)) > 0, 'somebody waits'),
      nobodyWaits: () => eventually(async () => (await waiters(environment)) === 0, 'nobody waits any more'),
    };
  }

  it('I6: hands over again and again under load, also to one that dies while it waits: nothing is lost, reordered or sent by two', async (t) => {
    const { server, proxy } = environment;
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    const random = seeded(seed);
    const pipeline = await startPipeline();
    proxy.always(() => ({ kind: 'delay', ms: 5 + random() * 30 }));
    const book = new Book();
    const quiet = new AbortController();
    const writing = new Writer({ owner: 1, random, book, connect: () => server.client() }).write(quiet.signal, 10);
    const idle = await Promise.all([1, 2, 3].map(() => pipeline.lingering()));
    const pids: number[] = [];
    const answers: Promise<RunAnswer>[] = [];
    // As Lambda does: one that is at work is not invoked, and where all are, another one is started. The last one ends by its time.
    const invoke = async (remainingMs: number) => {
      const container = idle.shift() ?? (await pipeline.lingering());
      answers.push(container.run(RUN, remainingMs).finally(() => idle.push(container)));
    };
    try {
      for (let tick = 0; tick < 6; tick++) {
        if (tick === 4) {
          const doomed = await pipeline.lingering();
          void doomed.invoke(RUN, 60_000);
          await pipeline.somebodyWaits();
          await doomed.kill();
        }
        await invoke(tick === 5 ? 20_000 : 60_000);
        // Two ticks at once, as a schedule that delivers at least once may have it.
        if (tick === 3) await invoke(60_000);
        await pipeline.publishes(5);
        await pipeline.nobodyWaits();
        const holder = await pipeline.lockHolder();
        if (holder !== undefined) pids.push(holder);
      }
    } finally {
      quiet.abort();
      await writing;
    }
    const ended = await Promise.all(answers);
    assert.ok(new Set(pids).size >= 4, `the slot went from hand to hand: ${pids.join(', ')}`);
    assert.ok(ended.filter(({ stopped }) => stopped === 'handed-over').length >= 3);
    assert.equal(pipeline.sent().filter(({ overlapped }) => overlapped).length, 0, 'two published at the same time');
    const all = await pipeline.arrived();
    // The last one lingered until its function's end: nothing was left, and nothing failed, so nothing came twice.
    assert.equal(assertAllArrived(all, book).length, all.length);
  });

  for (const [what, fault] of Object.entries(FAULTS)) {
    it(`I6: under load, in the middle of a hand-over ${what}: nothing is lost, reordered or sent by two`, async () => {
      const { server } = environment;
      const pipeline = await startPipeline();
      const ids = new Set<number>();
      const quiet = new AbortController();
      const writing = (async () => {
        const [row] = await server.sql<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM t');
        for (let id = Math.max(1_000_000, row?.id ?? 0) + 1; !quiet.signal.aborted; id++) {
          await server.sql('INSERT INTO t VALUES ($1)', [id]);
          ids.add(id);
          await wait(10);
        }
      })();
      const [holder, waiter] = [await pipeline.lingering(), await pipeline.lingering()];
      void linger(holder, 60_000);
      await pipeline.publishes(2);
      void linger(waiter, 60_000);
      await pipeline.somebodyWaits();
      await fault({ environment, holder, waiter, slot: pipeline.slot });
      await pipeline.nobodyWaits();
      await pipeline.publishes(2);
      quiet.abort();
      await writing;
      const left = await (await pipeline.other()).run({ action: 'drain' }, DRAIN_MS);
      assert.equal(left.caughtUp, true);
      await Promise.all([holder.kill(), waiter.kill()]);
      assert.equal(pipeline.sent().filter(({ overlapped }) => overlapped).length, 0);
      const records = withoutRepeats(await pipeline.arrived());
      assertLanesInOrder(records);
      const arrived = new Set(records.filter(({ table }) => table === 't').map(({ key }) => key?.['id']));
      assert.ok(ids.size > 0 && [...ids].every((id) => arrived.has(id)), 'something is lost');
    });
  }

  it('I6: gives the slot to a drain, has it again, and gives it to a snapshot', async () => {
    const { server } = environment;
    const pipeline = await startPipeline();
    const lingering = await pipeline.lingering();
    const other = await pipeline.other();
    void linger(lingering, 120_000);
    await pipeline.hasSlot();
    await server.sql('INSERT INTO t SELECT generate_series(1, 10)');
    // On a slow machine the first is at work for so long that the run ends.
    await eventually(async () => {
      const drained = await other.run({ action: 'drain' });
      assert.equal(drained.caughtUp, true);
      await pipeline.hasSlot();
      return goneOn(lingering) > 0;
    }, 'it goes on by itself after a drain');
    await server.sql('INSERT INTO t SELECT generate_series(11, 20)');
    await eventually(async () => (await pipeline.arrived()).length === 20, 'everything arrives while it lingers');
    await server.sql('GRANT SELECT ON t TO cdc');
    const { count } = (await server.sql<{ count: number }>('SELECT count(*)::int FROM t'))[0] ?? { count: 0 };
    await other.run({ action: 'snapshot', tables: ['public.t'] });
    const isRead = ({ op }: { op: string }) => op === 'READ';
    assert.equal((await pipeline.arrived()).filter(isRead).length, count, 'each row is read once');
    await lingering.kill();
    assertLanesInOrder(withoutRepeats(await pipeline.arrived()));
  });

  it('I6: the next one has the slot at once where the one that lingers is killed', async () => {
    const { server } = environment;
    const pipeline = await startPipeline();
    const first = await pipeline.lingering();
    void first.invoke(RUN);
    await pipeline.hasSlot();
    const second = await pipeline.lingering();
    void second.invoke(RUN);
    await pipeline.somebodyWaits();
    await first.kill();
    await server.sql('INSERT INTO t SELECT generate_series(101, 110)');
    await eventually(async () => (await pipeline.arrived()).length >= 10, 'it arrives');
    await second.kill();
  });

  it('I6: gives the slot to skip-transaction, to the stack’s resource and to drop-slot, each within seconds', async () => {
    const { server } = environment;
    const pipeline = await startPipeline({ STANDBY_SLOTS: 'away' });
    // It lingers with something left: a standby that is not there has not confirmed it.
    await server.sql(`SELECT pg_create_physical_replication_slot('away', true)`);
    const lingering = await pipeline.lingering();
    const other = await pipeline.other({ STANDBY_SLOTS: '', SLOT_RESOURCE: 'Slot' });
    // Longer than any action waits for the lock: who gets it was given it.
    const ended = linger(lingering, 600_000);
    await pipeline.hasSlot();
    await server.sql('INSERT INTO t SELECT generate_series(201, 210)');
    const [commit] = await server.sql<{ lsn: string }>(
      `SELECT lsn::text FROM pg_logical_slot_peek_changes($1, NULL, NULL) WHERE data LIKE 'COMMIT%'`,
      [pipeline.slot],
    );
    const answerOf = async (event: unknown) => ((await other.invoke(event)) as { answer?: object }).answer;
    const { skipped } = (await answerOf({ action: 'skip-transaction', commitLsn: commit?.lsn })) as {
      skipped: { commitLsn: string };
    };
    assert.equal(skipped.commitLsn, commit?.lsn);
    await pipeline.hasSlot();
    const resource = {
      RequestType: 'Create',
      LogicalResourceId: 'Slot',
      ResourceProperties: { slotName: pipeline.slot },
    };
    const created = (await answerOf(resource)) as { PhysicalResourceId?: string } | undefined;
    assert.match(created?.PhysicalResourceId ?? '', /^adopted:/);
    await pipeline.hasSlot();
    const dropped = await answerOf({ action: 'drop-slot', discardUnread: true });
    assert.equal((dropped as { dropped?: boolean }).dropped, true);
    // It takes the slot back, and finds it gone, as a scheduled run would.
    const { ending, again } = await ended;
    assert.match(JSON.stringify(ending), /SLOT_MISSING/);
    assert.equal(goneOn(lingering) + again, 3);
    await server.sql(`SELECT pg_drop_replication_slot('away')`);
  });

  it('I1: the next one goes on inside a transaction that was larger than the run before', async () => {
    const { server, proxy } = environment;
    const pipeline = await startPipeline({ AGGREGATION: 'none' });
    await server.sql('CREATE TABLE large (id int PRIMARY KEY)');
    await server.sql('INSERT INTO large SELECT generate_series(1, 5000)');
    const [first, second] = [await pipeline.lingering(), await pipeline.lingering()];
    let isSlow = true;
    // Requests that take so long that its time is over in the middle.
    proxy.always(() => (isSlow && pipeline.sent().length > 2 ? { kind: 'delay', ms: 1_500 } : { kind: 'pass' }));
    const cut = TESTED_MAJOR >= 15 ? resumable(first.run(RUN, 9_000)) : startingOver(first.refusal(RUN, 9_000));
    await eventually(() => pipeline.sent().length > 0, 'it is inside the transaction');
    void second.invoke(RUN);
    await pipeline.somebodyWaits();
    const { published, repeated } = await cut;
    isSlow = false;
    const arrived = () =>
      pipeline.sent().flatMap(({ body }) => body.Records.map(({ Data }) => Buffer.from(Data, 'base64').toString()));
    await eventually(() => new Set(arrived()).size === 5_000, 'all of it arrives');
    const repeats = arrived().length - 5_000;
    // The last request may have been answered too late.
    assert.ok(published > 500 && repeats <= repeated + 500, `${repeats} of ${published} came twice`);
    proxy.always(() => ({ kind: 'pass' }));
    await second.kill();
  });

  it('says in the log and in status that an open transaction slows it down, and whose that is', async () => {
    const { server } = environment;
    const pipeline = await startPipeline({ LINGER_DUTY: '1' });
    const open = await server.client({ application_name: 'slow report' });
    await open.query('BEGIN');
    await open.query(`INSERT INTO loose SELECT s, repeat(md5(s::text), 32) FROM generate_series(1, 20000) s`);
    const other = await pipeline.other({ LINGER: 'on' });
    // A small share, so that a fast machine is slow, too.
    const lingering = await pipeline.lingering();
    void lingering.invoke(RUN, 600_000);
    await pipeline.hasSlot();
    let id = 1_000;
    await eventually(async () => {
      await server.sql('INSERT INTO t VALUES ($1)', [++id]);
      return lingering.output.includes('Lingering slowly');
    }, 'it says so');
    const warned = lingering.lines
      .map(({ message }) => String(message))
      .find((each) => each.startsWith('Lingering slowly'));
    assert.match(
      warned ?? '',
      /a peek took \d+ ms.*LINGER_DUTY gives it 1% of a core.*backend \d+ \(user postgres, application slow report,/,
    );
    const { answer } = (await other.invoke({ action: 'status' })) as {
      answer: { retainedBy: { what: string; detail: string }[] };
    };
    assert.match(
      answer.retainedBy.find(({ what }) => what === 'open transaction')?.detail ?? '',
      /slow report.*decodes these bytes again.*at most 1% of a core \(LINGER_DUTY\)/s,
    );
    await open.query('ROLLBACK');
    await other.run({ action: 'drain' });
    assert.equal((await pipeline.arrived()).length, id - 1_000, 'every change arrives');
    await lingering.kill();
  });

  it('status and check do not wait for it', async () => {
    const pipeline = await startPipeline();
    const lingering = await pipeline.lingering();
    void lingering.invoke(RUN);
    await pipeline.hasSlot();
    const other = await pipeline.other({ LINGER: 'on' });
    const status = (await other.invoke({ action: 'status' })) as { answer: { lockHolder: { pid: number } | null } };
    await other.invoke({ action: 'check' });
    assert.equal(status.answer.lockHolder?.pid, await pipeline.lockHolder());
    assert.doesNotMatch(lingering.output, /handed over/);
    await lingering.kill();
  });
});

/** From 15 on the next run goes on where this one ended. @returns how much came, and what of that comes again */
async function resumable(cut: Promise<RunAnswer>) {
  const { stopped, resume, published } = await cut;
  assert.equal(stopped, 'deadline');
  assert.equal(resume?.rows, published);
  return { published, repeated: 0 };
}

/** Before 15 the run says that it has to be given more time: the next one publishes the transaction from its beginning. */
async function startingOver(cut: Promise<{ readonly code: string; readonly message: string }>) {
  const { code, message } = await cut;
  assert.equal(code, 'NO_PROGRESS', message);
  const published = Number(/\((\d+) records were\)/.exec(message)?.[1]);
  return { published, repeated: published };
}
