/**
 * The tables of the target that hold what is needed, besides rows, to apply changes as they come. They are in the same schema as
 * those of `../position-tables.ts`.
 */

/** Makes the tables where they are not there. */
export const CREATE_FAST = `
  -- How far each lane is applied, and the tables of which a snapshot is to bring rows in it. An ordinal of NULL: all of that commit LSN.
  -- loaded: rows up to there were loaded in another way, and the lane was not read up to there.
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_lane (name text, lane int, lanes int, lsn pg_lsn NOT NULL, ordinal bigint, reach pg_lsn NOT NULL,
    timeline int, unmarked_since timestamptz, copying jsonb, updated_at timestamptz NOT NULL DEFAULT now(),
    loaded boolean NOT NULL DEFAULT false, PRIMARY KEY (name, lane));
  -- Of what place rows are: a row's xmin is that of the note of the part that wrote it.
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_note (name text, lsn pg_lsn NOT NULL, ordinal bigint NOT NULL);
  CREATE INDEX IF NOT EXISTS replica_note_place ON pg2kinesis.replica_note (name, lsn);
  -- TRUNCATEs that some lanes have not been read up to.
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_truncate (name text, schema text, tab text, lsn pg_lsn, ordinal bigint);
  -- Rows that have left their old key. The place is that of the half that brings them to the new one.
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_parked (name text, lsn pg_lsn, ordinal bigint, schema text NOT NULL, tab text NOT NULL, content json,
    PRIMARY KEY (name, lsn, ordinal));
  -- Changes of keys that wait for such a row, as they are in the stream.
  CREATE TABLE IF NOT EXISTS pg2kinesis.replica_waiting (name text, schema text, tab text, key text, lsn pg_lsn, ordinal bigint, record text NOT NULL,
    awaits_read boolean NOT NULL DEFAULT false);
  ALTER TABLE pg2kinesis.replica_lane ADD COLUMN IF NOT EXISTS copying jsonb, ADD COLUMN IF NOT EXISTS loaded boolean NOT NULL DEFAULT false;
  ALTER TABLE pg2kinesis.replica ADD COLUMN IF NOT EXISTS begun_at timestamptz NOT NULL DEFAULT now();
  ALTER TABLE pg2kinesis.replica_waiting ADD COLUMN IF NOT EXISTS awaits_read boolean NOT NULL DEFAULT false;
  -- A key may be too large for an index.
  CREATE INDEX IF NOT EXISTS replica_waiting_key ON pg2kinesis.replica_waiting (name, md5(key));
  DROP INDEX IF EXISTS pg2kinesis.replica_waiting_name;
  -- A publication of all tables of the target has these, too: without a key or this, nothing could be deleted from them.
  ALTER TABLE pg2kinesis.replica_note REPLICA IDENTITY FULL;
  ALTER TABLE pg2kinesis.replica_truncate REPLICA IDENTITY FULL;
  ALTER TABLE pg2kinesis.replica_waiting REPLICA IDENTITY FULL`;

/** The tables that have rows for each copy, without pg2kinesis.replica. */
export const FAST_TABLES = [
  'replica_lane',
  'replica_note',
  'replica_truncate',
  'replica_parked',
  'replica_waiting',
  'replica_shard',
] as const;

/** Whether they are there: an administrator can create them for a user without that right. */
export const FAST_IS_THERE = `SELECT to_regclass('pg2kinesis.replica_waiting_key') IS NOT NULL
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('pg2kinesis.replica_lane') AND attname = 'loaded')
  AND EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('pg2kinesis.replica_waiting') AND relreplident = 'f') AS there`;

/** Reads the state that a batch begins with, as one row. */
export const READ_STATE = `SELECT r.source, r.system, r.cut::text AS start, (extract(epoch FROM r.begun_at) * 1000)::float8 AS "begunMs", r.copying,
    COALESCE((SELECT json_agg(json_build_array(lane, lanes, lsn::text, ordinal, reach::text, timeline, extract(epoch FROM unmarked_since) * 1000, copying, loaded))
      FROM pg2kinesis.replica_lane WHERE name = $1), '[]') AS lanes,
    COALESCE((SELECT json_agg(json_build_array(schema, tab, lsn::text, ordinal)) FROM pg2kinesis.replica_truncate WHERE name = $1), '[]') AS truncations,
    EXISTS (SELECT FROM pg2kinesis.replica_waiting WHERE name = $1) AS "isWaiting"
  FROM pg2kinesis.replica AS r WHERE r.name = $1`;

/** Which of some keys have changes that wait. After a mass of moves most do, so only those of a batch are asked for. */
export const READ_WAITING = `SELECT DISTINCT schema, tab, key FROM pg2kinesis.replica_waiting
  WHERE name = $1 AND md5(key) IN (SELECT md5(k) FROM unnest($2::text[]) AS k)`;
