/**
 * `copy-slot`: makes SLOT_NAME where another slot stands, of the plugin that PLUGIN names. So a pipeline changes its
 * slot's name or plugin, and nothing is lost.
 */
import type { Container } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import { makeFailoverSlot, requireFailoverSupport } from '../postgres/failover-slot.ts';
import { copySlot as copyReplicationSlot } from '../postgres/slot-copy.ts';
import { readSlotState } from '../postgres/slot-state.ts';
import { standbyFault } from '../postgres/standby-server.ts';
import { readSlotRow } from '../postgres/status-queries.ts';
import type { CopySlotAction } from '../settings/action-types.ts';
import type { InvocationDeadlines } from './with-connection.ts';
import { withSlotLock } from './with-slot-lock.ts';

/** How long making a slot waits for the transactions that are writing. */
const CREATE_WAIT_MS = 60_000;

/** What `copy-slot` answers. */
export interface CopySlotAnswer {
  readonly action: 'copy-slot';
  readonly slot: string;
  readonly from: string;
  readonly plugin: string;
  readonly confirmedFlushLsn?: string;
  /** Given where it is a failover slot, as the old one was or SLOT_FAILOVER asks for. */
  readonly failover?: true;
}

/**
 * Makes the copy, under the old slot's lock.
 *
 * @param action - names the old slot
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SERVER_IS_STANDBY, SLOT_MISSING, SLOT_LOST, SLOT_BUSY, WRONG_PLUGIN, PUBLICATION_MISSING, CONFIG_INVALID
 */
export async function copySlot(
  { from }: CopySlotAction,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<CopySlotAnswer> {
  const { config, clock, log, database } = container;
  const notDone = `The slot "${config.slot}" was not made.`;
  return await withSlotLock(
    container,
    deadlines,
    notDone,
    async (main, control) => {
      const server = await readSlotState(control.client, from);
      const standby = standbyFault(server, from, control.context, notDone);
      if (standby !== undefined) throw standby;
      const { slot: source } = server;
      if (source === undefined) {
        throw new PipelineError('SLOT_MISSING', `There is no slot "${from}" to copy. ${notDone}`, {
          remedy:
            'Correct the name of the slot that is copied. If it was lost: make one with create-slot, and reload what consumers missed.',
        });
      }
      const present = await readSlotRow(control.client, config.slot);
      if (present !== undefined) {
        throw new PipelineError('SLOT_BUSY', `The slot "${config.slot}" exists already. It was left as it is.`, {
          remedy: `If runs read it, it needs no copy. Otherwise drop it with drop-slot, then try again; or use another SLOT_NAME.`,
        });
      }
      if (config.slotFailover) requireFailoverSupport(control, config.slot);
      const left = Math.min(CREATE_WAIT_MS, deadlines.functionDeadline - clock.now());
      await copyReplicationSlot(main, control, from, config.slot, left);
      const made = await readSlotRow(control.client, config.slot);
      // The server does not copy that property.
      const failover = config.slotFailover || source.failover;
      const until = { deadline: deadlines.functionDeadline, leaseExpiresAt: deadlines.leaseExpiresAt };
      if (failover) await makeFailoverSlot(database, until, control, config.slot);
      log.info('The slot was made as a copy.', { slot: config.slot, from, plugin: config.plugin });
      return {
        action: 'copy-slot',
        slot: config.slot,
        from,
        plugin: config.plugin,
        ...(failover ? { failover: true as const } : {}),
        ...(made?.confirmedFlush === undefined ? {} : { confirmedFlushLsn: formatLsn(made.confirmedFlush) }),
      };
    },
    from,
  );
}
