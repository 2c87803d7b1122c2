/**
 * What the server says of each precondition of capturing changes. Reads only, asks the catalogs, changes nothing.
 * Concludes nothing: what the rows mean is said in `lambda/health/server-health.ts`.
 */
import type { AwaitedStandby } from '../ports/slot.ts';
import { readSlotReader, type SlotReader } from './slot-lock.ts';
import { readStandbys } from './standby-bound.ts';
import type { Queryable, SlotRow } from './status-queries.ts';
import { readSlotRow } from './status-queries.ts';

/** A table whose changes the slot shows, or a partitioned one above such tables. */
export interface TableRow {
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** The partitioned tables above it, nearest first. */
  readonly ancestors: readonly string[];
  /** Whether it holds no rows itself. */
  readonly partitioned: boolean;
  /** Unquoted, in the table's order. */
  readonly columns: readonly string[];
  /** The primary key's columns, unquoted, in key order; empty: there is none. */
  readonly key: readonly string[];
  readonly deferrable: boolean;
  /** As pg_class has it: `d` default, `n` nothing, `f` full, `i` an index. */
  readonly replicaIdentity: string;
  /** Whether that index holds every column of the key. */
  readonly identityCoversKey: boolean;
}

/** The role that connects. */
export interface RoleRow {
  readonly name: string;
  readonly superuser: boolean;
  readonly replication: boolean;
  /** Member of rds_replication or rds_superuser; undefined: the server has neither. */
  readonly rdsReplication: boolean | undefined;
}

/** All that `check` asks the server for. */
export interface CheckRows {
  readonly serverVersion: string;
  readonly serverVersionNum: number;
  readonly database: string;
  readonly encoding: string;
  readonly standby: boolean;
  readonly walLevel: string;
  /** What output_plugin_libraries lists; undefined: the server has no such setting. */
  readonly outputPlugins: readonly string[] | undefined;
  readonly maxReplicationSlots: number;
  readonly slotsInUse: number;
  /** In MiB; -1: no limit; undefined before 13. */
  readonly maxSlotWalKeepMib: number | undefined;
  /** The standbys of STANDBY_SLOTS, and for a failover slot those of synchronized_standby_slots. */
  readonly awaited: readonly AwaitedStandby[];
  /** What is wrong with STANDBY_SLOTS. */
  readonly standbySlotFaults: readonly string[];
  /** Every physical slot of the server. */
  readonly physicalSlots: readonly string[];
  readonly role: RoleRow;
  readonly slot: SlotRow | undefined;
  /** The backend that reads the slot just now. */
  readonly slotReader: SlotReader | undefined;
  readonly tables: readonly TableRow[];
}

/**
 * Reads what `check` looks at.
 *
 * @param client - a connection to the database to be captured
 * @param slot - the slot's name
 * @param standbySlots - STANDBY_SLOTS @default none
 */
export async function readCheck(
  client: Queryable,
  slot: string,
  standbySlots: readonly string[] = [],
): Promise<CheckRows> {
  const { rows } = await client.query(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS num,
            current_database()::text AS database, current_setting('server_encoding') AS encoding,
            pg_is_in_recovery() AS standby, current_setting('wal_level') AS wal_level,
            (SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries') AS plugins,
            current_setting('max_replication_slots')::int AS max_slots,
            (SELECT count(*)::int FROM pg_replication_slots) AS slots,
            (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep,
            coalesce((SELECT json_agg(slot_name ORDER BY slot_name) FROM pg_replication_slots WHERE slot_type = 'physical'), '[]') AS physical,
            r.rolname::text AS role, r.rolsuper, r.rolreplication,
            (SELECT bool_or(pg_has_role(r.oid, m.oid, 'MEMBER')) FROM pg_roles m
              WHERE m.rolname IN ('rds_replication', 'rds_superuser')) AS rds
       FROM pg_roles r WHERE r.rolname = current_user`,
  );
  const row = rows[0] ?? {};
  const slotRow = await readSlotRow(client, slot);
  const standbys = await readStandbys(client, { standbySlots, failover: slotRow?.failover === true });
  return {
    serverVersion: String(row['version']),
    serverVersionNum: Number(row['num']),
    database: String(row['database']),
    encoding: String(row['encoding']),
    standby: row['standby'] === true,
    walLevel: String(row['wal_level']),
    outputPlugins: typeof row['plugins'] === 'string' ? namesIn(row['plugins']) : undefined,
    maxReplicationSlots: Number(row['max_slots']),
    slotsInUse: Number(row['slots']),
    maxSlotWalKeepMib: typeof row['keep'] === 'number' ? row['keep'] : undefined,
    awaited: standbys.all,
    standbySlotFaults: standbys.faults,
    physicalSlots: texts(row['physical']),
    role: {
      name: String(row['role']),
      superuser: row['rolsuper'] === true,
      replication: row['rolreplication'] === true,
      rdsReplication: typeof row['rds'] === 'boolean' ? row['rds'] : undefined,
    },
    slot: slotRow,
    slotReader: await readSlotReader(client, slot),
    tables: await readTables(client),
  };
}

/** Every permanent table outside the system's schemas. Unlogged and temporary ones write no WAL of their rows. */
export async function readTables(client: Queryable): Promise<readonly TableRow[]> {
  const { rows } = await client.query(
    `WITH RECURSIVE ancestor(leaf, parent, depth) AS (
       SELECT c.oid, i.inhparent, 1 FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition
       UNION ALL
       SELECT a.leaf, i.inhparent, a.depth + 1
         FROM ancestor a JOIN pg_class c ON c.oid = a.parent AND c.relispartition JOIN pg_inherits i ON i.inhrelid = c.oid
     )
     SELECT n.nspname || '.' || c.relname AS name, c.relkind = 'p' AS partitioned, c.relreplident::text AS identity,
            coalesce((SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(pk.conkey) WITH ORDINALITY k(attnum, place)
                        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum), '[]') AS key,
            coalesce(pk.condeferrable, false) AS deferrable,
            -- INCLUDE columns (11+) are in indkey too, but are no part of the identity.
            coalesce(pk.conkey <@ (ri.indkey::int2[])[0:coalesce((to_jsonb(ri)->>'indnkeyatts')::int, ri.indnatts) - 1], false) AS covered,
            coalesce((SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute
                       WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), '[]') AS columns,
            coalesce((SELECT json_agg(pn.nspname || '.' || p.relname ORDER BY a.depth)
                        FROM ancestor a JOIN pg_class p ON p.oid = a.parent JOIN pg_namespace pn ON pn.oid = p.relnamespace
                       WHERE a.leaf = c.oid), '[]') AS ancestors
       FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_constraint pk ON pk.conrelid = c.oid AND pk.contype = 'p'
       LEFT JOIN pg_index ri ON ri.indrelid = c.oid AND ri.indisreplident
      WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
      ORDER BY 1`,
  );
  return rows.map((row) => ({
    name: String(row['name']),
    ancestors: texts(row['ancestors']),
    partitioned: row['partitioned'] === true,
    columns: texts(row['columns']),
    key: texts(row['key']),
    deferrable: row['deferrable'] === true,
    replicaIdentity: String(row['identity']),
    identityCoversKey: row['covered'] === true,
  }));
}

/** A JSON array of texts, as the driver parses it. */
function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** The names of a setting that is a list: with commas between, and each in quotes or not. */
function namesIn(list: string): readonly string[] {
  return list
    .split(',')
    .map((name) => name.trim().replaceAll('"', ''))
    .filter((name) => name !== '');
}
