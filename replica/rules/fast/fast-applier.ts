/**
 * Applies Kinesis records as they come, shard by shard, without waiting for other lanes. What reaches from one lane into
 * another is applied with no other batch under way: the two halves of a move, and TRUNCATE. So the copy ends equal to the
 * source, though in between it may be any mixture. Knows the target as a port.
 */
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../errors.ts';
import type { CopyingTables } from '../copying.ts';
import { laneOf } from '../intake.ts';
import { type Change, readRecord } from '../record.ts';
import type { ShardPosition } from '../shards.ts';
import { type FastApplierOptions, FastBatch, type FastCounts, type FastRecord, type ReadRecord } from './fast-batch.ts';
import { copyingOf, keyName } from './fast-target.ts';
import { MustBeAloneError } from './lane-count.ts';
import { leastReadUpto } from './lane-position.ts';

/** What became of a batch. */
export interface FastOutcome {
  readonly counts: FastCounts;
  /** How many records of it are done with. */
  readonly done: number;
  /** Why the next one is not. */
  readonly failure: ReplicaError | undefined;
  /** Changes that wait for the other half of a move. */
  readonly waiting: number;
  /** Everything up to this commit LSN is applied; undefined: some lane was never read. */
  readonly appliedUpto: Lsn | undefined;
  /** Tables whose rows a snapshot is still to bring. */
  readonly copying: CopyingTables;
}

/** Applies batch after batch. */
export class FastApplier {
  readonly #options: FastApplierOptions;

  /** @param options - what records are applied to, and how */
  constructor(options: FastApplierOptions) {
    this.#options = options;
  }

  /**
   * Applies records of one shard, in one transaction. Where one cannot be applied, or not in time, those before it are.
   *
   * @param records - the next of the shard, some of which may have been applied before
   * @param shards - what is read with them
   * @param endsMs - when it has to be over, milliseconds since 1970 @default there is no such time
   * @throws {unknown} where nothing was applied: the target, or its connection
   */
  async apply(
    records: readonly FastRecord[],
    shards: ReadonlyMap<string, ShardPosition> = new Map(),
    endsMs = Infinity,
  ): Promise<FastOutcome> {
    const read: ReadRecord[] = [];
    let failure: ReplicaError | undefined;
    try {
      for (const record of records) read.push({ record, items: record.texts.map(readRecord) });
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error;
      failure = error;
    }
    const lanes = [...new Set(read.flatMap(({ record }) => laneOf(record.partitionKey)?.lane ?? []))];
    const reaches = read.some(({ items }) => items.some((item) => item.kind === 'change' && isAcrossLanes(item)));
    try {
      return await this.#attempt({ read, lanes, alone: reaches, failure, shards, endsMs });
    } catch (error) {
      if (!(error instanceof MustBeAloneError)) throw error;
      return await this.#attempt({ read, lanes, alone: true, failure, shards, endsMs });
    }
  }

  async #attempt(what: {
    readonly read: readonly ReadRecord[];
    readonly lanes: readonly number[];
    readonly alone: boolean;
    readonly failure: ReplicaError | undefined;
    readonly shards: ReadonlyMap<string, ShardPosition>;
    readonly endsMs: number;
  }): Promise<FastOutcome> {
    const { read, lanes, alone, shards, endsMs } = what;
    const marked = new Set(
      read
        .filter(({ items }) => items.some(({ kind }) => kind === 'mark'))
        .flatMap(({ record }) => laneOf(record.partitionKey)?.lane ?? []),
    );
    let { failure } = what;
    const transaction = await this.#options.target.begin(lanes, alone, () => keysOf(read));
    try {
      const batch = new FastBatch(transaction, this.#options, alone, marked);
      const { now = () => 0 } = this.#options;
      let done = 0;
      let longestMs = 0;
      for (const each of read) {
        const begunMs = now();
        // The next one may take longer than any so far. One that could not be read comes behind it.
        if (done > 0 && begunMs + 2 * longestMs > endsMs) {
          failure = undefined;
          break;
        }
        await transaction.begin();
        try {
          await batch.take(each);
        } catch (error) {
          if (!(error instanceof ReplicaError)) throw error;
          failure = error;
          // Where the connection broke, the first error says how.
          await transaction.undo().catch(() => Promise.reject(error));
          break;
        }
        await transaction.end();
        batch.keep();
        longestMs = Math.max(longestMs, now() - begunMs);
        done++;
      }
      const isAll = failure === undefined && done === read.length;
      const waiting = await transaction.commit(isAll ? shards : new Map());
      const { lanes: positions, laneCount = 0 } = transaction.state;
      const appliedUpto = laneCount === 0 ? undefined : leastReadUpto(positions, laneCount);
      const copying = copyingOf(transaction.state);
      return { counts: batch.counts, done, failure, waiting, appliedUpto, copying };
    } catch (error) {
      await transaction.rollback().catch(() => undefined);
      throw error;
    }
  }
}

/** Whether a change reaches into other lanes than its own. */
function isAcrossLanes({ op, oldKey, newKey }: Change): boolean {
  return op === 'TRUNCATE' || oldKey !== undefined || newKey !== undefined;
}

function keysOf(read: readonly ReadRecord[]): Set<string> {
  const keys = new Set<string>();
  for (const { items } of read) {
    for (const item of items) if (item.kind === 'change' && item.key !== undefined) keys.add(keyName(item, item.key));
  }
  return keys;
}
