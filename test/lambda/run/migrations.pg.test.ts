/**
 * Migrations with changes unread: what becomes of rows whose table, key or ancestors are others by the time they are
 * read. Each by a container that has seen the tables before (warm), and by one that has not (cold).
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { checkServer } from '../../../lambda/health/server-health.ts';
import { readCheck } from '../../../lambda/postgres/check-queries.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { type JsonRecord, Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';

/** The settings that `check` looks at the tables by. */
const CHECKED = {
  ...readConfig({ PGHOST: 'localhost', PGDATABASE: 'postgres', PGUSER: 'u', PGPASSWORD: 'p', FORMAT: 'json' }),
};

/** What a test says of a record: `INSERT t {"id":1}`. */
const shortly = ({ op, table, key }: JsonRecord): string => `${op} ${table} ${JSON.stringify(key)}`;

interface Case {
  readonly what: string;
  /** Before the slot is made. */
  readonly setup: string;
  /** What is read when the migration is over. */
  readonly write: string;
  readonly migrate: string;
  readonly options?: PipelineOptions;
  /** The migration writes the table again, which 10 shows as rows of no table. */
  readonly rewrites?: true;
  /** Records, and what was skipped. Where the two differ, each on its own. */
  readonly expected: Expected | { readonly warm: Expected; readonly cold: Expected };
}
interface Expected {
  readonly records: readonly string[];
  readonly skipped?: Readonly<Record<string, number>>;
}

const CASES: readonly Case[] = [
  {
    what: 'a key is added to a table without one',
    setup: 'CREATE TABLE t (note text)',
    write: `INSERT INTO t VALUES ('a')`,
    migrate: 'ALTER TABLE t ADD COLUMN id bigserial PRIMARY KEY',
    rewrites: true,
    expected: {
      warm: { records: [], skipped: { noPrimaryKey: 1 } },
      cold: { records: [], skipped: { keyUnknown: 1 } },
    },
  },
  {
    what: 'a key is replaced',
    setup: 'CREATE TABLE t (id int PRIMARY KEY, note text)',
    write: `INSERT INTO t VALUES (1, 'a')`,
    migrate: 'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD COLUMN uid serial PRIMARY KEY',
    rewrites: true,
    expected: {
      warm: { records: ['INSERT t {"id":1}'] },
      cold: { records: [], skipped: { keyUnknown: 1 } },
    },
  },
  {
    what: 'a key is widened',
    setup: 'CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL)',
    write: 'INSERT INTO t VALUES (1, 2); DELETE FROM t',
    migrate: 'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (a, b)',
    expected: {
      warm: { records: ['INSERT t {"a":1,"b":2}', 'DELETE t {"a":1}'] },
      cold: { records: ['INSERT t {"a":1,"b":2}', 'DELETE t null'] },
    },
  },
  {
    what: 'a table is made again with another key',
    setup: 'CREATE TABLE t (id int PRIMARY KEY, note text)',
    write: `INSERT INTO t VALUES (1, 'a')`,
    migrate: 'DROP TABLE t; CREATE TABLE t (code text PRIMARY KEY, note text)',
    expected: {
      warm: { records: ['INSERT t {"id":1}'] },
      cold: { records: [], skipped: { keyUnknown: 1 } },
    },
  },
  {
    what: 'a table is swapped by renames',
    setup: 'CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE t_new (t_id bigint PRIMARY KEY, note text)',
    write: `INSERT INTO t VALUES (1, 'a'); INSERT INTO t_new VALUES (2, 'b')`,
    migrate: 'BEGIN; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t; COMMIT',
    expected: {
      warm: { records: ['INSERT t {"id":1}', 'INSERT t_new {"t_id":2}'] },
      cold: { records: [], skipped: { keyUnknown: 1, droppedTable: 1 } },
    },
  },
  {
    what: 'a table is dropped, and another renamed and moved to another schema',
    setup:
      'CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE moved (id int PRIMARY KEY); CREATE TABLE renamed (id int PRIMARY KEY)',
    write: 'INSERT INTO gone VALUES (1); INSERT INTO moved VALUES (2); INSERT INTO renamed VALUES (3)',
    migrate:
      'CREATE SCHEMA IF NOT EXISTS elsewhere; DROP TABLE gone; ALTER TABLE moved SET SCHEMA elsewhere; ALTER TABLE renamed RENAME TO named',
    expected: {
      warm: { records: ['INSERT gone {"id":1}', 'INSERT moved {"id":2}', 'INSERT renamed {"id":3}'] },
      cold: { records: [], skipped: { droppedTable: 3 } },
    },
  },
  {
    what: 'a table becomes unlogged',
    setup: 'CREATE TABLE t (id int PRIMARY KEY)',
    write: 'INSERT INTO t VALUES (1)',
    migrate: 'ALTER TABLE t SET UNLOGGED',
    expected: { records: ['INSERT t {"id":1}'] },
  },
  {
    what: 'an identity by another index is taken back, as check advises',
    setup: `CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_u_key;
      INSERT INTO t VALUES (1, 10)`,
    write: 'DELETE FROM t',
    migrate: 'ALTER TABLE t REPLICA IDENTITY DEFAULT',
    expected: { records: ['DELETE t null'] },
  },
  ...(TESTED_MAJOR >= 11
    ? [
        {
          what: 'an identity by an index that only includes the key',
          setup: `CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL); CREATE UNIQUE INDEX t_code ON t (code) INCLUDE (id);
      ALTER TABLE t REPLICA IDENTITY USING INDEX t_code; INSERT INTO t VALUES (1, 10)`,
          write: 'DELETE FROM t',
          migrate: 'SELECT 1',
          options: { unknownKey: 'fail' },
          expected: { records: ['DELETE t null'] },
        } as const,
      ]
    : []),
  {
    what: 'a materialised view is refreshed',
    setup: 'CREATE TABLE t (id int PRIMARY KEY)',
    write: `INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW mv AS SELECT * FROM t; CREATE UNIQUE INDEX ON mv (id);
      INSERT INTO t VALUES (2); REFRESH MATERIALIZED VIEW CONCURRENTLY mv`,
    migrate: 'SELECT 1',
    expected: {
      records: ['INSERT t {"id":1}', 'INSERT t {"id":2}'],
      skipped: TESTED_MAJOR >= 16 ? { notTable: 1 } : { notTable: 2 },
    },
  },
];

const PARTITIONED = `CREATE TABLE top (id int NOT NULL, d int NOT NULL) PARTITION BY RANGE (d);
  CREATE TABLE mid PARTITION OF top FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (d);
  CREATE TABLE leaf PARTITION OF mid FOR VALUES FROM (0) TO (10); ALTER TABLE leaf ADD PRIMARY KEY (id, d);
  CREATE TABLE market (id int NOT NULL, d int NOT NULL) PARTITION BY RANGE (d);
  CREATE TABLE stall PARTITION OF market FOR VALUES FROM (0) TO (10); ALTER TABLE stall ADD PRIMARY KEY (id, d);
  CREATE TABLE plain (id int NOT NULL, d int NOT NULL, PRIMARY KEY (id, d)); CREATE TABLE other (id int PRIMARY KEY)`;
const WRITE = 'INSERT INTO top VALUES (1, 1); INSERT INTO other VALUES (2)';
const LEAF = 'INSERT leaf {"id":1,"d":1}';
const OTHER = 'INSERT other {"id":2}';

/** What takes a leaf out of reach of its ancestors' names. */
const DETACHMENTS: readonly (readonly [what: string, migrate: string])[] = [
  ['a leaf is detached', 'ALTER TABLE mid DETACH PARTITION leaf'],
  ['a middle level is detached', 'ALTER TABLE top DETACH PARTITION mid'],
  ['a parent is renamed', 'ALTER TABLE top RENAME TO summit'],
  ['a parent is dropped', 'ALTER TABLE mid DETACH PARTITION leaf; DROP TABLE top'],
  [
    'a leaf is detached, and rights are granted',
    'ALTER TABLE mid DETACH PARTITION leaf; GRANT SELECT ON leaf TO PUBLIC',
  ],
  ...(TESTED_MAJOR >= 14
    ? [['a leaf is detached concurrently', 'ALTER TABLE mid DETACH PARTITION leaf CONCURRENTLY'] as const]
    : []),
];

/** Nothing of these is a detachment: tables whose names match no list are published as ever. */
const INNOCENT: readonly (readonly [what: string, migrate: string])[] = [
  ['rights are granted', 'GRANT SELECT ON top, leaf, other TO PUBLIC'],
  ['tables are emptied', 'TRUNCATE other; TRUNCATE leaf'],
  ['a column is added', 'ALTER TABLE top ADD COLUMN note text; ALTER TABLE other ADD COLUMN note text'],
  ['a partition is added', 'CREATE TABLE leaf_2 PARTITION OF mid FOR VALUES FROM (10) TO (20)'],
  [
    'a table is attached',
    'CREATE TABLE leaf_3 (LIKE leaf); ALTER TABLE mid ATTACH PARTITION leaf_3 FOR VALUES FROM (30) TO (40)',
  ],
];

/** What was a partition of `top` when it was written, and cannot be seen to have been one. */
const DISGUISES: readonly (readonly [what: string, write: string, migrate: string])[] = [
  [
    'a leaf is detached in the transaction that fills it',
    `BEGIN; ${WRITE}; ALTER TABLE mid DETACH PARTITION leaf; COMMIT`,
    'SELECT 1',
  ],
  [
    'a leaf is moved to another parent',
    WRITE,
    `ALTER TABLE mid DETACH PARTITION leaf; CREATE TABLE free (id int NOT NULL, d int NOT NULL) PARTITION BY RANGE (d);
      ALTER TABLE free ATTACH PARTITION leaf FOR VALUES FROM (0) TO (10)`,
  ],
  [
    'a middle level is moved to another parent',
    WRITE,
    `ALTER TABLE top DETACH PARTITION mid; CREATE TABLE free (id int NOT NULL, d int NOT NULL) PARTITION BY RANGE (d);
      ALTER TABLE free ATTACH PARTITION mid FOR VALUES FROM (0) TO (100)`,
  ],
  [
    "an ancestor's schema is renamed",
    WRITE,
    `CREATE SCHEMA elsewhere; ALTER TABLE top SET SCHEMA elsewhere; ALTER SCHEMA elsewhere RENAME TO beyond; ALTER SCHEMA beyond RENAME TO elsewhere`,
  ],
  [
    'a leaf is renamed, and another table takes its name',
    WRITE,
    `ALTER TABLE leaf RENAME TO leaf_old; ALTER TABLE plain RENAME TO leaf`,
  ],
  [
    'a leaf is dropped, and another table made with its name',
    WRITE,
    'DROP TABLE leaf; CREATE TABLE leaf (id int, d int, PRIMARY KEY (id, d))',
  ],
  [
    'a leaf is made, filled and detached in one transaction',
    `BEGIN; CREATE TABLE fresh (id int, d int, PRIMARY KEY (id, d)); ALTER TABLE mid ATTACH PARTITION fresh FOR VALUES FROM (90) TO (100);
      INSERT INTO top VALUES (1, 95); INSERT INTO other VALUES (2); ALTER TABLE mid DETACH PARTITION fresh; COMMIT`,
    'SELECT 1',
  ],
  [
    'a table is attached, filled and detached again',
    `ALTER TABLE mid ATTACH PARTITION plain FOR VALUES FROM (90) TO (100); INSERT INTO top VALUES (1, 95); INSERT INTO other VALUES (2)`,
    'ALTER TABLE mid DETACH PARTITION plain',
  ],
  [
    'a parent is renamed, filled under the name, and renamed back',
    `ALTER TABLE market RENAME TO excluded; INSERT INTO excluded VALUES (1, 1); INSERT INTO other VALUES (2)`,
    'ALTER TABLE excluded RENAME TO market',
  ],
  [
    'a table is renamed, a leaf takes its name, is filled and detached',
    `ALTER TABLE plain RENAME TO gone; CREATE TABLE plain PARTITION OF mid (PRIMARY KEY (id, d)) FOR VALUES FROM (90) TO (100);
      INSERT INTO top VALUES (1, 95); INSERT INTO other VALUES (2)`,
    'ALTER TABLE mid DETACH PARTITION plain',
  ],
  ['a leaf is dropped', WRITE, 'DROP TABLE leaf'],
  ['all of it is dropped', WRITE, 'DROP TABLE top'],
  ['a leaf is renamed', WRITE, 'ALTER TABLE leaf RENAME TO leaf_old'],
];

const FILTERED: readonly Case[] = [
  ...DISGUISES.map(([what, write, migrate]) => ({
    what: `${what}: an exclude list never leaks`,
    setup: PARTITIONED,
    write,
    migrate,
    options: { exclude: 'public\\.(top|excluded)' },
    expected: {
      warm: { records: [OTHER], skipped: { filtered: 1 } },
      cold: {
        records: [OTHER],
        skipped: /^(a leaf|all of it) is (dropped|renamed)$/.test(what) ? { droppedTable: 1 } : { filtered: 1 },
      },
    },
  })),
  {
    what: "an ancestor's schema is renamed: an exclude list by its old name never leaks",
    setup: `CREATE SCHEMA elsewhere; ${PARTITIONED}; ALTER TABLE top SET SCHEMA elsewhere`,
    write: 'INSERT INTO elsewhere.top VALUES (1, 1); INSERT INTO other VALUES (2)',
    migrate: 'DROP SCHEMA IF EXISTS beyond CASCADE; ALTER SCHEMA elsewhere RENAME TO beyond',
    options: { exclude: 'elsewhere\\.top' },
    expected: { records: [OTHER], skipped: { filtered: 1 } },
  },
  {
    what: 'a table is made, filled and attached in one transaction: that is no doubt',
    setup: PARTITIONED,
    write: `BEGIN; CREATE TABLE fresh (id int, d int, PRIMARY KEY (id, d)); INSERT INTO fresh VALUES (1, 95);
      ALTER TABLE mid ATTACH PARTITION fresh FOR VALUES FROM (90) TO (100); COMMIT`,
    migrate: 'SELECT 1',
    options: { exclude: 'public\\.nothing' },
    expected: { records: ['INSERT fresh {"id":1,"d":95}'] },
  },
  {
    what: 'a table is made again, where there is a list of what must not be seen: what it was is not known',
    setup: PARTITIONED,
    write: WRITE,
    migrate: 'DROP TABLE other; CREATE TABLE other (id int PRIMARY KEY)',
    options: { exclude: 'public\\.nothing' },
    expected: { records: [LEAF], skipped: { filtered: 1 } },
  },
  ...DETACHMENTS.flatMap(([what, migrate]) => [
    {
      what: `${what}: an exclude list never leaks`,
      setup: PARTITIONED,
      write: WRITE,
      migrate,
      options: { exclude: 'public\\.top' },
      expected: { records: [OTHER], skipped: { filtered: 1 } },
    },
    {
      what: `${what}: a column list never leaks`,
      setup: `${PARTITIONED}; ALTER TABLE top ADD COLUMN ssn text`,
      write: `INSERT INTO top VALUES (1, 1, 'secret')`,
      migrate,
      options: { columns: 'public\\.top\\.ssn' },
      expected: { records: [], skipped: { filtered: 1 } },
    },
    {
      what: `${what}: an include list keeps what it knows`,
      setup: PARTITIONED,
      write: WRITE,
      migrate,
      options: { include: 'public\\.(top|beat)' },
      expected: {
        warm: { records: [LEAF], skipped: { filtered: 1 } },
        cold: { records: [], skipped: { filtered: 2 } },
      },
    },
  ]),
  ...INNOCENT.map(([what, migrate]) => ({
    what: `${what}: filters that name other tables take nothing out`,
    setup: PARTITIONED,
    write: WRITE,
    migrate,
    options: { exclude: 'public\\.nothing', columns: 'public\\.nothing\\.x' },
    expected: { records: [LEAF, OTHER] },
  })),
];

describe('a migration with changes unread', () => {
  let server: PostgresServer;
  let slots = 0;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  /** Runs one case in a schema of its own, so that names may be the same. */
  async function trial(
    { setup, write, migrate, options = {} }: Case,
    warm: boolean,
  ): Promise<{
    records: string[];
    text: string;
    skipped: Record<string, number>;
    warnings: string[];
  }> {
    const slot = `s${++slots}`;
    await server.sql(`DROP SCHEMA IF EXISTS elsewhere CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public`);
    await server.sql(setup);
    await server.createSlot(slot);
    const pipeline = new Pipeline(server, slot, options);
    // A slot that is new has something to be read only after something was written.
    await server.sql('CREATE TABLE beat (id int PRIMARY KEY); INSERT INTO beat VALUES (1)');
    if (warm) await pipeline.run();
    await server.sql(write);
    await server.sql(migrate);
    const answer = await pipeline.run();
    assert.equal(answer.stopped, 'caught-up');
    const left = Object.values<number>({ ...answer.skipped }).reduce((sum, count) => sum + count, 0);
    assert.equal(answer.changes, answer.published + left, 'I9: every change is published or counted');
    await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
    return {
      records: pipeline.records.filter(({ op, table }) => op !== 'TRUNCATE' && table !== 'beat').map(shortly),
      text: pipeline.published.join('\n'),
      skipped: Object.fromEntries(Object.entries<number>({ ...answer.skipped }).filter(([, count]) => count > 0)),
      warnings: pipeline.warnings,
    };
  }

  it('fails with NO_PROGRESS, the slot kept, while a library of the server is missing; then goes on', async () => {
    await server.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int PRIMARY KEY)');
    await server.createSlot('library');
    await server.sql('INSERT INTO t VALUES (1)');
    const pipeline = new Pipeline(server, 'library');
    await server.sql(`ALTER DATABASE postgres SET dynamic_library_path = '/nowhere'`);
    await assert.rejects(pipeline.run(), (error: Error) => {
      assert.match(error.message, /^NO_PROGRESS: A library is missing on the server.*test_decoding.*keep it/s);
      assert.doesNotMatch(error.message, /drop/);
      return true;
    });
    await server.sql('ALTER DATABASE postgres RESET dynamic_library_path');
    assert.equal((await pipeline.run()).published, 1);
  });

  for (const warm of [false, true])
    it(`what check advises can be done with changes unread: ${warm ? 'warm' : 'cold'}`, async () => {
      const slot = `advice_${warm ? 'warm' : 'cold'}`;
      await server.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
      await server.sql(`CREATE TABLE logs (note text); CREATE TABLE beat (id int PRIMARY KEY);
        CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE); ALTER TABLE t REPLICA IDENTITY USING INDEX t_u_key;
        CREATE TABLE n (id int PRIMARY KEY); ALTER TABLE n REPLICA IDENTITY NOTHING;
        CREATE TABLE d (id int PRIMARY KEY DEFERRABLE); INSERT INTO t VALUES (1, 10); INSERT INTO n VALUES (1); INSERT INTO d VALUES (1)`);
      await server.createSlot(slot);
      const client = await server.client();
      const advice = async () => {
        const findings = checkServer(await readCheck(client, slot), { ...CHECKED, slot });
        return findings.filter(({ check }) => check === 'primary keys' || check === 'REPLICA IDENTITY');
      };
      const pipeline = new Pipeline(server, slot);
      await server.sql('INSERT INTO beat VALUES (1)');
      if (warm) await pipeline.run();
      await server.sql(
        `INSERT INTO logs VALUES ('a'); INSERT INTO t VALUES (2, 20); DELETE FROM t WHERE id = 1; DELETE FROM n; DELETE FROM d`,
      );
      const todo = (await advice()).map((finding) => finding.todo ?? 'nothing').join(' ');
      assert.match(todo, /Give them a primary key.*REPLICA IDENTITY DEFAULT \(make a deferrable key NOT DEFERRABLE\)/);
      await server.sql(`ALTER TABLE logs ADD COLUMN id bigserial PRIMARY KEY; ALTER TABLE t REPLICA IDENTITY DEFAULT;
        ALTER TABLE n REPLICA IDENTITY DEFAULT; ALTER TABLE d DROP CONSTRAINT d_pkey, ADD PRIMARY KEY (id)`);
      assert.deepEqual(
        (await advice()).map(({ state }) => state),
        ['ok', 'ok'],
      );
      const answer = await pipeline.run();
      assert.equal(answer.stopped, 'caught-up');
      await server.sql(`INSERT INTO logs VALUES ('b'); DELETE FROM t; INSERT INTO d VALUES (3); DELETE FROM d`);
      await pipeline.run();
      const records = pipeline.records.filter(({ table }) => table !== 'beat').map(shortly);
      assert.deepEqual(records, [
        'INSERT t {"id":2}',
        'DELETE t null',
        'DELETE n null',
        'DELETE d null',
        'INSERT logs {"id":2}',
        'DELETE t {"id":2}',
        'INSERT d {"id":3}',
        'DELETE d {"id":3}',
      ]);
      await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
    });

  for (const each of [...CASES, ...FILTERED])
    for (const warm of [false, true])
      it(`${each.what}: ${warm ? 'warm' : 'cold'}`, async () => {
        const { expected } = each;
        const { records, skipped = {} } = 'cold' in expected ? (warm ? expected.warm : expected.cold) : expected;
        const told = await trial(each, warm);
        const all = each.rewrites && TESTED_MAJOR === 10 ? { ...skipped, notTable: 1 } : skipped;
        assert.deepEqual([told.records, told.skipped], [records, all]);
        const losses = Object.keys(skipped).filter((reason) => reason !== 'notTable' && reason !== 'filtered');
        if (
          each.options?.include === undefined &&
          each.options?.exclude === undefined &&
          each.options?.columns === undefined
        )
          assert.equal(told.warnings.length, losses.length, 'one warning a reason');
        assert.doesNotMatch(told.text, /secret/);
      });
});
