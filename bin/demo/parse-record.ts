/**
 * Reads a user record as a consumer would: each format with the means that its readers have (a JSON parser, an RFC 4180
 * splitter). Pure; knows none of the code that wrote it.
 */
import { readDebezium, readDms } from './envelopes.ts';
import { canonical, identityOf, KNOWN_TABLES, type ParsedRecord } from './record-identity.ts';
import { type Json, quoted, type Row } from './tables.ts';

/** The formats that the demo's consumer reads. */
export const FORMAT_NAMES = ['csv', 'csv-payload', 'json', 'debezium', 'dms', 'module'] as const;
/** One of {@link FORMAT_NAMES}. */
export type FormatName = (typeof FORMAT_NAMES)[number];

const PREFIX = '0,CDC,';

/**
 * Reads a user record.
 *
 * @param data - the user record as text
 * @param format - which format it is in
 * @throws {Error} when it is not in that format, or of no table of the demo
 */
export function parseRecord(data: string, format: FormatName): ParsedRecord {
  switch (format) {
    case 'csv':
      return readCsv(data);
    case 'csv-payload':
      return readCsvPayload(data);
    case 'json':
      return readJson(data);
    case 'module':
      // The demo's own formatter writes the same, made of what a formatter is given.
      return readJson(data);
    case 'debezium':
      return readDebezium(data);
    case 'dms':
      return readDms(data);
  }
}

/** `0,CDC,<xid>,<table>,<operation>,<key>` */
function readCsv(data: string): ParsedRecord {
  const fields = splitCsv(data);
  const [zero, cdc, xid, table, operation, pkey] = fields;
  if (fields.length !== 6 || zero !== '0' || cdc !== 'CDC') throw new Error(`not 0,CDC and four fields: ${data}`);
  return toParsedRecord(xid, table, operation, operation === 'TRUNCATE' && pkey === '' ? null : pkey);
}

/** `0,CDC,{"xid": ..., "table": ..., "operation": ..., "pkey": ...}` */
function readCsvPayload(data: string): ParsedRecord {
  if (!data.startsWith(PREFIX)) throw new Error(`does not begin with ${PREFIX}: ${data}`);
  const { xid, table, operation, pkey, ...rest } = JSON.parse(data.slice(PREFIX.length)) as Record<string, unknown>;
  if (Object.keys(rest).length > 0) throw new Error(`members that the format does not have: ${data}`);
  return toParsedRecord(xid, table, operation, Array.isArray(pkey) ? JSON.stringify(pkey) : pkey);
}

function toParsedRecord(xid: unknown, table: unknown, operation: unknown, pkey: unknown): ParsedRecord {
  if (typeof xid !== 'string' || typeof table !== 'string' || typeof operation !== 'string')
    throw new Error('a field is missing');
  const known = KNOWN_TABLES.get(table);
  if (known === undefined) throw new Error(`no table of the demo: ${table}`);
  if (pkey !== null && typeof pkey !== 'string') throw new Error('a key that is no text');
  const key = pkey === null ? undefined : known.key.length > 1 ? (JSON.parse(pkey) as Json[]) : [pkey];
  return { identity: identityOf({ xid, table, operation, key }), contents: undefined, id: undefined };
}

interface JsonRecord {
  readonly id: string;
  readonly source: string;
  readonly op: string;
  readonly schema: string;
  readonly table: string;
  readonly key: Row | null;
  readonly row?: Row;
  readonly old?: Row;
  readonly unchanged?: readonly string[];
  readonly newKey?: Row;
  readonly oldKey?: Row;
  readonly xid: number;
  readonly commitLsn: string;
  readonly ordinal: number;
  readonly commitTime: string;
}

function readJson(data: string): ParsedRecord {
  const record = JSON.parse(data) as JsonRecord;
  const { id, xid, commitLsn, commitTime, old, ...contents } = record;
  if (id !== `${commitLsn}@${micros(commitTime)}#${record.ordinal}`)
    throw new Error(`identifier and position differ: ${data}`);
  if (record.op === 'DELETE' && old !== undefined && canonical(old) !== canonical(record.key))
    throw new Error(`the old row is not the key: ${data}`);
  const table = `${quoted(record.schema)}.${quoted(record.table)}`;
  const known = KNOWN_TABLES.get(table);
  if (known === undefined) throw new Error(`no table of the demo: ${table}`);
  const key = record.key === null ? undefined : known.key.map((column) => record.key?.[column] ?? null);
  return {
    identity: identityOf({ xid: String(xid), table, operation: record.op, key }),
    contents: canonical(contents),
    id,
  };
}

/** An ISO instant in microseconds since 1970. */
function micros(instant: string): string {
  const [, seconds = '', fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(instant) ?? [];
  return String(BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0')));
}

/** RFC 4180: one record's fields. */
function splitCsv(line: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= line.length;) {
    if (line[at] === '"') {
      let field = '';
      for (at++; ; at++) {
        if (at >= line.length) throw new Error(`a quote is open at the end: ${line}`);
        if (line[at] !== '"') field += line[at] ?? '';
        else if (line[at + 1] === '"') field += line[at++] ?? '';
        else break;
      }
      if (++at < line.length && line[at] !== ',') throw new Error(`text after a closing quote: ${line}`);
      fields.push(field);
    } else {
      const comma = line.indexOf(',', at);
      const field = line.slice(at, comma < 0 ? undefined : comma);
      if (/["\r\n]/.test(field)) throw new Error(`a field that should be quoted: ${line}`);
      fields.push(field);
      at = comma < 0 ? line.length : comma;
    }
    if (at >= line.length) return fields;
    at++;
  }
  return fields;
}
