/**
 * Takes the pieces of a row's message that is too large to be kept, and keeps what matters of it: every small value, and of
 * a large one only that it was left out. So memory does not grow with a row, and a key after a large value can still be
 * read. Pure; knows where values begin and end, and no row's meaning.
 */
import { KeptBytes } from '../kept-bytes.ts';
import { MAX_PREFIX_BYTES } from '../messages.ts';
import type { RowShortener } from '../plugin-decoder.ts';

/** What is written in place of a value that was left out: not the plugin's. */
export const ELIDED_VALUE = 0x65;

const MESSAGE = 0x4d;
const INSERT = 0x49;
const UPDATE = 0x55;
const DELETE = 0x44;
const NEW_ROW = 0x4e;
const VALUE_TEXT = 0x74;

/** What may be kept. */
export interface PgoutputLimits {
  /** A value of more bytes than this is left out. */
  readonly valueBytes: number;
  /** Messages of more bytes are shortened. Once so much is kept, only small values are kept. */
  readonly messageBytes: number;
  /** Of a logical message so much is kept besides its kind: its prefix is in it, its content is not wanted. */
  readonly logicalMessageBytes: number;
  /** Values up to this are kept however much has been kept before. A row has at most 1,600 columns, and two tuples. */
  readonly smallBytes: number;
}

/** A value that is longer than this many records can be in none. A bytea is sent in twice its bytes, and said in 4/3. */
const VALUE_RECORDS = 2;
/** A message up to this many records is kept whole: columns that are not published may be among it. */
const MESSAGE_RECORDS = 4;
/** The longest prefix that can be published, and the numbers around it. */
const LOGICAL_MESSAGE_BYTES = MAX_PREFIX_BYTES + 1024;

/**
 * @param maxRecordBytes - what the stream allows for a record
 * @returns what may be kept of a message then
 */
export function limitsFor(maxRecordBytes: number): PgoutputLimits {
  return {
    valueBytes: VALUE_RECORDS * maxRecordBytes,
    messageBytes: MESSAGE_RECORDS * maxRecordBytes,
    logicalMessageBytes: LOGICAL_MESSAGE_BYTES,
    smallBytes: 8 * 1024,
  };
}

/** What the next bytes are; `rest` is what follows no rule and is dropped, so that the decoder refuses the message. */
type Field = 'kind' | 'message' | 'relation' | 'part' | 'count' | 'value' | 'length' | 'kept' | 'left-out' | 'rest';

const FIELD_BYTES: Readonly<Partial<Record<Field, number>>> = {
  kind: 1,
  relation: 4,
  part: 1,
  count: 2,
  value: 1,
  length: 4,
};

/** Keeps the readable rest of a message. Used again for the next one. */
export class PgoutputRowShortener implements RowShortener {
  readonly #limits: PgoutputLimits;
  readonly #kept = new KeptBytes();
  #field: Field = 'kind';
  /** The bytes of the field so far. */
  readonly #head = Buffer.alloc(4);
  #have = 0;
  /** Whether another tuple follows the one under way. */
  #another = false;
  #kind = 0;
  #columns = 0;
  /** Bytes of the value yet to come. */
  #left = 0;

  /** @param limits - what may be kept */
  constructor(limits: PgoutputLimits) {
    this.#limits = limits;
  }

  /**
   * Begins a message.
   *
   * @param header - bytes to be kept in front of it as they are
   */
  begin(header: Buffer): void {
    this.#kept.begin(header);
    this.#have = 0;
    this.#field = 'kind';
  }

  /**
   * Takes the next piece of the message.
   *
   * @param bytes - holds the piece of the line
   * @param start - its first byte
   * @param end - the index after its last byte
   */
  write(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#field === 'rest') return;
      if (this.#field === 'message') {
        const to = Math.min(end, at + this.#left);
        this.#kept.keep(bytes, at, to);
        this.#left -= to - at;
        return;
      }
      if (this.#field === 'kept' || this.#field === 'left-out') {
        const to = Math.min(end, at + this.#left);
        if (this.#field === 'kept') this.#kept.keep(bytes, at, to);
        this.#left -= to - at;
        at = to;
        if (this.#left === 0) this.#nextValue();
        continue;
      }
      this.#head[this.#have++] = bytes[at++] ?? 0;
      if (this.#have < (FIELD_BYTES[this.#field] ?? 1)) continue;
      this.#have = 0;
      this.#takeField(this.#field);
    }
  }

  /**
   * Ends the message.
   *
   * @returns the header and what is kept of the message; the caller's to keep
   */
  end(): Buffer {
    return this.#kept.take();
  }

  #takeField(field: Field): void {
    const head = this.#head;
    switch (field) {
      case 'kind':
        this.#kind = head[0] ?? 0;
        this.#kept.keep(head, 0, 1);
        this.#field = [INSERT, UPDATE, DELETE].includes(this.#kind) ? 'relation' : 'rest';
        if (this.#kind === MESSAGE) {
          this.#field = 'message';
          this.#left = this.#limits.logicalMessageBytes;
        }
        return;
      case 'relation':
        this.#kept.keep(head, 0, 4);
        this.#field = 'part';
        return;
      case 'part':
        this.#kept.keep(head, 0, 1);
        this.#another = this.#kind === UPDATE && head[0] !== NEW_ROW;
        this.#field = 'count';
        return;
      case 'count':
        this.#kept.keep(head, 0, 2);
        this.#columns = head.readUInt16BE(0) + 1;
        this.#nextValue();
        return;
      case 'value':
        if (head[0] === VALUE_TEXT) {
          this.#field = 'length';
          return;
        }
        this.#kept.keep(head, 0, 1);
        this.#nextValue();
        return;
      case 'length':
        this.#beginValue(head.readUInt32BE(0));
    }
  }

  #beginValue(length: number): void {
    const { valueBytes, messageBytes, smallBytes } = this.#limits;
    this.#left = length;
    if (length <= smallBytes || (length <= valueBytes && this.#kept.length + length <= messageBytes)) {
      const head = Buffer.from([VALUE_TEXT, 0, 0, 0, 0]);
      head.writeUInt32BE(length, 1);
      this.#kept.keep(head);
      this.#field = 'kept';
    } else {
      this.#kept.keep(Buffer.from([ELIDED_VALUE]));
      this.#field = 'left-out';
    }
    if (length === 0) this.#nextValue();
  }

  #nextValue(): void {
    this.#columns--;
    if (this.#columns > 0) this.#field = 'value';
    else this.#field = this.#another ? 'part' : 'rest';
  }
}
