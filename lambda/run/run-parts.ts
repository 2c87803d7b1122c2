/**
 * The parts that only some runs have, or have in another way: the work on a snapshot, marks, lingering, and reading ahead. Puts them together; decides nothing.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Advancer } from './advancer.ts';
import type { BatchProcessor } from './batch.ts';
import { Heartbeat } from './heartbeat.ts';
import { Linger, type LingerPorts } from './linger.ts';
import { RunMarks } from './marks.ts';
import { ReadAhead } from './read-ahead.ts';
import type { RunDeadline } from './run-deadline.ts';
import type { RunOptions, RunPorts } from './run-options.ts';
import { SnapshotRun } from './snapshot-run.ts';
import { TimedSlot } from './timed-slot.ts';

/** How often a run that lingers says that it is well where it finds no time to say more. */
const BUSY_HEARTBEAT_MS = 75_000;

/** What the work on a snapshot asks of its run, whenever it needs it. */
export interface SnapshotRunView {
  readonly advancer: Advancer;
  readonly deadline: RunDeadline;
  /** @returns the run's batches, which are made later */
  readonly batches: () => Pick<BatchProcessor, 'boundary' | 'readingDeadline'>;
  readonly tellProgress: () => void;
}

/**
 * @param ports - of the run
 * @param options - of the run
 * @param view - what it asks of the run
 * @returns the work on a snapshot; undefined where tables cannot be read beside the slot
 */
export function createSnapshotRun(
  { session, clock, log, warmState, stop }: RunPorts,
  { action, slotName, startedAt, isSnapshot, snapshotSharePercent = 50, lingerDutyPercent }: RunOptions,
  { advancer, deadline, batches, tellProgress }: SnapshotRunView,
): SnapshotRun | undefined {
  const { snapshots: source } = session;
  if (source === undefined) return undefined;
  const snapshots = new SnapshotRun({
    source,
    clock,
    log,
    warmState,
    slotName,
    isPatient: isSnapshot === true,
    isHeldBack: () => (batches().boundary ?? 0n) > advancer.position,
    onWaiting: tellProgress,
    ...(stop === undefined ? {} : { stop }),
    firstRowMs: () => deadline.peekBudgetMs(),
    hasTime: (ms) => deadline.hasTime() && clock.now() + ms < batches().readingDeadline(),
    budgetMs: () => {
      if (action === 'drain') return Infinity;
      const whole = lingerDutyPercent === undefined ? deadline.at : clock.now();
      return ((whole - startedAt) * snapshotSharePercent) / 100;
    },
  });
  advancer.bound = () => snapshots.tracker.bound;
  return snapshots;
}

/**
 * @param ports - of the run
 * @param options - of the run
 * @param view - `snapshots`: the work on a snapshot; `flush`: gives the end of the WAL at the last look
 * @returns what decides on marks; undefined: there are none
 */
export function createMarks(
  ports: RunPorts,
  { marks, lingerDutyPercent }: RunOptions,
  { snapshots, flush }: { readonly snapshots: SnapshotRun | undefined; readonly flush: () => Lsn },
): RunMarks | undefined {
  if (marks === undefined) return undefined;
  return new RunMarks(marks, {
    ...ports,
    lingers: lingerDutyPercent !== undefined,
    reading: () => snapshots?.tables ?? [],
    hasSnapshots: snapshots !== undefined,
    flush,
    wasRequestedAnew: () => snapshots?.wasRequestedAnew === true,
  });
}

/**
 * @param ports - of the run
 * @param options - of the run
 * @returns what tells the metrics that the run is well: one that lingers tells more of each minute, unless it has too much to do
 */
export function createHeartbeat({ clock, metrics }: RunPorts, { lingerDutyPercent }: RunOptions): Heartbeat {
  return new Heartbeat(clock, metrics, lingerDutyPercent === undefined ? undefined : BUSY_HEARTBEAT_MS);
}

/**
 * @param ports - of the run
 * @param options - of the run
 * @param heartbeat - tells the metrics that the run is well
 * @param view - what it asks of the run
 * @returns undefined: the run does not linger
 */
export function createLinger(
  { session, clock, log, metrics, stop }: RunPorts,
  { lingerDutyPercent }: RunOptions,
  heartbeat: Heartbeat,
  view: Pick<LingerPorts, 'hasTime' | 'isAwaited' | 'state' | 'reporter' | 'isDue'>,
): Linger | undefined {
  if (lingerDutyPercent === undefined) return undefined;
  return new Linger({
    ...view,
    slot: new TimedSlot(session.slot, clock),
    clock,
    log,
    metrics,
    dutyPercent: lingerDutyPercent,
    ...(stop === undefined ? {} : { stop }),
    heartbeat,
  });
}

/**
 * @param ports - of the run
 * @param options - of the run
 * @param throttledEntries - entries that Kinesis has throttled so far
 * @returns undefined: nothing is read ahead
 */
export function createReadAhead(
  { session: { ahead } }: RunPorts,
  { lingerDutyPercent, readAhead = true }: RunOptions,
  throttledEntries: () => number,
): ReadAhead | undefined {
  // What a lingering run may cost the server is counted by its slot, and a copy is not counted.
  return !readAhead || ahead === undefined || lingerDutyPercent !== undefined
    ? undefined
    : new ReadAhead({ source: ahead, throttledEntries });
}
