/**
 * What the slot holds, read on a connection of its own: for a run that failed, whose own connections may be lost or never
 * came about, and for one that found the slot locked. Changes nothing, and never fails.
 */
import type { Container } from '../container.ts';
import { CONNECTION_ERRORS, PipelineError } from '../errors.ts';
import { readFlushLsn, readSlotRow } from '../postgres/status-queries.ts';
import type { SlotMeasure } from '../run/run-metrics.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';

/** A server that is slow to answer is not waited for: the next minute's run asks again. */
const TIMEOUT_MS = 3_000;

/**
 * Reads lag and retained WAL.
 *
 * @param container - the database, and which slot
 * @param deadlines - when the invocation must have answered, and when the function ends
 * @param after - the error that the run failed with, if it did
 * @returns undefined where there is no slot, or the server does not answer
 */
export async function measureSlot(
  container: Container,
  deadlines: InvocationDeadlines,
  after?: unknown,
): Promise<SlotMeasure | undefined> {
  if (after instanceof PipelineError && CONNECTION_ERRORS.has(after.code)) return undefined;
  const functionDeadline = Math.min(deadlines.functionDeadline, container.clock.now() + TIMEOUT_MS);
  try {
    return await withConnection(container, { ...deadlines, functionDeadline }, async (connection) => {
      const slot = await readSlotRow(connection, container.config.slot);
      const flush = await readFlushLsn(connection);
      if (slot === undefined || flush === undefined) return undefined;
      const since = (lsn: bigint | undefined): number | undefined =>
        lsn === undefined ? undefined : Math.max(0, Number(flush - lsn));
      return {
        confirmedFlush: slot.confirmedFlush,
        lagBytes: since(slot.confirmedFlush),
        retainedWalBytes: since(slot.restart),
      };
    });
  } catch (error) {
    container.log.debug('What the slot holds could not be read.', {
      reason: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  }
}
