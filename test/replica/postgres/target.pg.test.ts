// What a replica writes at its target, against what the source has; what it refuses; and two of them at once.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Lsn } from '../../../lambda/decode/lsn.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { planSequences, readSequences, setSequences } from '../../../replica/postgres/sequences.ts';
import { StopAt } from '../../../replica/postgres/stop-at-lsn.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { emptying } from '../support/by-version.ts';
import { ReplicatedDatabase, type ReplicatedOptions } from '../support/replicated-database.ts';

let server: PostgresServer;
let databases = 0;

/** A pair of databases of its own for a test. */
async function pair<T>(options: ReplicatedOptions, work: (copy: ReplicatedDatabase) => Promise<T>): Promise<T> {
  const copy = await ReplicatedDatabase.make(server, `copy${++databases}`, options);
  try {
    return await work(copy);
  } finally {
    await copy.close();
  }
}

async function assertEqual(copy: ReplicatedDatabase, ...tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const { source, target } = await copy.rows(table);
    assert.deepEqual(target, source, table);
  }
}

/** Tables on which changes applied key by key, or folded to upserts, end wrong or not at all. */
const TABLES = `
  CREATE TABLE public.parents (id numeric PRIMARY KEY, name text UNIQUE, big text, EXCLUDE USING btree (name WITH =));
  ALTER TABLE public.parents ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE public.children (id integer, part text, parent numeric REFERENCES public.parents ON UPDATE CASCADE ON DELETE CASCADE,
    slot integer UNIQUE, big text, PRIMARY KEY (part, id));
  ALTER TABLE public.children ALTER big SET STORAGE EXTERNAL;`;

const big = (name: string): string => `repeat('${name}', 3000)`;

describe('a target', () => {
  before(async () => {
    server = await startPostgres();
  });
  after(async () => {
    await server.stop();
  });

  for (const batchChanges of [50_000, 3]) {
    it(`is equal after swaps, moves, cascades and TRUNCATE, in ${batchChanges === 3 ? 'parts of a transaction' : 'one batch'}`, () =>
      pair({ batchChanges }, async (copy) => {
        await copy.define(TABLES);
        await copy.source
          .query(`INSERT INTO public.parents SELECT i, 'n' || i, ${big('p')} FROM generate_series(1, 6) AS i;
          INSERT INTO public.children SELECT i, 'x', 1 + i % 6, i, ${big('c')} FROM generate_series(1, 12) AS i`);
        await copy.sync();
        await assertEqual(copy, 'public.parents', 'public.children');
        await copy.source.query(`BEGIN;
          UPDATE public.parents SET name = 'swap' WHERE id = 1;
          UPDATE public.parents SET name = 'n1' WHERE id = 2;
          UPDATE public.parents SET name = 'n2' WHERE id = 1;
          -- Another text of an equal key, then another key: the rows of children follow by the source's own triggers.
          UPDATE public.parents SET id = 3.00 WHERE id = 3;
          UPDATE public.parents SET id = 30.0 WHERE id = 3;
          INSERT INTO public.parents VALUES (3.000, 'new', 'small');
          DELETE FROM public.parents WHERE id = 4;
          INSERT INTO public.parents VALUES (4.0, 'n4', ${big('q')});
          UPDATE public.parents SET name = 'again' WHERE id = 4;
          COMMIT;
          BEGIN;
          UPDATE public.children SET slot = NULL WHERE id = 1;
          UPDATE public.children SET slot = 1 WHERE id = 2;
          UPDATE public.children SET slot = 2 WHERE id = 1;
          UPDATE public.children SET part = 'y' WHERE id = 7;
          UPDATE public.children SET part = 'x', id = 70 WHERE id = 7;
          COMMIT`);
        await copy.sync();
        await assertEqual(copy, 'public.parents', 'public.children');
        await copy.source.query(`BEGIN;
          UPDATE public.children SET slot = slot + 100;
          ${emptying('public.children', 'public.parents')};
          INSERT INTO public.parents VALUES (1, 'n1', ${big('r')});
          INSERT INTO public.children VALUES (1, 'x', 1.00, 1, ${big('s')}), (2, 'x', 1, 2, NULL);
          UPDATE public.children SET slot = slot + 10;
          COMMIT`);
        await copy.sync();
        await assertEqual(copy, 'public.parents', 'public.children');
      }));
  }

  it('keeps what its own columns hold, and gives them their defaults in new rows', () =>
    pair({}, async (copy) => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY, v text)');
      await copy.target.query(`ALTER TABLE public.t ADD seen text DEFAULT 'no'`);
      await copy.source.query(`INSERT INTO public.t VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
      await copy.sync();
      await copy.target.query(`UPDATE public.t SET seen = 'yes'`);
      await copy.source.query(`UPDATE public.t SET v = 'z' WHERE id = 1; UPDATE public.t SET id = 20 WHERE id = 2;
        DELETE FROM public.t WHERE id = 3; INSERT INTO public.t VALUES (3, 'd')`);
      await copy.sync();
      const { rows } = await copy.target.query('SELECT * FROM public.t ORDER BY id');
      assert.deepEqual(rows, [
        { id: 1, v: 'z', seen: 'yes' },
        { id: 3, v: 'd', seen: 'no' },
        { id: 20, v: 'b', seen: 'yes' },
      ]);
    }));

  it('fires no trigger, and checks no foreign key: each state was the source’s', () =>
    pair({}, async (copy) => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY)');
      await copy.target.query(`CREATE TABLE public.log (id integer);
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (1); RETURN NULL; END';
        CREATE TRIGGER noted AFTER INSERT ON public.t FOR EACH ROW EXECUTE PROCEDURE public.note();
        CREATE TABLE public.other (id integer PRIMARY KEY); ALTER TABLE public.t ADD FOREIGN KEY (id) REFERENCES public.other`);
      await copy.source.query('INSERT INTO public.t VALUES (1)');
      await copy.sync();
      await assertEqual(copy, 'public.t');
      assert.deepEqual((await copy.target.query('SELECT * FROM public.log')).rows, []);
      await copy.target.query('ALTER TABLE public.t ENABLE ALWAYS TRIGGER noted');
      await copy.close();
      await copy.source.query('INSERT INTO public.t VALUES (2)');
      await assert.rejects(copy.sync(), /TARGET_UNSAFE: .*ENABLE ALWAYS or ENABLE REPLICA\): noted\./);
    }));

  it('stops before a change that it cannot take, and goes on at it', () =>
    pair({}, async (copy) => {
      await copy.define(
        `CREATE TYPE public.mood AS ENUM ('a'); CREATE TABLE public.t (id integer PRIMARY KEY, m public.mood)`,
      );
      await copy.source.query(`INSERT INTO public.t VALUES (1, 'a')`);
      await copy.sync();
      await copy.source.query(`ALTER TABLE public.t ADD "new one" integer; INSERT INTO public.t VALUES (2, 'a', 5)`);
      await assert.rejects(
        copy.sync(),
        /TARGET_LACKS_COLUMN: .*public\.t of the target has no column "new one"\..* ALTER TABLE public\.t ADD COLUMN "new one" <type>; Then start again/,
      );
      await copy.target.query('ALTER TABLE public.t ADD "new one" integer');
      await copy.sync();
      await copy.source.query(`ALTER TYPE public.mood ADD VALUE 'b'`);
      await copy.source.query(`INSERT INTO public.t VALUES (3, 'b', 6)`);
      await assert.rejects(copy.sync(), /TARGET_REFUSED: .*SQLSTATE 22P02; table t, column m\)/);
      await copy.target.query(`ALTER TYPE public.mood ADD VALUE 'b'`);
      await copy.sync();
      await copy.source.query('CREATE TABLE public.u (id integer PRIMARY KEY); INSERT INTO public.u VALUES (1)');
      await assert.rejects(copy.sync(), /TARGET_LACKS_TABLE: The target has no table public\.u/);
      await copy.target.query('CREATE TABLE public.u (id integer)');
      await assert.rejects(copy.apply(), /TARGET_KEY_DIFFERS: .*public\.u of the target .* of the columns "id"/);
      await copy.target.query('ALTER TABLE public.u ADD UNIQUE (id)');
      await copy.sync();
      await assertEqual(copy, 'public.t', 'public.u');
    }));

  it('stops before the first change with a key of other columns, and goes on once the target has that key', () =>
    pair({}, async (copy) => {
      const alter = (columns: string): string =>
        `ALTER TABLE public.k DROP CONSTRAINT k_pkey, ADD PRIMARY KEY (${columns})`;
      await copy.define('CREATE TABLE public.k (a integer, b integer, v text, PRIMARY KEY (a, b))');
      await copy.source.query(`INSERT INTO public.k SELECT i, i, 'v' FROM generate_series(1, 9) AS i`);
      await copy.sync();
      for (const [i, columns] of ['a', 'a, b', 'b, a', 'b'].entries()) {
        await copy.source.query(`UPDATE public.k SET v = 'w' WHERE a = ${i + 1}; DELETE FROM public.k WHERE a = 9`);
        await copy.publish();
        const { source: before } = await copy.rows('public.k');
        await copy.source.query(alter(columns));
        await copy.source.query(`DELETE FROM public.k WHERE a = ${i + 5}; INSERT INTO public.k VALUES (9, 9, 'x')`);
        await copy.publish();
        if (columns !== 'b, a') {
          await assert.rejects(copy.apply(), /TARGET_KEY_DIFFERS: .*public\.k of the target/);
          assert.deepEqual((await copy.rows('public.k')).target, before);
          await copy.target.query(alter(columns));
        }
        await copy.apply();
        await assertEqual(copy, 'public.k');
      }
    }));

  it('refuses an update whose old row is not there and was not sent, or leaves it out and counts it', async () => {
    const lose = async (copy: ReplicatedDatabase): Promise<void> => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY, v integer, big text)');
      await copy.define('ALTER TABLE public.t ALTER big SET STORAGE EXTERNAL');
      await copy.source.query(`INSERT INTO public.t VALUES (1, 1, ${big('a')}), (2, 1, ${big('b')})`);
      await copy.sync();
      await copy.target.query('DELETE FROM public.t WHERE id = 2');
      await copy.source.query('UPDATE public.t SET v = 2');
      await copy.sync();
    };
    await pair({}, (copy) => assert.rejects(lose(copy), /MISSING_ROW: 1 row of public\.t .* is not at the target\./));
    await pair({ skipMissing: true }, async (copy) => {
      await lose(copy);
      assert.equal(copy.missing, 1);
      assert.equal((await copy.target.query('SELECT * FROM public.t')).rowCount, 1);
    });
  });

  it('misses the row of an update where what made it was left out before, in the same batch, too', async () => {
    for (const skipMissing of [false, true]) {
      await pair({ skipTruncated: true, skipMissing }, async (copy) => {
        await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY, n integer, big text)');
        await copy.define('ALTER TABLE public.t ALTER big SET STORAGE EXTERNAL');
        await copy.source.query(`INSERT INTO public.t VALUES (1, 0, ${big('old')}), (2, 0, 'b')`);
        await copy.sync();
        await copy.source
          .query(`BEGIN; DELETE FROM public.t WHERE id = 1; INSERT INTO public.t VALUES (1, 0, repeat('x', 1200000));
          UPDATE public.t SET n = 1; COMMIT`);
        if (skipMissing) {
          await copy.sync();
          assert.equal(copy.missing, 1);
        } else {
          await assert.rejects(copy.sync(), /MISSING_ROW: 1 row of public\.t that the source updated without/);
        }
        const { rows } = await copy.target.query<object>('SELECT id, n, length(big) AS big FROM public.t ORDER BY id');
        const before = [
          { id: 1, n: 0, big: 9000 },
          { id: 2, n: 0, big: 1 },
        ];
        assert.deepEqual(rows, skipMissing ? [{ id: 2, n: 1, big: 1 }] : before);
      });
    }
  });

  it('needs the replica role for tables with triggers or foreign keys, and row-level security to be out of the way', () =>
    pair({ user: 'applier' }, async (copy) => {
      await server.sql(`CREATE ROLE applier LOGIN PASSWORD 'password'`);
      await copy.target.query(`GRANT CREATE ON DATABASE copy${databases}_target TO applier`);
      await copy.define(`CREATE TABLE public.plain (id integer PRIMARY KEY); CREATE TABLE public.t (id integer PRIMARY KEY, p integer REFERENCES public.plain);
        CREATE TABLE public.secured (id integer PRIMARY KEY)`);
      await copy.target.query(
        `GRANT ALL ON public.t, public.secured TO applier; ALTER TABLE public.secured ENABLE ROW LEVEL SECURITY`,
      );
      await copy.source.query('INSERT INTO public.plain VALUES (1)');
      await assert.rejects(copy.sync(), /TARGET_UNSAFE: .*public\.plain has triggers, rules or foreign keys/);
      await copy.target.query('ALTER TABLE public.t DROP CONSTRAINT t_p_fkey');
      await copy.close();
      await assert.rejects(copy.sync(), /TARGET_REFUSED: .*the user lacks a right \(SQLSTATE 42501/);
      await copy.target.query('GRANT ALL ON public.plain TO applier');
      await copy.sync();
      await copy.source.query('INSERT INTO public.secured VALUES (1)');
      await assert.rejects(copy.sync(), /TARGET_UNSAFE: Row-level security of public\.secured applies to "applier"/);
      await copy.target.query('ALTER TABLE public.secured DISABLE ROW LEVEL SECURITY');
      await copy.apply();
      if (TESTED_MAJOR >= 15) {
        await copy.target.query('ALTER TABLE public.t ADD FOREIGN KEY (p) REFERENCES public.plain');
        await copy.close();
        await copy.source.query('INSERT INTO public.t VALUES (1, 1)');
        await assert.rejects(copy.sync(), /GRANT SET ON PARAMETER session_replication_role TO "applier"/);
        // As a member of rds_superuser on RDS: the right of a role that it is a member of is its own.
        await server.sql(
          'CREATE ROLE rds_superuser; GRANT SET ON PARAMETER session_replication_role TO rds_superuser; GRANT rds_superuser TO applier',
        );
        await copy.close();
        await copy.sync();
      }
      await assertEqual(copy, 'public.plain', 'public.t', 'public.secured');
    }));

  it('needs a schema pg2kinesis that it may make, or make tables in, or write to', () =>
    pair({ user: 'guest' }, async (copy) => {
      await server.sql(`CREATE ROLE guest LOGIN PASSWORD 'password'; CREATE ROLE other`);
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY)');
      await copy.target.query('GRANT ALL ON public.t TO guest');
      await copy.source.query('INSERT INTO public.t VALUES (1)');
      const refused =
        /TARGET_REFUSED: The user "guest" may not use the schema pg2kinesis .*GRANT USAGE, CREATE ON SCHEMA pg2kinesis TO "guest"/;
      await assert.rejects(copy.sync(), refused);
      // Somebody else made it.
      await copy.target.query('CREATE SCHEMA pg2kinesis AUTHORIZATION other');
      await assert.rejects(copy.sync(), refused);
      await copy.target.query('GRANT USAGE ON SCHEMA pg2kinesis TO guest');
      await assert.rejects(copy.sync(), refused);
      await copy.target.query('GRANT CREATE ON SCHEMA pg2kinesis TO guest');
      await copy.sync();
      await copy.close();
      // Whoever made the tables may be another than who writes to them.
      await copy.target
        .query(`REVOKE ALL ON SCHEMA pg2kinesis FROM guest; ALTER TABLE pg2kinesis.replica OWNER TO other;
        ALTER TABLE pg2kinesis.replica_shard OWNER TO other; GRANT USAGE ON SCHEMA pg2kinesis TO guest`);
      await assert.rejects(
        copy.connect(),
        /TARGET_REFUSED: .*GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pg2kinesis TO "guest"/,
      );
      await copy.target.query('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pg2kinesis TO guest');
      await copy.source.query('INSERT INTO public.t VALUES (2)');
      await copy.sync();
      await assertEqual(copy, 'public.t');
    }));

  it('leaves tables of that name that are somebody else’s alone', () =>
    pair({}, async (copy) => {
      await copy.target.query('CREATE SCHEMA pg2kinesis; CREATE TABLE pg2kinesis.replica (name text, of_what integer)');
      await assert.rejects(copy.sync(), /TARGET_REFUSED: .*pg2kinesis\.replica of the target is not a replica's/);
      assert.deepEqual(
        (await copy.target.query('SELECT * FROM pg2kinesis.replica')).fields.map(({ name }) => name),
        ['name', 'of_what'],
      );
    }));

  it('takes one replica at a time: a second is refused, or takes over and the first stops', () =>
    pair({}, async (copy) => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY)');
      await copy.source.query('INSERT INTO public.t VALUES (1)');
      await copy.sync();
      await assert.rejects(
        copy.connect(),
        /REPLICA_BUSY: .* \(process \d+ of the target, user "postgres" from 127\.0\.0\.1, since /,
      );
      const second = await copy.connect(true);
      await copy.source.query('INSERT INTO public.t VALUES (2)');
      await assert.rejects(copy.sync(), /TAKEN_OVER: /);
      assert.equal((await copy.target.query('SELECT * FROM public.t')).rowCount, 1);
      await second.connection.client.end();
    }));

  it('is stopped by one comparison at a time: a second one is refused, and moves nothing', () =>
    pair({}, async (copy) => {
      const { connection } = await copy.connect();
      const positions = new PositionStore(connection.client, 'compared');
      await positions.begin({ arn: 'arn', createdMs: 1 }, { takeOver: false, awaitsSnapshot: false });
      const stop = async (): Promise<Lsn | undefined> => {
        const lsn = await positions.hold();
        await connection.client.query('ROLLBACK');
        return lsn;
      };
      const [first, second] = [await copy.connect(true), await copy.connect(true)].map(
        (each) => each.connection.client,
      );
      assert.ok(first !== undefined && second !== undefined);
      const [one, other] = [new StopAt(first, 'compared'), new StopAt(second, 'compared')];
      await one.here();
      await one.set(0x100n);
      await assert.rejects(
        other.here(),
        /VERIFY_IMPOSSIBLE: Another --verify is comparing the copy "compared"\..*start again/,
      );
      assert.equal(await stop(), 0x100n);
      await first.end();
      await other.here();
      assert.equal(await stop(), 0n);
      await second.end();
      await connection.client.end();
    }));

  it('says which of its sequences it refuses to set', () =>
    pair({}, async (copy) => {
      await copy.source.query(
        `CREATE SEQUENCE public.a; CREATE SEQUENCE public.b; SELECT setval('public.a', 7), setval('public.b', 3000000000)`,
      );
      await copy.target.query('CREATE SEQUENCE public.a; CREATE SEQUENCE public.b AS integer');
      const { connection } = await copy.connect();
      const plan = await planSequences(copy.target, await readSequences({ ...connection, client: copy.source }));
      await assert.rejects(
        setSequences(connection, plan),
        /TARGET_REFUSED: .*\.setval\('public\.b', 3000000000, true\); \(SQLSTATE 22003\)\. It and those behind it were not set\./,
      );
      await connection.client.end();
      const { rows } = await copy.target.query('SELECT last_value::int AS at, is_called AS called FROM public.a');
      assert.deepEqual(rows, [{ at: 7, called: true }]);
    }));

  it('keeps which rows are still to come: only a copy that begins awaits a snapshot', () =>
    pair({}, async (copy) => {
      const { connection } = await copy.connect();
      const stream = { arn: 'arn', createdMs: 1 };
      const begin = (awaitsSnapshot: boolean) =>
        new PositionStore(connection.client, 'other').begin(stream, { takeOver: true, awaitsSnapshot });
      assert.equal((await begin(true)).copying, 'awaited');
      for (const copying of [['["public","a b"]', '["s","t"]'], 'all', []] as const) {
        const positions = new PositionStore(connection.client, 'other');
        const saved = await positions.begin(stream, { takeOver: true, awaitsSnapshot: true });
        const { cut, cutMs, source, system, timelines, forks, shards } = saved;
        await positions.hold();
        await positions.save({ cut, cutMs, source, system, timelines, forks, shards, copying });
        await connection.client.query('COMMIT');
        assert.deepEqual((await begin(true)).copying, copying);
      }
      const { rows } = await copy.target.query(`SELECT copying FROM pg2kinesis.replica WHERE name = 'other'`);
      assert.deepEqual(rows, [{ copying: null }]);
      await connection.client.end();
    }));

  it('keeps a position that is part of each batch: nothing comes twice, and nothing is left out', () =>
    pair({}, async (copy) => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY, v integer)');
      for (let i = 0; i < 3; i++) {
        await copy.source.query(`INSERT INTO public.t VALUES (${i}, 0)`);
        await copy.sync();
        // Another process goes on.
        await copy.close();
      }
      await assertEqual(copy, 'public.t');
      const { rows } = await copy.target.query(
        "SELECT cut > '0/0' AS cut, source, lane_timelines, epoch FROM pg2kinesis.replica",
      );
      assert.deepEqual(rows, [{ cut: true, source: 'test', lane_timelines: [1], epoch: '3' }]);
    }));
});
