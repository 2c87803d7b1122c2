/**
 * The statement of a peek, and how both ways of reading a slot ask the plugin. Knows test_decoding's options.
 */
import pg from 'pg';
import { formatLsn, type Lsn } from '../decode/lsn.ts';

/** How both ways of reading a slot ask the plugin: xids and times, and nothing of transactions that changed nothing. */
export const PLUGIN_OPTIONS = `'include-xids', '1', 'include-timestamp', '1', 'skip-empty-xacts', '1'`;

/**
 * The statement of a peek.
 *
 * The nested loop over two numbers rescans the function's stored result; the decoding is not repeated. A pass that
 * finds nothing gives one row of NULLs. A logical message is cut to its first word: its content can be of any size and
 * is in no encoding.
 *
 * @param slotName - the slot
 * @param upto - transactions whose commit record starts before it
 * @param limit - stop at the first commit at or after so many rows; undefined: no limit
 * @param encoding - the database's, as PostgreSQL names it
 */
export function peekStatement(slotName: string, upto: Lsn, limit: number | undefined, encoding: string): string {
  // SQL_ASCII is bytes of unknown meaning, which no server converts: each row is checked to be UTF-8 on arrival.
  const convert = encoding !== 'UTF8' && encoding !== 'SQL_ASCII';
  const data = convert ? `convert(p.data, ${pg.escapeLiteral(encoding)}, 'UTF8')` : 'p.data';
  return `COPY (SELECT p.lsn, CASE WHEN p.data >= 'message:'::bytea AND p.data < 'message;'::bytea THEN 'message:'::bytea ELSE ${data} END
    FROM (VALUES (0), (1)) v(n) LEFT JOIN pg_logical_slot_peek_binary_changes(${pg.escapeLiteral(slotName)}, '${formatLsn(upto)}', ${limit ?? 'NULL'}, ${PLUGIN_OPTIONS}) p
    ON (v.n = 1 OR (p.data >= 'COMMIT'::bytea AND p.data < 'COMMIU'::bytea))) TO STDOUT (FORMAT binary)`;
}
