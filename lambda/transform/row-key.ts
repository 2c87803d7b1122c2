/**
 * Finds a row's primary key among its columns, and tells whether two keys differ.
 * Pure. The catalogs say which columns make the key; the transformation decides what to do without one.
 */
import { type Tuple, ValueKind } from '../decode/messages.ts';
import type { Key } from '../format/record.ts';

/**
 * What became of a search for a key. `absent`: a key column is missing from the row or NULL, so it was not a key column at
 * that time. `unsent`: its value is stored out of line, did not change, and was not sent. `elided`: its value was too large
 * to keep.
 */
export type Located = 'found' | 'absent' | 'unsent' | 'elided';

/** @returns a key to be filled by {@link locateKey}, again and again */
export function emptyKey(): Key {
  return { count: 0, tuples: [], columns: [] };
}

/**
 * Finds a key's parts.
 *
 * @param names - the key's columns as printed, in key order, 1 or more
 * @param tuple - the row in which to look
 * @param fallback - the row in which to look for parts that `tuple` has as unchanged
 * @param key - filled in; its former columns are tried first, so that a table's rows cost one comparison a part
 */
export function locateKey(names: readonly string[], tuple: Tuple, fallback: Tuple | undefined, key: Key): Located {
  key.count = names.length;
  for (let part = 0; part < names.length; part++) {
    const name = names[part] ?? '';
    let column = columnOf(tuple, name, key.columns[part] ?? 0);
    let source = tuple;
    if (column === -1) return 'absent';
    if (tuple.kinds[column] === ValueKind.null) return 'absent';
    if (!isSent(tuple, column)) {
      if (tuple.kinds[column] === ValueKind.elided) return 'elided';
      if (fallback === undefined) return 'unsent';
      source = fallback;
      column = columnOf(fallback, name, 0);
      if (column === -1) return 'unsent';
      if (fallback.kinds[column] === ValueKind.elided) return 'elided';
      if (!isSent(fallback, column)) return 'unsent';
    }
    key.tuples[part] = source;
    key.columns[part] = column;
  }
  return 'found';
}

/**
 * Whether two keys of one change have the same parts, compared as text.
 *
 * @param a - a key located in the change
 * @param b - another of as many parts
 * @param bytes - the change's bytes, which the tuples' ranges refer to
 */
export function sameKey(a: Key, b: Key, bytes: Uint8Array): boolean {
  for (let part = 0; part < a.count; part++) {
    const aTuple = a.tuples[part];
    const bTuple = b.tuples[part];
    const aColumn = a.columns[part] ?? 0;
    const bColumn = b.columns[part] ?? 0;
    if (aTuple === undefined || bTuple === undefined) return false;
    const aStart = aTuple.starts[aColumn] ?? 0;
    const bStart = bTuple.starts[bColumn] ?? 0;
    const length = (aTuple.ends[aColumn] ?? 0) - aStart;
    if ((bTuple.ends[bColumn] ?? 0) - bStart !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[aStart + i] !== bytes[bStart + i]) return false;
  }
  return true;
}

/** The index of the column of that printed name, tried first at `hint`; -1: there is none. */
function columnOf(tuple: Tuple, name: string, hint: number): number {
  if (hint < tuple.count && tuple.headers[hint]?.printed === name) return hint;
  for (let i = 0; i < tuple.count; i++) if (tuple.headers[i]?.printed === name) return i;
  return -1;
}

/** Whether the value itself is at hand. A key's column is never NULL. */
function isSent(tuple: Tuple, column: number): boolean {
  const kind = tuple.kinds[column];
  return kind !== ValueKind.unchanged && kind !== ValueKind.null && kind !== ValueKind.elided;
}
