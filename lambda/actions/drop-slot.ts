/**
 * `drop-slot`: drops the slot, under its lock; does nothing where there is none.
 */
import type { Container } from '../container.ts';
import { dropSlot as dropReplicationSlot } from '../postgres/slot-lifecycle.ts';
import { type InvocationDeadlines, withLock } from './connections.ts';

/** What `drop-slot` answers. */
export interface DropSlotAnswer {
  readonly action: 'drop-slot';
  readonly slot: string;
  /** False: there was none. */
  readonly dropped: boolean;
}

/**
 * Drops the slot.
 *
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SLOT_BUSY, WRONG_PLUGIN
 */
export async function dropSlot(container: Container, deadlines: InvocationDeadlines): Promise<DropSlotAnswer> {
  const { config, log, memory } = container;
  return await withLock(container, deadlines, 'The slot was not dropped.', async (connection) => {
    const dropped = await dropReplicationSlot(connection, config.slot);
    memory.resume = undefined;
    if (dropped)
      log.warn('The slot was dropped; what is committed from now on is not captured.', { slot: config.slot });
    return { action: 'drop-slot', slot: config.slot, dropped };
  });
}
