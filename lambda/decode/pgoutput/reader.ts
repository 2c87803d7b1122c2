/**
 * Fields of one pgoutput message, taken from the left: integers in network order and texts that end in a zero byte.
 * Whatever would reach beyond the message throws. Knows no message.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-types.html
 */
import { isUtf8 } from 'node:buffer';
import { UndecodableError, UTF8_TEXT } from '../messages.ts';

/** A cursor over one message. Used again for the next one. */
export class MessageReader {
  bytes: Buffer = Buffer.alloc(0);
  /** The index of the next byte. */
  at = 0;
  /** Whether a text is refused that is no UTF-8. */
  checksText = false;
  #start = 0;
  #end = 0;

  /**
   * Begins a message.
   *
   * @param bytes - what holds it
   * @param start - its first byte
   * @param end - the index after its last byte
   */
  open(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes;
    this.at = this.#start = start;
    this.#end = end;
  }

  /** The position of the next byte in the message. */
  get offset(): number {
    return this.at - this.#start;
  }

  /** @param what - what the byte says, for the error @returns 0 to 255 */
  byte(what: string): number {
    const value = this.bytes[this.#take(1, what)];
    return value ?? 0;
  }

  /** @param what - what it counts, for the error @returns 0 to 65,535 */
  uint16(what: string): number {
    return this.bytes.readUInt16BE(this.#take(2, what));
  }

  /** @param what - what it says, for the error @returns 0 to 2^32 - 1 */
  uint32(what: string): number {
    return this.bytes.readUInt32BE(this.#take(4, what));
  }

  /** @param what - what it says, for the error @returns an LSN or a time */
  int64(what: string): bigint {
    return this.bytes.readBigInt64BE(this.#take(8, what));
  }

  /** @param what - what it is, for the error @returns text up to a zero byte */
  text(what: string): string {
    const zero = this.bytes.indexOf(0, this.at);
    if (zero < 0 || zero >= this.#end) throw this.expected(`the end of ${what}`, this.#end - this.#start);
    if (this.checksText && !isUtf8(this.bytes.subarray(this.at, zero))) throw this.expected(UTF8_TEXT);
    const text = this.bytes.toString('utf8', this.at, zero);
    this.at = zero + 1;
    return text;
  }

  /** @param length - how many bytes to pass @param what - what they are, for the error @returns where they begin */
  skip(length: number, what: string): number {
    return this.#take(length, what);
  }

  /** @throws {UndecodableError} when the message goes on */
  end(): void {
    if (this.at !== this.#end) throw this.expected('the end of the message');
  }

  /** @returns the error to throw, at the position of the next byte */
  expected(what: string, offset = this.offset): UndecodableError {
    return new UndecodableError(what, offset);
  }

  #take(length: number, what: string): number {
    const from = this.at;
    if (from + length > this.#end) throw this.expected(what, this.#end - this.#start);
    this.at = from + length;
    return from;
  }
}
