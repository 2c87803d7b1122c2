/** Kinds of tables at a replica's target: partitions, and those with triggers and rules that fire for replicas, too. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../../chaos/environment.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { ReplicatedDatabase, type ReplicatedOptions } from '../support/replicated-database.ts';

let server: PostgresServer;
let databases = 0;

/** A pair of databases of its own for a test. */
async function pair(options: ReplicatedOptions, work: (copy: ReplicatedDatabase) => Promise<void>): Promise<void> {
  const copy = await ReplicatedDatabase.make(server, `kind${++databases}`, options);
  try {
    await work(copy);
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

describe('a table of the target', () => {
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  it('is written to with --triggers though a trigger and a rule fire for replicas, which then do what they do', async () => {
    const define = async (copy: ReplicatedDatabase): Promise<void> => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY)');
      await copy.target.query(`CREATE TABLE public.log (what text);
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (TG_OP); RETURN NULL; END';
        CREATE TRIGGER noted AFTER INSERT ON public.t FOR EACH ROW EXECUTE PROCEDURE public.note();
        ALTER TABLE public.t ENABLE REPLICA TRIGGER noted;
        CREATE RULE told AS ON DELETE TO public.t DO ALSO INSERT INTO public.log VALUES ('rule');
        ALTER TABLE public.t ENABLE ALWAYS RULE told`);
      await copy.source.query('INSERT INTO public.t VALUES (1), (2)');
    };
    await pair({}, async (copy) => {
      await define(copy);
      await assert.rejects(copy.sync(), /TARGET_UNSAFE: .*ENABLE REPLICA\): noted, told\..* start with --triggers/);
    });
    await pair({ allowTriggers: true }, async (copy) => {
      await define(copy);
      await copy.sync();
      await copy.source.query('DELETE FROM public.t WHERE id = 1');
      await copy.sync();
      await assertEqual(copy, 'public.t');
      const { rows } = await copy.target.query<{ what: string }>('SELECT DISTINCT what FROM public.log ORDER BY what');
      assert.deepEqual(rows, [{ what: 'INSERT' }, { what: 'rule' }]);
    });
  });

  it('is written to as it is by then where it is altered under a replica that is at work', () =>
    pair({}, async (copy) => {
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY, doc jsonb, n integer)');
      await copy.source.query(`INSERT INTO public.t VALUES (1, '"a"', 1)`);
      await copy.sync();
      const rows = async (client: typeof copy.source) =>
        (await client.query<object>('SELECT id, doc::text, n FROM public.t ORDER BY id')).rows;
      const toText = `ALTER TABLE public.t ALTER doc TYPE text USING doc #>> '{}'`;
      await copy.define(toText);
      // The target's own columns keep their values.
      await copy.target.query('ALTER TABLE public.t ADD own integer DEFAULT 7; UPDATE public.t SET own = 8');
      await copy.source.query(
        `INSERT INTO public.t VALUES (2, 'b', 1), (3, '3', 1); UPDATE public.t SET n = 2 WHERE id = 1`,
      );
      await copy.sync();
      assert.deepEqual(await rows(copy.target), await rows(copy.source));
      assert.deepEqual((await copy.target.query('SELECT own FROM public.t ORDER BY id')).rows, [
        { own: 8 },
        { own: 7 },
        { own: 7 },
      ]);
      // In the middle of it the replica waits, and goes on with what there is then.
      const toJson = 'ALTER TABLE public.t ALTER doc TYPE jsonb USING to_jsonb(doc)';
      await copy.source.query(`${toJson}; INSERT INTO public.t VALUES (4, '"4"', 1)`);
      await copy.target.query(`BEGIN; ${toJson}`);
      const syncing = copy.sync();
      await eventually(
        async () => (await server.sql(`SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'`)).length > 0,
        'the replica waits',
      );
      await copy.target.query('COMMIT');
      await syncing;
      assert.deepEqual(await rows(copy.target), await rows(copy.source));
    }));

  it('takes what the message says to be written to without the replica role, of whatever table the trigger, rule or foreign key is', () =>
    pair({ user: 'plain"user' }, async (copy) => {
      const isPartitioned = TESTED_MAJOR >= 11;
      await server.sql(`CREATE ROLE "plain""user" LOGIN PASSWORD 'password'`);
      await copy.define(`CREATE TABLE public.other (id integer PRIMARY KEY); CREATE TABLE public."Odd ""one" (id integer PRIMARY KEY);
        CREATE TABLE public.tree (id integer PRIMARY KEY, o integer REFERENCES public."Odd ""one", p integer CONSTRAINT "to p" REFERENCES public.other)${isPartitioned ? ' PARTITION BY RANGE (id)' : ''};
        ${isPartitioned ? 'CREATE TABLE public.leaf PARTITION OF public.tree FOR VALUES FROM (0) TO (100)' : 'ALTER TABLE public.tree RENAME TO leaf'}`);
      await copy.target
        .query(`GRANT CREATE ON DATABASE kind${databases}_target TO "plain""user"; GRANT ALL ON ALL TABLES IN SCHEMA public TO "plain""user";
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
        CREATE TRIGGER "The trigger" BEFORE INSERT ON public.leaf FOR EACH ROW EXECUTE PROCEDURE public.refuse();
        CREATE RULE "The rule" AS ON DELETE TO public."Odd ""one" DO INSTEAD NOTHING`);
      await copy.source.query(
        `INSERT INTO public."Odd ""one" VALUES (1), (2); INSERT INTO public.leaf VALUES (1, 1); DELETE FROM public."Odd ""one" WHERE id = 2`,
      );
      for (const table of ['"Odd ""one"', 'leaf']) {
        let message = '';
        await assert.rejects(copy.sync(), (error: Error) => (message = error.message) !== '');
        const [, statements = ''] = /TARGET_UNSAFE: .* has triggers, .* Or take them away: (.*)$/.exec(message) ?? [];
        assert.ok(message.includes(`public.${table} has`) && statements !== '', message);
        if (TESTED_MAJOR >= 15) assert.match(message, /session_replication_role TO "plain""user";/);
        await copy.target.query(statements);
        await copy.close();
      }
      await copy.sync();
      await copy.source.query('DELETE FROM public.leaf; DELETE FROM public."Odd ""one"');
      await copy.sync();
      await assertEqual(copy, 'public."Odd ""one"', 'public.leaf');
    }));

  it('is a partition by its own name: the copy needs the same ones', { skip: TESTED_MAJOR < 11 }, () =>
    pair({}, async (copy) => {
      await copy.define(`CREATE TABLE public.whole (id integer, n integer, big text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE public.low PARTITION OF public.whole FOR VALUES FROM (0) TO (10)`);
      await copy.define('ALTER TABLE public.whole ALTER big SET STORAGE EXTERNAL');
      await copy.source.query(`CREATE TABLE public.high PARTITION OF public.whole FOR VALUES FROM (10) TO (20);
        INSERT INTO public.whole SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 15) AS i`);
      await assert.rejects(copy.sync(), /TARGET_LACKS_TABLE: The target has no table public\.high/);
      await copy.target.query('CREATE TABLE public.high PARTITION OF public.whole FOR VALUES FROM (10) TO (20)');
      await copy.apply();
      // To another partition, and within one.
      await copy.source
        .query(`UPDATE public.whole SET id = id + 15 WHERE id = 3; UPDATE public.whole SET id = 3 WHERE id = 4;
        UPDATE public.whole SET n = 1 WHERE id = 5; TRUNCATE public.high; INSERT INTO public.whole VALUES (11, 1, 'x')`);
      await copy.sync();
      await assertEqual(copy, 'public.whole', 'public.low', 'public.high');
    }),
  );

  it('may have partitions where the source has none', { skip: TESTED_MAJOR < 11 }, () =>
    pair({}, async (copy) => {
      await copy.source.query('CREATE TABLE public.t (id integer PRIMARY KEY, n integer, big text)');
      await copy.source.query('ALTER TABLE public.t ALTER big SET STORAGE EXTERNAL');
      await copy.target
        .query(`CREATE TABLE public.t (id integer PRIMARY KEY, n integer, big text) PARTITION BY HASH (id);
        CREATE TABLE public.t_0 PARTITION OF public.t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE public.t_1 PARTITION OF public.t FOR VALUES WITH (MODULUS 2, REMAINDER 1)`);
      await copy.source.query(`INSERT INTO public.t SELECT i, 0, repeat('b', 3000) FROM generate_series(1, 20) AS i`);
      await copy.sync();
      await copy.source.query(
        'UPDATE public.t SET n = 1 WHERE id < 9; UPDATE public.t SET id = id + 100 WHERE id > 15',
      );
      await copy.sync();
      await assertEqual(copy, 'public.t');
      await copy.source.query('TRUNCATE public.t; INSERT INTO public.t VALUES (7, 7, NULL)');
      await copy.sync();
      await assertEqual(copy, 'public.t');
    }),
  );

  it('takes a right to make temporary tables where values of the old row are kept', () =>
    pair({ user: 'plain' }, async (copy) => {
      await server.sql(`CREATE ROLE plain LOGIN PASSWORD 'password'`);
      const database = `kind${databases}_target`;
      await copy.target.query(`REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC;
        GRANT CREATE ON DATABASE ${database} TO plain`);
      await copy.define('CREATE TABLE public.t (id integer PRIMARY KEY, n integer, big text)');
      await copy.define('ALTER TABLE public.t ALTER big SET STORAGE EXTERNAL');
      await copy.target.query('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON public.t TO plain');
      await copy.source.query(`INSERT INTO public.t VALUES (1, 1, repeat('b', 3000))`);
      await copy.sync();
      await copy.source.query('UPDATE public.t SET n = 2');
      await assert.rejects(copy.sync(), /TARGET_REFUSED: .*the user lacks a right \(SQLSTATE 42501\)/);
      await copy.target.query(`GRANT TEMPORARY ON DATABASE ${database} TO plain`);
      await copy.apply();
      await assertEqual(copy, 'public.t');
    }));
});
