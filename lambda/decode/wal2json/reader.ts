/**
 * A cursor over one line of wal2json: what is expected next, strings, and values. Strings are made plain in place, so the
 * bytes must be the reader's own. Whatever is not exactly what wal2json writes throws. Knows no line.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/json.c (escape_json)
 */
import { UndecodableError } from '../messages.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const CLOSING_BRACE = 0x7d;
const UNICODE = 0x75;

/** What stands behind a backslash, and the byte that it means. */
const PLAIN = new Map<number, number>([
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

/** @param text - ASCII @returns its bytes */
export function literal(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A cursor. Used again for the next line. */
export class LineReader {
  bytes: Buffer = Buffer.alloc(0);
  /** The index of the next byte. */
  at = 0;
  end = 0;
  /** Where the string or value read last begins and ends. */
  from = 0;
  to = 0;

  /**
   * Begins a line.
   *
   * @param bytes - the reader's own, which begin with the line
   * @param end - the index after its last byte
   */
  open(bytes: Buffer, end: number): void {
    this.bytes = bytes;
    this.at = 0;
    this.end = end;
  }

  /** @param what - that may come next @returns whether it does; then it is passed */
  takes(what: Buffer): boolean {
    if (!this.matches(what)) return false;
    this.at += what.length;
    return true;
  }

  /** @param what - that may come next @returns whether it does */
  matches(what: Buffer): boolean {
    const { bytes, at } = this;
    const { length } = what;
    if (at + length > this.end) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== what[i]) return false;
    return true;
  }

  /** @param what - that has to come next */
  expect(what: Buffer): void {
    if (!this.takes(what)) throw this.expected(JSON.stringify(what.toString('latin1')));
  }

  /** @param what - what it counts, for the error @returns a number without a sign */
  integer(what: string): number {
    const { bytes } = this;
    let at = this.at;
    let value = 0;
    for (
      let digit = (bytes[at] ?? 0) - 0x30;
      at < this.end && digit >= 0 && digit <= 9;
      digit = (bytes[++at] ?? 0) - 0x30
    )
      value = value * 10 + digit;
    if (at === this.at || value > 0xffffffff) throw this.expected(what);
    this.at = at;
    return value;
  }

  /**
   * Reads a string, from its opening quote to its closing one, and makes it plain.
   *
   * @param what - what it says, for the error
   */
  string(what: string): void {
    const { bytes, end } = this;
    if (this.at >= end || bytes[this.at] !== QUOTE) throw this.expected(what);
    const from = this.at + 1;
    let at = from;
    while (at < end && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;
    let to = at;
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) {
        const [byte, length] = this.#escape(at);
        bytes[to++] = byte;
        at += length;
      } else {
        bytes[to++] = bytes[at++] ?? 0;
      }
    }
    if (at >= end) throw this.expected(`the end of ${what}`, end);
    this.from = from;
    this.to = to;
    this.at = at + 1;
  }

  /** Reads a number, up to what follows a value. */
  number(): void {
    const { bytes, end } = this;
    this.from = this.at;
    let at = this.at;
    while (at < end && bytes[at] !== COMMA && bytes[at] !== CLOSING_BRACE) at++;
    this.at = this.to = at;
  }

  /** @returns the text read last */
  text(): string {
    return this.bytes.toString('utf8', this.from, this.to);
  }

  /** @returns the error to throw, at the position of the next byte */
  expected(what: string, offset = this.at): UndecodableError {
    return new UndecodableError(what, offset);
  }

  /** @returns what the escape at the index means, and how many bytes it takes */
  #escape(at: number): readonly [byte: number, length: number] {
    const letter = this.bytes[at + 1] ?? 0;
    const plain = PLAIN.get(letter);
    if (plain !== undefined && at + 1 < this.end) return [plain, 2];
    const hex = this.bytes.toString('latin1', at + 2, Math.min(at + 6, this.end));
    // PostgreSQL writes control characters so, and nothing else.
    if (letter !== UNICODE || !/^00[01][0-9a-f]$/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);
    return [Number.parseInt(hex, 16), 6];
  }
}
