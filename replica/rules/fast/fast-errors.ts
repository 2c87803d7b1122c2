/**
 * What is wrong with records that cannot be applied as they come. Pure: facts in, errors out.
 */
import { formatLsn, type Lsn } from '../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../errors.ts';
import type { Change } from '../record.ts';

/**
 * @param lane - that has changes and no marks
 * @param appliedUpto - how far the lane is applied
 */
export function marksMissing(lane: number, appliedUpto: Lsn): ReplicaError {
  return new ReplicaError(
    'MARKS_MISSING',
    `The stream holds changes of more than 20 minutes in lane ${lane} and no marks. What comes after ${formatLsn(appliedUpto)} in that lane was not applied.`,
    {
      remedy:
        'Set MARKS=on (marks in the stack). These changes are applied once marks come after them, or they are 20 minutes old: a function goes on by itself, the command when it is started again.',
    },
  );
}

/**
 * @param before - how many lanes there were
 * @param now - how many the record's lane is one of
 */
export function lanesChanged(before: number, now: number): ReplicaError {
  return new ReplicaError(
    'LANES_CHANGED',
    `LANES was changed from ${before} to ${now}, and not all of the old lanes are applied up to the same mark. Nothing of the new ones was applied yet.`,
    {
      remedy:
        'After a drain this ends by itself, as soon as the other shards are read. Else make the copy anew (docs/replica.md).',
    },
  );
}

/** @param error - TARGET_KEY_DIFFERS @returns the same with what helps where lanes are applied at their own speeds */
export function keyDiffers(error: ReplicaError): ReplicaError {
  return new ReplicaError('TARGET_KEY_DIFFERS', error.what, {
    remedy:
      "Give the target's table a primary key of the same columns as at the source: then it goes on. Where the key was changed at the source while the copy had not applied all that was written before, other lanes hold changes by the old key, and it stops at these: make the copy anew from rows that were loaded since, with --start-after (startAfter).",
    cause: error,
  });
}

/** @param change - the second half of a move, without all columns @returns that there is no row to take them from */
export function missingRow({ schema, table }: Change): ReplicaError {
  return new ReplicaError(
    'MISSING_ROW',
    `A row of ${schema}.${table} that the source gave another key without sending all columns is not at the target. Nothing of that record was applied.`,
  );
}

/**
 * Refuses a stream whose partition keys are transaction ids: there the records of one key are in many lanes, and have no order.
 *
 * @param userKey - the partition key of a change
 * @param change - the change
 * @throws {ReplicaError} RECORD_UNUSABLE
 */
export function refuseByTransaction(userKey: string | undefined, { source }: Change): void {
  if (userKey === undefined || userKey === source || !/^\d+$/.test(userKey)) return;
  throw new ReplicaError(
    'RECORD_UNUSABLE',
    'The stream is written with PARTITION_BY=transaction, which puts the changes of one row into many lanes. They cannot be applied lane by lane. Nothing of them was applied.',
    { remedy: 'Publish with PARTITION_BY=primary-key, or copy without --fast.' },
  );
}
