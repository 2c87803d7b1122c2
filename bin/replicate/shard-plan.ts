/**
 * Where a replica begins to read each shard of the stream, and whether the records that it has not read are still there. If the
 * stream has deleted some of them, the replica fails: it never skips them.
 */
import { ReplicaError } from '../../replica/errors.ts';
import type { ShardPosition, Shards } from '../../replica/rules/shards.ts';
import type { ShardPlan, StartPosition } from '../stream-reader.ts';

/** What the plan is made from. */
export interface ReplicaShardPlanOptions {
  readonly shards: Shards;
  readonly saved: ReadonlyMap<string, ShardPosition>;
  /** When the position was saved last, milliseconds since 1970. */
  readonly savedAtMs: number;
  readonly now: number;
  /** For how long the stream keeps records, in milliseconds. */
  readonly retentionMs: number;
}

/** How far clocks may be apart. */
const CLOCKS_MS = 600_000;

/** Where to begin in each shard. */
export class ReplicaShardPlan implements ShardPlan {
  readonly #shards: Shards;
  readonly #saved: ReadonlyMap<string, ShardPosition>;
  /** By shard, the saved record: it has to be the first one that is read. */
  readonly #expected = new Map<string, string>();
  /** Shards whose saved record may be gone, and nothing else: nothing came after it for long. */
  readonly #quiet = new Set<string>();
  /** Shards of the stream that were not read to their tip since this began. */
  readonly #unread = new Set<string>();
  /** Shards that were read to their end, and whose children are not known yet. */
  readonly #childless = new Set<string>();
  readonly #parents = new Map<string, readonly string[]>();
  readonly #keptSinceMs: number;
  readonly #savedAtMs: number;

  /** @throws {ReplicaError} POSITION_TRIMMED */
  constructor({ shards, saved, savedAtMs, now, retentionMs }: ReplicaShardPlanOptions) {
    this.#shards = shards;
    this.#saved = saved;
    this.#keptSinceMs = now - retentionMs;
    this.#savedAtMs = savedAtMs;
    for (const [id, position] of saved) {
      if (position.atEnd) continue;
      const age = now - (position.arrivedMs ?? savedAtMs);
      const { tipMs } = position;
      if (age > retentionMs && tipMs !== undefined && now - tipMs < retentionMs - CLOCKS_MS) {
        this.#quiet.add(id);
        continue;
      }
      if (age > retentionMs) {
        throw trimmed(
          `The position in shard ${id} is ${hours(age)} hours old, and the stream keeps records for ${hours(retentionMs)} hours.`,
        );
      }
      if (position.sequence !== undefined) this.#expected.set(id, position.sequence);
    }
  }

  checkShards(ids: ReadonlySet<string>): void {
    for (const [id, { atEnd }] of this.#saved)
      if (!atEnd && !ids.has(id)) throw trimmed(`The stream no longer has shard ${id}, which was not read to its end.`);
  }

  /** The stream has everything that it took since then, milliseconds since 1970. */
  get keptSinceMs(): number {
    return this.#keptSinceMs;
  }

  /** Whether everything was read that the stream had when this began. */
  get isRead(): boolean {
    return this.#parents.size > 0 && this.#unread.size === 0 && this.#childless.size === 0;
  }

  addShard(id: string, parents: readonly string[]): void {
    this.#shards.addShard(id, parents);
    for (const parent of parents) this.#childless.delete(parent);
    this.#refuseTrimmedChild(id, parents);
    if (!this.#parents.has(id)) this.#unread.add(id);
    this.#parents.set(id, parents);
  }

  /** The end of a shard may have been saved before its children were known: nothing says how old what they began with is but that end. */
  #refuseTrimmedChild(id: string, parents: readonly string[]): void {
    const ends = parents.flatMap((parent) => this.#saved.get(parent) ?? []);
    if (this.#saved.has(id) || ends.length === 0 || !ends.every(({ atEnd }) => atEnd)) return;
    const times = ends.flatMap(({ arrivedMs, tipMs }) => [arrivedMs ?? [], tipMs ?? []].flat());
    if (Math.max(...(times.length === 0 ? [this.#savedAtMs] : times)) >= this.#keptSinceMs) return;
    throw trimmed(`The stream may no longer have what shard ${id} began with, of which nothing was read.`);
  }

  /** A shard was read to its tip. */
  markRead(id: string): void {
    this.#unread.delete(id);
  }

  isReadable(id: string): boolean {
    return this.#shards.isReadable(id);
  }

  start(id: string): StartPosition {
    const saved = this.#saved.get(id);
    if (saved?.atEnd === true) {
      this.#unread.delete(id);
      return 'ended';
    }
    return saved?.sequence === undefined || this.#quiet.has(id) ? 'trim-horizon' : { at: saved.sequence };
  }

  onEnd(id: string): void {
    this.#refuseUnseen(id);
    this.#shards.markEnded(id);
    this.#unread.delete(id);
    if (![...this.#parents.values()].some((parents) => parents.includes(id))) this.#childless.add(id);
  }

  translateError(id: string, error: unknown): unknown {
    const name = error instanceof Error ? error.name : '';
    if (!this.#expected.has(id) || !['InvalidArgumentException', 'ResourceNotFoundException'].includes(name))
      return error;
    return trimmed(`The stream does not know the position in shard ${id} any more (${name}).`, error);
  }

  /** Looks whether reading began where it had to. @param sequence - of a record of the shard; undefined: there is none up to its tip */
  refuseOther(id: string, sequence: string | undefined): void {
    const expected = this.#expected.get(id);
    if (expected === undefined) return;
    if (sequence !== expected) {
      const found = sequence === undefined ? 'nothing' : `the record ${sequence}`;
      throw trimmed(`Shard ${id} begins with ${found}, and the position is at the record ${expected}.`);
    }
    this.#expected.delete(id);
  }

  onTip(id: string): void {
    this.#refuseUnseen(id);
    this.#unread.delete(id);
  }

  #refuseUnseen(id: string): void {
    this.refuseOther(id, undefined);
  }
}

function hours(ms: number): number {
  return Math.round(ms / 360_000) / 10;
}

function trimmed(what: string, cause?: unknown): ReplicaError {
  return new ReplicaError('POSITION_TRIMMED', `${what} Nothing more was applied.`, { cause });
}
