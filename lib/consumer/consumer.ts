/**
 * For consumers of the stream, as `pg2kinesis/consumer`: Kinesis records in, typed changes of `FORMAT=json` out. Pure: it
 * returns arrays, so that whoever works on them can await each, and no failure is lost in a callback. Knows no AWS SDK;
 * remembering what was applied, which needs a store, is the consumer's.
 */
import { lineRecords, userRecords } from './deaggregate.ts';

export { lineRecords, type RawRecord, type UserRecord, userRecords } from './deaggregate.ts';

/** A value of a row, by the rules of docs/records.md. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** Columns and their values. */
export type Row = Readonly<Record<string, JsonValue>>;

/** A change as `FORMAT=json` writes it. docs/records.md says what each field means. */
export interface Change {
  readonly id: string;
  readonly source: string;
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'READ';
  readonly schema: string;
  readonly table: string;
  /** The primary key, its columns in the key's order. */
  readonly key: Row | null;
  readonly row?: Row;
  readonly old?: Row;
  readonly unchanged?: readonly string[];
  readonly newKey?: Row;
  readonly oldKey?: Row;
  readonly truncated?: boolean;
  readonly jsonNull?: Readonly<Record<string, readonly string[]>>;
  readonly xid: number;
  readonly commitLsn: string;
  readonly ordinal: number;
  readonly commitTime: string;
}

/** A mark (MARKS=on): all records of its lane with a commit LSN up to its own stand before it. It is no change. */
export interface Mark {
  readonly source: string;
  readonly op: 'MARK';
  readonly commitLsn: string;
  readonly commitTime: string;
  readonly lane: number;
  readonly lanes: number;
  readonly system: string;
  readonly timeline: number;
  /** On marks that a run began with: each timeline of the server's history, and the LSN where it began. */
  readonly forks?: readonly (readonly [timeline: number, lsn: string])[];
  /** On the first lane's marks: tables of which a snapshot is still to bring rows. `all`: more than are named. */
  readonly reading?: readonly (readonly [schema: string, table: string])[] | 'all';
  /** On the first lane's marks: tables that a snapshot is through with since the mark before. */
  readonly read?: readonly (readonly [schema: string, table: string])[] | 'all';
}

/** A logical message as `FORMAT=json` writes it (MESSAGES). It is no change of a row. docs/records.md says what each field means. */
export interface Message {
  readonly id: string;
  readonly source: string;
  readonly op: 'MESSAGE';
  readonly prefix: string;
  readonly content?: string;
  readonly encoding?: 'base64';
  readonly truncated?: boolean;
  readonly transactional: boolean;
  readonly lsn: string;
  /** The last four are there where it is part of a transaction. */
  readonly xid?: number;
  readonly commitLsn?: string;
  readonly ordinal?: number;
  readonly commitTime?: string;
}

/** A Kinesis record, with its bytes. */
export interface KinesisRecord {
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

/** A record of the event that Lambda gives a consumer; its data is base64 there, and bytes from GetRecords. */
export interface LambdaRecord {
  readonly kinesis: { readonly partitionKey: string; readonly sequenceNumber: string; readonly data: string };
}

/**
 * Reads the changes of one Kinesis record, aggregated or not.
 *
 * @param record - with its bytes
 * @returns in order; marks and messages are passed over
 * @throws {Error} when a user record is not of `FORMAT=json`
 */
export function changesOf(record: KinesisRecord): Change[] {
  return allOf(record).filter((each) => each.op !== 'MARK' && each.op !== 'MESSAGE');
}

/**
 * Reads the changes and marks of one Kinesis record, aggregated or not.
 *
 * @param record - with its bytes
 * @returns in order; messages are passed over
 * @throws {Error} when a user record is not of `FORMAT=json`
 */
export function changesAndMarksOf(record: KinesisRecord): (Change | Mark)[] {
  return allOf(record).filter((each) => each.op !== 'MESSAGE');
}

/**
 * Reads the logical messages of one Kinesis record, aggregated or not.
 *
 * @param record - with its bytes
 * @returns in order; all else is passed over
 * @throws {Error} when a user record is not of `FORMAT=json`
 */
export function messagesOf(record: KinesisRecord): Message[] {
  return allOf(record).filter((each) => each.op === 'MESSAGE');
}

function allOf({ partitionKey, data }: KinesisRecord): (Change | Mark | Message)[] {
  const raw = { partitionKey, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
  return userRecords(raw).flatMap((user) => lineRecords(user).map((line) => readChange(line.data)));
}

/**
 * Reads the changes of a Lambda event, all of them: apply them in order, and await each.
 *
 * @param event - as Lambda gives it
 * @returns in order of the records; a change that comes twice in the event is returned once
 * @throws {Error} when a user record is not of `FORMAT=json`
 *
 * @example for (const change of changesOfEvent(event)) await apply(change);
 */
export function changesOfEvent(event: { readonly Records: readonly LambdaRecord[] }): Change[] {
  return onceOf(event, changesOf);
}

/**
 * Reads the logical messages of a Lambda event, in the same way.
 *
 * @param event - as Lambda gives it
 * @returns in order of the records; a message that comes twice in the event is returned once
 * @throws {Error} when a user record is not of `FORMAT=json`
 */
export function messagesOfEvent(event: { readonly Records: readonly LambdaRecord[] }): Message[] {
  return onceOf(event, messagesOf);
}

function onceOf<T extends Change | Message>(
  { Records }: { readonly Records: readonly LambdaRecord[] },
  read: (record: KinesisRecord) => T[],
): T[] {
  const seen = new Set<string>();
  return Records.flatMap(({ kinesis }) =>
    read({ partitionKey: kinesis.partitionKey, data: Buffer.from(kinesis.data, 'base64') }),
  ).filter((each) => {
    const name = identityOf(each);
    return !seen.has(name) && seen.add(name);
  });
}

/**
 * Names a change or a message among those of all sources: a repeat has the same name, and no other one has it.
 *
 * @param change - of any source
 * @returns a text to remember, for as long as a repeat can come
 */
export function identityOf({ source, id }: Pick<Change, 'source' | 'id'>): string {
  return JSON.stringify([source, id]);
}

/**
 * Compares two LSNs, which are two hexadecimal numbers each: as texts, `0/9` would come after `0/10`.
 *
 * @param a - for example `16/B374D848`
 * @param b - another
 * @returns below, at or above 0, for `sort`
 */
export function compareLsn(a: string, b: string): number {
  const [left, right] = [lsnNumber(a), lsnNumber(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function lsnNumber(lsn: string): bigint {
  const [, high, low] = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(lsn) ?? [];
  if (high === undefined || low === undefined) throw new Error(`"${lsn}" is no LSN.`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The parser's error quotes what it reads, which may be a row's values: it is not passed on. */
function readChange(data: Buffer): Change | Mark | Message {
  let change: unknown;
  try {
    change = JSON.parse(data.toString());
  } catch {
    change = undefined;
  }
  if (typeof change !== 'object' || change === null || !isRecord(change))
    throw new Error('A record of the stream is no change of FORMAT=json.');
  return change as Change | Mark | Message;
}

function isRecord(record: object): boolean {
  return 'op' in record && ('id' in record || record.op === 'MARK');
}
