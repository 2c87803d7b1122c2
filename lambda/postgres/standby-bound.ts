/**
 * How far a peek may see and an advance may go: what is flushed, and what each awaited standby has confirmed.
 *
 * A physical slot's `restart_lsn` is what its standby has flushed. `pg_replication_slots` shows it to every role, in every
 * version. Knows no run: whether to wait for a standby is decided there.
 *
 * @see https://www.postgresql.org/docs/current/logicaldecoding-explanation.html#LOGICALDECODING-REPLICATION-SLOTS-SYNCHRONIZATION
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import type { AwaitedStandby, StandbyBound } from '../ports/slot.ts';
import { FLUSH_LSN, type Queryable, WAL_END } from './status-queries.ts';

/** Which standbys a slot waits for. */
export interface Awaiting {
  /** STANDBY_SLOTS: physical slots. */
  readonly standbySlots: readonly string[];
  /** Whether the slot is a failover slot: then the server waits for those of synchronized_standby_slots (17+). */
  readonly failover: boolean;
}

/** The names, the setting's and the server's; on a standby the server's own list is not looked at. */
const NAMES = `SELECT name, true AS required FROM unnest($1::text[]) name
  UNION
  SELECT listed.name, false FROM regexp_split_to_table(replace(coalesce(current_setting('synchronized_standby_slots', true), ''), '"', ''), '\\s*,\\s*') listed(name)
   WHERE $2 AND NOT pg_is_in_recovery() AND listed.name <> '' AND listed.name <> ALL ($1::text[])`;

/** The bound, and every standby that counts for it. */
export interface Standbys extends StandbyBound {
  /** Also those that have confirmed everything. */
  readonly all: readonly AwaitedStandby[];
  /** What is wrong with STANDBY_SLOTS, a clause each. */
  readonly faults: readonly string[];
}

/**
 * Reads the bound. Where no standby is awaited it is one cheap question, as is the other.
 *
 * @param client - a connection to any database of the server
 * @param awaiting - whose confirmations count
 * @throws {PipelineError} CONFIG_INVALID where STANDBY_SLOTS names a slot that no standby can be waited for by
 */
export async function standbyBound(client: Queryable, awaiting: Awaiting): Promise<StandbyBound> {
  const { flush, bound, confirmedOnly, awaited, absent, faults } = await readStandbys(client, awaiting);
  if (faults.length > 0) throw standbySlotsInvalid(faults);
  return { flush, bound, confirmedOnly, awaited, absent };
}

/**
 * Reads the same, and tells what is wrong with the setting in place of failing.
 *
 * @param client - a connection to any database of the server
 * @param awaiting - whose confirmations count
 */
export async function readStandbys(client: Queryable, { standbySlots, failover }: Awaiting): Promise<Standbys> {
  if (standbySlots.length === 0 && !failover) {
    const { rows } = await client.query(`SELECT ${FLUSH_LSN}::text AS readable, (${WAL_END})::text AS flush`);
    return { ...walEnd(rows[0]), confirmedOnly: false, awaited: [], absent: [], all: [], faults: [] };
  }
  const { rows } = await client.query(
    `SELECT ${FLUSH_LSN}::text AS readable, (${WAL_END})::text AS flush,
            (SELECT json_agg(json_build_object('name', n.name, 'required', n.required, 'slot', to_jsonb(s)) ORDER BY n.name)
               FROM (${NAMES}) n LEFT JOIN pg_replication_slots s ON s.slot_name = n.name) AS standbys`,
    [standbySlots, failover],
  );
  const { flush, bound } = walEnd(rows[0]);
  const standbys = (rows[0]?.['standbys'] ?? []) as readonly StandbyRow[];
  const all = standbys.map((row) => toAwaited(row, flush));
  const required = standbys.filter((row) => row.required);
  // A cluster whose members have a slot each on the primary: none has one for itself, and who is primary changes.
  const isAnyThere = required.some((row) => faultOf(row) === undefined);
  const absent = new Set(isAnyThere ? required.filter((row) => isAbsent(row)).map(({ name }) => name) : []);
  const awaited = all.filter(
    ({ name, confirmed }) => !absent.has(name) && (confirmed === undefined || confirmed < flush),
  );
  return {
    flush,
    bound: awaited.reduce((least, { confirmed = 0n }) => (confirmed < least ? confirmed : least), bound),
    confirmedOnly: all.length > 0,
    awaited,
    absent: [...absent],
    all,
    faults: required.filter(({ name }) => !absent.has(name)).flatMap((row) => faultOf(row) ?? []),
  };
}

/** A name, and its row of pg_replication_slots. */
interface StandbyRow {
  readonly name: string;
  readonly required: boolean;
  readonly slot: Readonly<Record<string, unknown>> | null;
}

/** Whether no standby uses that slot: it is not there, or never was used. */
function isAbsent({ slot }: StandbyRow): boolean {
  if (slot === null) return true;
  return slot['slot_type'] === 'physical' && slot['restart_lsn'] === null && !isGivenUp(slot);
}

function isGivenUp(slot: NonNullable<StandbyRow['slot']>): boolean {
  return slot['wal_status'] === 'lost' || typeof slot['invalidation_reason'] === 'string';
}

/** Why no standby can be waited for by that slot. */
function faultOf({ name, slot }: StandbyRow): string | undefined {
  if (slot === null) return `there is no slot "${name}"`;
  if (slot['slot_type'] !== 'physical') return `"${name}" is a logical slot, not a standby's physical one`;
  if (isGivenUp(slot)) return `"${name}" is lost: its standby fell too far behind and has to be copied again`;
  if (slot['restart_lsn'] === null) return `"${name}" was never used by a standby`;
  return undefined;
}

function toAwaited(row: StandbyRow, flush: Lsn): AwaitedStandby {
  const { name, slot } = row;
  const text = slot?.['restart_lsn'];
  const confirmed = faultOf(row) === undefined && typeof text === 'string' ? parseLsn(text) : undefined;
  return {
    name,
    active: slot?.['active'] === true,
    confirmed,
    behindBytes: confirmed === undefined ? undefined : Math.max(0, Number(flush - confirmed)),
    fault: faultOf(row),
  };
}

function standbySlotsInvalid(faults: readonly string[]): PipelineError {
  return new PipelineError(
    'CONFIG_INVALID',
    `STANDBY_SLOTS names slots by which no standby can be waited for: ${faults.join('; ')}. The slot was not advanced over what was not acknowledged.`,
    {
      remedy:
        'Let the standby use that slot (primary_slot_name on the standby), or take the name out of STANDBY_SLOTS: changes are then published that this standby may not have.',
    },
  );
}

function walEnd(row: Record<string, unknown> | undefined): { flush: Lsn; bound: Lsn } {
  const readable = parseLsn(String(row?.['readable']));
  const flush = parseLsn(String(row?.['flush']));
  if (readable === undefined || flush === undefined) throw new Error('the server gave no flush LSN');
  // Between two of its functions a standby may have replayed more.
  return { flush: flush < readable ? readable : flush, bound: readable };
}
