/**
 * Takes the pieces of a line of wal2json that is too large to be kept, and keeps what matters of it: every name, every
 * small value, and of a large value only the word that it was left out. So memory does not grow with a row, and a key
 * after a large value can still be read. Pure; knows how strings are quoted, and no row's meaning.
 */
import { KeptBytes } from '../kept-bytes.ts';
import type { RowShortener } from '../plugin-decoder.ts';

/** Stands for a value that was left out: no JSON has it. */
export const ELIDED = Buffer.from('elided', 'latin1');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What may be kept. */
export interface Wal2jsonLimits {
  /** A string of more bytes than this is left out. */
  readonly valueBytes: number;
  /** Lines of more bytes are shortened. Once so much is kept, only small strings are kept. */
  readonly lineBytes: number;
  /** Strings up to this are kept however much has been kept before. A row has at most 1,600 columns, and two lists. */
  readonly smallBytes: number;
}

/** A value that is longer than this many records can be in none: a control character is sent in six bytes, as a record has it. */
const VALUE_RECORDS = 2;
/** A line up to this many records is kept whole: columns that are not published may be among it. */
const LINE_RECORDS = 4;

/**
 * @param maxRecordBytes - what the stream allows for a record
 * @returns what may be kept of a line then
 */
export function limitsFor(maxRecordBytes: number): Wal2jsonLimits {
  return {
    valueBytes: VALUE_RECORDS * maxRecordBytes,
    lineBytes: LINE_RECORDS * maxRecordBytes,
    smallBytes: 8 * 1024,
  };
}

/** Keeps the readable rest of a line. Used again for the next one. */
export class Wal2jsonRowShortener implements RowShortener {
  readonly #limits: Wal2jsonLimits;
  readonly #kept = new KeptBytes();
  #place: 'outside' | 'kept' | 'left-out' = 'outside';
  #escaped = false;
  /** Where the string begins in what is kept, its opening quote included. */
  #stringAt = 0;

  /** @param limits - what may be kept */
  constructor(limits: Wal2jsonLimits) {
    this.#limits = limits;
  }

  /**
   * Begins a line.
   *
   * @param header - bytes to be kept in front of it as they are
   */
  begin(header: Buffer): void {
    this.#kept.begin(header);
    // The line begins inside of its first string, the action.
    this.#place = 'kept';
    this.#escaped = false;
    this.#stringAt = this.#kept.length;
  }

  /**
   * Takes the next piece of the line.
   *
   * @param bytes - holds the piece of the line
   * @param start - its first byte
   * @param end - the index after its last byte
   */
  write(bytes: Buffer, start: number, end: number): void {
    let from = start;
    for (let at = start; at < end;) {
      if (this.#place === 'outside') {
        const quote = bytes.indexOf(QUOTE, at);
        if (quote < 0 || quote >= end) break;
        at = quote + 1;
        this.#kept.keep(bytes, from, at);
        from = at;
        this.#stringAt = this.#kept.length - 1;
        this.#place = 'kept';
        continue;
      }
      const closing = this.#closing(bytes, at, end);
      at = closing < 0 ? end : closing + 1;
      if (this.#place === 'kept' && this.#isTooMuch(this.#kept.length - this.#stringAt + at - from)) {
        this.#place = 'left-out';
        this.#kept.cutTo(this.#stringAt);
        this.#kept.keep(ELIDED);
      }
      if (this.#place === 'kept') this.#kept.keep(bytes, from, at);
      from = at;
      if (closing >= 0) this.#place = 'outside';
    }
    if (this.#place === 'outside') this.#kept.keep(bytes, from, end);
  }

  /**
   * Ends the line.
   *
   * @returns the header and what is kept of the line; the caller's to keep
   */
  end(): Buffer {
    return this.#kept.take();
  }

  #isTooMuch(stringBytes: number): boolean {
    const { valueBytes, lineBytes, smallBytes } = this.#limits;
    return stringBytes > smallBytes && (stringBytes > valueBytes || this.#stringAt + stringBytes > lineBytes);
  }

  /** @returns the index of the quote that ends the string; -1: it goes on behind this piece */
  #closing(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#escaped) {
      this.#escaped = false;
      at++;
    }
    for (; at < end; at++) {
      if (bytes[at] === QUOTE) return at;
      if (bytes[at] === BACKSLASH && ++at >= end) this.#escaped = true;
    }
    return -1;
  }
}
