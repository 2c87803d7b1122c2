/**
 * What each action does, and what it answers. Composes the rooms; holds no SQL and no policy of a run.
 * Knows neither Lambda nor a terminal: the handler and the command line call it alike.
 */
import { REQUEST_TIMEOUT_MS, type World } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import { FORMATS } from '../format/formats.ts';
import { partitionKeyWriter } from '../format/partition-key.ts';
import { createPacker } from '../pack/packer.ts';
import type { Session } from '../ports.ts';
import { type Connection, open } from '../postgres/connection.ts';
import { describeHolder, takeFence } from '../postgres/fence.ts';
import { LOSS_TOLD_MS, openSession } from '../postgres/session.ts';
import { createSlot, dropSlot } from '../postgres/slot-lifecycle.ts';
import { lockedAnswer, type RunAnswer } from '../run/answer.ts';
import { run } from '../run/run.ts';
import { addRunMetrics } from '../run/run-metrics.ts';
import type { Action, RunAction, SkipTransactionAction } from '../settings/event.ts';
import { skipTransaction } from './skip-transaction.ts';
import { handleLifecycle, type LifecycleAnswer } from './slot-resource.ts';
import { check, type CheckAnswer, status, type StatusAnswer } from './status-and-check.ts';

/** How long an action by hand waits for a run that holds the slot. */
const LOCK_WAIT_MS = 60_000;
/** How long making a slot waits for the transactions that are writing. */
const CREATE_WAIT_MS = 60_000;

/** When an invocation began, and when it must be over. Milliseconds since 1970. */
export interface Times {
  readonly startedAt: number;
  /** The action has answered by then. */
  readonly functionDeadline: number;
  /** The process is gone by then for certain. */
  readonly latestEnd: number;
}

/** What `create-slot` answers. */
export interface CreateSlotAnswer {
  readonly action: 'create-slot';
  readonly slot: string;
  /** False: it was there already. */
  readonly created: boolean;
  readonly confirmedFlushLsn?: string;
}

/** What `drop-slot` answers. */
export interface DropSlotAnswer {
  readonly action: 'drop-slot';
  readonly slot: string;
  /** False: there was none. */
  readonly dropped: boolean;
}

/** What `refresh-keys` answers. */
export interface RefreshKeysAnswer {
  readonly action: 'refresh-keys';
  /** How many tables have a primary key. */
  readonly tables: number;
}

/** What `skip-transaction` answers. */
export interface SkipTransactionAnswer {
  readonly action: 'skip-transaction';
  readonly slot: string;
  readonly skipped: { readonly commitLsn: string; readonly xid: number; readonly commitTime: string };
  readonly advancedTo: string;
}

/** Any action's answer. */
export type Answer =
  | RunAnswer
  | StatusAnswer
  | CheckAnswer
  | CreateSlotAnswer
  | DropSlotAnswer
  | RefreshKeysAnswer
  | SkipTransactionAnswer
  | LifecycleAnswer;

/**
 * Does what was asked.
 *
 * @param action - as read from the event
 * @param world - clients, caches, settings
 * @param times - when it began, and when it must be over
 * @returns the answer, ready for JSON
 * @throws {PipelineError} any code of the table
 */
export async function perform(action: Action, world: World, times: Times): Promise<Answer> {
  switch (action.kind) {
    case 'run':
    case 'drain':
      return await publish(action, world, times);
    case 'status':
      return await withConnection(world, times, (connection) => status(connection, world));
    case 'check':
      return await check(world, times.functionDeadline, (work) => withConnection(world, times, work));
    case 'create-slot':
      return await create(world, times);
    case 'drop-slot':
      return await drop(world, times);
    case 'refresh-keys':
      return await withConnection(world, times, async (connection) => ({
        action: 'refresh-keys',
        tables: await world.keys.over(connection).reload(),
      }));
    case 'skip-transaction':
      return await skip(action, world, times);
    case 'lifecycle':
      return await handleLifecycle(action, {
        ...world,
        slot: world.config.slot,
        functionDeadline: times.functionDeadline,
      });
  }
}

/** `run` and `drain`. */
async function publish(action: RunAction, world: World, times: Times): Promise<RunAnswer> {
  const { config, clock, log, metrics } = world;
  const { startedAt, functionDeadline } = times;
  const deadline = Math.min(
    functionDeadline,
    action.maxSeconds === undefined ? Infinity : startedAt + action.maxSeconds * 1000,
  );
  await world.requireRegion();
  const opened = await sessionFor(
    world,
    times,
    action.kind === 'drain' ? Math.max(0, Math.min(LOCK_WAIT_MS, deadline - clock.now())) : 0,
  );
  if ('locked' in opened) {
    const answer = lockedAnswer(action.kind, config.slot, clock.now() - startedAt);
    log.info(`Another run holds the slot: ${describeHolder(opened.locked)}.`, { slot: config.slot });
    addRunMetrics(metrics, answer, { moved: false, retainedWalBytes: undefined });
    return answer;
  }
  const session = opened;
  try {
    const { database } = await world.database.credentials.get();
    const source = config.source ?? `${database}/${config.slot}`;
    const before = await session.slot.position();
    const answer = await run(
      { ...world, session },
      {
        action: action.kind,
        slotName: config.slot,
        startedAt,
        deadline,
        functionDeadline,
        ...(action.maxBatches === undefined ? {} : { maxBatches: action.maxBatches }),
        ...(action.resume === undefined ? {} : { resume: action.resume }),
        maxRows: config.batchChanges,
        lastRequestMs: LOSS_TOLD_MS + REQUEST_TIMEOUT_MS,
        format: FORMATS[config.format]({ source }),
        partitionKey: partitionKeyWriter(config.partitionBy, source),
        packer: createPacker(config),
        operations: config.operations,
        oversize: config.oversize,
        filters: config.filters,
      },
    );
    if (answer.truncated > 0) {
      log.warn('Changes too large for a Kinesis record were published without their row.', {
        records: answer.truncated,
      });
    }
    const moved = answer.advancedTo !== undefined && answer.advancedTo !== formatLsn(before.confirmedFlush);
    addRunMetrics(metrics, answer, {
      moved,
      retainedWalBytes: await session.slot.retainedWalBytes().catch(() => undefined),
    });
    return answer;
  } finally {
    await session.close();
  }
}

/** A session for actions that work under the lock. */
async function sessionFor(
  world: World,
  { functionDeadline, latestEnd }: Times,
  waitMs: number,
): ReturnType<typeof openSession> {
  return await openSession({ ...world, slotName: world.config.slot, deadline: functionDeadline, latestEnd, waitMs });
}

async function skip(action: SkipTransactionAction, world: World, times: Times): Promise<SkipTransactionAnswer> {
  const { config, clock, log, memory } = world;
  const opened = await sessionFor(world, times, LOCK_WAIT_MS);
  if ('locked' in opened) {
    throw new PipelineError(
      'SLOT_BUSY',
      `A run holds the slot "${config.slot}": ${describeHolder(opened.locked)}. The slot was not advanced.`,
    );
  }
  const session: Session = opened;
  try {
    const { transaction, advancedTo } = await skipTransaction(
      session.slot,
      clock,
      action.commitLsn,
      times.functionDeadline,
    );
    memory.resume = undefined;
    const skipped = {
      commitLsn: formatLsn(transaction.commitLsn),
      xid: transaction.xid,
      commitTime: new Date(Number(transaction.commitTimeMicros / 1000n)).toISOString(),
    };
    log.warn('A transaction was left out on request; consumers lack its changes.', skipped);
    return { action: 'skip-transaction', slot: config.slot, skipped, advancedTo: formatLsn(advancedTo) };
  } finally {
    await session.close();
  }
}

async function create(world: World, times: Times): Promise<CreateSlotAnswer> {
  const { config, clock, log, memory } = world;
  return await withConnection(world, times, (watching) =>
    withLock(world, times, 'No slot was made.', async (waiting) => {
      const left = Math.min(CREATE_WAIT_MS, times.functionDeadline - clock.now());
      const { created, confirmedFlush } = await createSlot(waiting, watching, config.slot, left);
      if (created) {
        memory.resume = undefined;
        log.info('The slot was made.', { slot: config.slot });
      }
      return {
        action: 'create-slot',
        slot: config.slot,
        created,
        ...(confirmedFlush === undefined ? {} : { confirmedFlushLsn: formatLsn(confirmedFlush) }),
      };
    }),
  );
}

async function drop(world: World, times: Times): Promise<DropSlotAnswer> {
  const { config, log, memory } = world;
  return await withLock(world, times, 'The slot was not dropped.', async (connection) => {
    const dropped = await dropSlot(connection, config.slot);
    memory.resume = undefined;
    if (dropped)
      log.warn('The slot was dropped; what is committed from now on is not captured.', { slot: config.slot });
    return { action: 'drop-slot', slot: config.slot, dropped };
  });
}

/** One connection that holds the slot's lock. @param undone - what is not done where the lock is not to be had */
async function withLock<T>(
  world: World,
  times: Times,
  undone: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { config, clock, log } = world;
  return await withConnection(world, times, async (connection) => {
    const fence = await takeFence(connection.client, { slotName: config.slot, waitMs: LOCK_WAIT_MS, clock, log });
    if (fence.kind === 'locked') {
      throw new PipelineError(
        'SLOT_BUSY',
        `A run holds the slot "${config.slot}": ${describeHolder(fence.holder)}. ${undone}`,
      );
    }
    return await work(connection);
  });
}

/** One connection, closed whatever happens. */
async function withConnection<T>(
  world: World,
  { functionDeadline, latestEnd }: Times,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await open(world.database, { deadline: functionDeadline, latestEnd });
  try {
    return await work(connection);
  } finally {
    await connection.client.end().catch(() => undefined);
  }
}
