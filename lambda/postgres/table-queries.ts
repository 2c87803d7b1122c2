/**
 * The two questions asked of the catalogs: what every table is, and a short text that changes with the answer.
 * Texts of SQL only. pg_constraint and pg_attribute are read: information_schema hides tables that the role has no
 * privilege on.
 */
import pg from 'pg';

/**
 * Relations whose rows a slot can show: tables, and materialised views, which are told apart. Temporary ones write no
 * WAL. An unlogged table may have been a logged one when its rows were written.
 */
const IN_SCOPE = `c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`;

/** Virtual generated columns came in 18. */
const virtual = (versionNum: number) => (versionNum >= 180000 ? `a.attgenerated = 'v'` : 'false');

/** One row of {@link TABLES}. */
export interface TableRow {
  /** As the plugin prints it. */
  readonly printed: string;
  /** Unquoted. */
  readonly schema: string;
  /** `schema.table`, unquoted. */
  readonly name: string;
  readonly oid: number;
  readonly is_table: boolean;
  /** The primary key's columns as printed, in key order; null: none, or a deferrable one whose old values are sent. */
  readonly key: string[] | null;
  /** `schema.table`, unquoted, nearest first. */
  readonly ancestors: string[] | null;
  readonly virtual: string[] | null;
  /** The newest transaction that may have detached it, or changed its ancestors or their names, 32 bits; null: none. */
  readonly changed: number | null;
  /** How many transactions ago it was made, attached or detached, renamed, moved, and its ancestors the same; null: not asked for. */
  readonly ages: (number | null)[] | null;
  /** The transaction of age 0, 32 bits. */
  readonly next: number;
  /** The newest transaction that made the table or its key, or gave either another name, 32 bits; null: not known. */
  readonly key_since: number | null;
  /** Whether the server sends the key of a DELETE. */
  readonly holds: boolean;
}

/** Whether the server sends the old key. */
const IDENTITY_HOLDS_KEY = `CASE t.relreplident WHEN 'f' THEN true WHEN 'd' THEN NOT k.condeferrable
           WHEN 'i' THEN COALESCE(k.attnums <@ i.attnums, false) ELSE false END`;

/**
 * All of it in one look: joined sets, no subquery a table. quote_ident is the function the plugin prints with.
 *
 * The server sends a DELETE's key under REPLICA IDENTITY FULL, and else if the replica identity's index has all of the
 * key's columns: the primary key's own does by default, unless it is deferrable. An index's INCLUDE columns (11+) are
 * in indkey too, after its own, and are not sent.
 *
 * ATTACH and DETACH write the rows of all columns in pg_attribute again, a table's rename the row of its type, a schema's
 * rename its own: what is younger there than the table itself tells of them. A few other commands look the same (each
 * column of a table altered, a new owner, a right to a schema): a doubt then, where there need not be one. Before the
 * table was made, its name was another's. Nothing is in doubt from `changed` on; of the transaction that attached,
 * detached or renamed, everything is. A table that was made, attached and detached in one transaction shows it by the
 * numbers of its commands.
 *
 * @param versionNum - the server's, as `server_version_num` gives it
 * @param ages - whether to tell of each alteration
 */
export const TABLES = (versionNum: number, ages: boolean): string => `
  WITH RECURSIVE tables AS (
    SELECT c.oid, c.reltype, c.relkind, c.relispartition, c.relreplident, n.nspname, c.relname, age(n.xmin) AS schema_age FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${IN_SCOPE}
  ), keys AS (
    SELECT con.conrelid, con.condeferrable, con.conkey::int2[] AS attnums,
           array_agg(quote_ident(a.attname)::text ORDER BY k.place) AS columns, min(LEAST(age(con.xmin), age(a.xmin))) AS since
      FROM pg_constraint con, unnest(con.conkey) WITH ORDINALITY k(attnum, place), pg_attribute a
     WHERE con.contype = 'p' AND a.attrelid = con.conrelid AND a.attnum = k.attnum
     GROUP BY con.oid, con.conrelid, con.condeferrable, con.conkey
  ), identities AS (
    SELECT i.indrelid, (i.indkey::int2[])[0:${versionNum >= 110000 ? 'i.indnkeyatts' : 'i.indnatts'} - 1] AS attnums
      FROM pg_index i WHERE i.indisreplident AND i.indislive
  ), up AS (
    SELECT t.oid AS leaf, i.inhparent AS parent, 1 AS depth FROM tables t JOIN pg_inherits i ON i.inhrelid = t.oid WHERE t.relispartition
    UNION ALL
    SELECT up.leaf, i.inhparent, up.depth + 1 FROM up JOIN pg_inherits i ON i.inhrelid = up.parent
  ), ages AS (
    SELECT a.attrelid, max(age(a.xmin)) FILTER (WHERE a.attnum > 0) AS columns, max(age(a.xmin)) FILTER (WHERE a.attnum = -1) AS made,
           min(a.cmin::text::bigint) FILTER (WHERE a.attnum > 0) > max(a.cmin::text::bigint) FILTER (WHERE a.attnum = -1) AS rewritten
      FROM pg_attribute a WHERE a.attrelid >= 16384 AND a.attnum >= -1 AND NOT a.attisdropped GROUP BY a.attrelid
  ), changes AS (
    SELECT t.oid, CASE WHEN g.columns < g.made OR (g.columns = g.made AND g.rewritten AND NOT t.relispartition) THEN g.columns END AS attached,
           CASE WHEN age(y.xmin) < g.made THEN age(y.xmin) END AS renamed, CASE WHEN t.schema_age < g.made THEN t.schema_age END AS moved, g.made, LEAST(g.made, age(y.xmin), t.schema_age) AS named
      FROM tables t JOIN ages g ON g.attrelid = t.oid LEFT JOIN pg_type y ON y.oid = t.reltype
  ), ancestors AS (
    SELECT up.leaf, array_agg(t.nspname || '.' || t.relname ORDER BY up.depth) AS names, min(LEAST(h.attached, h.renamed, h.moved)) AS changed,
           array_agg(h.attached) || array_agg(h.renamed) || array_agg(h.moved) AS ages
      FROM up JOIN tables t ON t.oid = up.parent LEFT JOIN changes h ON h.oid = up.parent GROUP BY up.leaf
  ), virtuals AS (
    SELECT a.attrelid, array_agg(quote_ident(a.attname)::text ORDER BY a.attnum) AS columns FROM pg_attribute a
     WHERE a.attnum > 0 AND NOT a.attisdropped AND ${virtual(versionNum)} GROUP BY a.attrelid
  )
  SELECT quote_ident(t.nspname) || '.' || quote_ident(t.relname) AS printed, t.nspname::text AS schema, t.nspname || '.' || t.relname AS name, t.oid::bigint::float8 AS oid,
         t.relkind <> 'm' AS is_table,
         ((age('3'::xid)::bigint + 3 - LEAST(h.made, LEAST(h.attached, h.renamed, p.changed) - 1)) & 4294967295)::float8 AS changed,
         ${ages ? 'ARRAY[h.made, h.attached, h.renamed, h.moved] || p.ages' : 'NULL::int[]'} AS ages, (age('3'::xid)::bigint + 3)::float8 AS next,
         ((age('3'::xid)::bigint + 3 - LEAST(h.named, k.since)) & 4294967295)::float8 AS key_since,
         -- Two rows may have one key for a moment, and a DELETE of an old key would hit the wrong one.
         CASE WHEN NOT k.condeferrable OR NOT ${IDENTITY_HOLDS_KEY} THEN k.columns END AS key, p.names AS ancestors, v.columns AS virtual,
         k.conrelid IS NOT NULL AND ${IDENTITY_HOLDS_KEY} AS holds
    FROM tables t LEFT JOIN keys k ON k.conrelid = t.oid LEFT JOIN identities i ON i.indrelid = t.oid
    LEFT JOIN changes h ON h.oid = t.oid LEFT JOIN ancestors p ON p.leaf = t.oid LEFT JOIN virtuals v ON v.attrelid = t.oid`;

/** A row's digest, a number. A server that is held to FIPS 140 refuses md5, but for 10, which has nothing else. */
const rowDigest = (fields: string, versionNum: number) =>
  versionNum >= 110000
    ? `hashtextextended(concat_ws(' ', ${fields}) COLLATE "C", 0)`
    : `('x' || left(md5(concat_ws(' ', ${fields})), 15))::bit(60)::bigint`;

const END_OF_WAL = `CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text`;

/** Sums that grow with each ATTACH, DETACH and rename, even if the next one takes it back. */
const VERSIONS = `(SELECT sum(a.xmin::text::bigint) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
       WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT sum(y.xmin::text::bigint) FROM pg_type y JOIN pg_class c ON c.reltype = y.oid
       WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384),
    (SELECT sum(xmin::text::bigint) FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast_temp)_')`;

/** The end of what was written so far: whatever an earlier statement saw as committed was committed before. */
export const WAL_POSITION = `SELECT ${END_OF_WAL} AS lsn, txid_current_snapshot()::text AS snapshot`;

/**
 * A text that is the same only where {@link TABLES} would answer the same, and the snapshot that says so. For every
 * batch. It is made of what is read, not of row versions: TRUNCATE, VACUUM FULL and REFRESH change those.
 *
 * @param versionNum - the server's, as `server_version_num` gives it
 * @param virtuals - whether virtual generated columns are known: their names take a scan of pg_attribute; a new one shows
 *   by its table's number of columns
 * @param slotName - the slot whose changes are read
 * @param versions - whether a migration that another one has taken back is to show: takes a scan of pg_attribute, too
 */
export const FINGERPRINT = (versionNum: number, virtuals: boolean, slotName: string, versions: boolean): string => {
  // Rows as one short text: how many, and the sum of the digests.
  const digest = (fields: string, from: string) =>
    `(SELECT count(*) || ':' || COALESCE(sum(${rowDigest(fields, versionNum)}), 0) FROM ${from})`;
  return `
  SELECT txid_current_snapshot()::text AS snapshot, ${END_OF_WAL} AS lsn,
    (SELECT catalog_xmin::text::float8 FROM pg_replication_slots WHERE slot_name = ${pg.escapeLiteral(slotName)}) AS over, concat_ws(' ',
    ${digest(
      'c.oid, c.relnamespace, c.relkind, c.relpersistence, c.relispartition, c.relreplident, c.relnatts, c.relname',
      `pg_class c WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384`,
    )},
    ${digest('inhrelid, inhparent, inhseqno', 'pg_inherits')},
    ${digest('oid, conrelid, condeferrable, conkey', "pg_constraint WHERE contype = 'p'")},
    ${digest('a.attrelid, a.attnum, a.attname', "pg_constraint con JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = ANY (con.conkey) WHERE con.contype = 'p'")},
    ${digest('indexrelid, indrelid, indislive, indkey', 'pg_index WHERE indisreplident')},
    ${virtuals ? digest('attrelid, attnum, attname', "pg_attribute WHERE attgenerated = 'v' AND NOT attisdropped") : "''"},
    ${digest('oid, nspname', "pg_namespace WHERE nspname !~ '^pg_(temp|toast_temp)_'")},
    ${versions ? VERSIONS : "''"}) AS print`;
};
