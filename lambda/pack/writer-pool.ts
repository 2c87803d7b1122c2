/**
 * Buffers for rounds, used again: a round's buffer is free once the round is acknowledged. Bounded (I8): one buffer for
 * each round that is not acknowledged yet, and few idle ones. Knows nothing of what is written.
 */
import { ByteWriter } from '../format/byte-writer.ts';
import type { Round } from './round.ts';

/** How many idle writers are kept: one round is sent while the next is filled. */
const MAX_IDLE_WRITERS = 2;

/** Lends writers to rounds. */
export class WriterPool {
  readonly #idle: ByteWriter[] = [];
  readonly #lent = new WeakMap<Round, ByteWriter>();

  /** @returns an empty writer */
  take(): ByteWriter {
    return this.#idle.pop() ?? new ByteWriter();
  }

  /**
   * @param round - whose entries point into the writer
   * @param writer - not to be written to before the round is released
   * @returns the round
   */
  lend(round: Round, writer: ByteWriter): Round {
    this.#lent.set(round, writer);
    return round;
  }

  /** @param round - whose entries are not read again; one that was released before is ignored */
  release(round: Round): void {
    const writer = this.#lent.get(round);
    if (writer === undefined) return;
    this.#lent.delete(round);
    if (this.#idle.length === MAX_IDLE_WRITERS) return;
    writer.clear();
    this.#idle.push(writer);
  }
}
