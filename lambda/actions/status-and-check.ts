/**
 * The two actions that read and change nothing: `status` and `check`. Facts are read in the rooms and judged in
 * `health.ts` and `retained-wal.ts`; here they are put together into answers.
 */
import type { World } from '../container.ts';
import { formatLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import { explainRetention, type Retainer } from '../health/retained-wal.ts';
import { type Finding, isLost, judgeServer } from '../health/server-health.ts';
import { judgeStream } from '../health/stream-health.ts';
import { readCheck } from '../postgres/check.ts';
import type { Connection } from '../postgres/connection.ts';
import { type Holder, readHolder } from '../postgres/fence.ts';
import { describeTransaction, readStatus, type SlotRow } from '../postgres/status.ts';

/** How long DescribeStreamSummary may take. */
const DESCRIBE_MS = 10_000;

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
  readonly retainedBy?: readonly Retainer[];
  /** The server's own word, from 13 on: reserved, extended, unreserved, lost. */
  readonly walStatus: string;
  /** Bytes of WAL to be written until it is lost, where max_slot_wal_keep_size is set. */
  readonly safeWalBytes?: number;
  readonly invalidationReason?: string;
  readonly serverVersion: string;
  /** Who holds the lock, or null. */
  readonly lockHolder: Holder | null;
}

/** What `check` answers. */
export interface CheckAnswer {
  readonly action: 'check';
  readonly slot: string;
  /** Whether nothing is missing and nothing at fault. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

/**
 * Reads the slot's status.
 *
 * @param connection - to the slot's database
 * @param world - settings
 */
export async function status(connection: Connection, world: World): Promise<StatusAnswer> {
  const { slot: name } = world.config;
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

/**
 * Checks every precondition. A database that cannot be reached is a finding, and the stream is checked all the same.
 *
 * @param world - settings, database, stream
 * @param deadline - milliseconds since 1970
 * @param connected - does work on a connection
 */
export async function check(
  world: World,
  deadline: number,
  connected: (work: (connection: Connection) => Promise<Finding[]>) => Promise<Finding[]>,
): Promise<CheckAnswer> {
  const { config, clock } = world;
  const signal = AbortSignal.timeout(Math.max(1, Math.min(DESCRIBE_MS, deadline - clock.now())));
  const [server, stream] = await Promise.all([
    connected(async (connection) => judgeServer(await readCheck(connection.client, config.slot), config)).then(
      (findings): Finding[] => [{ check: 'database', state: 'ok', found: 'reached' }, ...findings],
      (error: unknown): Finding[] => [unreachable(error)],
    ),
    world.describeStream(signal),
  ]);
  const findings = [...server, judgeStream(stream, config), ...config.warnings.map(warning)];
  const ok = findings.every(({ state }) => state !== 'fault' && state !== 'missing');
  return { action: 'check', slot: config.slot, ok, findings };
}

/** Why there are no findings of the server. @throws what is no error of the table */
function unreachable(error: unknown): Finding {
  if (!(error instanceof PipelineError)) throw error;
  return { check: 'database', state: 'fault', found: error.code, todo: error.message };
}

function warning(text: string): Finding {
  return { check: 'settings', state: 'warning', found: text };
}
