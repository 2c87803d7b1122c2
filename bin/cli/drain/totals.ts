/** Answers of several drains as one. Pure. */
import type { RunAnswer } from '../../../lambda/run/answer.ts';
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
    ...(last.snapshot === undefined
      ? {}
      : {
          snapshot: {
            ...last.snapshot,
            rowsPublished: (before.snapshot?.rowsPublished ?? 0) + last.snapshot.rowsPublished,
          },
        }),
  };
}
