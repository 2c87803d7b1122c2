/**
 * The statement of a peek. What differs between plugins is in `plugins.ts`.
 */
import pg from 'pg';
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import type { Connection } from './connection.ts';

/**
 * The statement of a peek.
 *
 * The nested loop over two numbers rescans the function's stored result; the decoding is not repeated. A pass that
 * finds nothing gives one row of NULLs.
 *
 * @param slotName - the slot
 * @param upto - transactions whose commit record starts before it
 * @param limit - stop at the first commit at or after so many rows; undefined: no limit
 * @param connection - gives the database encoding and the plugin
 */
export function peekStatement(
  slotName: string,
  upto: Lsn,
  limit: number | undefined,
  { encoding, plugin }: Pick<Connection, 'encoding' | 'plugin'>,
): string {
  return `COPY (SELECT p.lsn, ${plugin.data(encoding)}
    FROM (VALUES (0), (1)) v(n) LEFT JOIN pg_logical_slot_peek_binary_changes(${pg.escapeLiteral(slotName)}, '${formatLsn(upto)}', ${limit ?? 'NULL'}, ${plugin.options}) p
    ON (v.n = 1 OR (${plugin.endsTransaction}))) TO STDOUT (FORMAT binary)`;
}
