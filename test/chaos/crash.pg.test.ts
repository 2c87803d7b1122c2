/**
 * Everything at once: containers killed at random moments, two at a time, the server crashed, the backend that holds the
 * lock ended, and a stream that refuses, breaks off and answers late. Whatever happens, what was committed is in the
 * stream, in the order of the commits.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { REMEDIES } from '../../lambda/errors.ts';
import type { Fault } from '../support/faulty-endpoint.ts';
import { DRAIN_MS, type Ending } from './container.ts';
import { type Environment, NAME, startEnvironment } from './environment.ts';
import { assertMarkedToTheEnd, assertMarkedUpTo, type Marked, numberOf } from './mark-assertions.ts';
import { assertAllArrived } from './record-assertions.ts';
import { chooseShape } from './shapes.ts';
import { Book, type Random, seeded, TABLES, Writer } from './workload.ts';

/** What a container may answer with while all this happens. */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set([
  'DATABASE_UNREACHABLE',
  'SLOT_BUSY',
  'STREAM_THROTTLED',
  'NO_PROGRESS',
] satisfies (keyof typeof REMEDIES)[]);
/** It goes on until so much has happened, and no longer than this. */
const ENOUGH = { kills: 8, crashes: 2, terminations: 3, answers: 2 } as const;
/** Two lanes: a round is then at most half a MiB, and a larger transaction has many. */
const LANES = 2;
/** The most that a run may take: one that gets as far as that is cut short, and may leave the slot ahead of its marks. */
const MAX_SECONDS = { cutShort: 4, never: 60 } as const;
const LONGEST_MS = 25_000;
/** The folder of wal2json.so: then its slot goes through it. */
const WAL2JSON = process.env['PG2KINESIS_WAL2JSON'];

/** What happens to a request. */
function fault(random: Random): Fault {
  const dice = random();
  if (dice < 0.3) return { kind: 'delay', ms: 10 + random() * 200 };
  if (dice < 0.5) {
    const share = random();
    return { kind: 'refuse', entries: () => random() < share, ...(random() < 0.3 ? { code: 'InternalFailure' } : {}) };
  }
  if (dice < 0.58) return { kind: 'drop', when: 'before' };
  if (dice < 0.68) return { kind: 'drop', when: 'after' };
  if (dice < 0.74) return { kind: 'error', status: 500, type: 'InternalFailure' };
  if (dice < 0.78) return { kind: 'error', status: 400, type: 'ProvisionedThroughputExceededException' };
  return { kind: 'pass' };
}

describe('everything at once', () => {
  it('I1, I3, I6, I12: loses nothing and reorders nothing, and no mark is ahead of its lane, or behind the slot', async (t) => {
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    const environment = await startEnvironment({
      shards: 3,
      ...(WAL2JSON === undefined ? {} : { settings: { dynamic_library_path: `$libdir:${WAL2JSON}` } }),
    });
    try {
      await environment.server.sql(TABLES);
      const random = seeded(seed);
      // Each plugin goes through the same: which one, the seed decides.
      const drawn = random() < 0.5 && environment.server.version >= 11 ? 'pgoutput' : 'test_decoding';
      const plugin = WAL2JSON === undefined ? drawn : 'wal2json';
      const shape = chooseShape(random, plugin !== 'wal2json');
      const settings = { LANES: String(LANES), PLUGIN: plugin, ...shape.settings };
      await environment.server.sql('CREATE PUBLICATION pg2kinesis FOR ALL TABLES');
      await environment.server.createSlot('pg2kinesis', plugin);
      const book = new Book();
      t.diagnostic(`${plugin}; ${shape.name}`);
      const hasMarks = environment.environment(settings)['MARKS'] === 'on';
      // Only where no run is cut short does the slot wait for marks.
      const isLookedAt = random() < 0.5 && hasMarks;
      const marked = () => environment.marked(NAME, (record) => shape.read(record));
      const maxSeconds = isLookedAt ? MAX_SECONDS.never : MAX_SECONDS.cutShort;
      const options = { book, random, settings, messages: shape.messages, maxSeconds };
      t.diagnostic(JSON.stringify(await havoc(environment, { ...options, ...(isLookedAt ? { marked } : {}) })));
      environment.proxy.always(() => ({ kind: 'pass' }));
      const { caughtUp } = await (await environment.container(settings)).run({ action: 'drain' }, DRAIN_MS);
      assert.equal(caughtUp, true);
      const { records, reaches } = await marked();
      assertAllArrived(records, book);
      if (hasMarks) assertMarkedToTheEnd(records, reaches, LANES);
      assert.ok(book.rows.size > 100, 'too little was written to prove anything');
    } catch (error) {
      throw new Error(`with CHAOS_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    } finally {
      await environment.stop();
    }
  });
});

/** Writers write, containers run, and all of it is disturbed. @returns what came about */
async function havoc(
  environment: Environment,
  {
    book,
    random,
    settings,
    messages,
    maxSeconds,
    marked,
  }: {
    readonly book: Book;
    readonly random: Random;
    readonly settings: Readonly<Record<string, string>>;
    readonly messages: boolean;
    /** Of each run. */
    readonly maxSeconds: number;
    /** Reads the stream; undefined: it is not looked at. */
    readonly marked?: () => Promise<Marked>;
  },
) {
  const { server, proxy } = environment;
  const happened = {
    kills: 0,
    crashes: 0,
    terminations: 0,
    answers: 0,
    locked: 0,
    looks: 0,
    moves: 0,
    errors: {} as Record<string, number>,
  };
  const until = Date.now() + LONGEST_MS;
  let isOver = false;
  const goesOn = () =>
    !isOver &&
    Date.now() < until &&
    Object.entries(ENOUGH).some(([what, times]) => happened[what as keyof typeof ENOUGH] < times);
  // While it is looked at, nothing is taken: what the slot is advanced over then has its marks already.
  let isShut = false;
  proxy.always(() => (isShut ? { kind: 'refuse', entries: () => true } : fault(random)));
  const quiet = new AbortController();
  const writers = [1, 2, 3].map(
    (owner) =>
      new Writer({
        owner,
        random: seeded(Math.floor(random() * 2 ** 31)),
        book,
        connect: () => server.client(),
        messages,
      }),
  );
  const writing = Promise.all(writers.map((writer) => writer.write(quiet.signal, 20)));
  // It is awaited at the end; until then its failure is nobody's.
  writing.catch(() => undefined);

  const invoking = async (): Promise<void> => {
    while (goesOn()) {
      const container = await environment.container(settings);
      // Killed in the middle of whatever invocation it is in by then.
      let killing: Promise<void> | undefined;
      for (let ending: Ending | undefined; ending !== 'killed' && goesOn();) {
        killing ??= wait(200 + random() * 1_800).then(() => container.kill());
        ending = await container.invoke({ action: 'run', maxSeconds });
        if (ending === 'killed') {
          happened.kills++;
        } else if (ending.error !== undefined) {
          const { name, message } = ending.error;
          assert.ok(EXPECTED_ERRORS.has(name), `${name}: ${message}`);
          happened.errors[name] = (happened.errors[name] ?? 0) + 1;
        } else if ((ending.answer as { stopped: string }).stopped === 'locked') {
          happened.locked++;
          await wait(100);
        } else {
          happened.answers++;
        }
      }
      await killing;
    }
  };
  const crashing = async (): Promise<void> => {
    for (; happened.crashes < ENOUGH.crashes && goesOn(); happened.crashes++) {
      await wait(2_500 + random() * 2_000);
      // What was advanced before is remembered, what is advanced after is not.
      if (random() < 0.5) await server.sql('CHECKPOINT');
      await wait(500 + random() * 1_000);
      await server.restart('immediate');
    }
  };
  const terminating = async (): Promise<void> => {
    while (goesOn()) {
      await wait(1_500 + random() * 2_500);
      // The server may be away, and the holder too.
      const pid = await environment.lockHolder().catch(() => undefined);
      if (pid === undefined) continue;
      const ended = await server
        .sql<{ ended: boolean }>('SELECT pg_terminate_backend($1) AS ended', [pid])
        .catch(() => []);
      if (ended[0]?.ended === true) happened.terminations++;
    }
  };
  const looking = async (): Promise<void> => {
    let last: string | undefined;
    // Seldom: runs have to come far enough to move the slot.
    for (; marked !== undefined && goesOn(); isShut = false, await wait(1_000 + random() * 1_000)) {
      isShut = true;
      await wait(200);
      const slot = await server
        .sql<{ at: string }>('SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE slot_name = $1', [
          NAME,
        ])
        .catch(() => []);
      const [{ at } = { at: undefined }] = slot;
      if (at === undefined) continue;
      assertMarkedUpTo(await marked(), numberOf(at));
      happened.looks++;
      if (last !== undefined && at !== last) happened.moves++;
      last = at;
    }
  };
  const all = [invoking(), invoking(), crashing(), terminating(), looking()];
  try {
    await Promise.all(all);
  } finally {
    // Where one has failed, the others would begin what nobody ends.
    isOver = true;
    await Promise.allSettled(all);
    quiet.abort();
    await writing;
  }
  return happened;
}
