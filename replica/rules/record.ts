/**
 * A user record of FORMAT=json, read as far as a replica needs it: its place in the commit order, its table and key, its row as
 * text. Pure. How a value is written at the target is in `../postgres/values.ts`.
 */
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import { type MarkedSnapshot, tableId, type TableIds } from './copying.ts';
import { eachMember } from './json-text.ts';

/** A change of one row, or a TRUNCATE. Parts are JSON texts as they are in the record. */
export interface Change {
  readonly kind: 'change';
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'READ';
  readonly source: string;
  readonly schema: string;
  readonly table: string;
  readonly lsn: Lsn;
  readonly ordinal: number;
  readonly commitMs: number;
  /** Undefined: a TRUNCATE, or a DELETE whose key is not known. */
  readonly key: string | undefined;
  readonly row: string | undefined;
  readonly newKey: string | undefined;
  readonly oldKey: string | undefined;
  readonly unchanged: readonly string[];
  /** Columns of the row whose null is JSON's. */
  readonly jsonNull: readonly string[];
  /** Whether its row is lacking, because it was too large for a record. A DELETE needs none. */
  readonly truncated: boolean;
  /** The whole record, to be kept in a file. */
  readonly text: string;
  /** Its characters. */
  readonly size: number;
}

/** Where a new timeline left the old one: the new timeline, and the LSN up to which both are the same. */
export type Fork = readonly [timeline: number, lsn: Lsn];

/** All records of the lane with a commit LSN up to `lsn` are before this one. */
export interface Mark {
  readonly kind: 'mark';
  readonly source: string;
  readonly lsn: Lsn;
  readonly commitMs: number;
  readonly lane: number;
  readonly lanes: number;
  readonly system: string;
  readonly timeline: number;
  /** The server's history of timelines; only on the marks that a run begins with. */
  readonly forks: readonly Fork[] | undefined;
  /** What it says of a snapshot; undefined: nothing, as a run began with it. */
  readonly snapshot: MarkedSnapshot | undefined;
}

/** A record that says nothing of rows that are copied: a logical message, or a change of another copy's position. */
export interface Other {
  readonly kind: 'other';
  readonly source: string;
}

const OPERATIONS: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'READ']);

/** The tables in which a copy keeps its position. A source may be a copy itself. */
const POSITION_TABLE = /^replica(_shard|_lane|_note|_truncate|_parked|_waiting)?$/;

const NO_NAMES: readonly string[] = [];

/** The texts of a record's fields. */
class Fields {
  op: string | undefined;
  source: string | undefined;
  schema: string | undefined;
  table: string | undefined;
  key: string | undefined;
  newKey: string | undefined;
  oldKey: string | undefined;
  row: string | undefined;
  unchanged: string | undefined;
  truncated: string | undefined;
  jsonNull: string | undefined;
  commitLsn: string | undefined;
  ordinal: string | undefined;
  commitTime: string | undefined;
  lane: string | undefined;
  lanes: string | undefined;
  system: string | undefined;
  timeline: string | undefined;
  forks: string | undefined;
  reading: string | undefined;
  read: string | undefined;
  partial: string | undefined;
}

const NAMES: ReadonlySet<string> = new Set(Object.keys(new Fields()));

function fieldsOf(text: string): Fields {
  const fields = new Fields();
  eachMember(text, (name, source) => {
    if (NAMES.has(name)) fields[name as keyof Fields] = source === 'null' ? undefined : source;
  });
  return fields;
}

function parsed(source: string | undefined): unknown {
  return source === undefined ? undefined : (JSON.parse(source) as unknown);
}

function textOf(source: string | undefined): string {
  // Nearly all are plain strings; JSON.parse would take ten times as long.
  if (source?.startsWith('"') === true && !source.includes('\\')) return source.slice(1, -1);
  const value = parsed(source);
  if (typeof value !== 'string') throw new SyntaxError('A record of the stream lacks a field.');
  return value;
}

function numberOf(source: string | undefined): number {
  const value = source === undefined ? Number.NaN : Number(source);
  if (Number.isNaN(value)) throw new SyntaxError('A record of the stream lacks a field.');
  return value;
}

/** The records of a transaction follow each other, so its LSN and time are parsed once. */
let lastLsn = { text: '', lsn: 0n };
let lastTime = { text: '', ms: 0 };

function lsnOf(text: string): Lsn {
  if (text === lastLsn.text) return lastLsn.lsn;
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new SyntaxError('A record of the stream has no LSN where one has to be.');
  lastLsn = { text, lsn };
  return lsn;
}

function timeOf(text: string): number {
  if (text !== lastTime.text) lastTime = { text, ms: Date.parse(text) };
  return lastTime.ms;
}

/**
 * Reads a user record.
 *
 * @param text - one record of `FORMAT=json`
 * @throws {ReplicaError} RECORD_UNUSABLE where it is none
 */
export function readRecord(text: string): Change | Mark | Other {
  try {
    const fields = fieldsOf(text);
    const op = textOf(fields.op);
    const source = textOf(fields.source);
    if (op === 'MARK') return readMark(fields, source);
    if (!OPERATIONS.has(op)) return { kind: 'other', source };
    const change = readChange(fields, op as Change['op'], source, text);
    const isPosition = change.schema === 'pg2kinesis' && POSITION_TABLE.test(change.table);
    return isPosition ? { kind: 'other', source } : change;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser's own message quotes what it reads, which may be a row's value.
    throw new ReplicaError(
      'RECORD_UNUSABLE',
      'The stream holds a record that is no change of FORMAT=json. Nothing of it was applied.',
      {
        remedy:
          'Publish with FORMAT=json. Where the record is from before that, nothing tells which commit it is of, and no copy gets past it: publish to another stream, or wait until this one no longer keeps it.',
      },
    );
  }
}

function readChange(fields: Fields, op: Change['op'], source: string, text: string): Change {
  const jsonNull = parsed(fields.jsonNull) as Readonly<Record<string, readonly string[]>> | undefined;
  return {
    kind: 'change',
    op,
    source,
    schema: textOf(fields.schema),
    table: textOf(fields.table),
    lsn: lsnOf(textOf(fields.commitLsn)),
    ordinal: numberOf(fields.ordinal),
    commitMs: timeOf(textOf(fields.commitTime)),
    key: fields.key,
    row: fields.row,
    newKey: fields.newKey,
    oldKey: fields.oldKey,
    unchanged: (parsed(fields.unchanged) as readonly string[] | undefined) ?? NO_NAMES,
    jsonNull: jsonNull?.['row'] ?? NO_NAMES,
    truncated: op !== 'DELETE' && parsed(fields.truncated) === true,
    text,
    size: text.length,
  };
}

function readMark(fields: Fields, source: string): Mark {
  const forks = parsed(fields.forks) as readonly (readonly [number, string])[] | undefined;
  return {
    kind: 'mark',
    source,
    lsn: lsnOf(textOf(fields.commitLsn)),
    commitMs: timeOf(textOf(fields.commitTime)),
    lane: numberOf(fields.lane),
    lanes: numberOf(fields.lanes),
    system: textOf(fields.system),
    timeline: numberOf(fields.timeline),
    forks: forks?.map(([timeline, lsn]): Fork => [timeline, lsnOf(lsn)]),
    snapshot: forks === undefined ? snapshotOf(fields) : undefined,
  };
}

function snapshotOf({ reading, read, partial }: Fields): MarkedSnapshot {
  return { reading: tablesOf(reading), read: tablesOf(read), ...(parsed(partial) === true ? { isPartial: true } : {}) };
}

function tablesOf(source: string | undefined): TableIds {
  const tables = parsed(source) as readonly (readonly [schema: string, table: string])[] | 'all' | undefined;
  return tables === undefined || tables === 'all'
    ? (tables ?? [])
    : tables.map(([schema, table]) => tableId(schema, table));
}
