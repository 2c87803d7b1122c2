/**
 * Takes a line of test_decoding that is too large to be kept, piece by piece, and keeps what matters of it: every name,
 * every small value, and of a large value only the word that it was left out. So memory does not grow with a row, and a
 * key after a large value can still be read. Pure; knows how values and names are quoted, and no row's meaning.
 */
import { KeptBytes } from '../kept-bytes.ts';
import { MAX_PREFIX_BYTES } from '../messages.ts';
import type { RowShortener } from '../plugin-decoder.ts';
import { MESSAGE_BYTE } from './logical-message.ts';
import { ELIDED } from './value.ts';

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BIT_STRING = 0x42;

/** What a line ends with that has more than that: no line of the plugin has it, so the decoder refuses the line. */
const CUT = Buffer.from([0]);

/** In which part of the line the next byte is. */
type Place = 'start' | 'message' | 'outside' | 'name' | 'value' | 'left-out' | 'after-value' | 'after-left-out' | 'cut';

/** What may be kept. */
export interface ShortenerLimits {
  /** A value of more bytes than this, printed with its apostrophes, is left out. */
  readonly valueBytes: number;
  /** Once so much is kept, only small values are kept. */
  readonly lineBytes: number;
  /** Of a logical message's line so much is kept: its prefix is in it, its content is not wanted. */
  readonly messageBytes: number;
  /** Values up to this are kept however much has been kept before. A row has at most 1,600 columns, and two tuples. */
  readonly smallBytes: number;
  /** Names, types, numbers and small values of any row take less than this. */
  readonly restBytes: number;
}

/**
 * A value that prints longer than this many records can be in none: a record says it in half of what the server prints
 * at the least (text of apostrophes alone), a bytea in two thirds.
 */
const VALUE_RECORDS = 2;
/** A line up to this many records is kept whole: columns that are not published may be among it. */
const LINE_RECORDS = 4;
/** The longest prefix that can be published, and what the plugin prints around it. */
const MESSAGE_BYTES = MAX_PREFIX_BYTES + 1024;

/**
 * @param maxRecordBytes - what the stream allows for a record
 * @returns what may be kept of a line then
 */
export function limitsForRecord(maxRecordBytes: number): ShortenerLimits {
  return {
    valueBytes: VALUE_RECORDS * maxRecordBytes,
    lineBytes: LINE_RECORDS * maxRecordBytes,
    messageBytes: MESSAGE_BYTES,
    smallBytes: 8 * 1024,
    restBytes: 32 * 1024 * 1024,
  };
}

/** Keeps the readable rest of a line. Used again for the next one. */
export class TestDecodingRowShortener implements RowShortener {
  readonly #limits: ShortenerLimits;
  readonly #kept = new KeptBytes();
  #place: Place = 'start';
  /** Where the line begins in what is kept: behind the header. */
  #lineAt = 0;
  /** Where the value begins in what is kept, its opening apostrophe included. */
  #valueAt = 0;

  /** @param limits - what may be kept */
  constructor(limits: ShortenerLimits) {
    this.#limits = limits;
  }

  /**
   * Begins a line.
   *
   * @param header - bytes to be kept in front of it as they are
   */
  begin(header: Buffer): void {
    this.#kept.begin(header);
    this.#place = 'start';
    this.#lineAt = this.#kept.length;
  }

  /**
   * Takes the next piece of the line.
   *
   * @param bytes - holds the piece of the line
   * @param start - its first byte
   * @param end - the index after its last byte
   */
  write(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#kept.length > this.#limits.lineBytes + this.#limits.restBytes) this.#place = 'cut';
      switch (this.#place) {
        case 'start':
          this.#place = bytes[at] === MESSAGE_BYTE ? 'message' : 'outside';
          break;
        case 'message': {
          // Its content may hold apostrophes: nothing is looked for in it.
          const left = this.#lineAt + this.#limits.messageBytes - this.#kept.length;
          this.#kept.keep(bytes, at, Math.min(end, at + left));
          return;
        }
        case 'outside':
          at = this.#outside(bytes, at, end);
          break;
        case 'name': {
          const stop = findEnd(bytes, QUOTE, at, end);
          if (stop.found) this.#place = 'outside';
          this.#kept.keep(bytes, at, stop.at);
          at = stop.at;
          break;
        }
        case 'value': {
          const stop = findEnd(bytes, APOSTROPHE, at, end);
          this.#place = stop.found ? 'after-value' : 'value';
          this.#keepValue(bytes, at, stop.at);
          at = stop.at;
          break;
        }
        case 'left-out': {
          const stop = findEnd(bytes, APOSTROPHE, at, end);
          if (stop.found) this.#place = 'after-left-out';
          at = stop.at;
          break;
        }
        case 'after-value':
          // Doubled, it is part of the value.
          if (bytes[at] === APOSTROPHE) {
            this.#place = 'value';
            this.#keepValue(bytes, at, at + 1);
            at++;
          } else {
            this.#place = 'outside';
          }
          break;
        case 'after-left-out':
          if (bytes[at] === APOSTROPHE) {
            this.#place = 'left-out';
            at++;
          } else {
            this.#place = 'outside';
          }
          break;
        case 'cut':
          return;
      }
    }
  }

  /**
   * Ends the line.
   *
   * @returns the header and what is kept of the line; the caller's to keep
   */
  end(): Buffer {
    if (this.#place === 'cut') this.#kept.keep(CUT);
    return this.#kept.take();
  }

  /** Up to the next name or value that is quoted, its opening quote included. */
  #outside(bytes: Buffer, from: number, end: number): number {
    let at = from;
    while (at < end && bytes[at] !== QUOTE && bytes[at] !== APOSTROPHE) at++;
    if (at === end) {
      this.#kept.keep(bytes, from, end);
      return end;
    }
    this.#kept.keep(bytes, from, at + 1);
    if (bytes[at] === QUOTE) {
      this.#place = 'name';
    } else {
      this.#place = 'value';
      this.#valueAt = this.#kept.length - 1;
    }
    return at + 1;
  }

  /** Keeps a piece of a value, or leaves out the whole value when it becomes too large. */
  #keepValue(bytes: Buffer, from: number, end: number): void {
    const length = this.#kept.length + end - from;
    const size = length - this.#valueAt;
    const { valueBytes, lineBytes, smallBytes } = this.#limits;
    if (size <= smallBytes || (size <= valueBytes && length <= lineBytes)) {
      this.#kept.keep(bytes, from, end);
      return;
    }
    // `B'101'`: the letter goes with the value.
    this.#kept.cutTo(this.#kept.at(this.#valueAt - 1) === BIT_STRING ? this.#valueAt - 1 : this.#valueAt);
    this.#kept.keep(ELIDED);
    this.#place = this.#place === 'after-value' ? 'after-left-out' : 'left-out';
  }
}

/** Behind the next such byte, or at the end of the piece. */
function findEnd(
  bytes: Buffer,
  byte: number,
  from: number,
  end: number,
): { readonly at: number; readonly found: boolean } {
  const index = bytes.subarray(from, end).indexOf(byte);
  return index < 0 ? { at: end, found: false } : { at: from + index + 1, found: true };
}
