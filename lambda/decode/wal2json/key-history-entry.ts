/**
 * What wal2json says of primary keys: the ends of its lines (format version 2, `include-pk`), as the server cuts them off.
 * Pure. Only names are read; the values in between never leave the server.
 *
 * @see https://github.com/eulerto/wal2json
 */
import { type Lsn, parseLsn } from '../lsn.ts';

/** From a row of a table on, this is the table's primary key, until the next one of the same table. */
export interface KeyHistoryEntry {
  /** The commit LSN of the row's transaction. */
  readonly commitLsn: Lsn;
  /** The row's own position in its transaction. */
  readonly lsn: Lsn;
  /** Whether an INSERT is among its rows, which shows every column. Others show a key only as far as their old row has it. */
  readonly inserted: boolean;
  /** Unquoted. */
  readonly schema: string;
  /** Unquoted. */
  readonly table: string;
  /** The key's columns, unquoted, in the order of the table's columns; empty: none. */
  readonly key: readonly string[];
}

/** What the server cuts off a stretch's first line. Texts are UTF-8. */
export interface CutLine {
  /** The commit LSN of its transaction, as the server prints it. */
  readonly commit: string;
  readonly lsn: string;
  readonly inserted: boolean;
  /** The JSON string of the schema's name, without its quotes. */
  readonly schema: Buffer;
  readonly table: Buffer;
  /** The elements of the JSON array `pk`, without its brackets. */
  readonly pk: Buffer;
}

/**
 * Reads one line.
 *
 * @param line - as the server cuts it
 * @returns undefined where it is not wal2json's: then nothing of the answer is to be believed
 */
export function readKeyHistoryEntry(line: Partial<Record<keyof CutLine, unknown>>): KeyHistoryEntry | undefined {
  const commitLsn = parseLsn(String(line.commit));
  const lsn = parseLsn(String(line.lsn));
  const schema = nameOf(line.schema);
  const table = nameOf(line.table);
  const key = columnsOf(line.pk);
  if (commitLsn === undefined || lsn === undefined) return undefined;
  if (schema === undefined || table === undefined || key === undefined) return undefined;
  return { commitLsn, lsn, inserted: line.inserted === true, schema, table, key };
}

function nameOf(text: unknown): string | undefined {
  const name = Buffer.isBuffer(text) ? parsed(`"${text.toString('utf8')}"`) : undefined;
  return typeof name === 'string' ? name : undefined;
}

/** `{"name":"a"},{"name":"b"}` */
function columnsOf(text: unknown): string[] | undefined {
  if (!Buffer.isBuffer(text)) return undefined;
  const list = parsed(`[${text.toString('utf8')}]`);
  if (!Array.isArray(list)) return undefined;
  const columns: string[] = [];
  for (const each of list as unknown[]) {
    const name = typeof each === 'object' && each !== null && 'name' in each ? each.name : undefined;
    if (typeof name !== 'string') return undefined;
    columns.push(name);
  }
  return columns;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
