/**
 * How far a drain is: from positions of the slot to a share, a rate and the time that is left. Pure: it is told what was
 * seen, and when.
 */

/** Where the slot was at a moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Where the slot stands, and the end of the WAL: bytes. */
  readonly position: bigint;
  readonly flush: bigint;
}

/** How far it is. */
export interface Reading {
  /** Bytes of WAL that the slot has passed since the beginning, and all there are up to now. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Bytes of WAL a second, of the last minute; undefined: too early to tell. */
  readonly bytesPerSecond: number | undefined;
  /** Until it is caught up, if nothing changes; undefined: not known. */
  readonly secondsLeft: number | undefined;
}

/** The rate is that of the last so many milliseconds. */
const WINDOW_MS = 60_000;

/** Follows the slot. */
export class ProgressMeter {
  #first: Sample | undefined;
  #samples: Sample[] = [];

  /** @param sample - later than the one before */
  add(sample: Sample): void {
    this.#first ??= sample;
    this.#samples.push(sample);
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? sample.at) <= sample.at - WINDOW_MS)
      this.#samples.shift();
  }

  /** @returns how far it is; undefined before the first sample */
  read(): Reading | undefined {
    const [first, oldest, last] = [this.#first, this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || oldest === undefined || last === undefined) return undefined;
    const seconds = (last.at - oldest.at) / 1000;
    const bytesPerSecond = seconds > 0 ? Number(last.position - oldest.position) / seconds : undefined;
    const leftBytes = Math.max(0, Number(last.flush - last.position));
    // What is written meanwhile has to be read, too.
    const closing =
      bytesPerSecond === undefined ? 0 : bytesPerSecond - Number(last.flush - oldest.flush) / Math.max(seconds, 1e-3);
    return {
      doneBytes: Math.max(0, Number(last.position - first.position)),
      totalBytes: Math.max(0, Number(last.flush - first.position)),
      bytesPerSecond,
      secondsLeft: leftBytes === 0 ? 0 : closing > 0 ? leftBytes / closing : undefined,
    };
  }
}
