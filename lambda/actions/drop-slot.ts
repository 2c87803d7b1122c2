/**
 * `drop-slot`: drops the slot, under its lock; does nothing where there is none. What nobody has read is not destroyed
 * unseen: it wants to be told so.
 */
import type { Container } from '../container.ts';
import { PipelineError } from '../errors.ts';
import { dropSlot as dropReplicationSlot, requireDroppable } from '../postgres/slot-create-drop.ts';
import { readUnread, type Unread } from '../postgres/unread.ts';
import type { DropSlotAction } from '../settings/action-types.ts';
import type { InvocationDeadlines } from './with-connection.ts';
import { withSlotLock } from './with-slot-lock.ts';

/** What `drop-slot` answers. */
export interface DropSlotAnswer {
  readonly action: 'drop-slot';
  readonly slot: string;
  /** False: there was none. */
  readonly dropped: boolean;
  /** What went with it; left out where nothing was unread. */
  readonly discarded?: Unread;
}

/**
 * Drops the slot.
 *
 * @param action - whether what is unread may go
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SLOT_UNREAD, SLOT_BUSY, WRONG_PLUGIN
 */
export async function dropSlot(
  action: DropSlotAction,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<DropSlotAnswer> {
  const { config, log, warmState } = container;
  return await withSlotLock(container, deadlines, 'The slot was not dropped.', async (connection) => {
    await requireDroppable(connection, config.slot);
    const unread = await readUnread(connection, config.slot);
    if (unread !== undefined && !action.discardUnread) {
      throw new PipelineError(
        'SLOT_UNREAD',
        `The slot "${config.slot}" holds changes that were not published: ${describeUnread(unread)}. The slot was not dropped.`,
      );
    }
    const dropped = await dropReplicationSlot(connection, config.slot);
    warmState.resume = undefined;
    warmState.reached = undefined;
    warmState.position = undefined;
    if (dropped) {
      const lost =
        unread === undefined ? 'Nothing in it was unread.' : `With it went unread changes: ${describeUnread(unread)}.`;
      log.warn(`The slot was dropped. ${lost} What is committed from now on is not captured.`, { slot: config.slot });
    }
    return {
      action: 'drop-slot',
      slot: config.slot,
      dropped,
      ...(dropped && unread !== undefined ? { discarded: unread } : {}),
    };
  });
}

function describeUnread({ walBytes, since }: Unread): string {
  return `${walBytes} bytes of WAL, ${since === undefined ? 'of an unknown time' : `committed since ${since}`}`;
}
