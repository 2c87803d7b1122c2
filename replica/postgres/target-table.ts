/**
 * A table of the target, read from the catalogs: its columns and their types, its key and the key's operators, and what would
 * interfere with writing (triggers, rules, row-level security). Knows no change.
 */
import type pg from 'pg';
import type { TypeKind } from './values.ts';

/** A column. */
export interface TargetColumn {
  readonly name: string;
  /** Its type, with its modifier, for a cast. */
  readonly type: string;
  readonly kind: TypeKind;
  /** Whether the server computes it. */
  readonly isGenerated: boolean;
}

/** A unique index that can be a key. */
interface TargetKey {
  readonly columns: readonly string[];
  /** For each column the operator with which the index compares for equality: `OPERATOR(pg_catalog.=)`. */
  readonly equals: readonly string[];
}

/** A table. */
export interface TargetTable {
  readonly oid: string;
  /** Another one where the table was altered since. */
  readonly version: string;
  /** Its name, with its schema, quoted. */
  readonly sql: string;
  /** The same with ONLY, so without tables that inherit from it; a partitioned table is named as it is. */
  readonly only: string;
  readonly columns: readonly TargetColumn[];
  readonly keys: readonly TargetKey[];
  /** Whether other tables refer to it: then TRUNCATE is refused. */
  readonly isReferenced: boolean;
  /** What takes away foreign keys, triggers and rules that work for other sessions than a replica's, as SQL. */
  readonly originOnly: readonly string[];
  /** Names of triggers and rules that fire for a replica. */
  readonly always: readonly string[];
  readonly hasRowSecurity: boolean;
}

/** A column's row. */
interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly bare: string;
  readonly isDomain: boolean;
  readonly isGenerated: boolean;
  readonly element: string | null;
  readonly elementIsDomain: boolean | null;
  readonly delimiter: string | null;
}

/** Of a table `c`. Whatever alters it writes rows of these catalogs anew. */
const VERSION = `concat_ws(' ', c.oid, c.relrowsecurity, c.relforcerowsecurity, (SELECT count(*) || ' ' || sum(x.id::text::bigint) FROM (
    SELECT xmin AS id FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 UNION ALL SELECT xmin FROM pg_index WHERE indrelid = c.oid
    UNION ALL SELECT xmin FROM pg_trigger WHERE tgrelid = c.oid UNION ALL SELECT xmin FROM pg_rewrite WHERE ev_class = c.oid) AS x))`;

const TABLE = `SELECT c.oid::text, ${VERSION} AS version, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql, c.relkind::text AS kind,
    row_security_active(c.oid) AS "hasRowSecurity",
    EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = c.oid) AS "isReferenced"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`;

// attgenerated came with 12.
const COLUMNS = `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, format_type(a.atttypid, NULL) AS bare,
    t.typtype = 'd' AS "isDomain", COALESCE(to_jsonb(a) ->> 'attgenerated', '') <> '' AS "isGenerated",
    format_type(e.oid, NULL) AS element, e.typtype = 'd' AS "elementIsDomain", e.typdelim::text AS delimiter
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

// indkey counts from 0. From 11 on there are columns that are only included.
const KEYS = `SELECT array_agg(a.attname::text ORDER BY k.i) AS columns,
    array_agg('OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' ORDER BY k.i) AS equals
  FROM pg_index x
  CROSS JOIN LATERAL generate_series(0, COALESCE((to_jsonb(x) ->> 'indnkeyatts')::int, x.indnatts) - 1) AS k (i)
  JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k.i]
  JOIN pg_opclass c ON c.oid = x.indclass[k.i]
  JOIN pg_amop p ON p.amopfamily = c.opcfamily AND p.amoplefttype = c.opcintype AND p.amoprighttype = c.opcintype AND p.amopstrategy = 3
  JOIN pg_operator o ON o.oid = p.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE x.indrelid = $1 AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
 GROUP BY x.indexrelid, x.indisprimary ORDER BY x.indisprimary DESC, x.indexrelid`;

const TREE = `WITH RECURSIVE tree AS (SELECT $1::oid AS oid UNION ALL
    SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
      JOIN pg_class c ON c.oid = i.inhparent WHERE c.relkind = 'p')`;

/** What takes them away is said of the table that they are of: foreign keys of others, and a partition's, are dropped there. conparentid came with 11. */
const HINDRANCES = `${TREE},
  key AS (SELECT k.oid, (to_jsonb(k) ->> 'conparentid')::oid AS parent FROM pg_constraint k JOIN tree ON tree.oid IN (k.conrelid, k.confrelid) WHERE k.contype = 'f'
    UNION SELECT k.oid, (to_jsonb(k) ->> 'conparentid')::oid FROM key JOIN pg_constraint k ON k.oid = key.parent)
  SELECT 'origin' AS kind, NULL AS name, format('ALTER TABLE %s DROP CONSTRAINT %I;', k.conrelid::regclass, k.conname) AS sql
    FROM key JOIN pg_constraint k ON k.oid = key.oid WHERE COALESCE(key.parent, 0) = 0
  UNION SELECT CASE WHEN tgenabled IN ('A', 'R') THEN 'always' ELSE 'origin' END, quote_ident(tgname), format('ALTER TABLE %s DISABLE TRIGGER %I;', tgrelid::regclass, tgname)
    FROM pg_trigger JOIN tree ON tree.oid = tgrelid WHERE tgenabled <> 'D' AND (NOT tgisinternal OR tgenabled IN ('A', 'R'))
  UNION SELECT CASE WHEN ev_enabled IN ('A', 'R') THEN 'always' ELSE 'origin' END, quote_ident(rulename), format('ALTER TABLE %s DISABLE RULE %I;', ev_class::regclass, rulename)
    FROM pg_rewrite JOIN tree ON tree.oid = ev_class WHERE ev_enabled <> 'D' AND ev_type <> '1'
  ORDER BY 1, 2, 3`;

/**
 * Reads a table.
 *
 * @param client - whose search_path is pg_catalog
 * @param schema - unquoted
 * @param name - unquoted
 * @returns undefined where there is none
 */
export async function readTargetTable(
  client: pg.Client,
  schema: string,
  name: string,
): Promise<TargetTable | undefined> {
  const [table] = (
    await client.query<
      Pick<TargetTable, 'oid' | 'version' | 'sql' | 'hasRowSecurity' | 'isReferenced'> & { readonly kind: string }
    >(TABLE, [schema, name])
  ).rows;
  if (table === undefined) return undefined;
  const { kind, ...known } = table;
  const { oid, sql } = known;
  const columns = await client.query<ColumnRow>(COLUMNS, [oid]);
  const keys = await client.query<{ columns: string[]; equals: string[] }>(KEYS, [oid]);
  const { rows: hindrances } = await client.query<{ kind: 'origin' | 'always'; name: string; sql: string }>(
    HINDRANCES,
    [oid],
  );
  return {
    ...known,
    only: kind === 'p' ? sql : `ONLY ${sql}`,
    columns: columns.rows.map((column) => ({
      name: column.name,
      type: column.type,
      kind: kindOf(column),
      isGenerated: column.isGenerated,
    })),
    keys: keys.rows,
    originOnly: hindrances.flatMap((each) => (each.kind === 'origin' ? each.sql : [])),
    always: hindrances.flatMap((each) => (each.kind === 'always' ? each.name : [])),
  };
}

/**
 * Keeps a table from being altered until the transaction ends.
 *
 * @param client - in a transaction
 * @returns its version from now on
 */
export async function holdTable(client: pg.Client, { sql }: TargetTable): Promise<string | undefined> {
  await client.query(`LOCK TABLE ONLY ${sql} IN ROW EXCLUSIVE MODE`);
  const { rows } = await client.query<{ version: string }>(
    `SELECT ${VERSION} AS version FROM pg_class c WHERE c.oid = $1::regclass`,
    [sql],
  );
  return rows[0]?.version;
}

function kindOf({ bare, isDomain, element, elementIsDomain, delimiter }: ColumnRow): TypeKind {
  if (isDomain) return { kind: 'domain' };
  // As in records: a type whose name ends in [] is an array. A quoted name ends in a quote.
  if (!bare.endsWith('[]') || element === null) return scalarKind(bare);
  return {
    kind: 'array',
    element: elementIsDomain === true ? { kind: 'domain' } : scalarKind(element),
    delimiter: delimiter ?? ',',
  };
}

function scalarKind(type: string): TypeKind {
  if (type === 'json' || type === 'jsonb') return { kind: 'json' };
  return { kind: type === 'bytea' ? 'bytea' : 'text' };
}
