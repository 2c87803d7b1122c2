/** Runs that linger: what comes is published while they stay, and they hand over to whoever waits, without a loss. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { TESTED_MAJOR } from '../support/postgres.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { FAULTS, waiters } from './hand-over.ts';
import { assertAllArrived, assertLanesInOrder, withoutRepeats } from './record-assertions.ts';
import { Book, seeded, TABLES, Writer } from './workload.ts';

const RUN = { action: 'run', maxSeconds: 50 } as const;
const SETTINGS = { LANES: '4', LINGER: 'on' } as const;

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
    const containers = await Promise.all([1, 2, 3].map(() => environment.container(SETTINGS)));
    const pids: number[] = [];
    const answers: Promise<RunAnswer>[] = [];
    try {
      for (let tick = 0; tick < 6; tick++) {
        const invoked = [containers[tick % 2]];
        // Two ticks at once, as a schedule that delivers at least once may have it.
        if (tick === 3) invoked.push(containers[2]);
        if (tick === 4) {
          const doomed = await environment.container(SETTINGS);
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

  for (const [what, fault] of Object.entries(FAULTS)) {
    it(`I6: under load, in the middle of a hand-over ${what}: nothing is lost, reordered or sent by two`, async () => {
      const { server, proxy } = environment;
      const overlapped = proxy.seen.filter((each) => each.overlapped).length;
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
      const [holder, waiter] = [await environment.container(SETTINGS), await environment.container(SETTINGS)];
      void holder.invoke(RUN, 60_000);
      const publishes = async () => {
        const sent = proxy.seen.length;
        await eventually(() => proxy.seen.length > sent + 2, 'somebody publishes');
      };
      await publishes();
      void waiter.invoke(RUN, 60_000);
      await eventually(async () => (await waiters(environment)) > 0, 'the next one waits');
      await fault({ environment, holder, waiter });
      await eventually(async () => (await waiters(environment)) === 0, 'nobody waits any more');
      await publishes();
      quiet.abort();
      await writing;
      const left = await (await environment.container()).run({ action: 'drain' });
      assert.equal(left.caughtUp, true);
      await Promise.all([holder.kill(), waiter.kill()]);
      assert.equal(proxy.seen.filter((each) => each.overlapped).length, overlapped);
      const records = withoutRepeats(await environment.arrived());
      assertLanesInOrder(records);
      const arrived = new Set(records.filter(({ table }) => table === 't').map(({ key }) => key?.['id']));
      assert.ok(ids.size > 0 && [...ids].every((id) => arrived.has(id)), 'something is lost');
    });
  }

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

  it('I6: gives the slot to skip-transaction, to the stack’s resource and to drop-slot, each within seconds', async () => {
    const { server, kinesis } = environment;
    await kinesis.createStream('given', 1);
    await server.createSlot('given');
    // It lingers with something left: a standby that is not there has not confirmed it.
    await server.sql(`SELECT pg_create_physical_replication_slot('away', true)`);
    const own = { SLOT_NAME: 'given', STREAM_NAME: 'given' };
    const lingering = await environment.container({ ...own, LINGER: 'on', STANDBY_SLOTS: 'away' });
    const other = await environment.container({ ...own, SLOT_RESOURCE: 'Slot' });
    // Longer than any action waits for the lock: who gets it was given it.
    const ending = lingering.invoke(RUN, 600_000);
    const hasSlot = () =>
      eventually(async () => (await environment.lockHolder('given')) !== undefined, 'it has the slot');
    await hasSlot();
    await server.sql('INSERT INTO t SELECT generate_series(201, 210)');
    const [commit] = await server.sql<{ lsn: string }>(
      `SELECT lsn::text FROM pg_logical_slot_peek_changes('given', NULL, NULL) WHERE data LIKE 'COMMIT%'`,
    );
    const answerOf = async (event: unknown) => ((await other.invoke(event)) as { answer?: object }).answer;
    const { skipped } = (await answerOf({ action: 'skip-transaction', commitLsn: commit?.lsn })) as {
      skipped: { commitLsn: string };
    };
    assert.equal(skipped.commitLsn, commit?.lsn);
    await hasSlot();
    const resource = { RequestType: 'Create', LogicalResourceId: 'Slot', ResourceProperties: { slotName: 'given' } };
    const created = (await answerOf(resource)) as { PhysicalResourceId?: string } | undefined;
    assert.match(created?.PhysicalResourceId ?? '', /^adopted:/);
    await hasSlot();
    const dropped = await answerOf({ action: 'drop-slot', discardUnread: true });
    assert.equal((dropped as { dropped?: boolean }).dropped, true);
    // It takes the slot back, and finds it gone, as a scheduled run would.
    assert.match(JSON.stringify(await ending), /SLOT_MISSING/);
    assert.equal(lingering.output.match(/handed over, and nobody has it any more/g)?.length, 3);
    await server.sql(`SELECT pg_drop_replication_slot('away')`);
  });

  it('I1: the next one goes on inside a transaction that was larger than the run before', async () => {
    const { server, kinesis, proxy } = environment;
    await kinesis.createStream('large', 1);
    await server.createSlot('large');
    await server.sql('CREATE TABLE large (id int PRIMARY KEY)');
    await server.sql('INSERT INTO large SELECT generate_series(1, 5000)');
    const settings = { SLOT_NAME: 'large', STREAM_NAME: 'large', AGGREGATION: 'none', LINGER: 'on' };
    const [first, second] = [await environment.container(settings), await environment.container(settings)];
    const sent = () => proxy.seen.filter(({ body }) => body.StreamName === 'large').length;
    let isSlow = true;
    // Requests that take so long that its time is over in the middle.
    proxy.always(() => (isSlow && sent() > 2 ? { kind: 'delay', ms: 1_500 } : { kind: 'pass' }));
    const cut = first.run(RUN, 9_000);
    await eventually(() => sent() > 0, 'it is inside the transaction');
    void second.invoke(RUN, 60_000);
    await eventually(async () => (await waiters(environment)) > 0, 'the next one waits');
    const { stopped, resume, published } = await cut;
    isSlow = false;
    assert.equal(stopped, 'deadline');
    const arrived = () =>
      proxy.seen
        .filter(({ body }) => body.StreamName === 'large')
        .flatMap(({ body }) => body.Records.map(({ Data }) => Buffer.from(Data, 'base64').toString()));
    await eventually(() => new Set(arrived()).size === 5_000, 'all of it arrives');
    const repeats = arrived().length - 5_000;
    // The last request may have been answered too late. Before 15 nothing shows who has read the slot: it starts over.
    const most = TESTED_MAJOR >= 15 ? 500 : published + 500;
    assert.ok(published > 500 && repeats <= most, `${repeats} of ${published} came twice`);
    if (TESTED_MAJOR >= 15) assert.equal(resume?.rows, published);
    proxy.always(() => ({ kind: 'pass' }));
    await second.kill();
  });

  it('says in the log and in status that an open transaction slows it down, and whose that is', async () => {
    const { server } = environment;
    const open = await server.client({ application_name: 'slow report' });
    await open.query('BEGIN');
    await open.query(`INSERT INTO loose SELECT s, repeat(md5(s::text), 32) FROM generate_series(1, 20000) s`);
    const other = await environment.container({ LINGER: 'on', LINGER_DUTY: '1' });
    await other.run({ action: 'drain' });
    const before = (await environment.arrived()).length;
    // A small share, so that a fast machine is slow, too.
    const lingering = await environment.container({ LINGER: 'on', LINGER_DUTY: '1' });
    void lingering.invoke(RUN, 600_000);
    await eventually(async () => (await environment.lockHolder()) !== undefined, 'it has the slot');
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
    assert.equal((await environment.arrived()).length, before + id - 1_000, 'every change arrives');
    await lingering.kill();
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
