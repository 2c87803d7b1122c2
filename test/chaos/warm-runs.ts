/**
 * One container that is invoked over and over, with a dozen kinds of failure in turn: what it holds must stay the same,
 * and what was committed must all arrive. Used by a short test and by `npm run test:soak`.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lockKey } from '../../lambda/postgres/slot-lock.ts';
import type { Held } from '../lambda/handler-process.ts';
import type { Fault } from '../support/faulty-endpoint.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import type { Container } from './container.ts';
import { type Environment, eventually, NAME } from './environment.ts';
import { seeded } from './workload.ts';

/** What an invocation came to: an error's code, or how a run stopped. */
type End = string;

/** What a kind of failure works with. */
interface Scene {
  readonly environment: Environment;
  readonly link: TcpProxy;
  readonly container: Container;
  readonly random: () => number;
  readonly invoke: (event?: unknown) => Promise<End>;
}

/** A kind of invocation. */
interface Kind {
  /** What it may come to. */
  readonly ends: readonly End[];
  /** It takes many seconds: done in each tenth round only. */
  readonly slow?: boolean;
  run(scene: Scene): Promise<End>;
}

const RUN = { action: 'run' };
const DONE = ['caught-up'];

/** Requests meet this, all of them or the first. */
const faulty =
  (fault: Fault, how: 'first' | 'all') =>
  async ({ environment: { proxy }, invoke }: Scene): Promise<End> => {
    if (how === 'first') proxy.next(fault);
    else proxy.always(() => fault);
    return await invoke();
  };

const refusal = (type: string): Fault => ({ kind: 'error', status: 400, type });

const KINDS: Readonly<Record<string, Kind>> = {
  'all is well': { ends: DONE, run: ({ invoke }) => invoke() },
  'a request fails': { ends: DONE, run: faulty({ kind: 'error', status: 500, type: 'InternalFailure' }, 'first') },
  'a connection breaks before the request': { ends: DONE, run: faulty({ kind: 'drop', when: 'before' }, 'first') },
  'a connection breaks behind the request': { ends: DONE, run: faulty({ kind: 'drop', when: 'after' }, 'first') },
  'an answer is garbage': { ends: DONE, run: faulty({ kind: 'garbage', body: '{"Records":[' }, 'first') },
  'some entries are refused': { ends: DONE, run: faulty({ kind: 'refuse', entries: (i) => i % 2 === 0 }, 'first') },
  'nothing is taken for lack of capacity': {
    // Three seconds may be over, on a slow machine, before the first refusal.
    ends: ['STREAM_THROTTLED', 'NO_PROGRESS'],
    run: ({ environment: { proxy }, invoke }) => {
      proxy.always(() => ({ kind: 'refuse', entries: () => true }));
      return invoke({ ...RUN, maxSeconds: 3 });
    },
  },
  'the stream is gone': { ends: ['STREAM_MISSING'], run: faulty(refusal('ResourceNotFoundException'), 'all') },
  'access is denied': { ends: ['STREAM_ACCESS_DENIED'], run: faulty(refusal('AccessDeniedException'), 'all') },
  'the event is none': { ends: ['EVENT_INVALID'], run: ({ invoke }) => invoke({ action: 'explode' }) },
  'another has the lock': {
    ends: ['locked'],
    run: async ({ environment: { server }, invoke }) => {
      const other = await server.client();
      await other.query(`SELECT pg_advisory_lock($1)`, [String(lockKey(NAME))]);
      const end = await invoke();
      await other.end();
      return end;
    },
  },
  'the server is not reached': {
    ends: ['DATABASE_UNREACHABLE'],
    run: async ({ environment: { server }, link, invoke }) => {
      // Port 1 is nobody's.
      link.leadTo(1);
      const end = await invoke();
      link.leadTo(server.port);
      return end;
    },
  },
  'the network is cut somewhere': {
    ends: [...DONE, 'DATABASE_UNREACHABLE'],
    slow: true,
    run: async ({ link, random, invoke }) => {
      const timer = setTimeout(() => link.cut(), 40 * random());
      const end = await invoke();
      clearTimeout(timer);
      return end;
    },
  },
  'its backend is ended in mid-run': {
    ends: [...DONE, 'DATABASE_UNREACHABLE'],
    slow: true,
    run: async ({ environment, invoke }) => {
      environment.proxy.always(() => ({ kind: 'delay', ms: 100 }));
      const ending = invoke();
      await eventually(() => environment.proxy.inFlight > 0, 'it sends');
      await environment.server.sql('SELECT pg_terminate_backend($1)', [await environment.lockHolder()]);
      return await ending;
    },
  },
  'status is asked': { ends: ['done'], run: ({ invoke }) => invoke({ action: 'status' }) },
  'check is asked': { ends: ['done'], run: ({ invoke }) => invoke({ action: 'check' }) },
};

/** What a number of invocations came to. */
export interface WarmRuns {
  readonly invocations: number;
  /** How often each end came about. */
  readonly ends: Readonly<Record<End, number>>;
  /** After the first round, and at the end. */
  readonly first: Held;
  readonly last: Held;
}

/** How much more the heap may hold in the end: what the engine learns of the code, and the collector leaves. */
const MAX_GROWTH_BYTES = 4 * 1024 * 1024;
/** Connections that the SDK keeps alive; none to PostgreSQL. */
const MAX_SOCKETS = 3;

/**
 * Invokes one container round after round, each kind in turn, and each failure followed by a run that must be well.
 *
 * @param environment - with the table `warm (id int PRIMARY KEY, note text)` and the slot
 * @param least - how many invocations, at least
 * @param seed - of what is random
 */
export async function runWarm(environment: Environment, least: number, seed: number): Promise<WarmRuns> {
  const { server, proxy } = environment;
  const link = await startTcpProxy(server.port);
  const container = await environment.container({ PGPORT: String(link.port), LOG_LEVEL: 'WARN' });
  const random = seeded(seed);
  const ends: Record<End, number> = {};
  let [invocations, id] = [0, 0];
  const invoke = async (event: unknown = RUN): Promise<End> => {
    invocations++;
    const ending = await container.invoke(event, 60_000);
    if (ending === 'killed') throw new Error(`the container died: ${container.output.slice(-3_000)}`);
    const stopped = (ending.answer as { stopped?: string } | undefined)?.stopped;
    const end = ending.error?.name ?? stopped ?? 'done';
    ends[end] = (ends[end] ?? 0) + 1;
    return end;
  };
  const write = async (): Promise<void> => {
    await server.sql(`INSERT INTO warm SELECT s, 'x' FROM generate_series($1::int, $2::int) s`, [id + 1, (id += 3)]);
  };
  try {
    let first: Held | undefined;
    for (let round = 0; invocations < least || first === undefined; round++) {
      for (const [name, kind] of Object.entries(KINDS)) {
        if (kind.slow === true && round % 10 !== 5) continue;
        await write();
        const end = await kind.run({ environment, link, container, random, invoke });
        assert.ok(kind.ends.includes(end), `where ${name}: ${end}; ${container.output.slice(-3_000)}`);
        proxy.always(() => ({ kind: 'pass' }));
        if (end !== 'caught-up') assert.equal(await invoke(), 'caught-up', `after one where ${name}`);
      }
      first ??= await held(container);
    }
    const last = await held(container);
    assertHeld(first, last);
    await eventually(
      async () => (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE usename = 'cdc'`)).length === 0,
      'no backend is left',
    );
    assert.ok(!/Warning:/.test(container.output), container.output);
    const keys = new Set((await environment.arrived()).map(({ key }) => key?.['id']));
    assert.equal(keys.size, id, 'I1: every row arrived');
    return { invocations, ends, first, last };
  } finally {
    await link.stop();
  }
}

async function held({ child }: Container): Promise<Held> {
  const answered = once(child, 'message') as Promise<[Held]>;
  child.send('held');
  return (await answered)[0];
}

function assertHeld(first: Held, last: Held): void {
  const figures = JSON.stringify({ first, last });
  assert.ok(last.heap - first.heap < MAX_GROWTH_BYTES, `I8: the heap grows: ${figures}`);
  assert.ok((last.resources['TCPSocketWrap'] ?? 0) <= MAX_SOCKETS, `sockets are left: ${figures}`);
  assert.ok((last.resources['Timeout'] ?? 0) <= (first.resources['Timeout'] ?? 0) + 1, `timers are left: ${figures}`);
  assert.equal(last.listeners, first.listeners, `listeners are left: ${figures}`);
}
