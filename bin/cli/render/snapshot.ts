/** How far a snapshot is, in a line. Pure. */
import type { SnapshotAnswer } from '../../../lambda/run/snapshot-answer.ts';
import { count } from './units.ts';

/** @returns for example `public.orders, 1,200,000 rows read (52,000/s), 2 tables left` */
export function describeSnapshot(
  { table, rowsRead, tablesLeft, waitsFor, done }: SnapshotAnswer,
  perSecond?: number,
): string {
  return [
    table ?? '',
    `${count(rowsRead)} rows read${perSecond === undefined ? '' : ` (${count(Math.round(perSecond))}/s)`}`,
    done ? 'done' : `${count(tablesLeft)} ${tablesLeft === 1 ? 'table' : 'tables'} left`,
    waitsFor === undefined ? '' : `waiting for ${waitsFor}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}
