/**
 * What identifies a record, whatever its format, and texts by which values are compared. Pure; knows the demo's tables.
 */
import { type DemoTable, type Json, printedName, TABLES } from './tables.ts';

/** What identifies a record, in every format. */
export interface RecordIdentity {
  readonly xid: string;
  /** As test_decoding prints it. */
  readonly table: string;
  readonly operation: string;
  /** The key's parts in key order; undefined for TRUNCATE. */
  readonly key: readonly Json[] | undefined;
}

/** The demo's tables and their partitions, by printed name. */
export const KNOWN_TABLES: ReadonlyMap<string, DemoTable> = new Map(
  TABLES.flatMap((table) => [table, ...(table.partitions ?? [])]).map((table) => [printedName(table), table]),
);

/**
 * A text that identifies a record: the demo touches no key twice in a transaction.
 *
 * @param record - its transaction, table, operation and key
 * @returns equal texts for equal records
 */
export function identityOf(record: RecordIdentity): string {
  return `${record.xid} ${record.operation} ${record.table} ${record.key === undefined ? '' : keyText(record.key)}`;
}

/**
 * A primary key as partition keys and the CSV formats write it.
 *
 * @param key - its parts in key order
 */
export function keyText(key: readonly Json[]): string {
  const texts = key.map((part) => (typeof part === 'string' ? part : JSON.stringify(part)));
  return texts.length === 1 ? (texts[0] ?? '') : JSON.stringify(texts);
}

/**
 * JSON with every object's members in one order, so that equal values are equal texts.
 *
 * @param value - any JSON value
 */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

/** A record, as far as its format says. */
export interface ParsedRecord {
  readonly identity: string;
  /** Undefined where the format says no more than the identity. */
  readonly contents: string | undefined;
  /** Its producer's identifier; undefined where the format has none. */
  readonly id: string | undefined;
}
