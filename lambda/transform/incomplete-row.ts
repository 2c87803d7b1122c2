/**
 * Whether a record would show a value that was too large to be kept. Pure; what becomes of the record is the
 * transformation's to say.
 */
import { type Tuple, ValueKind } from '../decode/messages.ts';
import type { ChangeRecord } from '../format/record.ts';

/**
 * Looks for values that a record of the full row would need and that were not kept.
 *
 * @param record - of a format that shows the row
 * @returns how many bytes the server sent of the row where there is such a value, else 0
 */
export function bytesOfIncompleteRow({ change, operation, omitted }: ChangeRecord): number {
  if (change?.oversizeBytes === undefined) return 0;
  const incomplete =
    isIncomplete(change.oldTuple, omitted) || (operation !== 'DELETE' && isIncomplete(change.newTuple, omitted));
  return incomplete ? change.oversizeBytes : 0;
}

function isIncomplete(tuple: Tuple | undefined, omitted: ReadonlySet<string>): boolean {
  if (tuple === undefined) return false;
  for (let i = 0; i < tuple.count; i++) {
    if (tuple.kinds[i] === ValueKind.elided && !omitted.has(tuple.headers[i]?.printed ?? '')) return true;
  }
  return false;
}
