/**
 * Leaves out the one transaction that cannot be published, by its commit LSN, and no other.
 * Ports in, an answer out; knows no SQL. The lock is held by its caller.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import { PipelineError } from '../errors.ts';
import { type Clock, type Slot, WindowTooLargeError } from '../ports.ts';
import { serverOutOfSpace } from './no-progress-errors.ts';

/** How many rows to ask for, one after the other, until a transaction is among them: messages come outside of any. */
const PEEK_LIMITS = [1, 1_000, 1_000_000, undefined] as const;

/**
 * Finds the first transaction with changes that the slot has not consumed.
 *
 * @param slot - the slot, locked
 * @param clock - for the time-out
 * @param deadline - milliseconds since 1970
 * @returns undefined when there is none
 */
export async function firstUnconsumed(slot: Slot, clock: Clock, deadline: number): Promise<Transaction | undefined> {
  const upto = await slot.flushLsn();
  for (const limit of PEEK_LIMITS) {
    const peek = slot.peek(upto, limit, Math.max(1, deadline - clock.now()));
    try {
      for await (const block of peek) {
        // The BEGIN comes before whatever it is that cannot be decoded.
        for (let message = block.next(); message !== undefined; message = block.next()) {
          if (message.kind === 'begin') return message.transaction;
        }
      }
      if (limit === undefined || peek.rows < limit) return undefined;
    } catch (error) {
      throw error instanceof WindowTooLargeError ? unread(error) : error;
    } finally {
      await peek.close();
    }
  }
  return undefined;
}

/** Not even the first transaction could be read. */
function unread(error: WindowTooLargeError): PipelineError {
  return error.resourceSqlState === undefined
    ? new PipelineError(
        'NO_PROGRESS',
        'PostgreSQL did not find the first unconsumed transaction in time. The slot was not advanced.',
        { cause: error },
      )
    : serverOutOfSpace(error.resourceSqlState, error);
}

/**
 * Advances over exactly one transaction (I2).
 *
 * @param slot - the slot, locked
 * @param clock - for the time-out
 * @param commitLsn - the transaction's, as the failing run named it
 * @param deadline - milliseconds since 1970
 * @returns the transaction, and where the slot is now
 * @throws {PipelineError} EVENT_INVALID when another transaction, or none, is the first unconsumed one
 */
export async function skipFirstTransaction(
  slot: Slot,
  clock: Clock,
  commitLsn: Lsn,
  deadline: number,
): Promise<{ readonly transaction: Transaction; readonly advancedTo: Lsn }> {
  const first = await firstUnconsumed(slot, clock, deadline);
  if (first === undefined) {
    throw new PipelineError(
      'EVENT_INVALID',
      `${formatLsn(commitLsn)} was not skipped: the slot holds no transaction with changes. The slot was not advanced. Payloads: {"action":"run"}.`,
    );
  }
  if (first.commitLsn !== commitLsn) {
    throw new PipelineError(
      'EVENT_INVALID',
      `${formatLsn(commitLsn)} was not skipped: the first unconsumed transaction is ${formatLsn(first.commitLsn)} (xid ${first.xid}), and only that one can be. The slot was not advanced. Payloads: {"action":"run"} and, if that one cannot be published, {"action":"skip-transaction","commitLsn":"${formatLsn(first.commitLsn)}"}.`,
    );
  }
  return { transaction: first, advancedTo: await slot.advance(commitLsn) };
}
