/**
 * I1, I2, I3, I6, I12 where a backlog is read ahead: peeks of copies of the slot, whose backends are ended, whose containers are
 * killed, and whose stream refuses. Small peeks, so that there are many; the WAL that makes a backlog of it is of messages that
 * nobody wants.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { REMEDIES } from '../../lambda/errors.ts';
import { supportsSafeAdvance } from '../../lambda/postgres/slot.ts';
import type { Fault } from '../support/faulty-endpoint.ts';
import { type Container, DRAIN_MS, type Ending } from './container.ts';
import { type Environment, startEnvironment } from './environment.ts';
import { assertMarkedToTheEnd } from './mark-assertions.ts';
import { assertAllArrived } from './record-assertions.ts';
import { Book, type Random, seeded, TABLES, Writer } from './workload.ts';

const EXPECTED_ERRORS: ReadonlySet<string> = new Set([
  'DATABASE_UNREACHABLE',
  'SLOT_BUSY',
  'STREAM_THROTTLED',
  'NO_PROGRESS',
] satisfies (keyof typeof REMEDIES)[]);
/** It goes on until so much has happened, and for no longer than this once a backend was ended in mid-peek. */
const ENOUGH = { kills: 3, terminations: 3, answers: 1 } as const;
const LONGEST_MS = 15_000;
/** A machine on which nothing is read ahead in so long reads nothing ahead. */
const PATIENCE_MS = 240_000;
const LANES = 2;
const COPIES = `slot_name LIKE 'pg2kinesis\\_ahead\\_%'`;

/** Most requests pass: where the stream is the limit nothing is read ahead. */
function fault(random: Random): Fault {
  const dice = random();
  if (dice < 0.06) return { kind: 'refuse', entries: () => random() < 0.5, code: 'InternalFailure' };
  if (dice < 0.1) return { kind: 'drop', when: 'after' };
  if (dice < 0.12) return { kind: 'error', status: 400, type: 'ProvisionedThroughputExceededException' };
  return { kind: 'delay', ms: 5 + random() * 30 };
}

/**
 * A MiB of WAL in a transaction, until told otherwise.
 *
 * @param isNext - whether it is time for the next, with so many there @default always
 * @returns how many
 */
async function fill(
  { server }: Environment,
  signal: AbortSignal,
  most = Infinity,
  isNext: (filled: number) => boolean = () => true,
): Promise<number> {
  const client = await server.client();
  let filled = 0;
  for (; filled < most && !signal.aborted; filled++) {
    while (!isNext(filled)) await wait(5);
    await client.query(`SELECT pg_logical_emit_message(true, 'filler', repeat('x', 1048576))`);
    // What lies behind the slot is read again by each peek: not all of it, as on a server that has lived.
    if (filled % 40 === 39) await client.query('CHECKPOINT');
  }
  await client.end();
  return filled;
}

/** Whether copies of a slot can be made there. */
async function readsAhead(server: Environment['server']): Promise<boolean> {
  const [row] = await server.sql<{ num: string }>(`SELECT current_setting('server_version_num') AS num`);
  return server.version >= 12 && supportsSafeAdvance(Number(row?.num));
}

/** Looks at the copies of a slot, and ends the backend of one now and then. */
async function watch({ server }: Environment, signal: AbortSignal, onSeen: (pids: readonly number[]) => Promise<void>) {
  while (!signal.aborted) {
    await wait(20);
    const rows = await server.sql<{ active_pid: number | null }>(
      `SELECT active_pid FROM pg_replication_slots WHERE ${COPIES}`,
    );
    await onSeen(rows.flatMap(({ active_pid: pid }) => pid ?? []));
  }
}

describe('a backlog that is read ahead', () => {
  it('I1, I2, I3, I6, I12: arrives once where nothing is wrong, and whole and in order where much is', async (t) => {
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    const random = seeded(seed);
    const drawn = random() < 0.5 ? 'pgoutput' : 'test_decoding';
    const environment = await startEnvironment({ settings: { max_wal_size: '4GB' } });
    const { server, proxy } = environment;
    try {
      const plugin = server.version < 11 ? 'test_decoding' : drawn;
      t.diagnostic(plugin);
      const isAhead = await readsAhead(server);
      await server.sql(TABLES);
      await server.sql('CREATE PUBLICATION pg2kinesis FOR ALL TABLES');
      await server.createSlot('pg2kinesis', plugin);
      const settings = { LANES: String(LANES), PLUGIN: plugin, BATCH_CHANGES: '300' };
      const book = new Book();
      const writing = async (writer: Writer, filler: (signal: AbortSignal) => Promise<unknown>) => {
        const quiet = new AbortController();
        const writes = writer.write(quiet.signal, 4);
        await filler(quiet.signal).finally(() => quiet.abort());
        await writes;
      };
      const writer = (owner: number) => new Writer({ owner, random, book, connect: () => server.client() });

      // Many peeks of changes, with much WAL behind each of them, however fast it is filled.
      const written = () => [...book.transactions.values()].reduce((sum, { length }) => sum + length, 0);
      await writing(writer(1), (signal) => fill(environment, signal, 120, (filled) => written() >= 5 * filled));
      const container = await environment.container(settings);
      const over = new AbortController();
      let most = 0;
      const watching = watch(environment, over.signal, (pids) => {
        most = Math.max(most, pids.length);
        return Promise.resolve();
      });
      const first = await container.run({ action: 'drain' }, DRAIN_MS);
      over.abort();
      await watching;
      assert.equal(first.caughtUp, true);
      if (isAhead) assert.ok(most > 0, 'nothing was read ahead');
      const { length } = await environment.arrived();
      assert.equal(first.records, length, 'every record is counted');
      assert.equal(assertAllArrived(await environment.arrived(), book).length, length, 'something came twice');

      t.diagnostic(JSON.stringify(await havoc(environment, { random, settings, writing, writer: writer(2), isAhead })));
      proxy.always(() => ({ kind: 'pass' }));
      assert.equal((await (await environment.container(settings)).run({ action: 'drain' }, DRAIN_MS)).caughtUp, true);
      const { records, reaches } = await environment.marked();
      assertAllArrived(records, book);
      assertMarkedToTheEnd(records, reaches, LANES);
      const left = await server.sql(`SELECT slot_name FROM pg_replication_slots WHERE ${COPIES}`);
      assert.deepEqual(left, [], 'copies are left');
    } catch (error) {
      throw new Error(`with CHAOS_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    } finally {
      await environment.stop();
    }
  });
});

describe('reading ahead that has to end', () => {
  let environment: Environment;
  let container: Container;
  before(async () => {
    environment = await startEnvironment({ settings: { max_wal_size: '4GB', max_replication_slots: '4' } });
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY, wide text)');
    // A peek is larger than what connections hold back of it, and the stream is spared.
    const settings = { LANES: '2', BATCH_CHANGES: '5000', COLUMN_EXCLUDE_LIST: 'public.t.wide' };
    container = await environment.container(settings);
  });
  after(() => environment.stop());

  /** Drains a backlog of many peeks, and disturbs that. @returns the most copies that were there at once */
  async function drain(first: number, onSeen: (copies: number) => void = () => undefined): Promise<number> {
    const { server } = environment;
    for (let id = first; id < first + 20_000; id += 500)
      await server.sql(`INSERT INTO t SELECT s, repeat(md5(s::text), 100) FROM generate_series($1::int, $2::int) s`, [
        id,
        id + 499,
      ]);
    await fill(environment, new AbortController().signal, 80);
    const over = new AbortController();
    let most = 0;
    const watching = watch(environment, over.signal, (pids) => {
      most = Math.max(most, pids.length);
      onSeen(pids.length);
      return Promise.resolve();
    });
    try {
      const answer = await container.run({ action: 'drain' }, DRAIN_MS);
      assert.deepEqual([answer.caughtUp, answer.published], [true, 20_000]);
    } finally {
      over.abort();
      await watching;
    }
    const records = (await environment.arrived()).filter(({ key }) => Number(key?.['id']) >= first);
    assert.equal(records.length, 20_000, 'something came twice');
    return most;
  }

  it('I1, I9: does not end the run where Kinesis throttles', async () => {
    const { server, proxy } = environment;
    await server.createSlot('pg2kinesis');
    const isAhead = await readsAhead(server);
    let [requests, refusals, most] = [0, 0, 0];
    proxy.always(() => {
      // From the first peek on that is read ahead.
      const refuses = (most > 0 || !isAhead) && requests++ % 3 === 0;
      if (refuses) refusals++;
      return refuses ? { kind: 'refuse', entries: (i) => i === 0 } : { kind: 'delay', ms: most > 0 ? 20 : 200 };
    });
    await drain(1, (copies) => (most = Math.max(most, copies))).finally(() => proxy.always(() => ({ kind: 'pass' })));
    if (isAhead) assert.ok(most > 0, 'nothing was read ahead');
    assert.ok(refusals > 0, 'nothing was refused');
  });

  it('I1, I9: does not end the run where fewer than three slots are free', async () => {
    const { server } = environment;
    await server.createSlot('another');
    const most = await drain(100_001);
    assert.ok(most <= 1, `${most} copies were there`);
    await server.sql(`SELECT pg_drop_replication_slot('another')`);
  });
});

/** Containers drain what is written; they are killed, and the backends of what they read ahead are ended. */
async function havoc(
  environment: Environment,
  {
    random,
    settings,
    writing,
    writer,
    isAhead,
  }: {
    readonly random: Random;
    readonly settings: Readonly<Record<string, string>>;
    readonly writing: (writer: Writer, filler: (signal: AbortSignal) => Promise<unknown>) => Promise<void>;
    readonly writer: Writer;
    readonly isAhead: boolean;
  },
) {
  const happened = { kills: 0, terminations: 0, answers: 0, seen: 0, errors: {} as Record<string, number> };
  const { server, proxy } = environment;
  const begun = Date.now();
  const isMissing = () => isAhead && happened.terminations === 0;
  const goesOn = () =>
    Date.now() < begun + (isMissing() ? PATIENCE_MS : LONGEST_MS) &&
    (happened.kills < ENOUGH.kills ||
      happened.answers < ENOUGH.answers ||
      (isAhead && happened.terminations < ENOUGH.terminations));
  await writing(writer, (signal) => fill(environment, signal, 100));
  proxy.always(() => fault(random));
  const over = new AbortController();
  const invoking = async (): Promise<void> => {
    while (goesOn()) {
      const container = await environment.container(settings);
      let killing: Promise<void> | undefined;
      for (let ending: Ending | undefined; ending !== 'killed' && goesOn();) {
        killing ??= wait(1_000 + random() * 2_500).then(() => container.kill());
        ending = await container.invoke({ action: 'run', maxSeconds: 5 });
        if (ending === 'killed') happened.kills++;
        else if (ending.error === undefined) happened.answers++;
        else {
          const { name, message } = ending.error;
          assert.ok(EXPECTED_ERRORS.has(name), `${name}: ${message}`);
          happened.errors[name] = (happened.errors[name] ?? 0) + 1;
        }
      }
      await killing;
    }
  };
  const terminating = watch(environment, over.signal, async (pids) => {
    happened.seen += pids.length;
    const [pid] = pids;
    if (pid === undefined || (!isMissing() && random() > 0.15)) return;
    const [row] = await server.sql<{ ended: boolean }>('SELECT pg_terminate_backend($1) AS ended', [pid]);
    if (row?.ended === true) happened.terminations++;
  });
  let filling: Promise<unknown> | undefined;
  try {
    await writing(writer, async (signal) => {
      filling = fill(environment, signal, 400);
      await invoking().finally(() => over.abort());
    });
  } finally {
    over.abort();
    await Promise.all([terminating, filling]);
  }
  if (isAhead) assert.ok(happened.terminations > 0, 'no backend was ended in mid-peek');
  return happened;
}
