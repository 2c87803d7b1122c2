/**
 * One random failover: two writers, runs each fraction of a second, a link to the standby that is held now and then, the
 * primary killed at a random moment, the standby promoted, and what the stream holds compared with what survived.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import { PipelineError } from '../../lambda/errors.ts';
import type { PostgresCopy, PostgresServer } from '../support/postgres.ts';
import { Pipeline } from '../support/real-pipeline.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** How a run is bounded: by synchronized_standby_slots, by STANDBY_SLOTS, or not at all. */
export type Mode = 'list' | 'setting' | 'none';

/** What came of a round. */
export interface Outcome {
  /** Commits whose record arrived, each once. */
  readonly published: number;
  /** Commits that survived and never arrived, or holes in what arrived. */
  readonly lost: number;
  /** Commits that arrived and did not survive. */
  readonly phantoms: number;
  /** Keys whose row, by the stream in its order, is not the survivor's. */
  readonly differingKeys: number;
  readonly repeats: number;
  /** Commits of the writers that did not survive: what the failover itself lost. */
  readonly failedOver: number;
  /** How long the runs before the death took, milliseconds. */
  readonly runsMs: readonly number[];
}

const SLOT = 'pg2kinesis';
const KEYS = 400;
const between = (least: number, most: number) => least + Math.random() * (most - least);

/** Commits one after the other: a row of its own in `h`, and a row of `t` that others have written, too. */
class Writer {
  readonly committed: number[] = [];
  readonly #name: number;
  readonly #client: pg.Client;
  #ended = false;
  #done: Promise<void> = Promise.resolve();
  #seq: number;

  constructor(name: number, client: pg.Client, from: number) {
    this.#name = name;
    this.#client = client;
    this.#seq = from;
  }

  start(): this {
    this.#done = this.#write();
    return this;
  }

  async stop(): Promise<number> {
    this.#ended = true;
    await this.#done;
    return this.#seq;
  }

  async #write(): Promise<void> {
    try {
      for (;;) {
        if (this.#ended) return;
        const key = Math.floor(Math.random() * KEYS);
        await this.#client.query(
          `WITH h AS (INSERT INTO h VALUES ($1, $2)) INSERT INTO t VALUES ($3, $4) ON CONFLICT (k) DO UPDATE SET v = excluded.v`,
          [this.#name, ++this.#seq, key, this.#name * 1_000_000 + this.#seq],
        );
        this.committed.push(this.#seq);
        await wait(between(1, 5));
      }
    } catch {
      // The server is gone, as it was to be.
    }
  }
}

/**
 * Plays a round.
 *
 * @param template - a server with the tables
 * @param mode - how runs are bounded
 */
export async function playRound(template: PostgresCopy, mode: Mode): Promise<Outcome> {
  const synchronised = mode === 'list' ? { synchronized_standby_slots: 'phys' } : {};
  await using stack = new AsyncDisposableStack();
  const primary = await template.start({ settings: { track_commit_timestamp: 'on' } });
  stack.defer(() => primary.stop());
  const link = await startTcpProxy(primary.port);
  stack.defer(() => link.stop());
  const name = await startTcpProxy(primary.port);
  stack.defer(() => name.stop());
  const modern = primary.version >= 17;
  const sync = modern ? { sync_replication_slots: 'on', wal_receiver_status_interval: '1' } : {};
  const settings = { hot_standby_feedback: 'on', ...sync };
  const standby = await primary.standby({ slot: 'phys', through: link.port, settings });
  stack.defer(() => standby.stop());
  for (const [setting, value] of Object.entries(synchronised))
    await primary.sql(`ALTER SYSTEM SET ${setting} = '${value}'`);
  await primary.sql('SELECT pg_reload_conf()');
  await primary.sql(
    `SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding'${modern ? ', false, false, true' : ''})`,
  );
  const standbySlots = mode === 'setting' ? ['phys'] : [];
  const pipeline = new Pipeline(primary, SLOT, { port: name.port, standbySlots });
  if (modern) await untilCopied(primary, standby, pipeline);

  const writers = await Promise.all([1, 2].map(async (n) => new Writer(n, await primary.client(), 0).start()));
  const death = new AbortController();
  const runsMs: number[] = [];
  const primaryLives = () => !death.signal.aborted;
  const running = (async () => {
    while (primaryLives()) {
      const answer = await pipeline.run().catch(() => undefined);
      // Of those that the death cuts nothing is measured.
      if (answer !== undefined && primaryLives()) runsMs.push(answer.durationMs);
      await wait(between(100, 500));
    }
  })();
  await disturb(link);
  death.abort();
  await primary.halt('immediate');
  const before = await Promise.all(writers.map((writer) => writer.stop()));
  link.cut();
  await standby.promote();
  name.leadTo(standby.port);
  name.cut();
  await running;
  // The new primary has no standby: it is taken out of the setting.
  standbySlots.length = 0;

  if (!modern) {
    const said = await pipeline.run().then(
      (answer) => answer.stopped,
      (error: unknown) => (error instanceof PipelineError ? error.code : String(error)),
    );
    if (said !== 'SLOT_MISSING') throw new Error(`after a failover without the slot a run said ${said}`);
    await standby.createSlot(SLOT);
  }
  const heirs = await Promise.all(
    before.map(async (from, i) => new Writer(i + 1, await standby.client(), from + 1_000).start()),
  );
  await wait(500);
  await Promise.all(heirs.map((writer) => writer.stop()));
  while ((await pipeline.run()).stopped !== 'caught-up');
  return await check(
    standby,
    pipeline,
    runsMs,
    modern,
    writers.flatMap(({ committed }, i) => committed.map((seq) => `${i + 1}/${seq}`)),
  );
}

/** Until the standby has a copy of the slot that a promotion keeps. */
async function untilCopied(primary: PostgresServer, standby: PostgresServer, pipeline: Pipeline): Promise<void> {
  for (;;) {
    await primary.sql('INSERT INTO t VALUES (-1, 0) ON CONFLICT (k) DO UPDATE SET v = t.v + 1');
    await pipeline.run();
    await primary.sql('SELECT pg_log_standby_snapshot()');
    const ready = await standby.sql(
      `SELECT 1 FROM pg_replication_slots WHERE slot_name = '${SLOT}' AND synced AND NOT temporary`,
    );
    if (ready.length > 0) return;
    await wait(50);
  }
}

/** Holds the link now and then, and most often before the end. */
async function disturb(link: TcpProxy): Promise<void> {
  const until = Date.now() + between(1_000, 2_500);
  while (Date.now() < until) {
    await wait(between(100, 800));
    link.hold();
    await wait(between(0, 600));
    link.release();
  }
  if (Math.random() < 0.75) link.hold();
  await wait(between(50, 1_850));
}

async function check(
  survivor: PostgresServer,
  { records }: Pipeline,
  runsMs: readonly number[],
  hasSlot: boolean,
  committed: readonly string[],
): Promise<Outcome> {
  const rows = await survivor.sql<{ c: string }>(`SELECT w || '/' || seq AS c FROM h`);
  const there = new Set(rows.map(({ c }) => c));
  const arrived = records
    .filter(({ table }) => table === 'h')
    .map(({ key }) => `${String(key?.['w'])}/${String(key?.['seq'])}`);
  const once = new Set(arrived);
  const applied = new Map<unknown, unknown>();
  for (const { table, key, row } of records) if (table === 't') applied.set(key?.['k'], row?.['v']);
  const table = await survivor.sql<{ k: number; v: number }>('SELECT k, v FROM t');
  const differing = table.filter(({ k, v }) => applied.has(k) && applied.get(k) !== v).length;
  const absent = [...applied.keys()].filter((key) => !table.some(({ k }) => k === key)).length;
  return {
    published: once.size,
    lost: hasSlot ? [...there].filter((commit) => !once.has(commit)).length : holes(once),
    phantoms: [...once].filter((commit) => !there.has(commit)).length,
    // Without the slot, what was committed around the failover is to be read again from the tables.
    differingKeys: hasSlot ? differing + absent : 0,
    repeats: arrived.length - once.size,
    failedOver: committed.filter((commit) => !there.has(commit)).length,
    runsMs,
  };
}

/** Where the slot is made anew, there is one gap, and none inside what came before or after it. */
function holes(arrived: ReadonlySet<string>): number {
  let count = 0;
  for (const writer of ['1', '2']) {
    const seqs = [...arrived]
      .filter((commit) => commit.startsWith(`${writer}/`))
      .map((commit) => Number(commit.slice(2)))
      .toSorted((a, b) => a - b);
    for (const [i, seq] of seqs.entries()) {
      const previous = seqs[i - 1] ?? 0;
      // Writers count on from 1,000 more after the failover.
      if (seq - previous > 1 && seq - previous < 1_000) count += seq - previous - 1;
    }
  }
  return count;
}
