/**
 * The end of a run: whether it was a failure, and its answer. Decides nothing while the run is under way.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import { isFurther, isSameTransaction } from '../decode/resume-position.ts';
import type { Slot } from '../ports/slot.ts';
import { copyCounts } from '../transform/counts.ts';
import { ageSeconds, type RunAnswer } from './answer.ts';
import type { BatchProcessor } from './batch.ts';
import { noProgress, searchUnfinished, transactionTooLarge } from './no-progress-errors.ts';
import type { PeekPlanner } from './peek-planner.ts';
import type { RunOptions, RunPorts } from './run-options.ts';
import { describeStandbys, type StandbyBoundTracker } from './standby-bound-tracker.ts';
import type { StopReason } from './stop-reason.ts';
import type { WarmState } from './warm-state.ts';

/** How a run stands at its end. */
export interface RunOutcome {
  readonly stopped: StopReason;
  readonly batches: Pick<
    BatchProcessor,
    'counts' | 'throttledEntries' | 'boundary' | 'progress' | 'resume' | 'pendingCommit' | 'catalogMs' | 'lastFailure'
  >;
  readonly planner: Pick<PeekPlanner, 'search' | 'undecodedMs'>;
  readonly standbyBound: Pick<StandbyBoundTracker, 'awaited' | 'flush'>;
  /** How many peeks were read. */
  readonly batchCount: number;
  /** The slot's position. */
  readonly position: Lsn;
  /** Whether the run moved it. */
  readonly advanced: boolean;
  /** Whether the time was over before the last request of an earlier run could be ruled out. */
  readonly graceCutShort: boolean;
  /** Whether the run took the function's own deadline. */
  readonly usedFunctionDeadline: boolean;
  readonly oldestUnpublishedMicros: bigint | undefined;
}

/** Reasons to end that are no failure, though nothing was done. */
const SUCCESSES: ReadonlySet<StopReason> = new Set(['caught-up', 'max-batches', 'handed-over']);

/**
 * A run that did nothing at all fails, so that an alarm sees it (I7).
 *
 * @param ports - the run's
 * @param options - the run's
 * @param end - how it stands
 * @throws {PipelineError} NO_PROGRESS, TRANSACTION_UNDECODABLE, STREAM_THROTTLED
 */
export function assertProgress(
  { stop, warmState, clock }: Pick<RunPorts, 'stop' | 'clock'> & { readonly warmState: Pick<WarmState, 'resume'> },
  options: Pick<RunOptions, 'startedAt'>,
  { stopped, batches, planner, advanced, graceCutShort, usedFunctionDeadline }: RunOutcome,
): void {
  const { counts, resume, lastFailure, progress, boundary, pendingCommit, catalogMs } = batches;
  if (stop?.aborted === true) return;
  if (stopped === 'deadline' && planner.search !== undefined) {
    const [after, before] = planner.search.range;
    throw searchUnfinished(formatLsn(after), formatLsn(before), planner.search.error);
  }
  const endless =
    stopped === 'deadline' && progress !== undefined && boundary === undefined && warmState.resume === undefined;
  if (endless && !advanced && usedFunctionDeadline) {
    throw transactionTooLarge(formatLsn(progress.transaction.commitLsn), counts.records);
  }
  // Rows that were only counted are progress, too, if the next run goes on after them.
  const from = progress && resume && isSameTransaction(resume, progress.transaction) ? resume : undefined;
  const further = warmState.resume !== undefined && progress !== undefined && isFurther(progress, from);
  if (advanced || counts.records > 0 || further) return;
  if (SUCCESSES.has(stopped) || stopped.startsWith('waiting-')) return;
  const durationMs = clock.now() - options.startedAt;
  const { undecodedMs } = planner;
  throw noProgress({ stopped, lastFailure, pendingCommit, catalogMs, undecodedMs, durationMs, graceCutShort });
}

/**
 * Writes the run's answer.
 *
 * @param ports - the run's
 * @param options - the run's
 * @param end - how it stands
 */
export async function createAnswer(
  {
    session,
    clock,
    warmState,
    log,
  }: Pick<RunPorts, 'clock' | 'log'> & {
    readonly session: { readonly slot: Pick<Slot, 'flushLsn'> };
    readonly warmState: Pick<WarmState, 'resume'>;
  },
  options: Pick<RunOptions, 'action' | 'slotName' | 'startedAt'>,
  { stopped, batches, standbyBound, batchCount, position, advanced, oldestUnpublishedMicros }: RunOutcome,
): Promise<RunAnswer> {
  const { counts, throttledEntries } = batches;
  const caughtUp = stopped === 'caught-up';
  if (stopped === 'waiting-for-standby') {
    const text = `Nothing more is published before these standbys have confirmed it: ${describeStandbys(standbyBound.awaited)}.`;
    // Under load a standby that is well may be a little behind.
    if (advanced && standbyBound.awaited.every(({ active }) => active)) log.info(text);
    else log.warn(`${text} If one is gone for good, take it out of synchronized_standby_slots and STANDBY_SLOTS.`);
  }
  // A run that waits has just looked.
  const isKnown = caughtUp || stopped.startsWith('waiting-');
  const flush = isKnown ? standbyBound.flush : await session.slot.flushLsn();
  const lagBytes = caughtUp ? 0 : Math.max(0, Number(flush - position));
  const lagSeconds = caughtUp || lagBytes === 0 ? 0 : ageSeconds(oldestUnpublishedMicros, clock.now());
  return {
    action: options.action,
    slot: options.slotName,
    caughtUp,
    stopped,
    ...(stopped === 'waiting-for-standby' ? { waitsFor: standbyBound.awaited.map(({ name }) => name) } : {}),
    batches: batchCount,
    ...copyCounts(counts),
    advancedTo: formatLsn(position),
    lagBytes,
    ...(lagSeconds === undefined ? {} : { lagSeconds }),
    throttledEntries,
    ...(warmState.resume === undefined ? {} : { resume: warmState.resume }),
    durationMs: clock.now() - options.startedAt,
  };
}
