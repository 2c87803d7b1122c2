/**
 * Takes and checks positions inside a transaction, by what the server shows of who has read the slot since.
 * What a position is, and why it needs proof, is in `decode/resume-position.ts`.
 */
import type { Lsn } from '../decode/lsn.ts';
import { type ResumePosition, resumePosition } from '../decode/resume-position.ts';
import type { Log } from '../ports/runtime.ts';
import type { Slot } from '../ports/slot.ts';
import type { AckPosition } from '../transform/ack-position.ts';

/** One run's use of the position before it, and the one it leaves behind. */
export class ResumeKeeper {
  /**
   * Whether the next run is likely to go on where this one is cut. Not where the server cannot tell whether the slot was
   * read since; and not after a position was refused: containers that take turns read the slot in between, and would
   * begin the same transaction over and over. Known once {@link validate} has answered.
   */
  canResumeLater = false;

  readonly #slot: Slot;
  readonly #log: Log;

  /**
   * @param slot - shows whether somebody has read it since
   * @param log - where a position that cannot be used is named
   */
  constructor(slot: Slot, log: Log) {
    this.#slot = slot;
    this.#log = log;
  }

  /**
   * @param position - of an earlier run; undefined: none
   * @returns it, if nobody else can have read the slot since; to be asked before the run's first peek
   */
  async validate(position: ResumePosition | undefined): Promise<ResumePosition | undefined> {
    const evidence = await this.#slot.slotStatsFingerprint();
    this.canResumeLater = evidence !== undefined;
    if (position === undefined) return undefined;
    if (evidence !== undefined && evidence === position.evidence) return position;
    this.canResumeLater = false;
    this.#log.info('The slot may have been read by another run since: the transaction starts over.', {
      commitLsn: position.commitLsn,
      ordinal: position.ordinal,
    });
    return undefined;
  }

  /**
   * @param reached - how far the run has come, and the position it went on from
   * @returns where the next run may go on; undefined: at the slot's position. To be asked after the last peek and advance
   */
  async next(reached: {
    readonly progress: AckPosition['progress'];
    readonly boundary: Lsn | undefined;
    readonly resume: ResumePosition | undefined;
  }): Promise<ResumePosition | undefined> {
    const { progress, boundary, resume } = reached;
    // A run that passed no COMMIT leaves off where it went on, also where it advanced over WAL that holds no transaction.
    const kept = boundary === undefined ? resume : undefined;
    if (progress === undefined && kept === undefined) return undefined;
    const evidence = await this.#slot.slotStatsFingerprint();
    if (evidence === undefined) return undefined;
    return progress === undefined ? kept && { ...kept, evidence } : resumePosition(progress, evidence);
  }
}
