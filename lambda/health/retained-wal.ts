/**
 * For `status`: why the server keeps WAL for the slot. Pure: facts in, causes out.
 */
import type { Lsn } from '../decode/lsn.ts';

/** What is known of the slot and its surroundings. */
export interface RetentionFacts {
  readonly flush: Lsn;
  readonly confirmedFlush: Lsn | undefined;
  readonly restart: Lsn | undefined;
  /** The oldest open transaction that writes, in words; undefined: none. */
  readonly oldestTransaction: string | undefined;
  /** Slots that keep WAL from before this one's. */
  readonly olderSlots: readonly { readonly name: string; readonly restart: Lsn; readonly active: boolean }[];
}

/** One reason, and how much WAL it accounts for. */
export interface WalRetentionCause {
  readonly what: 'unread changes' | 'open transaction' | 'decoding position' | 'other slot';
  /** Bytes that could be removed without this cause; for another slot, all that it keeps. */
  readonly bytes: number;
  /** Which one it is, and what to do. */
  readonly detail: string;
}

/**
 * Names what holds WAL, the slot's own reasons first.
 *
 * @param facts - what was read from the server
 * @returns nothing where nothing is retained
 */
export function explainRetention({
  flush,
  confirmedFlush,
  restart,
  oldestTransaction,
  olderSlots,
}: RetentionFacts): WalRetentionCause[] {
  const reasons: WalRetentionCause[] = [];
  const unreadBytes = confirmedFlush === undefined ? 0 : distance(flush, confirmedFlush);
  const rereadBytes = confirmedFlush === undefined || restart === undefined ? 0 : distance(confirmedFlush, restart);
  if (unreadBytes > 0) {
    reasons.push({
      what: 'unread changes',
      bytes: unreadBytes,
      detail: 'WAL that no run has consumed yet; runs, or drain, do.',
    });
  }
  if (rereadBytes > 0 && oldestTransaction !== undefined) {
    reasons.push({
      what: 'open transaction',
      bytes: rereadBytes,
      detail: `Decoding has to start before it: ${oldestTransaction}.`,
    });
  } else if (rereadBytes > 0) {
    reasons.push({ what: 'decoding position', bytes: rereadBytes, detail: 'Consumed, and let go by the next runs.' });
  }
  for (const { name, restart: from, active } of olderSlots) {
    reasons.push({
      what: 'other slot',
      bytes: distance(flush, from),
      detail: `The slot "${name}"${active ? '' : ', which nobody reads,'} keeps more than this one.`,
    });
  }
  return reasons;
}

/** Bytes from one position to a later one. */
function distance(later: Lsn, earlier: Lsn): number {
  return Math.max(0, Number(later - earlier));
}
