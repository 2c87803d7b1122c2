/**
 * How large the chunks of a snapshot are, and how much of a run's time they may take. Both follow what the last chunk took.
 * Knows no table and no slot.
 */
import type { Clock } from '../ports/runtime.ts';
import type { WarmState } from './warm-state.ts';

/** About so much text is read at once: a chunk is in memory until it is published. What is slow to be published is read in less. */
const MAX_CHUNK_BYTES = 2 * 1024 * 1024;
const MIN_CHUNK_BYTES = 64 * 1024;
const SLOW_MS = 4_000;
const QUICK_MS = 1_000;

/** What the budget depends on. */
export interface ChunkBudgetParts {
  readonly clock: Clock;
  /** Keeps the size of a chunk for the next run. */
  readonly warmState: Pick<WarmState, 'chunkBytes'>;
  /** How long chunks may take of the run until now, in milliseconds. */
  readonly budgetMs: () => number;
  /** @returns whether there is time for work that takes so long */
  readonly hasTime: (ms: number) => boolean;
}

/** Size and time of chunks. */
export class ChunkBudget {
  readonly #parts: ChunkBudgetParts;
  /** When the chunk that is under way was begun. */
  #since: number | undefined;
  #spentMs = 0;
  /** How long the last chunk took, from its reading until it was published. */
  #lastMs = 300;

  /** @param parts - what it depends on */
  constructor(parts: ChunkBudgetParts) {
    this.#parts = parts;
  }

  /** About how many bytes of text the next chunk may have. */
  get chunkBytes(): number {
    return this.#parts.warmState.chunkBytes ?? MAX_CHUNK_BYTES / 2;
  }

  /** @returns whether there is time for another chunk */
  isTime(): boolean {
    const { hasTime, budgetMs } = this.#parts;
    return hasTime(2 * this.#lastMs) && this.#spentMs < budgetMs();
  }

  /** @param ms - what work on the snapshot took, besides what {@link addElapsed} counts */
  addMs(ms: number): void {
    this.#spentMs += ms;
  }

  /** Work on a chunk begins. */
  begin(): void {
    this.#since = this.#parts.clock.now();
  }

  /** Counts what the work on the chunk took so far. */
  addElapsed(): void {
    if (this.#since !== undefined) this.#spentMs += this.#parts.clock.now() - this.#since;
  }

  /** The chunk that was under way, if there was one, is published: sets the size of the next one. */
  end(): void {
    if (this.#since === undefined) return;
    const tookMs = this.#parts.clock.now() - this.#since;
    this.#since = undefined;
    this.#lastMs = tookMs;
    const factor = tookMs > SLOW_MS ? 0.5 : tookMs < QUICK_MS ? 2 : 1;
    this.#parts.warmState.chunkBytes = Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, this.chunkBytes * factor));
  }

  /** Not all rows of the chunk could be published: the next one is much smaller. */
  abandon(): void {
    this.#parts.warmState.chunkBytes = Math.max(MIN_CHUNK_BYTES, this.chunkBytes / 4);
    this.#since = undefined;
  }
}
