/**
 * `run` and `drain`: publishes what the slot holds, under its lock. Builds what the run loop works with, and tells the
 * metrics of its answer; decides nothing that the loop decides.
 */
import { type Container, REQUEST_TIMEOUT_MS } from '../container.ts';
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import { FORMATS } from '../format/formats.ts';
import {
  debeziumKeyWriter,
  debeziumMessageKey,
  logicalMessageKeyWriter,
  partitionKeyWriter,
} from '../format/partition-key.ts';
import type { TypeFacts } from '../format/record.ts';
import { createPacker } from '../pack/create-packer.ts';
import type { ServerIdentity } from '../ports/session.ts';
import { LOCK_LOSS_DETECTION_MS } from '../postgres/lock-monitor.ts';
import { CONTROL_LOCK_SUFFIX } from '../postgres/session.ts';
import { describeHolder, readLock } from '../postgres/slot-lock.ts';
import { lockedAnswer, type RunAnswer, serverAnswer } from '../run/answer.ts';
import type { MarkOptions } from '../run/marks.ts';
import { run } from '../run/run.ts';
import { addRunMetrics, addSlotMetrics, CountReporter } from '../run/run-metrics.ts';
import type { RunAction } from '../settings/action-types.ts';
import { readResume } from '../settings/payloads.ts';
import { requireCompression } from './require-compression.ts';
import { explainMissingSlot, historyOf, warnOfChangedHistory } from './server-history.ts';
import { measureSlot } from './slot-measure.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';
import { ACTION_LOCK_WAIT_MS, openSlotSession } from './with-slot-lock.ts';

/**
 * Publishes.
 *
 * @param action - `run` or `drain`, with its bounds
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} any code of a run
 */
export async function runOrDrain(
  action: RunAction,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<RunAnswer> {
  const progress: Progress = { before: undefined };
  try {
    for (;;) {
      const answer = await publish(action, container, deadlines, progress);
      if (answer.stopped !== 'handed-over' || !(await isFreeAgain(container, deadlines))) return answer;
      container.log.info('The slot was handed over, and nobody has it any more: this run goes on.', { answer });
    }
  } catch (error) {
    const measure = await measureSlot(container, deadlines, error);
    if (measure !== undefined) addSlotMetrics(container.metrics, measure, progress);
    throw await explainMissingSlot(error, container, deadlines);
  }
}

/** How often, and after how long each time, the lock is looked at after it was given up: whoever waited for it takes it at once. */
const FREE_LOOKS = 3;
const FREE_LOOK_MS = 200;
/** With less time left, a run does not go on after it has handed over. */
const MIN_FURTHER_MS = 10_000;
/** A run waits for one that lingers if that ends before the next tick, and a little later. */
const TICK_MARGIN_MS = 15_000;

/** What is known of a run while it is under way. */
interface Progress {
  /** Where the slot was before it. */
  before: Lsn | undefined;
}

/**
 * Whether nobody holds the slot after it was handed over: who waited was an action that is done already, or has died.
 * Without a look, the slot would be read by nobody until the next tick.
 */
async function isFreeAgain(container: Container, deadlines: InvocationDeadlines): Promise<boolean> {
  const { clock, config, stop } = container;
  const look = withConnection(container, deadlines, async ({ client }) => {
    for (let looks = 0; looks < FREE_LOOKS; looks++) {
      await clock.sleep(FREE_LOOK_MS, stop);
      // The stack's resource holds the second lock alone while it looks who reads the slot that it is to drop.
      for (const name of [config.slot, `${config.slot}${CONTROL_LOCK_SUFFIX}`])
        if ((await readLock(client, name)).holderPid !== undefined) return false;
    }
    return stop?.aborted !== true && deadlines.functionDeadline - clock.now() > MIN_FURTHER_MS;
  });
  // What was to be done is done: without an answer the next scheduled run goes on.
  return await look.catch(() => false);
}

/** What marks say of the source and its server. */
function marksOf(
  container: Container,
  deadlines: InvocationDeadlines,
  { source, server }: { readonly source: string; readonly server: ServerIdentity },
): MarkOptions {
  const { systemIdentifier: system = 'unknown', timeline = 1 } = server;
  return {
    source,
    lanes: container.config.lanes,
    system,
    timeline,
    forks: async () => {
      const history = await historyOf(container, deadlines, server);
      // The server names the timelines that ended. Each next one began there.
      return history?.map(({ end }, i) => [history[i + 1]?.timeline ?? timeline, end]);
    },
  };
}

async function publish(
  action: RunAction,
  container: Container,
  deadlines: InvocationDeadlines,
  progress: Progress,
): Promise<RunAnswer> {
  const { config, clock, log, metrics } = container;
  const { startedAt, functionDeadline } = deadlines;
  const lingers = config.lingerDutyPercent !== undefined && action.kind === 'run' && action.maxBatches === undefined;
  // A run that stays is not bound by the time of one that goes.
  const bound = lingers || action.maxSeconds === undefined ? Infinity : startedAt + action.maxSeconds * 1000;
  const deadline = Math.min(functionDeadline, bound);
  requireCompression(config.compression);
  const formatter = await container.formatter();
  await container.requireRegion();
  const opened = await openSlotSession(container, deadlines, {
    waitMs: action.kind === 'drain' ? Math.max(0, Math.min(ACTION_LOCK_WAIT_MS, deadline - clock.now())) : 0,
    ...(lingers ? { holderEndsWithinMs: container.periodMs + TICK_MARGIN_MS } : {}),
  });
  if ('locked' in opened) {
    const answer = lockedAnswer(action.kind, config.slot, clock.now() - startedAt);
    log.info(`Another run or action holds the slot: ${describeHolder(opened.locked)}.`, { slot: config.slot });
    addRunMetrics(metrics, answer, { moved: false, retainedWalBytes: undefined });
    // A drain tells this at its end only, and a holder that hangs never does.
    const measure = await measureSlot(container, deadlines);
    if (measure !== undefined) addSlotMetrics(metrics, measure);
    return answer;
  }
  const session = opened;
  try {
    const { database } = await container.database.credentials.get();
    const source = config.source ?? `${database}/${config.slot}`;
    const before = await session.slot.position();
    progress.before = before.confirmedFlush;
    const { server } = session;
    await warnOfChangedHistory(container, server, before.confirmedFlush, () => historyOf(container, deadlines, server));
    const resume = action.resume ?? (session.handedOver === undefined ? undefined : readResume(session.handedOver));
    const reporter = new CountReporter(metrics);
    const types: TypeFacts = {
      arrayDelimiter: (element) => container.typeCatalog.delimiterOf(element),
      baseType: (type) => container.typeCatalog.baseOf(type),
    };
    const answered = await run(
      { ...container, session, reporter },
      {
        ...(lingers ? { lingerDutyPercent: config.lingerDutyPercent } : {}),
        action: action.kind,
        slotName: config.slot,
        startedAt,
        deadline,
        functionDeadline,
        ...(action.maxBatches === undefined ? {} : { maxBatches: action.maxBatches }),
        ...(resume === undefined ? {} : { resume }),
        maxRows: config.batchChanges,
        readAhead: config.readAhead,
        marks: config.marks ? marksOf(container, deadlines, { source, server }) : undefined,
        snapshotSharePercent: config.snapshotSharePercent,
        isSnapshot: action.isSnapshot === true,
        inFlightGraceMs: LOCK_LOSS_DETECTION_MS + REQUEST_TIMEOUT_MS,
        format: FORMATS[config.format]({
          ...config,
          formatter,
          oneLine: config.aggregation === 'lines',
          source,
          database,
          now: () => clock.now(),
          ...types,
        }),
        partitionKey: config.debeziumKeys
          ? debeziumKeyWriter(config.debezium.time, types)
          : partitionKeyWriter(config.partitionBy, source),
        messages:
          config.messages.length === 0
            ? undefined
            : {
                prefixes: config.messages,
                partitionKey: config.debeziumKeys
                  ? debeziumMessageKey
                  : logicalMessageKeyWriter(config.partitionBy, source),
              },
        packer: createPacker(config),
        operations: config.operations,
        oversize: config.oversize,
        unknownKey: config.unknownKey,
        filters: config.filters,
      },
    );
    const answer: RunAnswer = { ...answered, server: serverAnswer(session.server) };
    const moved = answer.advancedTo !== undefined && answer.advancedTo !== formatLsn(before.confirmedFlush);
    if (moved) container.warmState.lastAdvance = { to: answer.advancedTo, at: clock.now() };
    const retainedWalBytes = await session.slot.retainedWalBytes().catch(() => undefined);
    addRunMetrics(metrics, answer, { moved, retainedWalBytes }, reporter);
    return answer;
  } finally {
    const { resume } = container.warmState;
    await session.close(lingers && resume !== undefined ? JSON.stringify(resume) : undefined);
  }
}
