/**
 * A growing buffer of bytes, reused from record to record: the hot path writes text as bytes and makes no strings.
 * Imports nothing.
 */

/** Up to how many bytes a loop is the fastest: of a whole buffer, and of a part of one. */
const WHOLE_BY_LOOP = 12;
const PART_BY_LOOP = 30;

/** A growing byte buffer. `bytes` may be replaced by any call that writes: read it after writing. */
export class ByteWriter {
  /** What was written is in 0 to `length`. */
  bytes: Buffer;
  /** How much was written, in bytes. */
  length = 0;
  #view: Buffer = Buffer.alloc(0);
  /** What the view is of. */
  #viewed: Buffer | undefined;

  /** @param capacity - bytes to begin with; doubled as needed */
  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Forgets what was written, keeps the memory. */
  clear(): void {
    this.length = 0;
  }

  /**
   * Makes space.
   *
   * @param more - bytes about to be written
   * @returns the buffer, which has space for them after `length`
   */
  reserve(more: number): Buffer {
    const needed = this.length + more;
    if (needed > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    return this.bytes;
  }

  /** @param byte - 0 to 255 */
  byte(byte: number): void {
    this.reserve(1)[this.length++] = byte;
  }

  /** @param text - ASCII only */
  ascii(text: string): void {
    const bytes = this.reserve(text.length);
    for (let i = 0; i < text.length; i++) bytes[this.length++] = text.charCodeAt(i);
  }

  /** @param value - a whole number from 0 to 2^53 - 1, written in decimal digits */
  decimal(value: number): void {
    let digits = 1;
    for (let power = 10; value >= power; power *= 10) digits++;
    const bytes = this.reserve(digits);
    const begin = this.length;
    let at = begin + digits;
    let rest = value;
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 10)) bytes[--at] = 0x30 + (rest % 10);
    for (let small = rest | 0; at > begin; small = (small / 10) | 0) bytes[--at] = 0x30 + (small % 10);
    this.length = begin + digits;
  }

  /** @param value - a whole number of 32 bits, written in hexadecimal digits, upper case, without leading zeros */
  hexadecimal(value: number): void {
    let digits = 1;
    for (let rest = value >>> 4; rest > 0; rest >>>= 4) digits++;
    const bytes = this.reserve(digits);
    for (let at = this.length + digits - 1, rest = value; at >= this.length; at--, rest >>>= 4) {
      const digit = rest & 15;
      bytes[at] = digit < 10 ? 0x30 + digit : 0x37 + digit;
    }
    this.length += digits;
  }

  /** @param text - any text, written as UTF-8 */
  utf8(text: string): void {
    const bytes = this.reserve(text.length * 3);
    this.length += bytes.write(text, this.length);
  }

  /**
   * Copies bytes as they are.
   *
   * A loop takes 1 ns a byte, `set` of a whole buffer 12 ns and `Buffer.copy` of a part 32, whatever the length.
   *
   * @param source - what to copy
   * @param start - first byte
   * @param end - the index after the last byte
   */
  copy(source: Buffer, start = 0, end = source.length): void {
    const count = end - start;
    const bytes = this.reserve(count);
    const at = this.length;
    this.length = at + count;
    if (count > WHOLE_BY_LOOP && count === source.length) bytes.set(source, at);
    else if (count > PART_BY_LOOP) source.copy(bytes, at, start, end);
    else for (let i = 0; i < count; i++) bytes[at + i] = source[start + i] ?? 0;
  }

  /** @returns what was written, a view valid until the next write */
  view(): Buffer {
    // A view takes longer to make than many a record to write, and many have one length.
    if (this.#view.length !== this.length || this.#viewed !== this.bytes) {
      this.#view = this.bytes.subarray(0, this.length);
      this.#viewed = this.bytes;
    }
    return this.#view;
  }

  /** @returns what was written, as text */
  toString(): string {
    return this.bytes.toString('utf8', 0, this.length);
  }
}
