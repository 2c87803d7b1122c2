/**
 * `create-slot`: makes the slot, under its lock; does nothing where it is there already.
 */
import type { Container } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { createSlot as createReplicationSlot } from '../postgres/slot-lifecycle.ts';
import { type InvocationDeadlines, withLock } from './connections.ts';

/** How long making a slot waits for the transactions that are writing. */
const CREATE_WAIT_MS = 60_000;

/** What `create-slot` answers. */
export interface CreateSlotAnswer {
  readonly action: 'create-slot';
  readonly slot: string;
  /** False: it was there already. */
  readonly created: boolean;
  readonly confirmedFlushLsn?: string;
}

/**
 * Makes the slot.
 *
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SLOT_BUSY, WRONG_PLUGIN, CONFIG_INVALID
 */
export async function createSlot(container: Container, deadlines: InvocationDeadlines): Promise<CreateSlotAnswer> {
  const { config, clock, log, memory } = container;
  return await withLock(container, deadlines, 'No slot was made.', async (waiting, watching) => {
    const left = Math.min(CREATE_WAIT_MS, deadlines.functionDeadline - clock.now());
    const { created, confirmedFlush } = await createReplicationSlot(waiting, watching, config.slot, left, (text) =>
      log.info(text),
    );
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
  });
}
