/**
 * A logical message as Debezium's PostgreSQL connector writes it: `{"op":"m","ts_ms":…,"source":{…},"transaction":null,
 * "message":{"prefix":…,"content":…}}`, the content in base64. Knows no row.
 *
 * @see https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-message-events
 */
import type { ByteWriter } from '../byte-writer.ts';
import type { FormatOptions, LogicalMessageRecord } from '../record.ts';
import { sourceHead } from './source.ts';

/**
 * Appends a message.
 *
 * @param options - the source's name, the database, and the time
 * @param record - the message
 * @param out - it is appended to this
 */
export function writeDebeziumLogicalMessage(
  options: FormatOptions,
  record: LogicalMessageRecord,
  out: ByteWriter,
): void {
  const { transaction, lsn, prefix } = record;
  const now = options.now();
  // Of one outside a transaction nothing tells when it was written. Debezium takes the time of reading, too.
  const at = transaction ?? { commitLsn: lsn, commitTimeMicros: BigInt(now) * 1000n };
  const { source, sequence } = sourceHead(options, at);
  out.ascii(`{"op":"m","ts_ms":${now},"source":`);
  out.copy(source);
  out.copy(sequence);
  const micros = at.commitTimeMicros;
  out.ascii(`${lsn}\\"]","ts_us":${micros},"ts_ns":${micros * 1000n},"schema":"","table":""`);
  out.ascii(`,"txId":${transaction?.xid ?? 'null'},"lsn":${lsn},"xmin":null,"origin":null,"origin_lsn":null}`);
  // `transaction` would number messages among rows, whose numbers must not depend on whether messages are read.
  out.utf8(`,"transaction":null,"message":{"prefix":${JSON.stringify(prefix)},"content":`);
  if (record.truncated) out.ascii('null},"truncated":true}');
  else out.ascii(`"${record.bytes.toString('base64', record.start, record.end)}"}}`);
}
