/**
 * A growing buffer of bytes, reused from record to record: the hot path writes text as bytes and makes no strings.
 * A leaf: knows no format.
 */

/** A growing byte buffer. `bytes` may be replaced by any call that writes: read it after writing. */
export class ByteWriter {
  /** What was written stands in 0 to `length`. */
  bytes: Buffer;
  /** How much was written, in bytes. */
  length = 0;

  /** @param capacity - bytes to begin with; doubled as needed */
  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Forgets what was written, keeps the memory. */
  clear(): void {
    this.length = 0;
  }

  /**
   * Makes room.
   *
   * @param more - bytes about to be written
   * @returns the buffer, which has room for them behind `length`
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

  /** @param text - any text, written as UTF-8 */
  utf8(text: string): void {
    const bytes = this.reserve(text.length * 3);
    this.length += bytes.write(text, this.length);
  }

  /**
   * Copies bytes as they are.
   *
   * @param source - where from
   * @param start - first byte
   * @param end - behind the last byte
   */
  copy(source: Uint8Array, start = 0, end = source.length): void {
    const bytes = this.reserve(end - start);
    if (end - start > 64) {
      bytes.set(source.subarray(start, end), this.length);
      this.length += end - start;
    } else {
      for (let i = start; i < end; i++) bytes[this.length++] = source[i] ?? 0;
    }
  }

  /** @returns what was written, a view valid until the next write */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  /** @returns what was written, as text */
  toString(): string {
    return this.bytes.toString('utf8', 0, this.length);
  }
}
