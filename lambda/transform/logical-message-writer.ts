/**
 * Writes a logical message as a record: whether it is wanted at all, its partition key and its data, without its content
 * where that would be larger than a record may be. Counts nothing.
 */
import type { Lsn } from '../decode/lsn.ts';
import { type LogicalMessage, MAX_PREFIX_BYTES, type Transaction } from '../decode/messages.ts';
import { ByteWriter } from '../format/byte-writer.ts';
import { FormatterError } from '../format/module/module.ts';
import type { LogicalMessageKeyWriter } from '../format/partition-key.ts';
import type { Format, LogicalMessageRecord } from '../format/record.ts';
import type { Packer } from '../pack/packer.ts';
import { SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import { logicalMessageFormatFailed, logicalMessageTooLarge } from './transform-errors.ts';

/** Which logical messages are published, and under which keys. */
export interface WantedLogicalMessages {
  /** Expressions on the whole prefix. */
  readonly prefixes: readonly RegExp[];
  /** Writes a message's partition key. */
  readonly partitionKey: LogicalMessageKeyWriter;
}

/** What a writer works with. */
export interface LogicalMessageWriterParts {
  readonly format: Format;
  /** Undefined: none are. */
  readonly messages?: WantedLogicalMessages | undefined;
  readonly packer: Pick<Packer, 'fits'>;
  /** What to do with a record too large to send. */
  readonly oversize: 'key-only' | 'fail';
}

/** Where a message is. */
export interface LogicalMessagePlace {
  /** Its own position. */
  readonly lsn: Lsn;
  /** The transaction that it is part of. */
  readonly transaction: Transaction | undefined;
  /** That of the change before it; 0: none. */
  readonly ordinal: number;
  /** Its place behind that change, from 1. */
  readonly place: number;
}

/** Writes message after message into the same memory. */
export class LogicalMessageWriter {
  readonly #parts: LogicalMessageWriterParts;
  readonly #data = new ByteWriter(64);
  readonly #partitionKey = new ByteWriter(64);

  /** @param parts - what it works with */
  constructor(parts: LogicalMessageWriterParts) {
    this.#parts = parts;
  }

  /** The data written last, valid until the next call of {@link write}. */
  get data(): Buffer {
    return this.#data.view();
  }

  /** The partition key written last, valid until the next call of {@link write}. */
  get partitionKey(): Buffer {
    return this.#partitionKey.view();
  }

  /**
   * @param message - valid during the call
   * @param at - where it is
   * @returns whether it was written, whole or without its content; `left-out`: it is not wanted, or its prefix is too long
   * @throws {PipelineError} RECORD_TOO_LARGE, where nothing may be left out; FORMAT_FAILED
   */
  write(message: LogicalMessage, at: LogicalMessagePlace): 'whole' | 'shortened' | 'left-out' {
    const { messages, oversize, format } = this.#parts;
    const { prefix, bytes, start, end, size } = message;
    if (messages === undefined || prefix === undefined || prefix === SNAPSHOT_MESSAGE_PREFIX) return 'left-out';
    if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) return 'left-out';
    if (!messages.prefixes.some((wanted) => wanted.test(prefix))) return 'left-out';
    const record: LogicalMessageRecord = { ...at, prefix, bytes, start, end, truncated: end - start < size };
    this.#partitionKey.clear();
    messages.partitionKey(record, this.#partitionKey);
    let written = size;
    if (!record.truncated) {
      if (!this.#format(record)) return 'left-out';
      if (this.#fits()) return 'whole';
      written = this.#data.length;
    }
    if (oversize === 'fail') throw logicalMessageTooLarge(at, written);
    record.truncated = true;
    if (!this.#format(record)) return 'left-out';
    if (this.#fits()) return 'shortened';
    if (format.decide === undefined) return 'left-out';
    throw logicalMessageFormatFailed(at, `returned ${this.#data.length} bytes, more than a Kinesis record may have`);
  }

  #fits(): boolean {
    return this.#parts.packer.fits(this.#partitionKey.length, this.#data.length);
  }

  /** @returns false: the record is left out */
  #format(record: LogicalMessageRecord): boolean {
    this.#data.clear();
    try {
      return this.#parts.format.writeLogicalMessage?.(record, this.#data, this.#partitionKey) === true;
    } catch (error) {
      throw error instanceof FormatterError ? logicalMessageFormatFailed(record, error.message) : error;
    }
  }
}
