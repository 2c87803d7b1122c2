/**
 * Why a snapshot does not read a table: clauses for the answer, and for the log. Pure; knows the catalogs' row of the table.
 */
import type { TableRow } from './snapshot-tables.ts';

/** Of something that has no rows in the WAL. */
export const NO_TABLE = "it is no table, or an unlogged, temporary or foreign one, or one of the server's own";
/** Of a table with a value that is not UTF-8. */
export const NOT_UTF8 = 'it holds text that is not UTF-8, and the server does not know in which encoding that is';

/** @returns why a table cannot be read in chunks; undefined: it can be */
export function whyRefused(table: TableRow): string | undefined {
  if (!table.is_table) return NO_TABLE;
  if (table.key === null) return 'it has no primary key';
  if (table.deferrable) return 'its primary key is deferrable';
  if (!table.is_btree) return 'its primary key has no order to read it by: its index is no B-tree';
  if (!table.holds)
    return 'its replica identity does not hold the primary key, so a DELETE does not show which row it was';
  if (!table.may_read) return 'this role may not read it';
  if (table.hides_rows) return 'row-level security may hide rows from this role, and half of a table is no snapshot';
  if (table.comes_under !== null)
    return `its changes come under the name of ${table.comes_under}, which is to be given instead`;
  if (!table.published) return 'no publication of the slot has it';
  const sent = new Set((table.columns ?? []).map(({ printed }) => printed));
  if (table.key.some(({ printed }) => !sent.has(printed)))
    return 'the plugin does not send all columns of its primary key';
  return undefined;
}
