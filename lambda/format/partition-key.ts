/**
 * Partition keys: they decide a record's lane, and so which records stay in order with each other.
 * Knows no lane and no stream, only Kinesis's limit of 256 characters. Names are unquoted here.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html
 */
import { createHash } from 'node:crypto';
import type { TableName } from '../decode/messages.ts';
import type { ByteWriter } from './byte-writer.ts';
import { debeziumTypes } from './debezium/types.ts';
import { FieldWriter } from './fields.ts';
import { writeKeyText } from './key-text.ts';
import { memoise } from './memo.ts';
import type { ChangeRecord, DebeziumOptions, LogicalMessageRecord, PartitionMode, TypeFacts } from './record.ts';

/** Appends a record's partition key, UTF-8, to `out`. */
export type PartitionKeyWriter = (record: ChangeRecord, out: ByteWriter) => void;

/** Appends a logical message's partition key, UTF-8, to `out`. */
export type LogicalMessageKeyWriter = (record: LogicalMessageRecord, out: ByteWriter) => void;

/** The longest partition key Kinesis takes, in characters. */
const MAX_CHARACTERS = 256;

/**
 * Makes the function that writes partition keys.
 *
 * @param mode - `primary-key`: `<schema>.<table>:<primary key>`, or `<schema>.<table>` for a TRUNCATE and a DELETE
 *   without key; `table`: `<schema>.<table>`; `transaction`: the xid; `stream`: the source's name
 * @param source - the source's name
 * @returns the function; a key of more than 256 characters it replaces by its SHA-256 in hex
 */
export function partitionKeyWriter(mode: PartitionMode, source: string): PartitionKeyWriter {
  switch (mode) {
    case 'primary-key': {
      const prefix = memoise((table: TableName) => Buffer.from(`${table.schema}.${table.name}:`, 'utf8'));
      return (record, out) => {
        const start = out.length;
        const bytes = prefix(record.table);
        if (record.key === undefined || record.change === undefined) {
          out.copy(bytes, 0, bytes.length - 1);
        } else {
          out.copy(bytes);
          writeKeyText(record.key, record.change.bytes, out);
        }
        shortenPartitionKey(out, start);
      };
    }
    case 'table': {
      const name = memoise((table: TableName) => Buffer.from(`${table.schema}.${table.name}`, 'utf8'));
      return (record, out) => {
        const start = out.length;
        out.copy(name(record.table));
        shortenPartitionKey(out, start);
      };
    }
    case 'transaction':
      return (record, out) => out.decimal(record.transaction.xid);
    case 'stream': {
      const name = Buffer.from(source, 'utf8');
      return (_record, out) => {
        const start = out.length;
        out.copy(name);
        shortenPartitionKey(out, start);
      };
    }
  }
}

/**
 * Makes the function that writes partition keys as Debezium Server's Kinesis sink does: the key's JSON, `{"id":1}`, or
 * `default` where there is none. Debezium does not shorten one that Kinesis refuses; this one replaces it by its SHA-256.
 *
 * @param time - how a key's dates and times are written
 * @param types - what a key's domains are made of
 */
export function debeziumKeyWriter(time: DebeziumOptions['time'], types: TypeFacts = {}): PartitionKeyWriter {
  const fields = new FieldWriter(debeziumTypes(time, types), { nulls: true });
  return (record, out) => {
    const start = out.length;
    if (record.key === undefined || record.change === undefined) out.ascii('default');
    else fields.key(record.key, record.change.bytes, out);
    shortenPartitionKey(out, start);
  };
}

/**
 * Makes the function that writes the partition keys of logical messages.
 *
 * @param mode - `transaction`: the xid, of a message that has one; `stream`: the source's name; else, and without an xid,
 *   the message's prefix, or `message` where that is empty
 * @param source - the source's name
 * @returns the function; a key of more than 256 characters it replaces by its SHA-256 in hex
 */
export function logicalMessageKeyWriter(mode: PartitionMode, source: string): LogicalMessageKeyWriter {
  return ({ transaction, prefix }, out) => {
    const start = out.length;
    if (mode === 'transaction' && transaction !== undefined) out.decimal(transaction.xid);
    else if (mode === 'stream') out.utf8(source);
    else out.utf8(prefix === '' ? 'message' : prefix);
    shortenPartitionKey(out, start);
  };
}

/** Writes a logical message's partition key as Debezium Server's Kinesis sink does: `{"prefix":"orders/42"}`. */
export function debeziumMessageKey({ prefix }: LogicalMessageRecord, out: ByteWriter): void {
  const start = out.length;
  out.utf8(JSON.stringify({ prefix }));
  shortenPartitionKey(out, start);
}

/**
 * Replaces what is after `start` by its SHA-256 if it is too long. Characters are counted as UTF-16 units. That is the
 * largest of the possible counts, so no key is refused, however the service counts.
 *
 * @param out - ends with the partition key
 * @param start - where it begins
 */
export function shortenPartitionKey(out: ByteWriter, start: number): void {
  if (out.length - start <= MAX_CHARACTERS) return;
  if (utf16Length(out.bytes, start, out.length) <= MAX_CHARACTERS) return;
  const digest = createHash('sha256').update(out.bytes.subarray(start, out.length)).digest('hex');
  out.length = start;
  out.ascii(digest);
}

/** One unit for each character's first byte, and a second one for those of four bytes. */
function utf16Length(bytes: Buffer, start: number, end: number): number {
  let units = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] ?? 0;
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units;
}
