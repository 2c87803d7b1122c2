/**
 * Writes one record: its partition key and its data, shortened where it would be larger than a record may be.
 * Knows no message and counts nothing.
 */
import { ByteWriter } from '../format/byte-writer.ts';
import type { ChangeRecord, Format } from '../format/record.ts';
import type { Packer } from '../pack/round.ts';
import { bytesOfIncompleteRow } from './oversize.ts';
import { recordTooLarge } from './transform-errors.ts';

/** What a writer works with. */
export interface RecordWriterParts {
  readonly format: Format;
  /** Writes a record's partition key. */
  readonly partitionKey: (record: ChangeRecord, out: ByteWriter) => void;
  readonly packer: Pick<Packer, 'fits'>;
  /** What to do with a record too large to send. */
  readonly oversize: 'key-only' | 'fail';
}

/** Writes record after record into the same memory. */
export class RecordWriter {
  readonly #parts: RecordWriterParts;
  readonly #data = new ByteWriter();
  readonly #partitionKey = new ByteWriter(512);

  /** @param parts - what it works with */
  constructor(parts: RecordWriterParts) {
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
   * @param record - what to write; it is marked where it is shortened
   * @returns whether it was written, whole or shortened: `key-too-large` where its key alone is larger than a record may be
   * @throws {PipelineError} RECORD_TOO_LARGE, where nothing may be shortened
   */
  write(record: ChangeRecord): 'whole' | 'shortened' | 'key-too-large' {
    const { format, packer, partitionKey } = this.#parts;
    record.truncated = false;
    this.#partitionKey.clear();
    partitionKey(record, this.#partitionKey);
    this.#data.clear();
    let size = format.showsRow ? bytesOfIncompleteRow(record) : 0;
    if (size === 0) {
      format.write(record, this.#data);
      size = this.#data.length;
      if (packer.fits(this.#partitionKey.length, size)) return 'whole';
    }
    return this.#shorten(record, size) ? 'shortened' : 'key-too-large';
  }

  /** Writes a record that is too large without its row, and without the other key of a key change if that is too large. */
  #shorten(record: ChangeRecord, size: number): boolean {
    if (this.#parts.oversize === 'fail') throw recordTooLarge(record, size);
    record.truncated = true;
    if (this.#fitsWritten(record)) return true;
    if (record.otherKey === undefined) return false;
    record.otherKey = undefined;
    return this.#fitsWritten(record);
  }

  #fitsWritten(record: ChangeRecord): boolean {
    this.#data.clear();
    this.#parts.format.write(record, this.#data);
    return this.#parts.packer.fits(this.#partitionKey.length, this.#data.length);
  }
}
