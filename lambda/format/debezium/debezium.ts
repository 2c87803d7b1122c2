/**
 * The format `debezium`: the envelope of Debezium's PostgreSQL connector as its JSON converter writes it with
 * `schemas.enable=false`, for consumers of Debezium Server's Kinesis sink. Knows the order of the fields; how a value is
 * written is `types.ts`'s. Every field of the envelope is always there.
 *
 * `{"before":…,"after":…,"source":{…},"transaction":…,"op":"c","ts_ms":…,"ts_us":…,"ts_ns":…}`
 *
 * @see https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-change-events-value
 */
import type { TableName, Transaction } from '../../decode/messages.ts';
import type { ByteWriter } from '../byte-writer.ts';
import { FieldWriter } from '../fields.ts';
import { memoise, memoiseLast } from '../memo.ts';
import { NULL } from '../null.ts';
import type { ChangeRecord, Format, FormatOptions, LogicalMessageRecord, MakeFormat } from '../record.ts';
import { writeDebeziumLogicalMessage } from './logical-message.ts';
import { sourceHead } from './source.ts';
import { debeziumTypes } from './types.ts';

const BEFORE = Buffer.from('{"before":', 'latin1');
const AFTER = Buffer.from(',"after":', 'latin1');
const SOURCE = Buffer.from(',"source":', 'latin1');
/** What an ordinary reader ignores, and one of ours looks for. */
const TRUNCATED = Buffer.from(',"truncated":true', 'latin1');
const CLOSE_BRACE = 0x7d;

/** Debezium's letter for an operation. */
const OPERATIONS = { INSERT: 'c', UPDATE: 'u', DELETE: 'd', TRUNCATE: 't', READ: 'r' } as const;

/**
 * Makes the format `debezium`.
 *
 * @param options - the source's name, the database, the time, and Debezium's own settings
 * @returns the format
 */
export const debezium: MakeFormat = (options) => new DebeziumFormat(options);

class DebeziumFormat implements Format {
  readonly supportsDeleteWithoutKey = true;
  readonly showsRow = true;
  readonly usesRowLsn = true;
  readonly #options: FormatOptions;
  readonly #fields: FieldWriter;
  readonly #head: (transaction: Transaction) => { readonly source: Buffer; readonly sequence: Buffer };
  /** The same of rows that a snapshot has read. */
  readonly #readHead: (transaction: Transaction) => { readonly source: Buffer; readonly sequence: Buffer };
  readonly #table: (table: TableName) => Buffer;

  constructor(options: FormatOptions) {
    this.#options = options;
    this.#fields = new FieldWriter(debeziumTypes(options.debezium.time, options), { nulls: true });
    this.#head = memoiseLast((transaction) => sourceHead(options, transaction));
    this.#readHead = memoiseLast((transaction) => sourceHead(options, transaction, 'incremental'));
    this.#table = memoise(({ schema, name }) =>
      Buffer.from(`,"schema":${JSON.stringify(schema)},"table":${JSON.stringify(name)},"txId":`, 'utf8'),
    );
  }

  write(record: ChangeRecord, out: ByteWriter): void {
    out.copy(BEFORE);
    this.#before(record, out);
    out.copy(AFTER);
    this.#after(record, out);
    out.copy(SOURCE);
    this.#source(record, out);
    this.#transaction(record, out);
    out.ascii(`,"op":"${OPERATIONS[record.operation]}"`);
    const now = this.#options.now();
    out.ascii(`,"ts_ms":${now},"ts_us":${now}000,"ts_ns":${now}000000`);
    if (record.truncated) out.copy(TRUNCATED);
    out.byte(CLOSE_BRACE);
  }

  writeLogicalMessage(record: LogicalMessageRecord, out: ByteWriter): boolean {
    writeDebeziumLogicalMessage(this.#options, record, out);
    return true;
  }

  /** The old row as far as the server sent it: the key of a DELETE, the whole row under REPLICA IDENTITY FULL. */
  #before(record: ChangeRecord, out: ByteWriter): void {
    const { change, operation, key } = record;
    if (change === undefined || operation === 'INSERT') {
      out.copy(NULL);
    } else if (record.truncated) {
      if (operation === 'DELETE' && key !== undefined) this.#fields.key(key, change.bytes, out);
      else out.copy(NULL);
    } else if (change.oldTuple !== undefined) {
      this.#fields.row(change.oldTuple, undefined, record.omitted, change.bytes, out);
    } else {
      out.copy(NULL);
    }
  }

  #after(record: ChangeRecord, out: ByteWriter): void {
    const { change, operation, key } = record;
    if (change?.newTuple === undefined || operation === 'DELETE') {
      out.copy(NULL);
    } else if (record.truncated) {
      if (key === undefined) out.copy(NULL);
      else this.#fields.key(key, change.bytes, out);
    } else {
      this.#fields.row(change.newTuple, change.oldTuple, record.omitted, change.bytes, out);
    }
  }

  #source(record: ChangeRecord, out: ByteWriter): void {
    const head = record.operation === 'READ' ? this.#readHead : this.#head;
    const { source, sequence } = head(record.transaction);
    out.copy(source);
    out.copy(sequence);
    out.ascii(`${record.lsn}\\"]"`);
    const micros = record.transaction.commitTimeMicros;
    out.ascii(`,"ts_us":${micros},"ts_ns":${micros * 1000n}`);
    out.copy(this.#table(record.table));
    out.ascii(`${record.transaction.xid},"lsn":${record.lsn},"xmin":null,"origin":null,"origin_lsn":null}`);
  }

  #transaction(record: ChangeRecord, out: ByteWriter): void {
    if (!this.#options.debezium.transaction) {
      out.ascii(',"transaction":null');
      return;
    }
    const { transaction, ordinal, lsn } = record;
    out.ascii(
      `,"transaction":{"id":"${transaction.xid}:${lsn}","total_order":${ordinal},"data_collection_order":${ordinal}}`,
    );
  }
}
