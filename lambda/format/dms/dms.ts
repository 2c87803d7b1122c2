/**
 * The format `dms`: the records of AWS DMS with Kinesis as its target, `MessageFormat=JSON_UNFORMATTED`.
 * AWS documents names and types, not bytes: what it does not fix is said in docs/records.md.
 *
 * `{"data":{…},["before-image":{…},]"metadata":{"timestamp":…,"record-type":"data","operation":"insert",…}}`
 *
 * @see https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.Kinesis.html
 */
import type { Lsn } from '../../decode/lsn.ts';
import type { TableName } from '../../decode/messages.ts';
import type { ByteWriter } from '../byte-writer.ts';
import { FieldWriter } from '../fields.ts';
import { memoise } from '../memo.ts';
import type { ChangeRecord, Format, FormatOptions, MakeFormat } from '../record.ts';
import { isoMicros } from '../temporal.ts';
import { dmsType } from './types.ts';

const DATA = Buffer.from('{"data":', 'latin1');
const BEFORE_IMAGE = Buffer.from(',"before-image":', 'latin1');
const EMPTY = Buffer.from('{}', 'latin1');
/** What an ordinary reader ignores, and one of ours looks for. */
const TRUNCATED = Buffer.from(',"truncated":true', 'latin1');

/** DMS's word for an operation; it knows no TRUNCATE. */
const OPERATIONS = {
  INSERT: 'insert',
  UPDATE: 'update',
  DELETE: 'delete',
  TRUNCATE: 'truncate-table',
  READ: 'load',
} as const;
/** What `partition-key-type` says, by PARTITION_BY. */
const PARTITION_KEY_TYPES = {
  'primary-key': 'primary-key',
  table: 'schema-table',
  transaction: 'transaction-id',
  stream: 'constant',
} as const;

/**
 * Makes the format `dms`.
 *
 * @param options - what partition keys are made of, the time, and DMS's own settings
 * @returns the format
 */
export const dms: MakeFormat = (options) => new DmsFormat(options);

class DmsFormat implements Format {
  readonly supportsDeleteWithoutKey = true;
  readonly showsRow = true;
  readonly usesRowLsn = true;
  readonly #options: FormatOptions;
  readonly #fields: FieldWriter;
  readonly #table: (table: TableName) => Buffer;

  constructor(options: FormatOptions) {
    this.#options = options;
    this.#fields = new FieldWriter((type) => dmsType(options.baseType?.(type) ?? type), { nulls: options.dms.nulls });
    this.#table = memoise(({ schema, name }) =>
      Buffer.from(
        `,"partition-key-type":"${PARTITION_KEY_TYPES[options.partitionBy]}","schema-name":${JSON.stringify(schema)},"table-name":${JSON.stringify(name)}`,
        'utf8',
      ),
    );
  }

  write(record: ChangeRecord, out: ByteWriter): void {
    const { transaction, operation } = record;
    out.copy(DATA);
    this.#data(record, out);
    if (this.#options.dms.beforeImage && operation === 'UPDATE') this.#beforeImage(record, out);
    const type = operation === 'TRUNCATE' ? 'control' : 'data';
    const timestamp = isoMicros(BigInt(this.#options.now()) * 1000n);
    out.ascii(`,"metadata":{"timestamp":"${timestamp}","record-type":"${type}","operation":"${OPERATIONS[operation]}"`);
    out.copy(this.#table(record.table));
    if (operation !== 'READ') {
      out.ascii(`,"transaction-id":${transaction.xid}`);
      if (this.#options.dms.transaction) this.#transaction(record, out);
    }
    if (record.truncated) out.copy(TRUNCATED);
    out.ascii('}}');
  }

  #data(record: ChangeRecord, out: ByteWriter): void {
    const { change, operation, key } = record;
    if (change === undefined) {
      out.copy(EMPTY);
    } else if (record.truncated) {
      if (key === undefined) out.copy(EMPTY);
      else this.#fields.key(key, change.bytes, out);
    } else if (operation !== 'DELETE' && change.newTuple !== undefined) {
      this.#fields.row(change.newTuple, change.oldTuple, record.omitted, change.bytes, out);
    } else if (change.oldTuple !== undefined) {
      this.#fields.row(change.oldTuple, undefined, record.omitted, change.bytes, out);
    } else {
      out.copy(EMPTY);
    }
  }

  #beforeImage(record: ChangeRecord, out: ByteWriter): void {
    const { change } = record;
    out.copy(BEFORE_IMAGE);
    if (change?.oldTuple === undefined || record.truncated) out.copy(EMPTY);
    else this.#fields.row(change.oldTuple, undefined, record.omitted, change.bytes, out);
  }

  #transaction({ transaction, ordinal, lsn }: ChangeRecord, out: ByteWriter): void {
    const { commitLsn, commitTimeMicros } = transaction;
    out.ascii(
      `,"transaction-record-id":${ordinal},"commit-timestamp":"${isoMicros(commitTimeMicros)}","stream-position":"${padded(commitLsn)}.${ordinal}.${padded(lsn)}"`,
    );
  }
}

/** An LSN as `stream-position` has it: `00000000/016B3748`. */
function padded(lsn: Lsn): string {
  const digits = lsn.toString(16).toUpperCase().padStart(16, '0');
  return `${digits.slice(0, 8)}/${digits.slice(8)}`;
}
