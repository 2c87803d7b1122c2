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
  readonly olderSlots: readonly {
    readonly name: string;
    readonly restart: Lsn;
    readonly active: boolean;
    /** Since when nobody has read it, where the server knows. */
    readonly inactiveSince?: string | undefined;
  }[];
  /** Why no run reads the slot; undefined: runs do. */
  readonly refused?: string | undefined;
  /** LINGER_DUTY, in percent; undefined: runs do not linger. */
  readonly lingerDutyPercent?: number | undefined;
}

/** One reason, and how much WAL it accounts for. */
export interface WalRetentionCause {
  readonly what: 'unread changes' | 'open transaction' | 'decoding position' | 'this slot' | 'other slot';
  /** Bytes that could be removed without this cause; for another slot, all that it keeps. */
  readonly bytes: number;
  /** Which one it is, and what to do. */
  readonly detail: string;
}

/** Decoding less than this takes milliseconds: a run that lingers is not slowed down by it. One segment of WAL. */
const SLOW_BYTES = 16 * 1024 * 1024;

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
  refused,
  lingerDutyPercent,
}: RetentionFacts): WalRetentionCause[] {
  const others = olderSlots.map((slot): WalRetentionCause => ({
    what: 'other slot',
    bytes: distance(flush, slot.restart),
    detail: `The slot "${slot.name}" keeps more than this one. It belongs to another pipeline or a replica. ${reading(slot)}`,
  }));
  if (refused !== undefined) {
    const bytes = restart === undefined ? 0 : distance(flush, restart);
    return [{ what: 'this slot', bytes, detail: `No run reads it: ${refused}.` }, ...others];
  }
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
  const slow =
    lingerDutyPercent !== undefined && rereadBytes >= SLOW_BYTES
      ? ` Each read of a run that lingers decodes these bytes again. It reads less often, so that this takes at most ${lingerDutyPercent}% of a core (LINGER_DUTY), and changes arrive later.`
      : '';
  if (rereadBytes > 0 && oldestTransaction !== undefined) {
    reasons.push({
      what: 'open transaction',
      bytes: rereadBytes,
      detail: `Decoding has to start before it: ${oldestTransaction}${slow}`,
    });
  } else if (rereadBytes > 0) {
    const detail = `Consumed, and let go by the next runs.${slow}`;
    reasons.push({ what: 'decoding position', bytes: rereadBytes, detail });
  }
  return [...reasons, ...others];
}

/** Whether a slot is read, as far as it is known. Between two runs no slot of pg2kinesis is. */
function reading({ active, inactiveSince }: RetentionFacts['olderSlots'][number]): string {
  if (active) return 'It is being read just now.';
  return inactiveSince === undefined
    ? 'Nobody reads it just now, which says nothing: between two runs that is so.'
    : `It was last read at ${inactiveSince}.`;
}

/** Bytes from one position to a later one. */
function distance(later: Lsn, earlier: Lsn): number {
  return Math.max(0, Number(later - earlier));
}
