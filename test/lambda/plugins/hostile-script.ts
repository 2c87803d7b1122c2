/**
 * A script of everything that has ever made two plugins, or two versions, print something else: run once, read through
 * a slot of each plugin. Each entry is one call to the server: without BEGIN a transaction by itself.
 */

/** Types, each with a value; an array of it is made besides. */
const VALUES: readonly (readonly [type: string, literal: string])[] = [
  ['smallint', '-32768'],
  ['integer', '2147483647'],
  ['bigint', '9007199254740993'],
  ['oid', '4294967295'],
  ['real', `'NaN'`],
  ['double precision', `'-Infinity'`],
  ['numeric', `'NaN'`],
  ['numeric(20,5)', '-0.00001'],
  ['money', `'-12.5'`],
  ['boolean', 'false'],
  ['text', `E'it''s "\\\\" \\n\\té'`],
  ['varchar(10)', `''`],
  ['character(5)', `'a'`],
  ['"char"', `'x'`],
  ['name', `'n'`],
  ['bytea', `'\\x00ff27'`],
  ['date', `'0044-03-15 BC'`],
  ['time', `'23:59:59.999999'`],
  ['timetz', `'01:02:03+05:30'`],
  ['timestamp', `'infinity'`],
  ['timestamptz', `'2026-01-02 03:04:05.678901+02'`],
  ['interval', `'1 year -2 days 03:04:05.5'`],
  ['uuid', `'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`],
  ['json', `'{"a": [1, null]}'`],
  ['jsonb', `'null'`],
  ['xml', `'<a/>'`],
  ['inet', `'::1/64'`],
  ['cidr', `'10.0.0.0/8'`],
  ['macaddr', `'08:00:2b:01:02:03'`],
  ['bit(3)', `B'101'`],
  ['bit varying(8)', `B'1'`],
  ['point', `'(1,2.5)'`],
  ['box', `'(1,1),(0,0)'`],
  ['int4range', `'[1,5)'`],
  ['tsvector', `'a:1 b'`],
  ['pg_lsn', `'0/16B3748'`],
  ['txid_snapshot', `'1:2:'`],
  ['public."Mood"', `'so ''so'`],
  ['public.pair', `'(1,"a b")'`],
  ['public.positive', '7'],
  ['public.yes', 'true'],
];

const columns = VALUES.flatMap(([type], i) => [`c${i} ${type}`, `a${i} ${arrayOf(type)}`]);
const values = VALUES.flatMap(([type, literal]) => [
  `CAST(${literal} AS ${type})`,
  `ARRAY[CAST(${literal} AS ${type}), NULL]`,
]);

function arrayOf(type: string): string {
  return `${type}[]`;
}

/**
 * @param versionNum - the server's, as `server_version_num` gives it
 * @returns statements, in order
 */
export function hostileScript(versionNum: number): readonly string[] {
  const from = (version: number, ...statements: string[]): string[] => (versionNum >= version ? statements : []);
  return [
    // Domains' arrays came in 11, which is the oldest that pgoutput is read on.
    `CREATE TABLE types (id integer PRIMARY KEY, ${columns.join(', ')})`,
    `INSERT INTO types VALUES (1, ${values.join(', ')})`,
    `INSERT INTO types (id) VALUES (2)`,
    `UPDATE types SET c0 = 1, a1 = '{}', a2 = '{{1,2},{3,4}}', a3 = '[5:6]={1,2}' WHERE id = 2`,
    `DELETE FROM types WHERE id = 1`,

    // Names.
    `CREATE SCHEMA "Odd ""schema"", with.dot"`,
    `CREATE TABLE "Odd ""schema"", with.dot"."select" ("order" text, "a[b]:" text, "Ünï""c" text, user_ text, PRIMARY KEY (user_, "order"))`,
    `INSERT INTO "Odd ""schema"", with.dot"."select" VALUES ('1', 'x', 'y', 'z'), ('it''s', '', NULL, E'a\\nb')`,
    `UPDATE "Odd ""schema"", with.dot"."select" SET "a[b]:" = '2', "order" = 'é' WHERE user_ = 'z'`,
    `DELETE FROM "Odd ""schema"", with.dot"."select"`,

    // Keys of every kind, moved and not.
    `CREATE TABLE keys (a boolean, b bit(4), c numeric, PRIMARY KEY (c, a, b))`,
    `INSERT INTO keys VALUES (true, B'1010', 1.0), (false, B'0001', 2)`,
    `UPDATE keys SET a = NOT a`,
    `UPDATE keys SET c = 1.00 WHERE c = 1`,
    `DELETE FROM keys`,
    `CREATE TABLE flags (ok boolean PRIMARY KEY, b bit varying(3))`,
    `INSERT INTO flags VALUES (true, B'1')`,
    `UPDATE flags SET ok = NOT ok`,
    `UPDATE flags SET b = B''`,
    `DELETE FROM flags`,

    // Bytes that are no UTF-8, up to 14.
    `CREATE TABLE letters (c "char" PRIMARY KEY, d letter, v text, a "char"[], p letters_pair)`,
    `INSERT INTO letters VALUES ((-1)::"char", (-61)::"char", 'é', ARRAY[(-61)::"char", 'x', '', (-87)::"char"], ((-2)::"char", 'ü'))`,
    `UPDATE letters SET c = (-2)::"char"`,
    `UPDATE letters SET d = NULL`,
    `DELETE FROM letters`,

    // Replica identities.
    ...['DEFAULT', 'FULL', 'NOTHING', 'USING INDEX identity_b'].flatMap((identity, i) => [
      `CREATE TABLE identity_${i} (id integer PRIMARY KEY, b integer NOT NULL, t text)`,
      `CREATE UNIQUE INDEX ${identity.includes('INDEX') ? 'identity_b' : `identity_${i}_b`} ON identity_${i} (b)`,
      `ALTER TABLE identity_${i} REPLICA IDENTITY ${identity}`,
      `INSERT INTO identity_${i} VALUES (1, 10, 'a'), (2, 20, NULL)`,
      // NOTHING refuses what would be published.
      ...(identity === 'NOTHING'
        ? []
        : [
            `UPDATE identity_${i} SET t = 'b' WHERE id = 1`,
            `UPDATE identity_${i} SET b = 11 WHERE id = 1`,
            `UPDATE identity_${i} SET id = 3 WHERE id = 1`,
            `DELETE FROM identity_${i}`,
          ]),
    ]),

    // Values stored out of line.
    `CREATE TABLE toast (id text PRIMARY KEY, big text, small integer)`,
    `ALTER TABLE toast ALTER big SET STORAGE EXTERNAL, ALTER id SET STORAGE EXTERNAL`,
    `INSERT INTO toast SELECT 'k', repeat('x', 20000), 1`,
    `UPDATE toast SET small = 2`,
    `UPDATE toast SET id = 'l'`,
    `ALTER TABLE toast REPLICA IDENTITY FULL`,
    `UPDATE toast SET small = 3`,
    `DELETE FROM toast`,

    // More than can be kept of a row, with the key behind it.
    `CREATE TABLE large (body text, id integer PRIMARY KEY)`,
    `INSERT INTO large VALUES (repeat('it''s ', 1000000), 1)`,
    `UPDATE large SET id = 2`,
    `DELETE FROM large`,

    // TRUNCATE of several.
    `CREATE TABLE one (id integer PRIMARY KEY)`,
    `CREATE TABLE two (id integer PRIMARY KEY REFERENCES one)`,
    `INSERT INTO one VALUES (1); INSERT INTO two VALUES (1)`,
    `TRUNCATE one CASCADE`,
    `TRUNCATE two, one RESTART IDENTITY`,

    // Partitions, and a row that moves between them.
    `CREATE TABLE parted (id integer, region text, PRIMARY KEY (region, id)) PARTITION BY LIST (region)`,
    `CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN ('eu')`,
    `CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us')`,
    `INSERT INTO parted VALUES (1, 'eu'), (2, 'us')`,
    `UPDATE parted SET region = 'us' WHERE id = 1`,
    `ALTER TABLE parted DETACH PARTITION parted_us`,
    `INSERT INTO parted_us VALUES (3, 'us')`,

    // Subtransactions, some of which are undone; savepoints around DDL.
    `BEGIN; INSERT INTO one VALUES (10); SAVEPOINT s; INSERT INTO one VALUES (11); ROLLBACK TO s;
     SAVEPOINT r; ALTER TABLE one ADD d integer; INSERT INTO one VALUES (12, 1); RELEASE r; INSERT INTO one VALUES (13, 2); COMMIT`,
    `BEGIN; ALTER TABLE one DROP d; INSERT INTO one VALUES (14); ALTER TABLE one ADD e text DEFAULT 'e'; UPDATE one SET e = 'f' WHERE id = 14; COMMIT`,
    `ALTER TABLE one ALTER e DROP DEFAULT, ALTER e TYPE "Mood" USING 'so ''so'::"Mood"`,
    `INSERT INTO one VALUES (15, 'so ''so')`,

    // A prepared transaction comes when it is committed.
    `BEGIN; INSERT INTO one VALUES (20); PREPARE TRANSACTION 'p'`,
    `INSERT INTO one VALUES (21)`,
    `COMMIT PREPARED 'p'`,

    // Messages are no changes.
    `BEGIN; SELECT pg_logical_emit_message(true, 'a', 'x'); INSERT INTO one VALUES (30); SELECT pg_logical_emit_message(false, 'b', 'y'); COMMIT`,

    // Without a key; unlogged and temporary tables; a generated column that is not stored.
    `CREATE TABLE keyless (a integer)`,
    `INSERT INTO keyless VALUES (1), (2)`,
    `CREATE UNLOGGED TABLE unlogged (id integer PRIMARY KEY)`,
    `INSERT INTO unlogged VALUES (1)`,
    ...from(
      180000,
      `CREATE TABLE generated (id integer PRIMARY KEY, v integer GENERATED ALWAYS AS (id + 1) VIRTUAL)`,
      `INSERT INTO generated VALUES (1)`,
    ),
    `BEGIN; INSERT INTO keyless VALUES (3); INSERT INTO one VALUES (40); COMMIT`,
  ];
}

/** What the script needs to be there. */
export const PREPARATION: readonly string[] = [
  `CREATE TYPE "Mood" AS ENUM ('sad', 'so ''so')`,
  `CREATE TYPE pair AS (a integer, b text)`,
  `CREATE TYPE letters_pair AS (a "char", b text)`,
  `CREATE DOMAIN letter AS "char"`,
  `CREATE DOMAIN positive AS integer CHECK (VALUE > 0)`,
  `CREATE DOMAIN yes AS boolean`,
];
