/**
 * Leaves out the one transaction that cannot be published, by its commit LSN, and no other.
 * Ports in, an answer out; knows no SQL. The lock is held by its caller.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import { PipelineError } from '../errors.ts';
import { PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import type { Clock } from '../ports/runtime.ts';
import type { Slot } from '../ports/slot.ts';
import { serverOutOfSpace } from './no-progress-errors.ts';
import { beforeCommitRecord } from './undecodable-search.ts';

/** How many rows to ask for, one after the other, until a transaction is among them: messages come outside of any. */
const PEEK_LIMITS = [1, 1_000, 1_000_000, undefined] as const;

/**
 * What became of one peek: its first transaction and how many messages outside of transactions lie before it, how many rows
 * it had without one, or that the server failed.
 */
type FirstOf =
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly messagesBefore: number }
  | { readonly kind: 'none'; readonly rows: number }
  | { readonly kind: 'failed' };

/** The first transaction, and how many logical messages outside of any transaction lie before it, where they are read. */
export interface FirstTransaction {
  readonly transaction: Transaction;
  readonly messagesBefore: number;
}

/**
 * Finds the first transaction with changes that the slot has not consumed.
 *
 * @param slot - the slot, locked
 * @param clock - for the time-out
 * @param deadline - milliseconds since 1970
 * @returns undefined when there is none; `undecodable` when the server fails at it
 */
export async function firstUnconsumed(
  slot: Slot,
  clock: Clock,
  deadline: number,
): Promise<FirstTransaction | 'undecodable' | undefined> {
  const { bound: upto } = await slot.standbyBound();
  for (const limit of PEEK_LIMITS) {
    const first = await firstOf(slot, clock, deadline, upto, limit);
    if (first.kind === 'failed') return 'undecodable';
    if (first.kind === 'transaction') return first;
    if (limit === undefined || first.rows < limit) return undefined;
  }
  return undefined;
}

async function firstOf(
  slot: Slot,
  clock: Clock,
  deadline: number,
  upto: Lsn,
  limit: number | undefined,
): Promise<FirstOf> {
  const peek = slot.peek(upto, limit, Math.max(1, deadline - clock.now()));
  let messagesBefore = 0;
  try {
    for await (const block of peek) {
      // The BEGIN comes before whatever it is that cannot be decoded.
      for (let message = block.next(); message !== undefined; message = block.next()) {
        if (message.kind === 'begin') return { kind: 'transaction', transaction: message.transaction, messagesBefore };
        if (message.kind === 'message' && !message.transactional) messagesBefore++;
      }
    }
    return { kind: 'none', rows: peek.rows };
  } catch (error) {
    if (error instanceof ServerDecodingError) return { kind: 'failed' };
    if (!(error instanceof PeekTooLargeError)) throw error;
    // The server fails before it comes to a commit, and would again: there is nothing to skip.
    if (error.spilling) throw serverOutOfSpace(error);
    if (error.resourceSqlState !== undefined) return { kind: 'failed' };
    throw new PipelineError(
      'NO_PROGRESS',
      'PostgreSQL did not find the first unconsumed transaction in time. The slot was not advanced.',
      { cause: error },
    );
  } finally {
    await peek.close();
  }
}

/** What was skipped. */
export interface SkippedTransaction {
  /** Undefined: the server cannot decode it, so that nothing is known of it. */
  readonly transaction: Transaction | undefined;
  /** Messages outside of transactions that lie before it: the slot has passed them, too. */
  readonly messagesBefore: number;
  /** Where the slot is now. */
  readonly advancedTo: Lsn;
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
): Promise<SkippedTransaction> {
  const { bound, awaited } = await slot.standbyBound();
  if (awaited.length > 0 && commitLsn > bound) {
    throw new PipelineError(
      'NO_PROGRESS',
      `${formatLsn(commitLsn)} was not skipped: standbys are awaited that have confirmed ${formatLsn(bound)} only (${awaited.map(({ name }) => `"${name}"`).join(', ')}). The slot was not advanced.`,
      { remedy: 'Invoke skip-transaction again when they have caught up; status names them.' },
    );
  }
  const first = await firstUnconsumed(slot, clock, deadline);
  if (first === 'undecodable') return await skipUndecodable(slot, clock, commitLsn, deadline);
  if (first === undefined) {
    throw new PipelineError(
      'EVENT_INVALID',
      `${formatLsn(commitLsn)} was not skipped: the slot holds no transaction with changes. The slot was not advanced.`,
      { remedy: 'Nothing is to be done: it was skipped or published before.' },
    );
  }
  const { transaction, messagesBefore } = first;
  if (transaction.commitLsn !== commitLsn) {
    throw new PipelineError(
      'EVENT_INVALID',
      `${formatLsn(commitLsn)} was not skipped: the first unconsumed transaction is ${formatLsn(transaction.commitLsn)} (xid ${transaction.xid}), and only that one can be. The slot was not advanced.`,
      {
        remedy:
          'Let a run publish it. Only if that run fails and names this very commit LSN: skip-transaction with it. If yours was skipped before, nothing is to be done.',
      },
    );
  }
  return { transaction, messagesBefore, advancedTo: await slot.advance(commitLsn) };
}

/**
 * The server fails at the first unconsumed transaction: it is the one given if a peek up to just before its commit record
 * finds nothing, and one up to a position after that record's beginning fails.
 */
async function skipUndecodable(
  slot: Slot,
  clock: Clock,
  commitLsn: Lsn,
  deadline: number,
): Promise<SkippedTransaction> {
  const { confirmedFlush } = await slot.position();
  const isFirst =
    commitLsn > confirmedFlush &&
    (await firstOf(slot, clock, deadline, beforeCommitRecord(commitLsn), undefined)).kind === 'none' &&
    (await firstOf(slot, clock, deadline, commitLsn, undefined)).kind === 'failed';
  if (!isFirst) {
    throw new PipelineError(
      'EVENT_INVALID',
      `${formatLsn(commitLsn)} was not skipped: PostgreSQL cannot decode the first unconsumed transaction, and its commit LSN is another. The slot was not advanced.`,
      { remedy: 'Let a run tell: it fails with the commit LSN to give to skip-transaction.' },
    );
  }
  return { transaction: undefined, messagesBefore: 0, advancedTo: await slot.skip(commitLsn) };
}
