/**
 * A user record of FORMAT=json as the replica needs it: its place in the commit order, its table and key, and its row as text.
 * Pure. What a value means to the target is for `../postgres/values.ts`.
 */
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import { eachMember } from './json-source.ts';

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
  readonly truncated: boolean;
  /** The whole record, to be kept in a file. */
  readonly text: string;
  /** Its characters. */
  readonly size: number;
}

/** Where a history left another one: the timeline that began, and the LSN up to which both are the same. */
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
  /** On the marks that a run begins with: how the server's history came about. */
  readonly forks: readonly Fork[] | undefined;
}

/** A record that says nothing of rows: a logical message. */
export interface Other {
  readonly kind: 'other';
  readonly source: string;
}

const OPERATIONS: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'READ']);

const NO_NAMES: readonly string[] = [];

/** The texts of a record's fields, by name. */
class Fields {
  readonly #texts = new Map<string, string>();
  constructor(text: string) {
    eachMember(text, (name, source) => this.#texts.set(name, source));
  }

  /** A field that may be missing or null, as it is written. */
  source(name: string): string | undefined {
    const source = this.#texts.get(name);
    return source === 'null' ? undefined : source;
  }

  text(name: string): string {
    const value = this.parsed(name);
    if (typeof value !== 'string') throw new SyntaxError(`A record of the stream has no "${name}".`);
    return value;
  }

  number(name: string): number {
    const value = this.parsed(name);
    if (typeof value !== 'number') throw new SyntaxError(`A record of the stream has no "${name}".`);
    return value;
  }

  lsn(name: string): Lsn {
    return lsnOf(this.text(name));
  }

  parsed(name: string): unknown {
    const source = this.#texts.get(name);
    if (source === undefined) return undefined;
    // Nearly all are plain strings, and the parser takes ten times as long.
    if (source.startsWith('"') && !source.includes('\\')) return source.slice(1, -1);
    return JSON.parse(source) as unknown;
  }
}

/** Records of a transaction are together: its LSN and time are read once. */
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
    const fields = new Fields(text);
    const op = fields.text('op');
    const source = fields.text('source');
    if (op === 'MARK') return readMark(fields, source);
    return OPERATIONS.has(op) ? readChange(fields, op as Change['op'], source, text) : { kind: 'other', source };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser's own message quotes what it reads, which may be a row's value.
    throw new ReplicaError(
      'RECORD_UNUSABLE',
      'The stream holds a record that is no change of FORMAT=json. Nothing of it was applied.',
    );
  }
}

function readChange(fields: Fields, op: Change['op'], source: string, text: string): Change {
  const jsonNull = fields.parsed('jsonNull') as Readonly<Record<string, readonly string[]>> | undefined;
  return {
    kind: 'change',
    op,
    source,
    schema: fields.text('schema'),
    table: fields.text('table'),
    lsn: fields.lsn('commitLsn'),
    ordinal: fields.number('ordinal'),
    commitMs: timeOf(fields.text('commitTime')),
    key: fields.source('key'),
    row: fields.source('row'),
    newKey: fields.source('newKey'),
    oldKey: fields.source('oldKey'),
    unchanged: (fields.parsed('unchanged') as readonly string[] | undefined) ?? NO_NAMES,
    jsonNull: jsonNull?.['row'] ?? NO_NAMES,
    truncated: fields.parsed('truncated') === true,
    text,
    size: text.length,
  };
}

function readMark(fields: Fields, source: string): Mark {
  const forks = fields.parsed('forks') as readonly (readonly [number, string])[] | undefined;
  return {
    kind: 'mark',
    source,
    lsn: fields.lsn('commitLsn'),
    commitMs: timeOf(fields.text('commitTime')),
    lane: fields.number('lane'),
    lanes: fields.number('lanes'),
    system: fields.text('system'),
    timeline: fields.number('timeline'),
    forks: forks?.map(([timeline, lsn]): Fork => [timeline, lsnOf(lsn)]),
  };
}
