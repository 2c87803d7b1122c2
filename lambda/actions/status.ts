/**
 * `status`: where the slot is and what it holds. Reads and changes nothing; facts are read in `postgres/status.ts` and
 * judged in `health/retained-wal.ts`.
 */
import type { Container } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { explainRetention, type WalRetentionCause } from '../health/retained-wal.ts';
import { isLost } from '../health/server-health.ts';
import type { Connection } from '../postgres/connection.ts';
import { type Holder, readHolder } from '../postgres/fence.ts';
import { describeTransaction, readStatus, type SlotRow } from '../postgres/status.ts';

/** What `status` answers. */
export interface StatusAnswer {
  readonly action: 'status';
  readonly slot: string;
  readonly database: string;
  /** `ok`; `missing`: it does not exist; `lost`: the server gave it up. */
  readonly slotState: 'ok' | 'missing' | 'lost';
  readonly plugin?: string;
  readonly confirmedFlushLsn?: string;
  readonly restartLsn?: string;
  readonly flushLsn: string;
  /** Flush LSN minus confirmed_flush_lsn. */
  readonly lagBytes?: number;
  /** 0 when nothing is unread; left out otherwise: only a run that reads the changes knows their age. */
  readonly lagSeconds?: number;
  readonly retainedWalBytes?: number;
  readonly retainedBy?: readonly WalRetentionCause[];
  /** The server's own word, from 13 on: reserved, extended, unreserved, lost. */
  readonly walStatus: string;
  /** Bytes of WAL to be written until it is lost, where max_slot_wal_keep_size is set. */
  readonly safeWalBytes?: number;
  readonly invalidationReason?: string;
  readonly serverVersion: string;
  /** Who holds the lock, or null. */
  readonly lockHolder: Holder | null;
}

/**
 * Reads the slot's status.
 *
 * @param connection - to the slot's database
 * @param container - settings
 */
export async function status(connection: Connection, container: Container): Promise<StatusAnswer> {
  const { slot: name } = container.config;
  const rows = await readStatus(connection.client, name);
  const holder = await readHolder(connection.client, name);
  return {
    action: 'status',
    slot: name,
    database: connection.context.database,
    slotState: rows.slot === undefined ? 'missing' : isLost(rows.slot) ? 'lost' : 'ok',
    flushLsn: formatLsn(rows.flush),
    ...(rows.slot === undefined ? {} : slotFields(rows.slot, rows)),
    walStatus: rows.slot === undefined ? 'missing' : (rows.slot.walStatus ?? 'unknown'),
    serverVersion: rows.serverVersion,
    lockHolder: holder === undefined ? null : publicHolder(holder),
  };
}

/** Where a slot is, and what it keeps. */
function slotFields(slot: SlotRow, rows: Awaited<ReturnType<typeof readStatus>>): Partial<StatusAnswer> {
  const { confirmedFlush, restart } = slot;
  const lagBytes = confirmedFlush === undefined ? undefined : Math.max(0, Number(rows.flush - confirmedFlush));
  const oldest = rows.oldestTransaction === undefined ? undefined : describeTransaction(rows.oldestTransaction);
  return {
    ...(slot.plugin === undefined ? {} : { plugin: slot.plugin }),
    ...(confirmedFlush === undefined ? {} : { confirmedFlushLsn: formatLsn(confirmedFlush) }),
    ...(restart === undefined ? {} : { restartLsn: formatLsn(restart) }),
    ...(lagBytes === undefined ? {} : { lagBytes }),
    ...(lagBytes === 0 ? { lagSeconds: 0 } : {}),
    ...(restart === undefined ? {} : { retainedWalBytes: Math.max(0, Number(rows.flush - restart)) }),
    retainedBy: explainRetention({ ...rows, confirmedFlush, restart, oldestTransaction: oldest }),
    ...(slot.safeWalBytes === undefined ? {} : { safeWalBytes: slot.safeWalBytes }),
    ...(slot.invalidationReason === undefined ? {} : { invalidationReason: slot.invalidationReason }),
  };
}

function publicHolder({ pid, user, application, ageSeconds, state }: Holder): Holder {
  return { pid, user, application, ageSeconds, state };
}
