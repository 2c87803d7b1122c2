/**
 * What wal2json says of changes that it leaves out, a warning each: UPDATEs and DELETEs of tables without a usable replica
 * identity. The warnings of a peek come before its rows, so they tell tables and numbers, and no transaction. Pure.
 *
 * @see https://github.com/eulerto/wal2json/blob/master/wal2json.c
 */
import type { LeftOutChanges } from '../ports/slot.ts';
import type { Notice } from './notices.ts';

const ROUTINE = 'pg_decode_write_change';
/** In no language but this one. Names are not quoted: one with `"."` in it is read wrongly, and its changes count all the same. */
const TEXT = /^no tuple (?:identifier|data) for (?:INSERT|UPDATE|DELETE) in table "(.*?)"\."(.*)"$/s;

/**
 * @param notices - what the server warned of
 * @returns what is left out, by table
 */
export function leftOutBy(notices: readonly Notice[]): LeftOutChanges[] {
  return notices.flatMap(({ routine, message, count }) => {
    const [, schema, name] = routine === ROUTINE ? (TEXT.exec(message) ?? []) : [];
    return schema === undefined || name === undefined ? [] : [{ schema, name, changes: count }];
  });
}
