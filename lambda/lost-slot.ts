/**
 * Slots that the server has given up: why, and the remedy for each reason. Pure.
 *
 * @see https://www.postgresql.org/docs/current/view-pg-replication-slots.html
 */
import { PipelineError } from './errors.ts';

/** Of a slot's row in pg_replication_slots. */
interface Lost {
  readonly walStatus: string | undefined;
  readonly invalidationReason: string | undefined;
}

/** @param slot - a slot's row. @returns whether the server has given it up */
export function isLost({ walStatus, invalidationReason }: Lost): boolean {
  return walStatus === 'lost' || invalidationReason !== undefined;
}

/** What comes after the cause is gone. */
const RECREATE = 'Then drop it with drop-slot, create it with create-slot, and reload what consumers missed.';

/** What to do about each reason, before the slot is made again; as pg_replication_slots gives them. */
const REMEDY_BY_REASON: Readonly<Record<string, string>> = {
  rows_removed:
    'The primary removed rows of catalogs that the slot on this standby still needed: set hot_standby_feedback = on on the standby, and let it use a physical slot (primary_slot_name).',
  wal_level_insufficient: 'wal_level on the primary was lowered below logical: set it to logical there and restart it.',
  // 16 does not tell the three apart.
  conflict:
    'PostgreSQL 16 does not say why. On a primary the server removed WAL that the slot needed: raise max_slot_wal_keep_size, and act on the alarm RetainedWal earlier. On a standby it is that, or the primary removed rows of catalogs that the slot on this standby still needed, or its wal_level was lowered: set hot_standby_feedback = on on the standby, let it use a physical slot (primary_slot_name), and see that wal_level is logical on the primary.',
  idle_timeout:
    'Nobody used the slot for longer than idle_replication_slot_timeout: raise that setting or set it to 0, and see that runs come more often (is the schedule on?).',
};
const WAL_REMOVED =
  'The server removed WAL that the slot needed: raise max_slot_wal_keep_size, and act on the alarm RetainedWal earlier.';

/**
 * @param slot - a lost slot's row
 * @returns what to do, in sentences
 */
export function lostRemedy({ invalidationReason }: Lost): string {
  return `${REMEDY_BY_REASON[invalidationReason ?? ''] ?? WAL_REMOVED} ${RECREATE}`;
}

/**
 * @param slot - a lost slot's row
 * @param what - what is so with it, up to the reason
 * @param notDone - what was not done, a sentence
 */
export function slotLost(slot: Lost, what: string, notDone: string): PipelineError {
  const why = slot.invalidationReason === undefined ? 'wal_status lost' : `invalidated: ${slot.invalidationReason}`;
  return new PipelineError('SLOT_LOST', `${what} (${why}). ${notDone}`, { remedy: lostRemedy(slot) });
}
