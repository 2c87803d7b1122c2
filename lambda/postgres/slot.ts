/**
 * The replication slot as the run sees it: how far it is, what lies in it, and how it moves on.
 * Two connections: the one that holds the lock peeks, the other advances and looks while the first streams.
 * Knows no batch and no stream. The run sees to it that an advance goes only where I2 allows.
 */
import type pg from 'pg';
import { formatLsn, type Lsn, parseLsn } from '../decode/lsn.ts';
import type { PluginDecoder } from '../decode/plugin-decoder.ts';
import { PipelineError } from '../errors.ts';
import type { Clock } from '../ports/runtime.ts';
import type { Peek, Slot, StandbyBound } from '../ports/slot.ts';
import { confirmPosition } from './confirm-position.ts';
import type { Connection } from './connection.ts';
import { SlotPeek } from './peek.ts';
import { explainSlotError } from './slot-state.ts';
import { type Awaiting, standbyBound } from './standby-bound.ts';
import { describeTransaction, FLUSH_LSN, readOldestTransaction, readSlotRow, WAL_END } from './status-queries.ts';

/** What the slot works with. */
export interface SlotParts extends Awaiting {
  /** The connection that holds the lock. */
  readonly main: Connection;
  readonly control: Connection;
  readonly slotName: string;
  readonly decoder: PluginDecoder;
  readonly clock: Clock;
  /** Opens a connection for the replication protocol, to the same server. */
  readonly openReplication: () => Promise<pg.Client>;
}

/**
 * Whether `pg_replication_slot_advance` may be used. It came in 11, and until the releases of May 2025 it could let go
 * of catalog rows too early when DDL ran at the same time, after which later decoding fails.
 *
 * @param versionNum - `server_version_num`
 * @see https://www.postgresql.org/docs/release/17.5/
 */
export function supportsSafeAdvance(versionNum: number): boolean {
  const fixed: Readonly<Record<number, number>> = { 13: 130021, 14: 140018, 15: 150013, 16: 160009, 17: 170005 };
  const major = Math.floor(versionNum / 10000);
  return major >= 18 || versionNum >= (fixed[major] ?? Infinity);
}

/** The port over SQL. */
export class PostgresSlot implements Slot {
  readonly #parts: SlotParts;

  /** @param parts - connections, locked and checked */
  constructor(parts: SlotParts) {
    this.#parts = parts;
  }

  async flushLsn(): Promise<Lsn> {
    const [row] = await this.#ask(`SELECT (${WAL_END})::text AS lsn`);
    return lsnOf(row, 'lsn');
  }

  async standbyBound(): Promise<StandbyBound> {
    const { standbySlots, failover } = this.#parts;
    return await standbyBound(
      { query: async (text, values) => ({ rows: await this.#ask(text, values) }) },
      { standbySlots, failover },
    );
  }

  async position(): Promise<{ confirmedFlush: Lsn; restart: Lsn }> {
    const row = await this.#row();
    return { confirmedFlush: lsnOf(row, 'confirmed_flush_lsn'), restart: lsnOf(row, 'restart_lsn') };
  }

  peek(upto: Lsn, limit: number | undefined, timeoutMs: number): Peek {
    return new SlotPeek({ ...this.#parts, translateError: (error) => this.explain(error) }, upto, limit, timeoutMs);
  }

  async advance(lsn: Lsn): Promise<Lsn> {
    const { slotName, control } = this.#parts;
    const to = formatLsn(lsn);
    if (supportsSafeAdvance(control.versionNum)) {
      const [row] = await this.#ask(
        'SELECT end_lsn::text AS lsn FROM pg_replication_slot_advance($1, $2)',
        [slotName, to],
        lsn,
      );
      return lsnOf(row, 'lsn');
    }
    // Unlike pg_replication_slot_advance, get_changes gives no error if the slot is already past the target.
    const { confirmedFlush } = await this.position();
    if (confirmedFlush > lsn) throw this.#slotMovedByOther(lsn, confirmedFlush);
    await this.#ask(
      `SELECT count(*) FROM pg_logical_slot_get_binary_changes($1, $2, NULL, ${control.plugin.options})`,
      [slotName, to],
      lsn,
    );
    return (await this.position()).confirmedFlush;
  }

  async skip(lsn: Lsn): Promise<Lsn> {
    const { control, slotName, openReplication } = this.#parts;
    // It does not print what it passes. The other way of advancing does, and would fail.
    if (supportsSafeAdvance(control.versionNum)) return await this.advance(lsn);
    const client = await openReplication();
    try {
      await confirmPosition(client, slotName, lsn, control.plugin.replicationOptions);
    } catch (error) {
      // The server may have begun to decode what lies behind, and failed at that. What counts is where the slot is.
      if ((await this.position()).confirmedFlush < lsn) throw await this.explain(error);
    } finally {
      await client.end().catch(() => undefined);
    }
    return (await this.position()).confirmedFlush;
  }

  async slotStatsFingerprint(): Promise<string | undefined> {
    // 14 has the counters too, but its statistics collector may lose or delay them.
    if (this.#parts.control.versionNum < 150000) return undefined;
    const [row] = await this.#ask(
      'SELECT to_jsonb(s)::text AS counters, pg_postmaster_start_time()::text AS started FROM pg_stat_replication_slots s WHERE slot_name = $1',
      [this.#parts.slotName],
    );
    // A restart forgets the counters (after a crash) and is another server after a failover.
    return row === undefined ? undefined : `${String(row['started'])} ${String(row['counters'])}`;
  }

  async retainedWalBytes(): Promise<number> {
    const [row] = await this.#ask(
      `SELECT (${FLUSH_LSN} - restart_lsn)::float8 AS bytes FROM pg_replication_slots WHERE slot_name = $1`,
      [this.#parts.slotName],
    );
    return Math.max(0, Number(row?.['bytes'] ?? 0));
  }

  async oldestTransaction(): Promise<string | undefined> {
    const oldest = await readOldestTransaction({ query: async (text) => ({ rows: await this.#ask(text) }) });
    return oldest === undefined ? undefined : describeTransaction(oldest);
  }

  async #row(): Promise<Record<string, unknown> | undefined> {
    const [row] = await this.#ask(
      'SELECT confirmed_flush_lsn::text, restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1',
      [this.#parts.slotName],
    );
    const gone = row === undefined || row['restart_lsn'] === null || row['confirmed_flush_lsn'] === null;
    // Dropped in mid-run, or lost: SQLSTATE 42704 is what a statement on it would say.
    if (gone) throw await this.explain(Object.assign(new Error('the slot has no position'), { code: '42704' }));
    return row;
  }

  async #ask(text: string, values?: unknown[], target?: Lsn): Promise<Record<string, unknown>[]> {
    try {
      return (await this.#parts.control.query(text, values)).rows;
    } catch (error) {
      const explained = await this.explain(error);
      if (explained !== error || target === undefined) throw explained;
      const slot = await readSlotRow(this.#parts.control, this.#parts.slotName);
      throw slot?.confirmedFlush !== undefined && slot.confirmedFlush > target
        ? this.#slotMovedByOther(target, slot.confirmedFlush)
        : error;
    }
  }

  /** @param error - of a statement on the slot. @returns it in the operator's words, or as it is */
  explain(error: unknown): Promise<unknown> {
    const { control, slotName } = this.#parts;
    return explainSlotError(error, control, slotName, control.context);
  }

  #slotMovedByOther(target: Lsn, found: Lsn): PipelineError {
    return new PipelineError(
      'SLOT_BUSY',
      `Slot "${this.#parts.slotName}" was to be advanced to ${formatLsn(target)} and is at ${formatLsn(found)} already: another client consumes it, and what it took is not published here. The slot was not advanced.`,
    );
  }
}

function lsnOf(row: Record<string, unknown> | undefined, name: string): Lsn {
  const lsn = parseLsn(String(row?.[name]));
  if (lsn === undefined) throw new Error(`the server gave no ${name}`);
  return lsn;
}
