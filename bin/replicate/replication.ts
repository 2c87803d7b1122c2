/**
 * A replication: one loop reads the stream, another applies changes up to where every lane was read, both at the same time. The
 * reading waits when too many changes could be applied already. Knows no SQL.
 */
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { systemClock } from '../../lambda/clock.ts';
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../replica/errors.ts';
import { unpack } from '../../replica/function/stream-batch.ts';
import type { Applier } from '../../replica/rules/applier.ts';
import type { Intake } from '../../replica/rules/intake.ts';
import type { SpillStore } from '../../replica/store/spill-store.ts';
import { translateReadError } from '../reading-client.ts';
import { readStream, type StreamRecord } from '../stream-reader.ts';
import type { ReplicaReading } from './progress.ts';
import type { ReplicaShardPlan } from './shard-plan.ts';
import { Signal } from './wake-signal.ts';

/** How long the applying loop sleeps when there is nothing to apply. */
const IDLE_MS = 250;
/** With more waiting changes than this, in characters of records, the reading waits for the applying. */
const MAX_WAITING_CHARS = 128 * 1024 * 1024;

/** What a replication works with. */
export interface ReplicationParts {
  readonly client: KinesisClient;
  /** The stream's name or ARN. */
  readonly stream: string;
  /** Ends when everything is applied that was in the stream at the beginning. */
  readonly once: boolean;
  /** Records without marks, or of other lanes, for so long mean that there will be none. */
  readonly patienceMs: number;
  /** Ends when everything up to here is applied, and no snapshot is to bring rows; undefined: never. */
  readonly until: Lsn | undefined;
  /** Ends the replication after the current batch. */
  readonly stop: AbortSignal;
  readonly intake: Intake;
  readonly plan: ReplicaShardPlan;
  readonly applier: Applier;
  readonly store: SpillStore;
  /** When the position's cut was committed at the source; undefined: nothing was applied. */
  readonly cutMs: number | undefined;
  /** Writes a message for the user. */
  readonly tell: (text: string) => void;
}

/** One replication. */
export class Replication {
  readonly #parts: ReplicationParts;
  readonly #wake = new Signal();
  readonly #applied = new Signal();
  /** For each shard, how far its last read record is behind the newest one, in milliseconds. */
  readonly #behind = new Map<string, number>();
  /** Shards of whose page a record was taken. */
  readonly #paged = new Set<string>();
  #waiting = 0;
  #truncated = 0;
  #unspilledBytes = 0;
  #isApplying = false;
  #cutMs: number | undefined;
  /** Since when no change has come, while no mark has: its count of changes, and the time. */
  #unmarked: { readonly changes: number; readonly ms: number } | undefined;
  /** Since when nothing has come while changes wait for a mark, and whether the user knows. */
  #quiet: { readonly read: string; readonly ms: number; isTold: boolean } | undefined;
  /** When the stream was read to its tip, and no mark was known of. */
  #unmarkedSinceMs: number | undefined;

  /** @param parts - what it works with */
  constructor(parts: ReplicationParts) {
    this.#parts = parts;
    this.#cutMs = parts.cutMs;
  }

  /**
   * Reads and applies, until one of them ends.
   *
   * @throws {ReplicaError} with the exit status of its kind
   */
  async run(): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.#parts.stop, over.signal]);
    const progress = { isRead: false };
    const ended = async (work: Promise<void>): Promise<void> => {
      try {
        await work;
      } catch (error) {
        over.abort();
        this.#applied.send();
        throw error;
      }
    };
    const apply = async (): Promise<void> => {
      await this.#apply(signal, progress);
      if (this.hasReached) over.abort();
    };
    const outcomes = await Promise.allSettled([ended(this.#read(signal, progress)), ended(apply())]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Whether everything is applied that was to be. */
  get hasReached(): boolean {
    const { until, intake } = this.#parts;
    const { applied, copying } = intake.lanes;
    return until !== undefined && applied >= until && copying.at(applied).length === 0;
  }

  /** How far it is. */
  get reading(): Omit<ReplicaReading, 'tables' | 'missing' | 'awaitingRead'> {
    const { lanes } = this.#parts.intake;
    const { memory, stored } = lanes.waiting;
    return {
      cut: lanes.applied,
      cutMs: this.#cutMs,
      caughtUp:
        this.#isRead && lanes.lanes.length > 0 && lanes.lanes.every(({ readUpto }) => readUpto === lanes.applied),
      waitingBytes: memory + stored,
      truncated: this.#truncated,
      copying: lanes.copying.at(lanes.applied),
    };
  }

  /** Whether every shard was read up to its tip. */
  get #isRead(): boolean {
    return this.#parts.plan.isRead && [...this.#behind.values()].every((ms) => ms === 0);
  }

  /** Differs once more was read or applied. */
  get #done(): string {
    const { lanes, counts } = this.#parts.intake;
    return `${lanes.applied} ${counts.changes} ${counts.marks} ${counts.repeats}`;
  }

  async #read(signal: AbortSignal, progress: { isRead: boolean }): Promise<void> {
    const { client, stream, plan, intake, once, tell } = this.#parts;
    try {
      await readStream({
        client,
        stream,
        from: 'trim-horizon',
        plan,
        signal,
        ...(once ? { finish: AbortSignal.abort() } : {}),
        onWait: (why, ms) => tell(`Kinesis: ${why}. Trying again in ${ms / 1000} s.`),
        onPage: (shard, behindMs) => {
          this.#behind.set(shard, behindMs);
          if (behindMs === 0) plan.markRead(shard);
          // A page with records may have been asked for long ago: they wait for what is applied.
          if (behindMs === 0 && !this.#paged.has(shard)) intake.shards.noteTip(shard, systemClock.now());
          this.#paged.delete(shard);
        },
        onRecord: (record) => this.#take(record, signal),
      });
    } catch (error) {
      throw error instanceof ReplicaError ? error : await translateReadError(error, stream, client);
    } finally {
      progress.isRead = true;
      this.#wake.send();
    }
  }

  async #apply(signal: AbortSignal, progress: { isRead: boolean }): Promise<void> {
    const { applier, store, intake } = this.#parts;
    for (;;) {
      const wasRead = progress.isRead;
      this.#isApplying = true;
      const applied = await applier.step();
      this.#isApplying = false;
      if (applied !== undefined) {
        this.#cutMs = applied.cutMs ?? this.#cutMs;
        this.#truncated += applied.truncated;
        this.#waiting = store.spill(intake.lanes);
        this.#applied.send();
      }
      if (signal.aborted || this.hasReached) return;
      const { withheld } = applier;
      const isOver = applied === undefined && wasRead && withheld !== 'stop';
      this.#refuseWithoutMarks(isOver);
      // No mark will come that says of a missing row that a snapshot brings it.
      if (isOver && withheld !== undefined) throw withheld;
      if (isOver) return;
      if (applied === undefined) await this.#wake.wait(IDLE_MS);
    }
  }

  async #take(record: StreamRecord, signal: AbortSignal): Promise<void> {
    const { intake, plan, store, applier, patienceMs } = this.#parts;
    const { shardId: shard, sequenceNumber: sequence, arrivedMs, partitionKey, data } = record;
    plan.refuseOther(shard, sequence);
    this.#paged.add(shard);
    const { texts } = unpack({ partitionKey, data });
    let [done, since] = [this.#done, systemClock.now()];
    while (!intake.take({ shard, sequence, arrivedMs, partitionKey, texts })) {
      if (signal.aborted) return;
      // The last marks of the old lanes may be in another shard, or be applied, or wait for a comparison.
      if (this.#isApplying || applier.withheld === 'stop' || done !== this.#done)
        [done, since] = [this.#done, systemClock.now()];
      if (systemClock.now() - since > patienceMs) {
        throw new ReplicaError(
          'LANES_CHANGED',
          `LANES was changed while records of the old lanes were not followed by marks: the stream holds records of ${partitionKey}, and this copy was read in ${intake.lanes.lanes.length} lanes. Nothing of them was applied.`,
        );
      }
      await this.#applied.wait(IDLE_MS);
    }
    this.#unspilledBytes += data.length;
    if (this.#unspilledBytes > 1024 * 1024) {
      this.#unspilledBytes = 0;
      this.#waiting = store.spill(intake.lanes);
    }
    this.#wake.send();
    // Wait only while something can be applied. Otherwise the record that is needed for that may be the next one to be read.
    while (this.#waiting > MAX_WAITING_CHARS && intake.lanes.cut.lsn > intake.lanes.applied && !signal.aborted)
      await this.#applied.wait(IDLE_MS);
  }

  /**
   * Of a copy that begins everything was read: there are no marks if changes have stopped coming, or if what was read would have
   * marks.
   *
   * @param isOver - nothing more will be read
   */
  #refuseWithoutMarks(isOver: boolean): void {
    const { intake, plan, patienceMs } = this.#parts;
    const { counts, lanes, unmarked } = intake;
    if (lanes.lanes.some(({ timeline }) => timeline !== undefined)) return this.#refuseWithoutNextMark(isOver);
    if (counts.changes === 0 || !plan.isRead) return;
    const now = systemClock.now();
    this.#unmarkedSinceMs ??= now;
    if (this.#unmarked?.changes !== counts.changes) this.#unmarked = { changes: counts.changes, ms: now };
    // If marks were switched on just now, the next run brings them.
    const since = unmarked.lacksMarksBefore(plan.keptSinceMs) ? this.#unmarkedSinceMs : this.#unmarked.ms;
    if (!isOver && !unmarked.lacksMarks && now - since < patienceMs / 2) return;
    throw new ReplicaError(
      'MARKS_MISSING',
      `The stream holds ${counts.changes} changes and no marks, which tell up to where every lane was read. What was committed after ${formatLsn(lanes.applied)} was not applied.`,
    );
  }

  /** The same behind a mark, in this process or before. While nothing comes, a run may have failed, and the next one brings the marks: then it only says so. */
  #refuseWithoutNextMark(isOver: boolean): void {
    const { intake, plan, patienceMs, tell } = this.#parts;
    const { counts, lanes } = intake;
    // Where MARKS was switched on again, the marks are further on in the stream.
    if (intake.lacksNextMark && plan.isRead) {
      throw new ReplicaError(
        'MARKS_MISSING',
        `The stream has brought changes for long, and no mark behind them, as if MARKS had been switched off. What was committed after ${formatLsn(lanes.applied)} was not applied.`,
      );
    }
    const read = `${counts.changes} ${counts.marks}`;
    const now = systemClock.now();
    if (this.#quiet?.read !== read) this.#quiet = { read, ms: now, isTold: false };
    const isLong = isOver || (this.#isRead && now - this.#quiet.ms >= patienceMs / 2);
    if (!intake.isUnmarked || !isLong || this.#quiet.isTold) return;
    this.#quiet.isTold = true;
    tell(
      `Changes wait for a mark: what was committed after ${formatLsn(lanes.applied)} is not applied yet. The end of the publisher's run brings marks. If none come, look whether it fails, and whether MARKS is on.`,
    );
  }
}
