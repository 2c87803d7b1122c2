/**
 * What a row shortener keeps of a row: bytes that are appended, and cut off again where a value becomes too large. Pure;
 * knows no plugin and no rule of what is kept.
 */

/** Most rows that are shortened keep less than this. */
const FIRST_BYTES = 64 * 1024;

/** A buffer that grows. Used again for the next row, with other memory: what was taken is the taker's. */
export class KeptBytes {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  /** How many bytes are kept. */
  get length(): number {
    return this.#length;
  }

  /** @param index - of a byte that is kept @returns the byte */
  at(index: number): number | undefined {
    return this.#bytes[index];
  }

  /** @param header - what comes first, as it is */
  begin(header: Buffer): void {
    this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#length = 0;
    this.keep(header, 0, header.length);
  }

  /**
   * @param bytes - what holds the bytes to keep
   * @param from - the first of them
   * @param end - the index after the last
   */
  keep(bytes: Uint8Array, from = 0, end = bytes.length): void {
    const length = this.#length + end - from;
    if (length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes.subarray(from, end), this.#length);
    this.#length = length;
  }

  /** @param length - how many bytes to keep of those that are kept */
  cutTo(length: number): void {
    this.#length = length;
  }

  /** @returns what is kept; the caller's to keep */
  take(): Buffer {
    const kept = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.alloc(0);
    return kept;
  }
}
