/**
 * `skip-transaction`: leaves out the one transaction that cannot be published, on an operator's word.
 */
import type { Container } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import type { Session } from '../ports/session.ts';
import { describeHolder } from '../postgres/slot-lock.ts';
import { skipFirstTransaction } from '../run/skip-first-transaction.ts';
import type { SkipTransactionAction } from '../settings/action-types.ts';
import type { InvocationDeadlines } from './with-connection.ts';
import { ACTION_LOCK_WAIT_MS, openSlotSession } from './with-slot-lock.ts';

/** What `skip-transaction` answers. */
export interface SkipTransactionAnswer {
  readonly action: 'skip-transaction';
  readonly slot: string;
  /** Without xid and time where the server cannot decode the transaction. */
  readonly skipped: { readonly commitLsn: string; readonly xid?: number; readonly commitTime?: string };
  /**
   * Logical messages outside of transactions that lay before it: the slot has passed them, too. The run that failed at the
   * transaction has published those that MESSAGES names. Left out where there are none.
   */
  readonly messagesPassed?: number;
  readonly advancedTo: string;
}

/**
 * Advances over the transaction that the payload names.
 *
 * @param action - names the transaction by its commit LSN
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @throws {PipelineError} SLOT_BUSY, or EVENT_INVALID where it is not the first unconsumed one
 */
export async function skipTransaction(
  action: SkipTransactionAction,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<SkipTransactionAnswer> {
  const { config, clock, log, warmState } = container;
  const opened = await openSlotSession(container, deadlines, { waitMs: ACTION_LOCK_WAIT_MS });
  if ('locked' in opened) {
    throw new PipelineError(
      'SLOT_BUSY',
      `A run holds the slot "${config.slot}": ${describeHolder(opened.locked)}. The slot was not advanced.`,
    );
  }
  const session: Session = opened;
  try {
    const { transaction, messagesBefore, advancedTo } = await skipFirstTransaction(
      session.slot,
      clock,
      action.commitLsn,
      deadlines.functionDeadline,
    );
    warmState.resume = undefined;
    const skipped =
      transaction === undefined
        ? { commitLsn: formatLsn(action.commitLsn) }
        : {
            commitLsn: formatLsn(transaction.commitLsn),
            xid: transaction.xid,
            commitTime: new Date(Number(transaction.commitTimeMicros / 1000n)).toISOString(),
          };
    const messagesPassed = messagesBefore === 0 ? {} : { messagesPassed: messagesBefore };
    log.warn('A transaction was left out on request; consumers lack its changes.', { ...skipped, ...messagesPassed });
    return {
      action: 'skip-transaction',
      slot: config.slot,
      skipped,
      ...messagesPassed,
      advancedTo: formatLsn(advancedTo),
    };
  } finally {
    await session.close();
  }
}
