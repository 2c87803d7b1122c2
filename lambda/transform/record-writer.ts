/**
 * Writes one record: its partition key and its data, shortened where it would be larger than a record may be.
 * Knows no message and counts nothing.
 */
import { ByteWriter } from '../format/byte-writer.ts';
import { FormatterError } from '../format/module/module.ts';
import type { ChangeRecord, Format } from '../format/record.ts';
import type { Packer } from '../pack/packer.ts';
import { bytesOfIncompleteRow } from './incomplete-row.ts';
import { formatFailed, recordTooLarge } from './transform-errors.ts';

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
   * @returns whether it was written, whole or shortened: `key-too-large` where its key alone is larger than a record may be,
   *   `left-out` where the format wants it so
   * @throws {PipelineError} RECORD_TOO_LARGE, where nothing may be shortened; FORMAT_FAILED
   */
  write(record: ChangeRecord): 'whole' | 'shortened' | 'key-too-large' | 'left-out' {
    const { format, partitionKey } = this.#parts;
    record.truncated = false;
    this.#partitionKey.clear();
    partitionKey(record, this.#partitionKey);
    let size = format.showsRow ? bytesOfIncompleteRow(record) : 0;
    if (size === 0) {
      if (!this.#format(record)) return 'left-out';
      size = this.#data.length;
      if (this.#fits()) return 'whole';
    }
    const shortened = this.#shorten(record, size);
    if (shortened === 'key-too-large' && format.decide !== undefined)
      throw formatFailed(record, `returned ${this.#data.length} bytes, more than a Kinesis record may have`);
    return shortened;
  }

  /** Writes a record that is too large without its row, and without the other key of a key change if that is too large. */
  #shorten(record: ChangeRecord, size: number): 'shortened' | 'key-too-large' | 'left-out' {
    if (this.#parts.oversize === 'fail') throw recordTooLarge(record, size);
    record.truncated = true;
    if (!this.#format(record)) return 'left-out';
    if (this.#fits()) return 'shortened';
    if (record.otherKey === undefined) return 'key-too-large';
    record.otherKey = undefined;
    if (!this.#format(record)) return 'left-out';
    return this.#fits() ? 'shortened' : 'key-too-large';
  }

  #fits(): boolean {
    return this.#parts.packer.fits(this.#partitionKey.length, this.#data.length);
  }

  /** @returns false: the record is left out */
  #format(record: ChangeRecord): boolean {
    const { format } = this.#parts;
    this.#data.clear();
    if (format.decide === undefined) {
      format.write(record, this.#data);
      return true;
    }
    try {
      return format.decide(record, this.#data, this.#partitionKey);
    } catch (error) {
      throw error instanceof FormatterError ? formatFailed(record, error.message) : error;
    }
  }
}
