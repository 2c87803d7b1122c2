/**
 * The end of a line of TRUNCATE: its flags. Pure; knows no row.
 */
import { type TableName, type Truncate, UndecodableError } from '../messages.ts';
import { literal, startsWithAt } from './scan.ts';

const TRUNCATE = literal('TRUNCATE:');
const NO_FLAGS = literal(' (no-flags)');
const RESTART_SEQS = literal(' restart_seqs');
const CASCADE = literal(' cascade');

/**
 * `TRUNCATE: restart_seqs cascade`. The plugin always prints flags: a line without any was cut.
 *
 * @param bytes - what holds the line
 * @param from - the index after the tables and their colon
 * @param end - the index after the line's last byte
 * @param start - the line's first byte
 * @param tables - the line's tables
 * @throws {UndecodableError} when it is anything else
 */
export function decodeTruncate(bytes: Buffer, from: number, end: number, start: number, tables: TableName[]): Truncate {
  if (!startsWithAt(bytes, from, end, TRUNCATE)) {
    const operations = tables.length > 1 ? '"TRUNCATE:"' : '"INSERT:", "UPDATE:", "DELETE:" or "TRUNCATE:"';
    throw new UndecodableError(operations, from - start);
  }
  const flags = from + TRUNCATE.length;
  let at = flags;
  if (startsWithAt(bytes, at, end, NO_FLAGS)) {
    at += NO_FLAGS.length;
  } else {
    if (startsWithAt(bytes, at, end, RESTART_SEQS)) at += RESTART_SEQS.length;
    if (startsWithAt(bytes, at, end, CASCADE)) at += CASCADE.length;
    if (at === flags) throw new UndecodableError('" (no-flags)", " restart_seqs" or " cascade"', at - start);
  }
  if (at !== end) throw new UndecodableError('the end of the line', at - start);
  return { kind: 'truncate', tables };
}
