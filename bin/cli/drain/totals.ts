/** Answers of several drains as one. Pure. */
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import type { SnapshotAnswer } from '../../../lambda/run/snapshot-answer.ts';
import type { Skipped } from '../../../lambda/transform/counts.ts';

/**
 * @param before - of the invocations before; undefined: there were none
 * @param last - of the last one, whose position and reason count
 * @returns as one answer
 */
export function addAnswers(before: RunAnswer | undefined, last: RunAnswer): RunAnswer {
  if (before === undefined) return last;
  const reasons = Object.keys(last.skipped) as (keyof Skipped)[];
  return {
    ...last,
    batches: before.batches + last.batches,
    transactions: before.transactions + last.transactions,
    changes: before.changes + last.changes,
    published: before.published + last.published,
    records: before.records + last.records,
    skipped: Object.fromEntries(
      reasons.map((reason) => [reason, before.skipped[reason] + last.skipped[reason]]),
    ) as unknown as Skipped,
    truncated: before.truncated + last.truncated,
    kinesisRecords: before.kinesisRecords + last.kinesisRecords,
    bytes: before.bytes + last.bytes,
    throttledEntries: before.throttledEntries + last.throttledEntries,
    durationMs: before.durationMs + last.durationMs,
    // One that did not read up to the request of what is left says nothing of it.
    ...addSnapshots(before.snapshot, last.snapshot ?? (last.caughtUp ? undefined : nothingDone(before.snapshot))),
  };
}

function addSnapshots(
  before: SnapshotAnswer | undefined,
  last: SnapshotAnswer | undefined,
): Pick<RunAnswer, 'snapshot'> {
  if (before === undefined || last === undefined) return last === undefined ? {} : { snapshot: last };
  const leftOut = (before.rowsLeftOut ?? 0) + (last.rowsLeftOut ?? 0);
  const givenUp = [...(before.givenUp ?? []), ...(last.givenUp ?? [])];
  return {
    snapshot: {
      ...last,
      rowsPublished: before.rowsPublished + last.rowsPublished,
      ...(leftOut === 0 ? {} : { rowsLeftOut: leftOut }),
      ...(givenUp.length === 0 ? {} : { givenUp }),
    },
  };
}

/** @returns the same snapshot, by an invocation that did nothing for it */
function nothingDone(snapshot: SnapshotAnswer | undefined): SnapshotAnswer | undefined {
  if (snapshot === undefined) return undefined;
  const { id, done, tablesLeft, rowsRead } = snapshot;
  return { id, done, tablesLeft, rowsRead, rowsPublished: 0 };
}
