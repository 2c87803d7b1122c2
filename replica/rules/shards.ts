/**
 * The shards of a stream: which may be read, and how far each one is finished. The child of a split or a merge holds what follows
 * its parents' records, so it is read only after its parents, and after the parents of these. Pure.
 */
import type { RecordPlace } from './lane.ts';

/** How far a shard is finished, as it is saved at the target. */
export interface ShardPosition {
  /** The last Kinesis record up to which everything is applied or needs no applying; undefined: none. */
  readonly sequence: string | undefined;
  /** When the stream took that record, or, where there is none, the first one that is to be applied; milliseconds since 1970. */
  readonly arrivedMs: number | undefined;
  /** Whether the shard is closed, and all of it is finished. */
  readonly atEnd: boolean;
  /** Nothing had come after that record then, milliseconds since 1970. @default unknown */
  readonly tipMs?: number | undefined;
}

/** It is written to the target when it changes: not with each batch. */
const TIP_EVERY_MS = 300_000;

/** A shard, as far as it was read. */
interface Shard {
  parents: readonly string[];
  /** The last Kinesis record that was read, or that is saved. */
  last: Omit<RecordPlace, 'before'> | undefined;
  /** When the stream took its first record, as long as that one is not applied, milliseconds since 1970; undefined: unknown. */
  firstMs: number | undefined;
  /** Whether it is closed and read to its end. */
  ended: boolean;
  /** When it was read to its tip, after its last record. */
  tipMs: number | undefined;
}

const UNREAD: Shard = { parents: [], last: undefined, firstMs: undefined, ended: false, tipMs: undefined };

/** A position, with the number by which records are compared. */
export interface NumberedPosition extends ShardPosition {
  /** 0: nothing that was read since this process began. */
  readonly n: number;
}

/** The shards of one stream. */
export class Shards {
  readonly #shards = new Map<string, Shard>();
  /** Whether a shard was at its tip later than the positions say that were asked for last. */
  hasNewTips = false;

  /** Adds a shard of the stream. A parent that the stream has no more counts as read. */
  addShard(id: string, parents: readonly string[]): void {
    const known = this.#shards.get(id);
    if (known === undefined) this.#shards.set(id, { ...UNREAD, parents });
    else known.parents = parents;
  }

  /** Sets where the reading of a shard continues. */
  resume(id: string, { sequence, arrivedMs, atEnd, tipMs }: ShardPosition): void {
    const shard = this.#of(id);
    shard.ended = atEnd;
    shard.tipMs = tipMs;
    if (sequence === undefined) shard.firstMs = arrivedMs;
    else shard.last = { shard: id, n: 0, sequence, arrivedMs: arrivedMs ?? 0 };
  }

  /** A record of a shard waits, which may be its first one. @param arrivedMs - when the stream took it */
  noteWaiting(id: string, arrivedMs: number): void {
    this.#of(id).firstMs ??= arrivedMs;
  }

  /** Counts a Kinesis record that was read. */
  addRecord(id: string, sequence: string, arrivedMs: number): RecordPlace {
    const shard = this.#of(id);
    const place = {
      shard: id,
      n: (shard.last?.n ?? 0) + 1,
      sequence,
      arrivedMs,
      before: shard.last && { ...shard.last, tipMs: shard.tipMs },
    };
    // Without its own predecessor: a chain of predecessors would keep every record in memory.
    shard.last = { shard: id, n: place.n, sequence, arrivedMs };
    shard.tipMs = undefined;
    return place;
  }

  /** A shard has nothing after its last record. @param nowMs - when that was asked for at the earliest, milliseconds since 1970 */
  noteTip(id: string, nowMs: number): void {
    const tipMs = nowMs - (nowMs % TIP_EVERY_MS);
    const shard = this.#of(id);
    if (shard.tipMs === tipMs) return;
    shard.tipMs = tipMs;
    this.hasNewTips = true;
  }

  /** Counts a record, and those after it in its shard, as not read: they are given once more. */
  rewind({ shard: id, before }: RecordPlace): void {
    const shard = this.#of(id);
    shard.last = before;
    shard.tipMs = before?.tipMs;
  }

  /** A shard is closed, and all of it was read. */
  markEnded(id: string): void {
    this.#of(id).ended = true;
  }

  /** Whether a shard's records may be read: all that is before them was. */
  isReadable(id: string): boolean {
    return (this.#shards.get(id)?.parents ?? []).every((parent) => this.#isRead(parent));
  }

  #isRead(id: string): boolean {
    const shard = this.#shards.get(id);
    return shard === undefined || (shard.ended && shard.parents.every((parent) => this.#isRead(parent)));
  }

  /**
   * How far each shard is finished: up to the last Kinesis record before the first one that still waits.
   * A child has no position before its parents are finished: with one, its parents would not be read again after a restart.
   *
   * @param waiting - for each shard the first record that waits, if there is one
   */
  positions(waiting: ReadonlyMap<string, RecordPlace>): Map<string, NumberedPosition> {
    this.hasNewTips = false;
    const done = new Map<string, NumberedPosition>();
    for (const [id, shard] of this.#shards) {
      const first = waiting.get(id);
      const last = first === undefined ? shard.last : first.before;
      const atEnd = shard.ended && first === undefined;
      const tipMs = first === undefined ? shard.tipMs : first.before?.tipMs;
      const tip = tipMs === undefined ? {} : { tipMs };
      const { sequence, n = 0, arrivedMs = first?.arrivedMs ?? this.#beganMs(shard) } = last ?? {};
      done.set(id, { sequence, arrivedMs, n, atEnd, ...tip });
    }
    const isDone = (id: string): boolean => {
      const at = done.get(id);
      return at === undefined || (at.atEnd && (this.#shards.get(id)?.parents ?? []).every(isDone));
    };
    for (const [id, { parents }] of this.#shards) {
      if (!parents.every(isDone)) done.set(id, { sequence: undefined, arrivedMs: undefined, n: 0, atEnd: false });
    }
    return done;
  }

  /** When the stream took the first record of a shard at the earliest: a child's are newer than all of its parents. */
  #beganMs({ firstMs, parents }: Shard): number | undefined {
    if (firstMs !== undefined) return firstMs;
    const ends = parents.flatMap((id) => {
      const { last, tipMs } = this.#shards.get(id) ?? UNREAD;
      return [last?.arrivedMs ?? [], tipMs ?? []].flat();
    });
    return ends.length === 0 ? undefined : Math.max(...ends);
  }

  /**
   * The same where nothing was applied yet: every shard is read again from its beginning, and how old that is tells whether the stream
   * still has it.
   *
   * @param needed - for each shard the first record that is to be applied, if there is one
   */
  unapplied(needed: ReadonlyMap<string, RecordPlace>): Map<string, ShardPosition> {
    this.hasNewTips = false;
    const kept = new Map<string, ShardPosition>();
    for (const [id, { tipMs }] of this.#shards) {
      const arrivedMs = needed.get(id)?.arrivedMs;
      if (arrivedMs !== undefined) kept.set(id, { sequence: undefined, arrivedMs, atEnd: false });
      else if (tipMs !== undefined) kept.set(id, { sequence: undefined, arrivedMs, atEnd: false, tipMs });
    }
    return kept;
  }

  #of(id: string): Shard {
    const known = this.#shards.get(id);
    if (known !== undefined) return known;
    const made: Shard = { ...UNREAD };
    this.#shards.set(id, made);
    return made;
  }
}
