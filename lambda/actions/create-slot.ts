/**
 * `create-slot`: makes the slot, under its lock; does nothing where it is there already.
 */
import type { Container } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { type Connection, toPipelineError } from '../postgres/connection.ts';
import { makeFailoverSlot } from '../postgres/failover-slot.ts';
import { createSlot as createReplicationSlot, dropSlot as dropReplicationSlot } from '../postgres/slot-create-drop.ts';
import { type ServerAnswer, serverAnswer } from '../run/answer.ts';
import type { CreateSlotAction } from '../settings/action-types.ts';
import { requestInitialSnapshot } from './snapshot.ts';
import type { InvocationDeadlines } from './with-connection.ts';
import { withSlotLock } from './with-slot-lock.ts';

/** How long making a slot waits for the transactions that are writing. */
const CREATE_WAIT_MS = 60_000;

/** What `create-slot` answers. */
export interface CreateSlotAnswer {
  readonly action: 'create-slot';
  readonly slot: string;
  /** False: it was there already. */
  readonly created: boolean;
  /** Who answers. */
  readonly server: ServerAnswer;
  /** Changes that are committed after it are captured. */
  readonly confirmedFlushLsn?: string;
  /** Given with SLOT_FAILOVER: the slot is a failover slot. */
  readonly failover?: true;
  /** Given with SLOT_FAILOVER: whether a slot that was there was made one. */
  readonly converted?: boolean;
}

/**
 * Makes the slot.
 *
 * @param action - whether a standby is meant
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SERVER_IS_STANDBY, SLOT_BUSY, WRONG_PLUGIN, CONFIG_INVALID, SNAPSHOT_REFUSED
 */
export async function createSlot(
  { onStandby }: CreateSlotAction,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<CreateSlotAnswer> {
  const { config, clock, log, warmState, database } = container;
  return await withSlotLock(container, deadlines, 'No slot was made.', async (main, control) => {
    const left = Math.min(CREATE_WAIT_MS, deadlines.functionDeadline - clock.now());
    const failover = config.slotFailover;
    const options = { onStandby, failover, onWait: (text: string) => log.info(text) };
    const { created, confirmedFlush } = await createReplicationSlot(main, control, config.slot, left, options);
    if (created) {
      warmState.resume = undefined;
      warmState.reached = undefined;
      warmState.position = undefined;
      if (config.snapshot === 'initial') await requestRows(main, control, container);
      const from = confirmedFlush === undefined ? 'now on' : `LSN ${formatLsn(confirmedFlush)} on`;
      log.warn(`The slot was made. What is committed from ${from} is captured; nothing that was committed before is.`, {
        slot: config.slot,
      });
    }
    const until = { deadline: deadlines.functionDeadline, leaseExpiresAt: deadlines.leaseExpiresAt };
    const converted = failover && (await makeFailoverSlot(database, until, control, config.slot));
    if (converted) log.info('The slot was made a failover slot.', { slot: config.slot });
    return {
      action: 'create-slot',
      slot: config.slot,
      created,
      server: serverAnswer(control.identity),
      ...(failover ? { failover: true as const, converted } : {}),
      ...(confirmedFlush === undefined ? {} : { confirmedFlushLsn: formatLsn(confirmedFlush) }),
    };
  });
}

/** Asks for the rows of the tables. Where that fails the slot is dropped again: once it is there, nobody would ask for them. */
async function requestRows(main: Connection, control: Connection, container: Container): Promise<void> {
  const { config, log } = container;
  try {
    await requestInitialSnapshot(control, container);
  } catch (error) {
    const isDropped = await dropReplicationSlot(main, config.slot).catch(() => false);
    const notDone = isDropped
      ? 'The slot was dropped again, as its snapshot could not be asked for.'
      : 'The slot was made, and its snapshot could not be asked for: drop it with drop-slot, then create it again.';
    log.warn(notDone, { slot: config.slot });
    throw toPipelineError(error, { ...control.context, slot: config.slot, notDone });
  }
}
