/**
 * What of a table does not bear that changes of different rows are applied in another order than they were committed in, as
 * `replicate --fast` and StreamReplica do: unique indexes besides the key, key columns whose equal values have different texts, foreign keys and triggers. Asked of
 * a target before it is written to, and by `check` of the source. Concludes nothing of copies.
 */
import type { Queryable } from './status-queries.ts';

/** A unique or exclusion index besides the key. The topmost one, where it is a partition's. */
export interface OtherIndex {
  /** The table's oid. */
  readonly table: string;
  readonly name: string;
  /** What takes it away. */
  readonly sql: string;
}

/** A column of the key. */
export interface KeyColumn {
  /** The table's oid. */
  readonly table: string;
  readonly name: string;
  readonly type: string;
  /** Of a domain the type that it is made of. */
  readonly base: string;
  readonly isBuiltIn: boolean;
  readonly isEnum: boolean;
  /** Whether texts of its collation are equal only where they are the same. */
  readonly isDeterministic: boolean;
  readonly hasLength: boolean;
}

/** $1: a table's oid; NULL: every permanent table outside the system's schemas. */
const WHICH = `CASE WHEN $1::oid IS NOT NULL THEN x.indrelid = $1 ELSE EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = x.indrelid AND c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast') END`;

/** The topmost index is the one that can be dropped. */
const OTHER_INDEXES = `WITH RECURSIVE up AS (
    SELECT x.indrelid AS tab, x.indexrelid AS top, row_number() OVER (PARTITION BY x.indrelid ORDER BY x.indisprimary DESC, x.indexrelid) AS n
      FROM pg_index x WHERE ${WHICH} AND (x.indisunique OR x.indisexclusion)
    UNION ALL SELECT up.tab, i.inhparent, up.n FROM up JOIN pg_inherits i ON i.inhrelid = up.top)
  SELECT DISTINCT up.tab::text AS "table", quote_ident(c.relname) AS name, CASE WHEN k.oid IS NULL
      THEN format('DROP INDEX %I.%I;', n.nspname, c.relname)
      ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', k.conrelid::regclass, k.conname) END AS sql
    FROM up JOIN pg_class c ON c.oid = up.top JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint k ON k.conindid = up.top AND k.contype IN ('p', 'u', 'x')
   WHERE up.n > 1 AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = up.top) ORDER BY 1, 2`;

const KEY_COLUMNS = `WITH RECURSIVE key AS (
    SELECT DISTINCT ON (x.indrelid) x.indrelid, x.indkey, COALESCE((to_jsonb(x) ->> 'indnkeyatts')::int, x.indnatts) AS count FROM pg_index x
     WHERE ${WHICH} AND x.indisunique ORDER BY x.indrelid, x.indisprimary DESC, x.indexrelid),
  col AS (SELECT key.indrelid AS tab, a.attname, a.atttypid, a.atttypmod, a.attcollation FROM key
    CROSS JOIN LATERAL generate_series(0, key.count - 1) AS i JOIN pg_attribute a ON a.attrelid = key.indrelid AND a.attnum = key.indkey[i]),
  base AS (SELECT col.*, t.oid AS base, t.typtype, t.typbasetype, t.typtypmod, col.atttypmod AS mod FROM col JOIN pg_type t ON t.oid = col.atttypid
    UNION ALL SELECT b.tab, b.attname, b.atttypid, b.atttypmod, b.attcollation, t.oid, t.typtype, t.typbasetype, t.typtypmod, b.typtypmod
      FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
  SELECT b.tab::text AS "table", b.attname AS name, format_type(b.atttypid, b.atttypmod) AS type, t.typname AS base, n.nspname = 'pg_catalog' AS "isBuiltIn",
      t.typtype = 'e' AS "isEnum", COALESCE((SELECT to_jsonb(c) ->> 'collisdeterministic' FROM pg_collation c WHERE c.oid = b.attcollation), 'true') = 'true' AS "isDeterministic",
      b.mod >= 0 AS "hasLength"
    FROM base b JOIN pg_type t ON t.oid = b.base JOIN pg_namespace n ON n.oid = t.typnamespace WHERE b.typtype <> 'd' ORDER BY b.tab, b.attname`;

/** Types whose values are equal only if their texts are the same. For text that depends on the collation, for char on a length. */
const SAME_TEXT: ReadonlySet<string> = new Set(
  (
    'int2 int4 int8 oid bool text varchar bpchar name char uuid date timestamp timestamptz time timetz bytea bit varbit ' +
    'inet cidr macaddr macaddr8 money pg_lsn xid8'
  ).split(' '),
);

/**
 * Names, and which tables foreign keys or triggers have. A partition's foreign keys are its own rows, too. The tables that have some are
 * read once: for each table anew, thousands of tables with as many foreign keys took many seconds.
 */
const TABLES = `SELECT c.oid::text, n.nspname || '.' || c.relname AS name, c.oid IN (
      SELECT conrelid FROM pg_constraint WHERE contype = 'f' UNION SELECT confrelid FROM pg_constraint WHERE contype = 'f'
      UNION SELECT tgrelid FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D') AS "isTriggered"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' ORDER BY 2`;

/**
 * @param client - whose search_path is pg_catalog
 * @param table - its oid @default every table of the database
 * @returns unique and exclusion indexes besides the key
 */
export async function readOtherIndexes(client: Queryable, table?: string): Promise<OtherIndex[]> {
  const { rows } = await client.query(OTHER_INDEXES, [table ?? null]);
  return rows as unknown as OtherIndex[];
}

/** @returns the columns of the key @param client, table - as in {@link readOtherIndexes} */
export async function readKeyColumns(client: Queryable, table?: string): Promise<KeyColumn[]> {
  const { rows } = await client.query(KEY_COLUMNS, [table ?? null]);
  return rows as unknown as KeyColumn[];
}

/** Whether values of a column are equal only where their texts are the same. */
export function isSameText({ base, isBuiltIn, isEnum, isDeterministic, hasLength }: KeyColumn): boolean {
  if (isEnum) return true;
  return isBuiltIn && SAME_TEXT.has(base) && isDeterministic && (base !== 'bpchar' || hasLength);
}

/** A table of the source that is not as a copy by `--fast` needs it. */
export interface UnfitTable {
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** Unique and exclusion indexes besides the key. */
  readonly indexes: readonly string[];
  /** Key columns with their types. */
  readonly columns: readonly string[];
  /** Whether it has foreign keys, or triggers. */
  readonly isTriggered: boolean;
}

/** @returns the tables of the database that have any of it @param client - whose search_path is pg_catalog */
export async function readUnfitTables(client: Queryable): Promise<UnfitTable[]> {
  const { rows } = await client.query(TABLES);
  const tables = rows as unknown as { readonly oid: string; readonly name: string; readonly isTriggered: boolean }[];
  const indexes = byTable(await readOtherIndexes(client));
  const columns = byTable((await readKeyColumns(client)).filter((column) => !isSameText(column)));
  return tables.flatMap(({ oid, name, isTriggered }) => {
    const others = (indexes.get(oid) ?? []).map((index) => index.name);
    const unfit = (columns.get(oid) ?? []).map((column) => `${column.name} ${column.type}`);
    const isFit = others.length === 0 && unfit.length === 0 && !isTriggered;
    return isFit ? [] : [{ name, indexes: others, columns: unfit, isTriggered }];
  });
}

function byTable<T extends { readonly table: string }>(rows: readonly T[]): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const row of rows) {
    const known = found.get(row.table);
    if (known === undefined) found.set(row.table, [row]);
    else known.push(row);
  }
  return found;
}
