/**
 * The objects that a decoder fills anew for each row, so that none is made for it. Pure; knows no plugin.
 */
import type { RowChange, Tuple } from './messages.ts';

/** A change that is filled again and again. */
export type ReusedChange = { -readonly [K in keyof RowChange]: RowChange[K] };

/** @returns a tuple without columns */
export function emptyTuple(): Tuple {
  return { count: 0, headers: [], kinds: [], starts: [], ends: [] };
}

/** @returns a change of no table */
export function emptyChange(): ReusedChange {
  return {
    kind: 'change',
    operation: 'INSERT',
    table: { printed: '', schema: '', name: '' },
    bytes: Buffer.alloc(0),
    newTuple: undefined,
    oldTuple: undefined,
    oversizeBytes: undefined,
    historicKey: undefined,
  };
}
