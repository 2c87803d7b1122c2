/**
 * From the names of tables to those that a snapshot reads: partitions in place of a partitioned table, and why a table
 * cannot be read. And what is under way, from the message that the slot stands right before.
 */
import type { LogicalMessage } from '../decode/messages.ts';
import type { PluginDecoder } from '../decode/plugin-decoder.ts';
import { begin, type SnapshotProgress } from '../snapshot/progress.ts';
import { decodeSnapshotMessage, SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import type { Connection } from './connection.ts';
import { supportsSnapshots } from './plugins.ts';
import { parsePrinted } from './snapshot-reader.ts';
import { whyRefused } from './snapshot-refusals.ts';
import { DESCRIBE, LEAVES, quoted, type TableRow } from './snapshot-tables.ts';

/** A table that a snapshot may read, as far as the server has to do with it. */
export interface ReadableTable {
  /** As the plugin prints it. */
  readonly printed: string;
  /** `schema.table`, unquoted, and of a partition those above it. */
  readonly names: readonly string[];
}

/** A table whose changes are published, and that a snapshot of all tables cannot read. */
export interface LeftOutTable {
  /** As of one that can be read. */
  readonly names: readonly string[];
  /** Why, with what to do: a sentence. */
  readonly why: string;
}

/** What became of names. */
export interface ResolvedTables {
  readonly tables: readonly ReadableTable[];
  /** All that are there, as printed, whether they can be read or not. */
  readonly all: readonly string[];
  /** What names no table: each a sentence. */
  readonly missing: readonly string[];
  /** What else keeps tables that were named from being read: each a sentence. */
  readonly faults: readonly string[];
  /** Where no tables were named. */
  readonly leftOut: readonly LeftOutTable[];
}

/** @returns why no table can be read beside this slot; undefined: tables can be */
export function whyNoSnapshots({ plugin, versionNum, identity }: Connection): string | undefined {
  if (identity.inRecovery) return 'the server is a standby, on which nothing can be written into the WAL';
  if (supportsSnapshots(plugin.name, versionNum)) return undefined;
  return plugin.name === 'pgoutput'
    ? `pgoutput of PostgreSQL ${Math.floor(versionNum / 10_000)} sends no logical messages (from 14 on it does; test_decoding does from 10 on)`
    : `the plugin ${plugin.name} is not read with logical messages (test_decoding is, and from PostgreSQL 14 on pgoutput)`;
}

/**
 * Looks tables up.
 *
 * @param connection - to the slot's database
 * @param names - as `schema.table`, unquoted, or quoted where SQL needs it; undefined: all that can be read
 */
export async function resolveTables(
  connection: Connection,
  names: readonly string[] | undefined,
): Promise<ResolvedTables> {
  const { user } = connection.context;
  const missing: string[] = [];
  const faults: string[] = [];
  const leftOut: LeftOutTable[] = [];
  const oids = new Set<number>();
  const query = async (text: string, values: unknown[]) => (await connection.query(text, values)).rows;
  if (names === undefined) {
    const rows = await query(
      `SELECT c.oid::bigint::float8 AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
          AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' ORDER BY c.oid`,
      [],
    );
    for (const { oid } of rows) await addLeaves(query, connection, Number(oid), oids);
  }
  for (const name of names ?? []) {
    const parts = partsOf(name);
    const [found] = parts === undefined ? [] : await query(OID, [parts.schema, parts.name]);
    if (found === undefined) {
      missing.push(
        `There is no table ${JSON.stringify(name)}${parts === undefined ? ', as it has no schema: give schema.table' : ''}.`,
      );
    } else {
      await addLeaves(query, connection, Number(found['oid']), oids);
    }
  }
  const described = (await query(DESCRIBE(connection.versionNum, connection.plugin.publications, '= ANY ($1::oid[])'), [
    [...oids],
  ])) as unknown as TableRow[];
  const tables: ReadableTable[] = [];
  const all: string[] = [];
  for (const table of described) {
    all.push(table.printed);
    const refusal = whyRefused(table);
    const name = `${table.schema}.${table.name}`;
    const withAncestors = [name, ...(table.ancestors ?? [])];
    const why = `${name}: ${refusal}${remedyOf(table, user)}.`;
    if (refusal === undefined) tables.push({ printed: table.printed, names: withAncestors });
    else if (names !== undefined) faults.push(why);
    else if (table.key !== null && table.published) leftOut.push({ names: withAncestors, why });
  }
  return { tables, all, missing, faults, leftOut };
}

/** By names in the catalogs: to_regclass fails where the role may not use the schema. */
const OID = `SELECT c.oid::bigint::float8 AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

/**
 * @param name - as `schema.table`, unquoted, or quoted where SQL needs it
 * @returns its parts; undefined: it has no schema
 */
function partsOf(name: string): { readonly schema: string; readonly name: string } | undefined {
  const dot = name.indexOf('.');
  if (dot <= 0) return undefined;
  return parsePrinted(name) ?? { schema: name.slice(0, dot), name: name.slice(dot + 1) };
}

type Ask = (text: string, values: unknown[]) => Promise<Record<string, unknown>[]>;

/** A partitioned table's rows come under its partitions' names, unless a publication publishes them under its own. */
async function addLeaves(query: Ask, { plugin }: Connection, oid: number, oids: Set<number>): Promise<void> {
  if (plugin.publications.length > 0) {
    const [root] = await query(
      `SELECT count(*) > 0 AS published FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
        WHERE c.oid = $1::oid AND c.relkind = 'p' AND t.pubname = ANY ($2::text[])`,
      [oid, plugin.publications],
    );
    if (root?.['published'] === true) {
      oids.add(oid);
      return;
    }
  }
  for (const leaf of await query(LEAVES, [oid])) oids.add(Number(leaf['oid']));
}

/** The SQL that helps, where there is one. */
function remedyOf(table: TableRow, user: string): string {
  if (!table.may_read)
    return ` (GRANT USAGE ON SCHEMA "${table.schema}" TO "${user}"; GRANT SELECT ON ${quoted(table.schema, table.name)} TO "${user}";)`;
  return '';
}

/**
 * What is under way, as the message says that the slot stands right before.
 *
 * @param connection - to the slot's database
 * @param slotName - the slot that may be read: its own, or a copy's
 * @param forSlot - the slot that the message is for
 * @param decoder - of its plugin
 * @returns undefined: nothing is, as far as this shows
 */
export async function readUnderWay(
  { client, plugin }: Connection,
  slotName: string,
  forSlot: string,
  decoder: PluginDecoder,
): Promise<SnapshotProgress | undefined> {
  const { rows } = await client.query<{ data: Buffer }>(
    `SELECT ${plugin.data('UTF8')} AS data FROM pg_logical_slot_peek_binary_changes($1, NULL, 1, ${plugin.options}) p LIMIT 1`,
    [slotName],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  decoder.begin?.(false);
  const line = decoder.decode(row.data, 0, row.data.length);
  if (line.kind !== 'message' || line.prefix !== SNAPSHOT_MESSAGE_PREFIX) return undefined;
  const message = decodeSnapshotMessage(forSlot, contentOf(line));
  if (message?.kind === 'begin') return begin(message);
  return message?.kind === 'state' ? message.progress : undefined;
}

/**
 * @param connection - to the database
 * @param tables - as printed
 * @returns how many rows they have, as the planner thinks
 */
export async function estimateRows(connection: Connection, tables: readonly string[]): Promise<number> {
  const { rows } = await connection.query(
    `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::float8 AS rows FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE quote_ident(n.nspname) || '.' || quote_ident(c.relname) = ANY ($1::text[])`,
    [tables],
  );
  return Math.round(Number(rows[0]?.['rows'] ?? 0));
}

function contentOf({ bytes, start, end }: LogicalMessage): string {
  return bytes.toString('utf8', start, end);
}
