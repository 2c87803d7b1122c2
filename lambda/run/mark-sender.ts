/**
 * Sends the marks that are part of no batch: those that a run begins with, those that were held back, and those that are owed for
 * runs before it. What they say is decided by `marks.ts`. Knows no SQL and no SDK.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { BatchProcessor } from './batch.ts';
import type { RunMarks } from './marks.ts';
import type { RunDeadline } from './run-deadline.ts';

/** Sends the marks of one run. */
export class MarkSender {
  readonly #marks: RunMarks;
  readonly #batches: Pick<BatchProcessor, 'sendMarks' | 'refused'>;
  readonly #deadline: Pick<RunDeadline, 'hasTime'>;

  /**
   * @param marks - decides what they say
   * @param batches - sends them
   * @param deadline - the run's
   */
  constructor(
    marks: RunMarks,
    batches: Pick<BatchProcessor, 'sendMarks' | 'refused'>,
    deadline: Pick<RunDeadline, 'hasTime'>,
  ) {
    this.#marks = marks;
    this.#batches = batches;
    this.#deadline = deadline;
  }

  /** The marks that a run begins with. @param position - the slot's */
  async open(position: Lsn): Promise<void> {
    if (!this.#marks.mustOpen || !this.#deadline.hasTime()) return;
    await this.#batches.sendMarks((transformer) => this.#marks.open(transformer, position));
  }

  /** The marks that were held back, or are owed for what was published last. */
  async sendLast(): Promise<void> {
    await this.#batches.sendMarks((transformer) => this.#marks.ended(transformer, true));
  }

  /** The same, in a run that stays, where it is time for them. */
  async sendDue(): Promise<void> {
    if (this.#marks.isDue) await this.sendLast();
  }

  /**
   * The marks that are owed for runs before this one, or to tell what a snapshot reads.
   *
   * @param position - up to where everything is acknowledged
   * @param isSealed - whether a drain is to end with marks
   * @returns false when they were refused
   */
  async settle(position: Lsn, isSealed = false): Promise<boolean> {
    if (!(isSealed || this.#marks.isOwing) || !this.#deadline.hasTime()) return true;
    await this.#batches.sendMarks((transformer) => {
      this.#marks.settle(transformer, position);
      if (isSealed) this.#marks.seal(transformer, position);
    });
    return this.#batches.refused === undefined;
  }
}
