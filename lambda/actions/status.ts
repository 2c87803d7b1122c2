/**
 * `status`: where the slot is and what it holds. Reads and changes nothing; facts are read in `postgres/status-queries.ts` and
 * explained in `health/retained-wal.ts`.
 */
import type { Container } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { explainRetention, type WalRetentionCause } from '../health/retained-wal.ts';
import { checkSlot, isReadByRuns, type SlotHealth, type SlotState } from '../health/slot-health.ts';
import type { AwaitedStandby } from '../ports/slot.ts';
import type { Connection } from '../postgres/connection.ts';
import { type Holder, readHolder, readSlotReader } from '../postgres/slot-lock.ts';
import { estimateRows, readUnderWay, whyNoSnapshots } from '../postgres/snapshot-request.ts';
import { readStandbys } from '../postgres/standby-bound.ts';
import { describeTransaction, readStatus, type SlotRow, type TransactionRow } from '../postgres/status-queries.ts';
import { readFirstUnread } from '../postgres/unread-age.ts';
import { type ServerAnswer, serverAnswer } from '../run/answer.ts';
import { rowsRead, tablesLeft, tablesUnderWay } from '../snapshot/progress.ts';

/** What `status` answers. */
export interface StatusAnswer {
  readonly action: 'status';
  readonly slot: string;
  readonly database: string;
  /** Only `ok` and `at-risk` are read by runs. */
  readonly slotState: SlotState;
  /** What was found, in words. */
  readonly slotDetail: string;
  /** What to do; left out where nothing is. */
  readonly todo?: string;
  readonly plugin?: string;
  readonly confirmedFlushLsn?: string;
  readonly restartLsn?: string;
  readonly flushLsn: string;
  /** Flush LSN minus confirmed_flush_lsn. */
  readonly lagBytes?: number;
  /** The age of the first unread commit; 0 when nothing is unread; left out where it could not be found out in time. */
  readonly lagSeconds?: number;
  readonly retainedWalBytes?: number;
  readonly retainedBy?: readonly WalRetentionCause[];
  /** The server's own word, from 13 on: reserved, extended, unreserved, lost. */
  readonly walStatus: string;
  /** Bytes of WAL to be written until it is lost, where max_slot_wal_keep_size is set. */
  readonly safeWalBytes?: number;
  readonly invalidationReason?: string;
  readonly serverVersion: string;
  /** Who answers. */
  readonly server: ServerAnswer;
  /** From 17: since when nobody has read it. Left out while somebody does. */
  readonly inactiveSince?: string;
  /** When a run of this container, or of this process, moved the slot to where it stands. Left out where another one did. */
  readonly lastAdvanceAt?: string;
  /** What is being read beside the slot; left out where nothing is, before PostgreSQL 12, and where it could not be found out in time. */
  readonly snapshot?: SnapshotState;
  /** The standbys that runs wait for, where there are any. */
  readonly standbys?: readonly AwaitedStandbyState[];
  /** Who holds the lock, or null. */
  readonly lockHolder: Holder | null;
}

/** How far a snapshot has come, as the slot says it. */
export interface SnapshotState {
  readonly id: string;
  readonly askedAt: string;
  /** The table that is being read, as printed. */
  readonly table?: string;
  readonly tablesLeft: number;
  readonly rowsRead: number;
  /** Of the tables that are left, as the planner thinks. */
  readonly rowsLeft: number;
  /** Since it was asked for. */
  readonly rowsPerSecond: number;
  /** Left out where nothing was read. */
  readonly secondsLeft?: number;
}

/** A standby that runs wait for. */
export interface AwaitedStandbyState {
  /** Its physical slot. */
  readonly slot: string;
  readonly connected: boolean;
  /** What it has not confirmed; left out where nothing is known. */
  readonly behindBytes?: number;
  /** Why nothing is known. */
  readonly fault?: string;
}

/**
 * Reads the slot's status.
 *
 * @param connection - to the slot's database
 * @param container - settings
 * @param withLagSeconds - whether to find out how old the first unread commit is @default true
 */
export async function status(
  connection: Connection,
  container: Container,
  withLagSeconds = true,
): Promise<StatusAnswer> {
  const { slot: name } = container.config;
  const { warmState } = container;
  const rows = await readStatus(connection.client, name);
  const holder = await readHolder(connection.client, name);
  const { database } = connection.context;
  const { standbySlots } = container.config;
  const { all } = await readStandbys(connection.client, { standbySlots, failover: rows.slot?.failover === true });
  const health = checkSlot(
    rows.slot,
    await readSlotReader(connection.client, name),
    database,
    container.config.plugin,
    connection.identity.inRecovery,
  );
  const position = rows.slot?.confirmedFlush;
  const lastAdvance =
    position !== undefined && warmState.lastAdvance?.to === formatLsn(position) ? warmState.lastAdvance : undefined;
  // The last that is asked of the connection.
  let snapshot: SnapshotState | undefined;
  const onCopy = async (copy: string): Promise<void> => {
    snapshot = await readSnapshotState(connection, container, copy);
  };
  const lagSeconds = withLagSeconds ? await unreadAge(connection, container, rows, health.state, onCopy) : undefined;
  return {
    action: 'status',
    slot: name,
    database,
    slotState: health.state,
    slotDetail: `${name}: ${health.found}`,
    ...(health.todo === undefined ? {} : { todo: health.todo }),
    flushLsn: formatLsn(rows.flush),
    ...(rows.slot === undefined ? {} : slotFields(rows.slot, rows, health, container.config.lingerDutyPercent)),
    ...(lagSeconds === undefined ? {} : { lagSeconds }),
    ...(lastAdvance === undefined ? {} : { lastAdvanceAt: new Date(lastAdvance.at).toISOString() }),
    walStatus: rows.slot === undefined ? 'missing' : (rows.slot.walStatus ?? 'unknown'),
    serverVersion: rows.serverVersion,
    server: serverAnswer(connection.identity),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(all.length === 0 ? {} : { standbys: all.map(toStandby) }),
    lockHolder: holder === undefined ? null : publicHolder(holder),
  };
}

/** How old the first unread commit is, in seconds. It is read once for each position of the slot. */
async function unreadAge(
  connection: Connection,
  { config, clock, warmState }: Container,
  { slot, flush }: Pick<Awaited<ReturnType<typeof readStatus>>, 'slot' | 'flush'>,
  state: SlotState,
  onCopy: (copy: string) => Promise<void>,
): Promise<number | undefined> {
  const position = slot?.confirmedFlush;
  if (position === undefined || !isReadByRuns(state)) return undefined;
  if (flush <= position) return 0;
  if (warmState.firstUnread?.position !== position) {
    warmState.firstUnread = undefined;
    const found = await readFirstUnread(connection, config.slot, onCopy);
    if (found?.kind !== 'found') return found === undefined ? undefined : 0;
    warmState.firstUnread = { position, committedMs: found.committedMs };
  }
  return Math.max(0, Math.round(clock.now() - warmState.firstUnread.committedMs) / 1000);
}

/** What is under way, by a copy of the slot. */
async function readSnapshotState(
  connection: Connection,
  { config, decoder, clock }: Container,
  copy: string,
): Promise<SnapshotState | undefined> {
  if (whyNoSnapshots(connection) !== undefined) return undefined;
  await connection.plugin.prepare?.(connection, copy);
  const progress = await readUnderWay(connection, copy, config.slot, decoder);
  if (progress === undefined) return undefined;
  const { current, begunAt } = progress;
  const estimate = await estimateRows(connection, tablesUnderWay(progress));
  const left = Math.max(0, estimate - (current?.rows ?? 0));
  const rows = rowsRead(progress);
  const rowsPerSecond = Math.round(rows / Math.max(1, (clock.now() - begunAt) / 1000));
  return {
    id: progress.id,
    askedAt: new Date(begunAt).toISOString(),
    ...(current === undefined ? {} : { table: current.name }),
    tablesLeft: tablesLeft(progress),
    rowsRead: rows,
    rowsLeft: left,
    rowsPerSecond,
    ...(rowsPerSecond === 0 ? {} : { secondsLeft: Math.round(left / rowsPerSecond) }),
  };
}

/** Where a slot is, and what it keeps. */
function slotFields(
  slot: SlotRow,
  rows: Awaited<ReturnType<typeof readStatus>>,
  { state, found }: SlotHealth,
  lingerDutyPercent: number | undefined,
): Partial<StatusAnswer> {
  const { confirmedFlush, restart } = slot;
  const lagBytes = confirmedFlush === undefined ? undefined : Math.max(0, Number(rows.flush - confirmedFlush));
  const oldest = rows.oldestTransaction === undefined ? undefined : describeOpenTransaction(rows.oldestTransaction);
  const refused = isReadByRuns(state) ? undefined : found;
  return {
    ...(slot.plugin === undefined ? {} : { plugin: slot.plugin }),
    ...(confirmedFlush === undefined ? {} : { confirmedFlushLsn: formatLsn(confirmedFlush) }),
    ...(restart === undefined ? {} : { restartLsn: formatLsn(restart) }),
    ...(lagBytes === undefined ? {} : { lagBytes }),
    ...(restart === undefined ? {} : { retainedWalBytes: Math.max(0, Number(rows.flush - restart)) }),
    retainedBy: explainRetention({
      ...rows,
      confirmedFlush,
      restart,
      oldestTransaction: oldest,
      refused,
      lingerDutyPercent,
    }),
    ...(slot.safeWalBytes === undefined ? {} : { safeWalBytes: slot.safeWalBytes }),
    ...(slot.invalidationReason === undefined ? {} : { invalidationReason: slot.invalidationReason }),
    ...(slot.inactiveSince === undefined ? {} : { inactiveSince: slot.inactiveSince }),
  };
}

/** A transaction that holds WAL, and the ways to end it and to see more of it. */
function describeOpenTransaction(transaction: TransactionRow): string {
  const { pid, prepared, ageSeconds } = transaction;
  const end =
    pid === undefined
      ? prepared === undefined
        ? ''
        : ` ROLLBACK PREPARED or COMMIT PREPARED ends it.`
      : ` SELECT pg_terminate_backend(${pid}) ends it.`;
  const see = ageSeconds === undefined ? ' GRANT pg_read_all_stats to this role shows its age and state.' : '';
  return `${describeTransaction(transaction)}.${end}${see}`;
}

function toStandby({ name, active, behindBytes, fault }: AwaitedStandby): AwaitedStandbyState {
  return {
    slot: name,
    connected: active,
    ...(behindBytes === undefined ? {} : { behindBytes }),
    ...(fault === undefined ? {} : { fault }),
  };
}

function publicHolder({ pid, user, application, ageSeconds, state }: Holder): Holder {
  return { pid, user, application, ageSeconds, state };
}
