/**
 * What a snapshot has to know of a table, and the statements that read it by its primary key. Texts of SQL only; names and
 * operators come from the catalogs, as under the pinned search_path a plain `>` on citext is text's, and skips rows.
 */
import pg from 'pg';
import type { KeyValues } from '../snapshot/chunk.ts';

/** One row of {@link DESCRIBE}. */
export interface TableRow {
  /** As the plugin prints it. */
  readonly printed: string;
  /** Unquoted. */
  readonly schema: string;
  readonly name: string;
  readonly oid: number;
  /** A partitioned table, which holds no rows itself. */
  readonly partitioned: boolean;
  /** A table whose changes are in the WAL, and not one of the server's own. */
  readonly is_table: boolean;
  readonly columns: readonly { readonly name: string; readonly printed: string; readonly type: string }[] | null;
  readonly key: readonly KeyColumn[] | null;
  readonly deferrable: boolean;
  /** Whether the key's index has an order to go by. */
  readonly is_btree: boolean;
  /** Whether the server sends the old key of a DELETE. */
  readonly holds: boolean;
  readonly ancestors: readonly string[] | null;
  /** The table above it under whose name a publication has its changes, as printed; null: they come under its own. */
  readonly comes_under: string | null;
  /** Of the publications that the slot reads; null: none filters rows. */
  readonly filter: string | null;
  readonly may_read: boolean;
  /** Whether row-level security may hide rows from this role. */
  readonly hides_rows: boolean;
  /** Whether a publication has it; always true of plugins without publications. */
  readonly published: boolean;
}

/** A column of the primary key. */
interface KeyColumn {
  readonly printed: string;
  /** With its modifier: `character(3)` and `character` are two types. */
  readonly cast: string;
  /** What a domain is made of, else the same: rows from before a constraint of the domain may not be values of it. */
  readonly base: string;
  /** The number of its collation, where that is not its type's own. */
  readonly collation: number | null;
  /** Of the index's own operator class, as `OPERATOR(public.>)`. */
  readonly greater: string;
  readonly equal: string;
}

/** Tables with lower numbers are the server's own: their changes are in no slot. */
const FIRST_USER_OID = 16_384;

/** As in `table-queries.ts`: whether the server sends the old key. */
const identityHoldsKey = (
  versionNum: number,
): string => `CASE c.relreplident WHEN 'f' THEN true WHEN 'd' THEN NOT k.condeferrable
    WHEN 'i' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indislive
      AND k.conkey::int2[] <@ (i.indkey::int2[])[0:${versionNum >= 110000 ? 'i.indnkeyatts' : 'i.indnatts'} - 1]) ELSE false END`;

/**
 * Which columns the plugin sends: test_decoding all but virtual ones (which are null there), pgoutput no generated ones
 * unless a publication says so, and of a column list those.
 */
function sentColumns(versionNum: number, publications: readonly string[]): string {
  if (publications.length === 0) return versionNum >= 180000 ? `a.attgenerated <> 'v'` : 'true';
  const listed = versionNum >= 150000 ? '(p.attnames IS NULL OR a.attname = ANY (p.attnames))' : 'true';
  // 15 lists generated columns, too, and sends none.
  return versionNum >= 120000 && versionNum < 180000 ? `a.attgenerated = '' AND ${listed}` : listed;
}

/** SQL: whether a publication of the slot has a table under its own name. A partition's may come under that of a table above it. */
function isPublished(publications: readonly string[], schema: string, name: string): string {
  if (publications.length === 0) return 'false';
  return `EXISTS (SELECT FROM pg_publication_tables t2 WHERE t2.schemaname = ${schema} AND t2.tablename = ${name} AND t2.pubname IN (${inList(publications)}))`;
}

function inList(publications: readonly string[]): string {
  return publications.map((name) => pg.escapeLiteral(name)).join(', ');
}

/** The table as the publications have it; without publications, as it is. */
function published(versionNum: number, publications: readonly string[]): string {
  if (publications.length === 0) return `SELECT true AS published, NULL::name[] AS attnames, NULL::text AS rowfilter`;
  const from = `FROM pg_publication_tables t WHERE t.schemaname = n.nspname AND t.tablename = c.relname
    AND t.pubname IN (${inList(publications)})`;
  // Column lists of one table are the same in all publications of a slot: the server refuses others. Filters add up.
  const details =
    versionNum >= 150000
      ? `(SELECT t.attnames ${from} LIMIT 1) AS attnames,
         CASE WHEN NOT bool_or(t.rowfilter IS NULL) THEN '(' || string_agg(t.rowfilter, ') OR (') || ')' END AS rowfilter`
      : 'NULL::name[] AS attnames, NULL::text AS rowfilter';
  return `SELECT count(*) > 0 AS published, ${details} ${from}`;
}

/** The type `t` of the column `a`, or what it is made of where it is a domain, also one over another. */
const BASE_TYPE = `WITH RECURSIVE types AS (
    SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, a.atttypmod AS modifier
    UNION ALL SELECT under.oid, under.typtype, under.typbasetype, under.typtypmod, types.typtypmod
      FROM types JOIN pg_type under ON under.oid = types.typbasetype WHERE types.typtype = 'd'
  ) SELECT format_type(types.oid, types.modifier) AS base FROM types WHERE types.typtype <> 'd'`;

/**
 * A table, or several.
 *
 * @param versionNum - the server's, as `server_version_num` gives it
 * @param publications - those that the slot reads; empty: the plugin knows none
 * @param which - what its oid has to be, as SQL
 */
export const DESCRIBE = (versionNum: number, publications: readonly string[], which: string): string => `
  SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS printed, n.nspname::text AS schema, c.relname::text AS name, c.oid::bigint::float8 AS oid, c.relkind = 'p' AS partitioned, c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND c.oid >= ${FIRST_USER_OID} AS is_table,
    (SELECT json_agg(json_build_object('name', a.attname, 'printed', quote_ident(a.attname), 'type', format_type(a.atttypid, NULL)) ORDER BY a.attnum)
       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (${sentColumns(versionNum, publications)})) AS columns,
    (SELECT json_agg(json_build_object('printed', quote_ident(a.attname), 'cast', format_type(a.atttypid, a.atttypmod), 'base', b.base,
              'collation', nullif(a.attcollation, t.typcollation)::bigint::float8, 'greater', 'OPERATOR(' || quote_ident(gn.nspname) || '.' || g.oprname || ')', 'equal', 'OPERATOR(' || quote_ident(en.nspname) || '.' || e.oprname || ')') ORDER BY u.place)
       FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY u(attnum, opclass, place)
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum JOIN pg_type t ON t.oid = a.atttypid JOIN pg_opclass oc ON oc.oid = u.opclass
       CROSS JOIN LATERAL (${BASE_TYPE}) b
       JOIN pg_amop ga ON ga.amopfamily = oc.opcfamily AND ga.amoplefttype = oc.opcintype AND ga.amoprighttype = oc.opcintype AND ga.amopstrategy = 5
       JOIN pg_operator g ON g.oid = ga.amopopr JOIN pg_namespace gn ON gn.oid = g.oprnamespace
       JOIN pg_amop ea ON ea.amopfamily = oc.opcfamily AND ea.amoplefttype = oc.opcintype AND ea.amoprighttype = oc.opcintype AND ea.amopstrategy = 3
       JOIN pg_operator e ON e.oid = ea.amopopr JOIN pg_namespace en ON en.oid = e.oprnamespace
      WHERE i.indexrelid = k.conindid) AS key,
    coalesce(k.condeferrable, false) AS deferrable, (SELECT m.amname = 'btree' FROM pg_class x JOIN pg_am m ON m.oid = x.relam WHERE x.oid = k.conindid) AS is_btree, coalesce(${identityHoldsKey(versionNum)}, false) AS holds,
    above.ancestors, above.comes_under,
    p.rowfilter AS filter, p.published,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS may_read, row_security_active(c.oid) AS hides_rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
  CROSS JOIN LATERAL (${published(versionNum, publications)}) p
  CROSS JOIN LATERAL (
    WITH RECURSIVE up AS (SELECT i.inhparent AS parent, 1 AS depth FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition
      UNION ALL SELECT i.inhparent, up.depth + 1 FROM up JOIN pg_inherits i ON i.inhrelid = up.parent)
    SELECT array_agg(tn.nspname || '.' || t.relname ORDER BY up.depth) AS ancestors,
      (array_agg(quote_ident(tn.nspname) || '.' || quote_ident(t.relname) ORDER BY up.depth DESC) FILTER (WHERE ${isPublished(publications, 'tn.nspname', 't.relname')}))[1] AS comes_under
    FROM up JOIN pg_class t ON t.oid = up.parent JOIN pg_namespace tn ON tn.oid = t.relnamespace) above
  WHERE c.oid ${which}`;

/** The leaves of a partitioned table, and what is no partitioned table as it is. */
export const LEAVES = `
  WITH RECURSIVE down AS (
    SELECT c.oid, c.relkind FROM pg_class c WHERE c.oid = $1::oid
    UNION ALL SELECT c.oid, c.relkind FROM down JOIN pg_inherits i ON i.inhparent = down.oid AND down.relkind = 'p' JOIN pg_class c ON c.oid = i.inhrelid
  ) SELECT oid::bigint::float8 AS oid FROM down WHERE relkind <> 'p' ORDER BY oid`;

/** @returns the name as it is printed, quoted where SQL needs it, whatever it holds: it is never trusted */
export function quoted(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** @returns what has to be equal for the cursor of one chunk to be good for the next */
export function keySignature({ oid, key }: TableRow): string {
  // Without a collation of its own it is as an earlier version wrote it, whose snapshot may be under way.
  const columns = (key ?? []).map(({ printed, cast, greater, collation }) =>
    collation === null ? [printed, cast, greater] : [printed, cast, greater, collation],
  );
  return JSON.stringify([oid, ...columns]);
}

/** A value of the key as SQL. */
function constant(value: string, { base }: KeyColumn): string {
  return `${pg.escapeLiteral(value)}::${base}`;
}

/**
 * The statement that reads a chunk.
 *
 * Rows behind the cursor are read in one piece for each column of the key, from the last to the first: equal in the columns
 * before it and greater in it. Each piece is one range of the index; a comparison of rows would need one operator for all.
 *
 * @param table - the table
 * @param cursor - the key behind which to begin; undefined: at the first row
 * @param asked - rows of these keys instead; undefined: those behind the cursor
 * @param limit - the most rows behind the cursor
 * @returns a COPY in text format: the columns, and behind them whether the publications' filter lets the row in, if there is one.
 *   Rows that it does not let in come, too: a chunk that looked for others would not end before it has found enough
 */
export function chunkStatement(
  table: TableRow,
  cursor: KeyValues | undefined,
  asked: readonly KeyValues[] | undefined,
  limit: number,
): string {
  const key = table.key ?? [];
  const filter = table.filter === null ? [] : [`(${table.filter}) IS TRUE`];
  const columns = [...(table.columns ?? []).map(({ printed }) => printed), ...filter].join(', ');
  const from = `${table.partitioned ? '' : 'ONLY '}${quoted(table.schema, table.name)}`;
  const order = key.map(({ printed }) => printed).join(', ');
  const compare = (column: KeyColumn, operator: string, value: string): string =>
    `${column.printed} ${operator} ${constant(value, column)}`;
  const select = (condition: string): string =>
    `SELECT ${columns} FROM ${from} WHERE ${condition} ORDER BY ${order} LIMIT ${limit}`;
  const equalIn = (values: KeyValues, count: number): string[] =>
    key.slice(0, count).map((column, i) => compare(column, column.equal, values[i] ?? ''));
  if (asked !== undefined) {
    // In any order: for the key's, the server would walk the whole index and compare each row with each key.
    const condition = asked.map((values) => `(${equalIn(values, key.length).join(' AND ')})`).join(' OR ');
    return `COPY (SELECT ${columns} FROM ${from} WHERE ${condition}) TO STDOUT`;
  }
  if (cursor === undefined) return `COPY (${select('true')}) TO STDOUT`;
  const pieces = key.map((column, i) => {
    const greater = compare(column, column.greater, cursor[i] ?? '');
    return select([...equalIn(cursor, i), greater].join(' AND '));
  });
  if (pieces.length === 1) return `COPY (${pieces[0] ?? ''}) TO STDOUT`;
  const union = pieces.reverse().map((piece) => `(${piece})`);
  return `COPY (SELECT * FROM (${union.join(' UNION ALL ')}) pieces LIMIT ${limit}) TO STDOUT`;
}
