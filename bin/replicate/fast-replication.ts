/**
 * `pg2kinesis replicate --fast`: reads all shards side by side, and applies what each gives, one batch after the other. The
 * rules are in `replica/rules/fast`.
 */
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { systemClock } from '../../lambda/clock.ts';
import type { Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../replica/errors.ts';
import { unpack } from '../../replica/function/stream-batch.ts';
import type { CopyingTables } from '../../replica/rules/copying.ts';
import type { FastApplier, FastOutcome } from '../../replica/rules/fast/fast-applier.ts';
import type { FastRecord } from '../../replica/rules/fast/fast-batch.ts';
import type { Shards } from '../../replica/rules/shards.ts';
import { translateReadError } from '../reading-client.ts';
import { readStream, type StreamRecord } from '../stream-reader.ts';
import type { ReplicaReading } from './progress.ts';
import type { ReplicaShardPlan } from './shard-plan.ts';

/** So much of a shard is applied at a time, in bytes. */
const BATCH_BYTES = 1024 * 1024;
/** How long to wait for other shards. */
const IDLE_MS = 250;

/** What a replication works with. */
export interface FastReplicationParts {
  readonly client: KinesisClient;
  /** The stream's name or ARN. */
  readonly stream: string;
  /** Ends when everything is applied that was in the stream at the beginning. */
  readonly once: boolean;
  /** Records of other lanes for so long, while the old ones are not applied, mean that they will not be. */
  readonly patienceMs: number;
  /** Ends it after the batch that is under way. */
  readonly stop: AbortSignal;
  readonly applier: Pick<FastApplier, 'apply'>;
  readonly shards: Shards;
  readonly plan: ReplicaShardPlan;
  /** Everything up to this commit LSN is applied. */
  readonly start: Lsn;
  /** Tables whose rows a snapshot is still to bring. */
  readonly copying: CopyingTables;
  /** Writes a message for the user. */
  readonly tell: (text: string) => void;
}

/** One replication. */
export class FastReplication {
  readonly #parts: FastReplicationParts;
  readonly #read = new Map<string, { records: FastRecord[]; bytes: number }>();
  /** Shards of whose page a record was taken. */
  readonly #paged = new Set<string>();
  /** How far behind the tip each shard was read, in milliseconds. */
  readonly #behind = new Map<string, number>();
  /** The batch that is under way. */
  #last: Promise<unknown> = Promise.resolve();
  /** Whether records of some shard will not be applied: then nothing is any more, and no position is saved. */
  #isOver = false;
  /** How many records are done with. */
  #applied = 0;
  #appliedUpto: Lsn;
  #commitMs: number | undefined;
  #waiting = 0;
  #copying: CopyingTables;
  #missing = 0;
  #awaitingRead = 0;
  #tooLarge = 0;

  constructor(parts: FastReplicationParts) {
    this.#parts = parts;
    this.#appliedUpto = parts.start;
    this.#copying = parts.copying;
  }

  /** Reads and applies. @throws {ReplicaError} with the exit status of its kind */
  async run(): Promise<void> {
    const { client, stream, plan, once, stop, tell } = this.#parts;
    try {
      await readStream({
        client,
        stream,
        from: 'trim-horizon',
        plan,
        signal: stop,
        ...(once ? { finish: AbortSignal.abort() } : {}),
        onWait: (why, ms) => tell(`Kinesis: ${why}. Trying again in ${ms / 1000} s.`),
        onRecord: (record) => this.#take(record),
        onPage: async (shard, behindMs) => {
          await this.#flush(shard);
          this.#behind.set(shard, behindMs);
          // A page with records may have been asked for long ago: they waited for other shards.
          if (behindMs === 0 && !this.#paged.has(shard)) await this.#noteTip(shard);
          this.#paged.delete(shard);
        },
      });
    } catch (error) {
      throw error instanceof ReplicaError ? error : await translateReadError(error, stream, client);
    }
  }

  /** How far it is. */
  get reading(): Omit<ReplicaReading, 'tables'> {
    const bytes = [...this.#read.values()].reduce((sum, each) => sum + each.bytes, 0);
    const isRead = this.#behind.size > 0 && [...this.#behind.values()].every((ms) => ms === 0);
    return {
      cut: this.#appliedUpto,
      cutMs: this.#commitMs,
      caughtUp: isRead && bytes === 0 && this.#waiting === 0,
      waitingBytes: bytes,
      truncated: this.#tooLarge,
      copying: this.#copying,
      missing: this.#missing,
      awaitingRead: this.#awaitingRead,
    };
  }

  async #take({
    shardId: shard,
    sequenceNumber: sequence,
    arrivedMs,
    partitionKey,
    data,
  }: StreamRecord): Promise<void> {
    this.#parts.plan.refuseOther(shard, sequence);
    this.#paged.add(shard);
    this.#parts.shards.noteWaiting(shard, arrivedMs);
    let read = this.#read.get(shard);
    if (read === undefined) this.#read.set(shard, (read = { records: [], bytes: 0 }));
    read.records.push({ shard, sequence, arrivedMs, partitionKey, ...unpack({ partitionKey, data }) });
    read.bytes += data.length;
    if (read.bytes >= BATCH_BYTES) await this.#flush(shard);
  }

  async #flush(shard: string): Promise<void> {
    const read = this.#read.get(shard);
    if (read === undefined || read.records.length === 0) return;
    this.#read.set(shard, { records: [], bytes: 0 });
    let [applied, since] = [this.#applied, systemClock.now()];
    for (let records: readonly FastRecord[] = read.records; records.length > 0;) {
      const batch = records;
      const { done, failure } = await this.#inTurn(() => this.#apply(batch));
      records = batch.slice(done);
      if (failure === undefined) return;
      // The last records of the old lanes may be in other shards.
      if (applied !== this.#applied) [applied, since] = [this.#applied, systemClock.now()];
      const isFinal = failure.code !== 'LANES_CHANGED' || systemClock.now() - since > this.#parts.patienceMs;
      this.#isOver = isFinal || this.#parts.stop.aborted;
      if (isFinal) throw failure;
      if (this.#isOver) return;
      await systemClock.sleep(IDLE_MS, this.#parts.stop);
    }
  }

  /** One after the other: there is one connection. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const working = this.#last.then(work);
    this.#last = working.catch(() => undefined);
    return working;
  }

  /** A shard has nothing more. A position that is not saved meanwhile would look as if the stream had outrun it. */
  async #noteTip(shard: string): Promise<void> {
    const { shards } = this.#parts;
    shards.noteTip(shard, systemClock.now());
    await this.#inTurn(async () => {
      if (shards.hasNewTips) await this.#apply([]);
    });
  }

  async #apply(records: readonly FastRecord[]): Promise<Pick<FastOutcome, 'done' | 'failure'>> {
    if (this.#isOver) return { done: 0, failure: undefined };
    const { shards, applier } = this.#parts;
    const places = records.map(({ shard, sequence, arrivedMs }) => shards.addRecord(shard, sequence, arrivedMs));
    let left = places[0];
    try {
      const outcome = await applier.apply(records, shards.positions(new Map()));
      left = places[outcome.done];
      this.#applied += outcome.done;
      this.#count(outcome);
      return outcome;
    } catch (error) {
      this.#isOver = true;
      throw error;
    } finally {
      // Batches of other shards save the positions of all.
      if (left !== undefined) shards.rewind(left);
    }
  }

  #count({ counts, waiting, appliedUpto, copying }: FastOutcome): void {
    this.#waiting = waiting;
    this.#copying = copying;
    this.#missing += counts.missing;
    this.#awaitingRead += counts.awaitingRead;
    this.#tooLarge += counts.tooLarge;
    this.#commitMs = counts.commitMs ?? this.#commitMs;
    if (appliedUpto !== undefined) this.#appliedUpto = appliedUpto;
  }
}
