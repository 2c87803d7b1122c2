/**
 * An hour of runs that linger, sped up: `npm run test:linger`. Sixty ticks, each of which stands for a minute of the
 * schedule, under load, over a real server, the emulated stream and processes; at most of the hand-overs something goes
 * wrong. Proves by ids and order that nothing was lost, reordered or published by two at once, and by the time from COMMIT
 * to acceptance that nothing waited for longer than promised. Takes minutes, so it is no part of `npm test`.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Environment, NAME, startEnvironment } from '../chaos/environment.ts';
import { type Fault, FAULTS, waiters } from '../chaos/hand-over.ts';
import { assertAllArrived } from '../chaos/record-assertions.ts';
import { Book, seeded, TABLES, Writer } from '../chaos/workload.ts';
import { acceptances, Marks, type Trouble } from './latency.ts';
import { Containers, type Invocation } from './schedule.ts';

const { values: options } = parseArgs({
  options: { ticks: { type: 'string', default: '60' }, 'tick-seconds': { type: 'string', default: '5' } },
});
const TICKS = Number(options.ticks);
const TICK_MS = Number(options['tick-seconds']) * 1000;
/** While more than 75 s are left a tick ends at once; afterwards it waits. So each run stays for three ticks at least. */
const TIMEOUT_MS = 75_000 + 3 * TICK_MS;
/** The time of a run that is to be stopped until it is over. */
const SHORT_MS = 4 * TICK_MS;
const RUN = { action: 'run', maxSeconds: 50 };
/** Promised where no holder was killed or stopped. */
const LIMIT_MS = 2_000;
/** Before whoever takes over waits for a request of another that may be in flight. */
const GRACE_MS = 15_000;

/** What goes wrong at the hand-overs, one after the other; undefined: nothing. */
const SCRIPT: readonly (Fault | 'two ticks at once' | 'the holder is stopped past its end' | undefined)[] = [
  undefined,
  'the successor is killed',
  'two ticks at once',
  'the holder is killed',
  undefined,
  'the holder is stopped for a moment',
  'the connection with the lock is terminated',
  'the other connection is terminated',
  'the holder is stopped past its end',
  undefined,
];

it(`${TICKS} ticks: nothing is lost, reordered or published by two, and nothing waits`, async (t) => {
  const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`CHAOS_SEED=${seed}`);
  const random = seeded(seed);
  const environment = await startEnvironment();
  try {
    const { server, proxy } = environment;
    await server.sql(TABLES);
    await server.sql('CREATE TABLE marks (id int PRIMARY KEY)');
    await server.createSlot('pg2kinesis');
    proxy.always(() => ({ kind: 'delay', ms: 5 + random() * 30 }));
    const book = new Book();
    const quiet = new AbortController();
    const marks = new Marks(await server.client());
    const containers = new Containers((name) =>
      environment.container({ LANES: '4', LINGER: 'on', LOG_LEVEL: 'INFO', AWS_ACCESS_KEY_ID: name }),
    );
    await containers.warm(4);
    const writing = [1, 2].map((owner) =>
      new Writer({ owner, random, book, connect: () => server.client() }).write(quiet.signal, 50),
    );
    const marking = marks.write(quiet.signal);
    const troubles = await keepSchedule(environment, containers);
    quiet.abort();
    await Promise.all([...writing, marking]);
    await marks.writeOne();
    for (let i = 0; i < 600 && acceptances(proxy.seen).size < marks.committed.size; i++) await wait(100);
    const ended = performance.now();
    await Promise.all(containers.all.map(({ container }) => container.kill()));

    const all = await environment.arrived();
    const marked = all.filter(({ table }) => table === 'marks');
    for (const { id } of marked.map(({ key }) => ({ id: Number(key?.['id']) }))) assert.ok(marks.committed.has(id));
    assert.equal(new Set(marked.map(({ key }) => key?.['id'])).size, marks.committed.size, 'a mark is lost');
    const records = assertAllArrived(
      all.filter(({ table }) => table !== 'marks'),
      book,
    );
    assert.equal(proxy.seen.filter(({ overlapped }) => overlapped).length, 0, 'two published at once');
    const figures = marks.judge(proxy.seen, troubles, ended);
    const handOvers = containers.all.filter(({ ending }) => stopped(ending) === 'handed-over').length;
    const locked = containers.all.filter(({ ending }) => stopped(ending) === 'locked').length;
    t.diagnostic(
      JSON.stringify({
        ticks: TICKS,
        invocations: containers.all.length,
        handOvers,
        locked,
        transactions:
          [...book.transactions.values()].reduce((sum, { length }) => sum + length, 0) + marks.committed.size,
        records: records.length + marks.committed.size,
        repeats: all.length - records.length - marks.committed.size,
        requests: proxy.seen.length,
        senders: new Set(proxy.seen.map(({ sender }) => sender)).size,
        ...figures.undisturbed,
      }),
    );
    for (const each of figures.troubles) t.diagnostic(JSON.stringify(each));
    for (const { sender, from, to } of troubles)
      assert.ok(
        sender === undefined ||
          proxy.seen.every(
            (each) => each.sender !== sender || (each.answeredAt ?? 0) < from + 1_000 || (each.answeredAt ?? 0) > to,
          ),
        'one that was ended went on sending',
      );
    if (figures.undisturbed.maxMs > LIMIT_MS) {
      for (const each of describe(containers.all, figures.slowestAt)) t.diagnostic(each);
    }
    assert.ok(
      figures.undisturbed.maxMs <= LIMIT_MS,
      `one waited ${figures.undisturbed.maxMs} ms, and nothing was wrong`,
    );
    for (const { what, maxMs } of figures.troubles) {
      const limit = what === 'the holder is stopped past its end' ? SHORT_MS + 3 * GRACE_MS : GRACE_MS;
      assert.ok(maxMs < limit, `${what}: one waited ${maxMs} ms`);
    }
    assert.equal(figures.repeatsElsewhere, 0, 'something came twice, and nothing was wrong');
    assert.ok(figures.troubles.length >= SCRIPT.filter(Boolean).length || TICKS < 60, 'not everything went wrong');
  } finally {
    await environment.stop();
  }
});

/** Invokes at each tick, and has something go wrong where one waits. @returns what went wrong, and when */
async function keepSchedule(environment: Environment, containers: Containers): Promise<Trouble[]> {
  const troubles: Trouble[] = [];
  const pending: Promise<void>[] = [];
  const begun = performance.now();
  let handOvers = 0;
  for (let tick = 0; tick < TICKS; tick++) {
    await wait(Math.max(0, begun + tick * TICK_MS - performance.now()));
    if (troubles.some(({ to }) => to === Infinity)) {
      // Whoever has the slot is stopped. Ticks come all the same.
      await containers.invoke(RUN, TIMEOUT_MS);
      continue;
    }
    const [holder] = containers.running;
    const due = SCRIPT[handOvers % SCRIPT.length];
    const stopsIt = due === 'the holder is stopped past its end';
    // One that is to be stopped until its end must not have long to live.
    const invoked = await containers.invoke(RUN, stopsIt && holder?.timeoutMs !== SHORT_MS ? SHORT_MS : TIMEOUT_MS);
    if (due === 'two ticks at once') pending.push(containers.invoke(RUN, TIMEOUT_MS).then(() => undefined));
    if (holder === undefined) continue;
    if (!(await isWaiting(environment, invoked))) continue;
    if (stopsIt && holder.timeoutMs !== SHORT_MS) continue;
    handOvers++;
    if (due === undefined) continue;
    const from = performance.now();
    if (stopsIt) {
      const trouble = { what: due, from, to: Infinity, sender: holder.name };
      troubles.push(trouble);
      pending.push(stopPastEnd(holder, trouble));
      continue;
    }
    if (due !== 'two ticks at once')
      await FAULTS[due]({ environment, holder: holder.container, waiter: invoked.container, slot: NAME });
    troubles.push({ what: due, from, to: from, sender: undefined });
  }
  await Promise.all(pending);
  return troubles;
}

/** Stops a holder, and has it go on when its time has been over for long: it must send nothing more. */
async function stopPastEnd(holder: Invocation, trouble: { to: number }): Promise<void> {
  holder.isSpared = true;
  holder.container.child.kill('SIGSTOP');
  await wait(Math.max(0, holder.begun + holder.timeoutMs + 2 * GRACE_MS - performance.now()));
  holder.container.child.kill('SIGCONT');
  await Promise.race([holder.ended, wait(10_000)]);
  await holder.container.kill();
  trouble.to = performance.now();
}

/** @returns whether it waits for the lock; false: it has ended at once */
async function isWaiting(environment: Environment, invoked: Invocation): Promise<boolean> {
  const until = performance.now() + TICK_MS * 0.8;
  while (performance.now() < until) {
    if (invoked.ending !== undefined) return false;
    if ((await waiters(environment)) > 0) return true;
    await wait(10);
  }
  return false;
}

/** What went on around a moment, by seconds from then. */
function describe(all: readonly Invocation[], at: number): string[] {
  const seconds = (time: number | undefined) => (time === undefined ? 'still' : ((time - at) / 1000).toFixed(1));
  return all
    .filter(({ begun, endedAt = Infinity }) => endedAt > at - 20_000 && begun < at + 20_000)
    .flatMap(({ name, begun, endedAt, timeoutMs, ending, container }) => [
      `${name}: from ${seconds(begun)} to ${seconds(endedAt)}, time-out ${timeoutMs / 1000}: ${JSON.stringify(stopped(ending) ?? (ending === 'killed' ? ending : ending?.error?.message) ?? null)}`,
      ...container.lines
        .filter(({ level }) => level !== 'DEBUG')
        .map((line) => ({ ...line, at: Date.parse(String(line['timestamp'])) - performance.timeOrigin }))
        .filter((line) => Math.abs(line.at - at) < 20_000)
        .map((line) => `  ${seconds(line.at)} ${String((line as { message?: unknown }).message)}`),
    ]);
}

function stopped(ending: Invocation['ending']): unknown {
  return ending === undefined || ending === 'killed'
    ? undefined
    : (ending.answer as { stopped?: string } | undefined)?.stopped;
}
