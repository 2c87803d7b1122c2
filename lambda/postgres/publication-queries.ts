/**
 * Reads what the catalogs say of publications, and of tables as publications see them. Concludes nothing.
 */
import { PipelineError } from '../errors.ts';
import {
  creationSql,
  type PublicationFacts,
  type PublicationsFacts,
  type PublishableTable,
  tablesWithoutIdentity,
} from '../publications.ts';
import type { Connection } from './connection.ts';
import type { Queryable } from './status-queries.ts';

/** Columns that came after 11 are read by way of JSON, where what is not there is null. */
const PUBLICATIONS = `
  SELECT p.pubname AS name, array_remove(ARRAY[CASE WHEN NOT pubinsert THEN 'INSERT' END, CASE WHEN NOT pubupdate THEN 'UPDATE' END,
         CASE WHEN NOT pubdelete THEN 'DELETE' END, CASE WHEN NOT pubtruncate THEN 'TRUNCATE' END], NULL) AS lacks,
         coalesce((to_jsonb(p)->>'pubviaroot')::boolean, false) AS via_root,
         (SELECT age(p.xmin) < age(s.catalog_xmin) FROM pg_replication_slots s WHERE s.slot_name = $2) AS newer
    FROM pg_publication p WHERE p.pubname = ANY ($1::text[])`;

/**
 * The replica identity of a table that is usable: its primary key, unless it is deferrable, or has a column that the
 * publications leave out (or would: a generated one); the index that was named, while it is there; or the whole row, unless it
 * has virtual columns. No server asks for one where only INSERTs are published, and none before 18 for a generated column,
 * which is never sent there, though 15 lists it.
 */
const TABLES = `
  WITH parts AS (
    SELECT schemaname, tablename, bool_or(coalesce(to_jsonb(t)->>'rowfilter', '') <> '') AS row_filter,
           min(coalesce(jsonb_array_length(nullif(to_jsonb(t)->'attnames', 'null')), 65535)) AS columns,
           (array_agg(nullif(to_jsonb(t)->'attnames', 'null')))[1] AS names, bool_or(b.pubupdate OR b.pubdelete) AS changes
      FROM pg_publication_tables t JOIN pg_publication b USING (pubname) WHERE pubname = ANY ($1::text[]) GROUP BY schemaname, tablename
  ), generated AS (
    SELECT a.attrelid, a.attnum, to_jsonb(a)->>'attgenerated' AS kind FROM pg_attribute a
     WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(to_jsonb(a)->>'attgenerated', '') <> ''
  )
  SELECT n.nspname || '.' || c.relname AS name, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql,
         k.oid IS NOT NULL AS keyed, p.tablename IS NOT NULL OR root.published AS published, coalesce(p.row_filter, false) AS row_filter,
         coalesce(p.columns < (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                                  AND coalesce(to_jsonb(a)->>'attgenerated', '') = ''), false) AS column_list,
         p.tablename IS NOT NULL AND EXISTS (
           SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
              AND (NOT p.names ? a.attname::text
                OR (current_setting('server_version_num')::int < 180000 AND coalesce(to_jsonb(a)->>'attgenerated', '') <> ''))) AS leaves_out_key,
         (p.tablename IS NOT NULL AND NOT p.changes) OR CASE c.relreplident WHEN 'f' THEN NOT EXISTS (SELECT FROM generated g WHERE g.attrelid = c.oid AND g.kind = 'v')
           WHEN 'd' THEN k.oid IS NOT NULL AND NOT k.condeferrable AND NOT EXISTS (
             SELECT FROM pg_attribute a LEFT JOIN generated g USING (attrelid, attnum) WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
                AND CASE WHEN p.tablename IS NULL THEN g.kind IS NOT NULL
                  ELSE NOT p.names ? a.attname::text AND (g.kind IS NULL OR current_setting('server_version_num')::int >= 180000) END)
           WHEN 'i' THEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indislive) ELSE false END AS identity
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p'
    LEFT JOIN parts p ON p.schemaname = n.nspname AND p.tablename = c.relname
    CROSS JOIN LATERAL (
      WITH RECURSIVE up AS (
        SELECT i.inhparent AS parent FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition
        UNION ALL SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.parent
      )
      SELECT EXISTS (SELECT FROM up JOIN pg_class t ON t.oid = up.parent JOIN pg_namespace tn ON tn.oid = t.relnamespace
                       JOIN parts q ON q.schemaname = tn.nspname AND q.tablename = t.relname) AS published
    ) root
   WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
   ORDER BY 1`;

/**
 * Reads them.
 *
 * @param client - a connection to the database
 * @param names - the publications that are asked for, unquoted
 * @param slotName - the slot that is to read them
 */
export async function readPublications(
  client: Queryable,
  names: readonly string[],
  slotName: string,
): Promise<PublicationsFacts> {
  const found = (await client.query(PUBLICATIONS, [names, slotName])).rows.map((row): PublicationFacts => ({
    name: String(row['name']),
    lacks: Array.isArray(row['lacks']) ? row['lacks'].map(String) : [],
    viaRoot: row['via_root'] === true,
    isNewerThanSlot: typeof row['newer'] === 'boolean' ? row['newer'] : undefined,
  }));
  const tables = (await client.query(TABLES, [names])).rows.map((row): PublishableTable => ({
    name: String(row['name']),
    sql: String(row['sql']),
    hasKey: row['keyed'] === true,
    hasIdentity: row['identity'] === true,
    published: row['published'] === true,
    rowFilter: row['row_filter'] === true,
    columnList: row['column_list'] === true,
    leavesOutKey: row['leaves_out_key'] === true,
  }));
  return { found, tables };
}

/**
 * Refuses to make a slot before its publications: what is written between the two could not be read.
 *
 * @param connection - to the slot's database, whose plugin says the publications
 * @param slotName - the slot
 * @throws {PipelineError} PUBLICATION_MISSING with the SQL that makes them
 */
export async function requirePublications(connection: Connection, slotName: string): Promise<void> {
  const { publications } = connection.plugin;
  if (publications.length === 0) return;
  const { found, tables } = await readPublications(connection, publications, slotName);
  const missing = publications.filter((name) => !found.some((publication) => publication.name === name));
  if (missing.length === 0) return;
  const refused = tablesWithoutIdentity(tables);
  const names = missing.map((name) => `"${name}"`).join(', ');
  throw new PipelineError(
    'PUBLICATION_MISSING',
    `The slot "${slotName}" cannot be made: it is to read ${names}, which does not exist (PUBLICATIONS; upper and lower case matter). No slot was made.`,
    {
      remedy:
        `Make it first, as the tables' owner: ${missing.map((name) => creationSql(name, tables)).join(' ')} Then create-slot.` +
        (refused.length === 0
          ? ''
          : ` Not among them, because PostgreSQL would refuse your application's UPDATE and DELETE of it: ${refused.slice(0, 20).join(', ')}${refused.length > 20 ? ` and ${refused.length - 20} more` : ''}. Give it a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL.`),
    },
  );
}
