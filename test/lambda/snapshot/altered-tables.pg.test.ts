/**
 * Tables that change under a snapshot of them: dropped, renamed, altered, hidden, attached, their keys of types whose equal
 * values have several texts. What cannot go on is given up by name; no run fails, nothing is skipped, and changes go on.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { closeBoth, openPair } from '../../../lambda/postgres/connection-pair.ts';
import { pgoutput, type SlotPlugin, TEST_DECODING, wal2json } from '../../../lambda/postgres/plugins.ts';
import { copySlot } from '../../../lambda/postgres/slot-copy.ts';
import { resolveTables } from '../../../lambda/postgres/snapshot-request.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';
import { clock, databaseOf, openOn, soon } from '../postgres/fixtures.ts';
import { consume } from './consumer.ts';

/** More than the first chunk has. */
const ROWS = 2_100;
const LOGIN = { user: 'cdc', password: 'pass' };

describe('a snapshot of tables that are altered meanwhile', () => {
  let server: PostgresServer;
  let slots = 0;
  before(async () => {
    server = await startPostgres();
    await server.sql(
      `CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'pass'; CREATE SCHEMA ext; GRANT USAGE ON SCHEMA ext TO cdc`,
    );
  });
  after(() => server.stop());

  const ask = async (slot: string, ...tables: string[]): Promise<void> => {
    const content = encodeSnapshotMessage(slot, {
      kind: 'begin',
      id: 'test',
      begunAt: Date.now(),
      tables,
      anew: false,
    });
    await server.sql(`SELECT pg_logical_emit_message(false, 'pg2kinesis', $1::text), txid_current()`, [content]);
  };
  const slotFor = async (plugin: SlotPlugin['name'] = 'test_decoding'): Promise<string> => {
    const slot = `a${slots++}`;
    await server.createSlot(slot, plugin);
    return slot;
  };
  const finish = async (pipeline: Pipeline) => {
    const givenUp: { readonly table: string; readonly why: string }[] = [];
    for (let runs = 0; runs < 9; runs++) {
      const { snapshot } = await pipeline.run();
      givenUp.push(...(snapshot?.givenUp ?? []));
      if (snapshot?.done !== false) return { givenUp, rows: consume(pipeline.published) };
    }
    return assert.fail('the snapshot does not end');
  };

  it('gives up by name each that cannot be read any further, and reads the others whole', async () => {
    const cases: Readonly<Record<string, readonly [sql: string, why: RegExp]>> = {
      dropped: ['DROP TABLE dropped', /does not exist any more/],
      renamed: ['ALTER TABLE renamed RENAME TO elsewhere', /does not exist any more/],
      replaced: [
        'ALTER TABLE replaced RENAME TO former; CREATE TABLE replaced (LIKE former INCLUDING ALL); GRANT SELECT ON replaced TO cdc',
        /was made anew/,
      ],
      viewed: ['ALTER TABLE viewed RENAME TO base; CREATE VIEW viewed AS SELECT * FROM base', /is no table/],
      materialised: [
        'ALTER TABLE materialised RENAME TO stuff; CREATE MATERIALIZED VIEW materialised AS SELECT 1',
        /is no table/,
      ],
      keyless: ['ALTER TABLE keyless DROP CONSTRAINT keyless_pkey', /has no primary key/],
      rekeyed: ['ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD PRIMARY KEY (v, k)', /primary key was altered/],
      retyped: [`ALTER TABLE retyped ALTER k TYPE text`, /primary key was altered/],
      unlogged: ['ALTER TABLE unlogged SET UNLOGGED', /is no table, or an unlogged/],
      revoked: ['REVOKE SELECT ON revoked FROM cdc', /may not read it|may not read all/],
      hidden: ['ALTER TABLE hidden ENABLE ROW LEVEL SECURITY', /row-level security|may not read all/],
      shapeless: ['ALTER TABLE shapeless REPLICA IDENTITY NOTHING', /replica identity does not hold/],
      'ext.closed': ['REVOKE USAGE ON SCHEMA ext FROM cdc', /may not read/],
    };
    const done = new Set<string>();
    for (const name of [...Object.keys(cases), 'worded', 'last'])
      await server.sql(
        `CREATE TABLE ${name} (k int PRIMARY KEY, v int NOT NULL); INSERT INTO ${name} SELECT g, g FROM generate_series(1, ${ROWS}) g; GRANT SELECT ON ${name} TO cdc`,
      );
    // The key's text, which the next chunk begins behind, is no value of its type any more.
    await server.sql(`CREATE TYPE word AS ENUM ('a', 'b', 'c'); DROP TABLE worded; CREATE TABLE worded (n int, w word, PRIMARY KEY (w, n));
      INSERT INTO worded SELECT g, 'b' FROM generate_series(1, ${ROWS}) g; GRANT SELECT ON worded TO cdc`);
    const slot = await slotFor();
    const pipeline = new Pipeline(server, slot, {
      login: LOGIN,
      onChunkRead: async (table) => {
        const name = table.replace('public.', '');
        if (done.has(name)) return;
        done.add(name);
        if (name === 'worded') await server.sql(`ALTER TABLE worded ALTER w TYPE text; DROP TYPE word`);
        await server.sql(cases[name]?.[0] ?? 'SELECT 1');
        await server.sql(`INSERT INTO last VALUES ($1, 0)`, [-done.size]);
      },
    });
    await ask(
      slot,
      ...[...Object.keys(cases), 'worded', 'last'].map((name) => (name.includes('.') ? name : `public.${name}`)),
    );
    const { givenUp, rows } = await finish(pipeline);
    for (const [name, [, why]] of Object.entries(cases)) {
      const given = givenUp.filter(({ table }) => table.replace('public.', '') === name);
      assert.equal(given.length, 1, `${name}: ${JSON.stringify(givenUp)}`);
      assert.match(given[0]?.why ?? '', why);
    }
    assert.deepEqual(
      givenUp.map(({ table }) => table).filter((table) => table.endsWith('.last')),
      [],
    );
    assert.equal(rows.get('public.last')?.size, ROWS + done.size);
    // It holds the slot no more.
    await server.sql('INSERT INTO last VALUES (-1000, 0)');
    const { snapshot, published } = await pipeline.run();
    assert.deepEqual([snapshot, published], [undefined, 1]);
  });

  it('gives up a table whose key is given another collation, and with it another order', async () => {
    // By the first the two letters take turns, by the second all of one come before all of the other.
    await server.sql(`CREATE TABLE sorted (k text COLLATE "und-x-icu" PRIMARY KEY); GRANT SELECT ON sorted TO cdc;
      INSERT INTO sorted SELECT letter || lpad(g::text, 5, '0') FROM generate_series(1, ${ROWS}) g, (VALUES ('a'), ('A')) letters (letter)`);
    const slot = await slotFor();
    let reads = 0;
    const pipeline = new Pipeline(server, slot, {
      login: LOGIN,
      onChunkRead: async () => {
        if (reads++ === 0) await server.sql('ALTER TABLE sorted ALTER k TYPE text COLLATE "C"');
      },
    });
    await ask(slot, 'public.sorted');
    const { givenUp } = await finish(pipeline);
    assert.deepEqual(givenUp, [
      { table: 'public.sorted', why: 'its primary key was altered, or the table was made anew' },
    ]);
  });

  it('reads rows whose key is no value of its domain any more, and looks them up', async () => {
    await server.sql(`CREATE DOMAIN code3 AS char(3); CREATE DOMAIN tag AS code3 COLLATE "C"; CREATE TABLE tagged (k tag, n int, big text, PRIMARY KEY (k, n));
      ALTER TABLE tagged ALTER big SET STORAGE EXTERNAL; GRANT SELECT ON tagged TO cdc;
      INSERT INTO tagged SELECT 'a', g, '' FROM generate_series(1, ${ROWS}) g; UPDATE tagged SET big = repeat('x', 2500) WHERE n > ${ROWS} - 2;
      ALTER DOMAIN code3 ADD CHECK (VALUE > 'b') NOT VALID`);
    const slot = await slotFor();
    let reads = 0;
    const pipeline = new Pipeline(server, slot, {
      login: LOGIN,
      onChunkRead: async () => {
        // To keys that were passed already, and without their large value: they are looked up.
        if (reads++ === 0) await server.sql(`UPDATE tagged SET n = -n WHERE n > ${ROWS} - 2`);
      },
    });
    await ask(slot, 'public.tagged');
    const { givenUp, rows } = await finish(pipeline);
    assert.deepEqual(givenUp, []);
    assert.equal(rows.get('public.tagged')?.size, ROWS);
    for (const n of [-ROWS, 1 - ROWS])
      assert.equal(rows.get('public.tagged')?.get(JSON.stringify({ k: 'a  ', n }))?.['big'], 'x'.repeat(2500));
  });

  it('reads a row once more whose change lacks the value of a column that was renamed or retyped behind the chunk', async () => {
    // Stored out of line, however it is stored.
    const [made] = await server.sql<{ big: string }>(
      `SELECT string_agg(md5(g::text), '') AS big FROM generate_series(1, 200) g`,
    );
    const { big } = made ?? assert.fail();
    await server.sql(`CREATE TABLE retyped_later (k int PRIMARY KEY, v int, one bytea, other text); GRANT SELECT ON retyped_later TO cdc;
      ALTER TABLE retyped_later ALTER one SET STORAGE EXTERNAL, ALTER other SET STORAGE EXTERNAL; INSERT INTO retyped_later VALUES (1, 0, '${big}', '${big}'), (2, 0, '', '')`);
    const slot = await slotFor();
    let reads = 0;
    const pipeline = new Pipeline(server, slot, {
      login: LOGIN,
      onChunkRead: async () => {
        if (reads++ > 0) return;
        await server.sql(`ALTER TABLE retyped_later ALTER one TYPE text USING convert_from(one, 'UTF8'); ALTER TABLE retyped_later RENAME other TO another;
          UPDATE retyped_later SET v = 1`);
      },
    });
    await ask(slot, 'public.retyped_later');
    const { givenUp, rows } = await finish(pipeline);
    assert.deepEqual(givenUp, []);
    assert.deepEqual(rows.get('public.retyped_later')?.get('{"k":1}'), { k: 1, v: 1, one: big, another: big });
    // Nor does the change show the bytes of then as the text of now.
    assert.ok(pipeline.records.every(({ row }) => !String(row?.['one']).startsWith('\\x')));
  });

  it('gives a table up where the server fails on it: a value renamed that the next chunk begins behind', async () => {
    await server.sql(`CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE moods (m mood, n int, PRIMARY KEY (m, n));
      INSERT INTO moods SELECT 'ok', g FROM generate_series(1, ${ROWS}) g; GRANT SELECT ON moods TO cdc`);
    const slot = await slotFor();
    let reads = 0;
    const rename = TESTED_MAJOR >= 10 ? `ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'` : '';
    const pipeline = new Pipeline(server, slot, {
      login: LOGIN,
      onChunkRead: async () => {
        if (reads++ === 0) await server.sql(rename);
      },
    });
    await ask(slot, 'public.moods');
    const { givenUp } = await finish(pipeline);
    assert.deepEqual(givenUp, [{ table: 'public.moods', why: 'the server cannot read it (22P02)' }]);
  });

  it('follows changes between a chunk and its mark by keys of every kind, equal ones of other text too', async () => {
    await server.sql('CREATE EXTENSION IF NOT EXISTS citext SCHEMA public');
    await server.sql(
      `CREATE DOMAIN yes AS boolean; CREATE DOMAIN code AS char(4); CREATE TYPE duo AS (a int, b text); CREATE TYPE hue AS ENUM ('red', 'blue', 'green')`,
    );
    // Each: a row that is updated, one that is deleted, one that is moved, and where to.
    const kinds: Readonly<Record<string, readonly [string, string, string, string]>> = {
      numeric: ['NaN', '2.50', '1.0', '1.00'],
      'double precision': ['NaN', 'Infinity', '0', '-0'],
      real: ['0.1', '-Infinity', '1e10', '3'],
      citext: ['B', 'c', 'A', 'a'],
      'char(5)': ['a', 'b  ', 'c', 'd'],
      'text COLLATE "C"': [`it's`, 'tab\\tand\nline', 'Ünï', 'back\\slash'],
      'varchar(9)': ['', ' ', '  x', '"quoted"'],
      boolean: ['t', 'f', '', ''],
      yes: ['t', 'f', '', ''],
      code: ['a', 'ab', 'abc', 'abcd'],
      'bit(3)': ['001', '010', '100', '111'],
      'bit varying': ['1', '', '10', '11'],
      duo: ['(1,"a b")', '(2,)', '(,"x,y")', '(4,"q\\"q")'],
      hue: ['red', 'blue', 'green', ''],
      'int[]': ['{1,2}', '{}', '{3}', '{NULL,4}'],
      'text[]': ['{"a b"}', '{"\\\\"}', `{it's}`, '{NULL}'],
      interval: ['1 mon', '1 day', '24:00:00.5', '30:00:00'],
      timestamptz: ['2026-01-01 00:00:00+00', '-infinity', 'infinity', '0044-03-15 00:00:00+00 BC'],
      date: ['2026-01-01', 'infinity', '0044-03-15 BC', '1999-12-31'],
      uuid: [
        '00000000-0000-0000-0000-000000000001',
        '00000000-0000-0000-0000-000000000002',
        '00000000-0000-0000-0000-000000000003',
        '00000000-0000-0000-0000-000000000004',
      ],
      inet: ['10.0.0.1', '10.0.0.0/8', '::1', '::2'],
      jsonb: ['{"a":1}', '"x"', 'null', '[1, 2]'],
      bytea: ['\\x00', '\\x5c27', '\\xff', '\\x'],
      int4range: ['[1,3)', 'empty', '(,5)', '[7,)'],
      money: ['1', '-2.50', '3', '4'],
      oid: ['1', '2', '3', '4294967295'],
      bigint: ['9223372036854775807', '-1', '0', '7'],
      name: ['n', 'N', 'x y', 'z'],
    };
    const tables = Object.entries(kinds).map(([type, values], i) => ({ type, values, name: `"Key ${i}"` }));
    const changes: string[] = [];
    for (const { type, name, values } of tables) {
      await server.sql(
        `CREATE TABLE ${name} ("select" ${type} PRIMARY KEY, v int, big text); ALTER TABLE ${name} ALTER big SET STORAGE EXTERNAL; GRANT SELECT ON ${name} TO cdc`,
      );
      const [updated, deleted, from, to] = values;
      const stored = [updated, deleted, ...(type === 'boolean' || type === 'yes' ? [] : [from])];
      for (const value of stored) await server.sql(`INSERT INTO ${name} VALUES ($1, 0, repeat('x', 2500))`, [value]);
      // By their texts: 0 and -0 are equal.
      const is = (value: string): string => `WHERE "select" = ${quote(value)}::${type.replace(/ COLLATE.*/, '')}`;
      changes.push(`UPDATE ${name} SET v = 1 ${is(updated)}`, `DELETE FROM ${name} ${is(deleted)}`);
      if (to !== '' && stored.length === 3) changes.push(`UPDATE ${name} SET "select" = ${quote(to)} ${is(from)}`);
    }
    const plugins = TESTED_MAJOR >= 14 ? (['test_decoding', 'pgoutput'] as const) : (['test_decoding'] as const);
    for (const plugin of plugins) {
      const slot = await slotFor(plugin);
      await server.sql(`CREATE PUBLICATION ${slot} FOR ALL TABLES`);
      const options: PipelineOptions = plugin === 'pgoutput' ? { publications: [slot] } : {};
      const pending = new Set(tables.map(({ name }) => `public.${name}`));
      const pipeline = new Pipeline(server, slot, {
        ...options,
        onChunkRead: async (table) => {
          if (!pending.delete(table)) return;
          for (const change of changes) if (change.includes(table.replace('public.', ''))) await server.sql(change);
        },
      });
      await ask(slot, ...pending);
      const { rows } = await finish(pipeline);
      const later = await slotFor(plugin);
      const quiet = new Pipeline(server, later, options);
      await ask(later, ...tables.map(({ name }) => `public.${name}`));
      const { rows: truth } = await finish(quiet);
      for (const { name, type } of tables) {
        const table = `public.${name.slice(1, -1)}`;
        const [count] = await server.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${name}`);
        assert.equal(truth.get(table)?.size ?? 0, count?.n, type);
        assert.deepEqual(
          new Map([...(rows.get(table) ?? [])].sort()),
          new Map([...(truth.get(table) ?? [])].sort()),
          `${plugin}, ${type}`,
        );
      }
      // As they were, for the next plugin.
      for (const { type, name, values } of tables) {
        await server.sql(`DELETE FROM ${name}`);
        for (const value of values.slice(0, type === 'boolean' || type === 'yes' ? 2 : 3))
          await server.sql(`INSERT INTO ${name} VALUES ($1, 0, repeat('x', 2500))`, [value]);
      }
    }
  });

  /** One run that reads a chunk or two of it. */
  const beginOn = async (slot: string, table: string, options: PipelineOptions = {}): Promise<string[]> => {
    await ask(slot, table);
    let chunks = 0;
    const stop = new AbortController();
    const pipeline = new Pipeline(server, slot, {
      ...options,
      stop: stop.signal,
      onChunkRead: async (read) => {
        if (++chunks === 2) stop.abort();
        await options.onChunkRead?.(read);
      },
    });
    const { snapshot } = await pipeline.run();
    assert.ok(snapshot?.done === false && snapshot.rowsPublished > 0, JSON.stringify(snapshot));
    return pipeline.published;
  };

  if (TESTED_MAJOR >= 14) {
    it('goes on where its slot is copied, by another plugin too, and is refused to one that cannot', async () => {
      await server.sql(`CREATE TABLE copied (id int PRIMARY KEY); CREATE TABLE aside (id int PRIMARY KEY);
        INSERT INTO copied SELECT generate_series(1, ${2 * ROWS}); CREATE PUBLICATION only_copied FOR TABLE copied`);
      const by = async (to: string, from: string, plugin: SlotPlugin): Promise<void> => {
        const pair = await openPair(databaseOf(server, {}, {}, plugin), { deadline: soon() }, { deadline: soon() });
        try {
          await copySlot(...pair, from, to, 10_000);
        } finally {
          await closeBoth(pair, clock);
        }
      };
      const options = { publications: ['only_copied'] };
      const slot = await slotFor('pgoutput');
      const published = await beginOn(slot, 'public.copied', options);
      // Of a table that the publication has not: the copy shows it in front of the snapshot's message.
      await server.sql('INSERT INTO aside VALUES (1)');
      await by('copy_a', slot, TEST_DECODING);
      await assert.rejects(by('copy_b', 'copy_a', wal2json()), (error: unknown) => {
        assert.ok(error instanceof PipelineError && error.code === 'CONFIG_INVALID', String(error));
        assert.match(error.message, /A snapshot is under way at the slot "copy_a".*"copy_b" was not made/);
        return true;
      });
      const second = await beginOn('copy_a', 'public.aside');
      await by('copy_b', 'copy_a', pgoutput(['only_copied']));
      const third = new Pipeline(server, 'copy_b', options);
      const { givenUp, rows } = await finish(third);
      assert.deepEqual(
        givenUp.map(({ table }) => table),
        ['public.aside'],
      );
      assert.equal(rows.get('public.copied')?.size, 2 * ROWS);
      assert.ok(published.length > 0 && second.length > 0);
    });
  }

  if (TESTED_MAJOR >= 14) {
    it('goes on by more publications, which show changes in front of its message', async () => {
      await server.sql(`CREATE TABLE shown (id int PRIMARY KEY); CREATE TABLE hidden_before (id int PRIMARY KEY);
        INSERT INTO shown SELECT generate_series(1, ${3 * ROWS}); CREATE PUBLICATION shown FOR TABLE shown; CREATE PUBLICATION hidden_before FOR TABLE hidden_before`);
      const slot = await slotFor('pgoutput');
      const onChunkRead = async () => {
        await server.sql('INSERT INTO hidden_before SELECT count(*) FROM hidden_before');
      };
      const first = await beginOn(slot, 'public.shown', { publications: ['shown'], onChunkRead });
      const pipeline = new Pipeline(server, slot, { publications: ['shown', 'hidden_before'] });
      const { givenUp, rows } = await finish(pipeline);
      assert.deepEqual(givenUp, []);
      assert.ok((rows.get('public.hidden_before')?.size ?? 0) > 0, 'changes in front of the message');
      const all = new Set([
        ...(consume(first).get('public.shown')?.keys() ?? []),
        ...(rows.get('public.shown')?.keys() ?? []),
      ]);
      assert.equal(all.size, 3 * ROWS);
    });
  }

  it('goes on in another FORMAT, and with other filters, and reads no row twice', async () => {
    await server.sql(`CREATE TABLE formats (id int PRIMARY KEY, v int); INSERT INTO formats SELECT g, g FROM generate_series(1, ${3 * ROWS}) g;
      CREATE TABLE excluded (id int PRIMARY KEY); INSERT INTO excluded VALUES (1)`);
    const slot = await slotFor();
    const first = await beginOn(slot, 'public.formats');
    const second = await beginOn(slot, 'public.excluded', { format: 'csv' });
    const third = new Pipeline(server, slot, { columns: 'public.formats.v', exclude: 'public.excluded' });
    const { givenUp } = await finish(third);
    assert.deepEqual(givenUp, [
      { table: 'public.excluded', why: 'TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST leaves it out now' },
    ]);
    const ids = (texts: readonly string[], id: RegExp): number[] =>
      texts.map((text) => Number(id.exec(text)?.[1])).filter((id) => !Number.isNaN(id));
    const all = new Set([
      ...ids(first, /"key":\{"id":(\d+)/),
      ...ids(second, /READ,(\d+)/),
      ...ids(third.published, /"key":\{"id":(\d+)/),
    ]);
    assert.equal(all.size, 3 * ROWS);
    assert.ok(first.every((text) => text.includes('"v":')) && third.published.every((text) => !text.includes('"v":')));
  });

  if (TESTED_MAJOR >= 15) {
    it('reads by a row filter as far as it comes in each chunk, and follows rows into the filter and out of it', async () => {
      await server.sql(`CREATE TABLE filtered (id int PRIMARY KEY, region text, v int); INSERT INTO filtered SELECT g, CASE WHEN g > ${3 * ROWS} - 20 THEN 'x' ELSE 'y' END, 0 FROM generate_series(1, ${3 * ROWS}) g;
        ALTER TABLE filtered REPLICA IDENTITY FULL; CREATE PUBLICATION by_region FOR TABLE filtered WHERE (region = 'x')`);
      const slot = await slotFor('pgoutput');
      let chunks = 0;
      const pipeline = new Pipeline(server, slot, {
        publications: ['by_region'],
        onChunkRead: async () => {
          chunks++;
          await server.sql(
            `UPDATE filtered SET region = 'y' WHERE id = ${3 * ROWS} - ${chunks}; UPDATE filtered SET region = 'x', v = 1 WHERE id = ${chunks}; UPDATE filtered SET v = 2 WHERE id = ${3 * ROWS}`,
          );
        },
      });
      await ask(slot, 'public.filtered');
      const { rows } = await finish(pipeline);
      const truth = await server.sql<{ id: number }>(
        `SELECT id, region, v FROM filtered WHERE region = 'x' ORDER BY id`,
      );
      assert.deepEqual(
        [...(rows.get('public.filtered')?.values() ?? [])].sort((a, b) => Number(a['id']) - Number(b['id'])),
        truth,
      );
      assert.ok(chunks >= 2, `${chunks} chunks`);
    });

    it('reads a partitioned table under its own name where its changes come under it, and refuses its parts', async () => {
      await server.sql(`CREATE TABLE tree (id int, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF tree FOR VALUES FROM (0) TO (10000);
        CREATE TABLE high PARTITION OF tree FOR VALUES FROM (10000) TO (20000); INSERT INTO tree SELECT g, 0 FROM generate_series(1, ${ROWS}) g; INSERT INTO tree SELECT g, 0 FROM generate_series(10001, 10010) g;
        CREATE TABLE joining (v int, id int NOT NULL PRIMARY KEY); INSERT INTO joining VALUES (0, 30000), (0, 30001);
        CREATE PUBLICATION by_root FOR TABLE tree WITH (publish_via_partition_root); CREATE PUBLICATION by_leaf FOR TABLE low`);
      const slot = await slotFor('pgoutput');
      const publications = ['by_root', 'by_leaf'];
      const pair = await openPair(
        databaseOf(server, {}, {}, pgoutput(publications)),
        { deadline: soon() },
        { deadline: soon() },
      );
      const { tables, faults } = await resolveTables(pair[0], ['public.tree', 'public.low']);
      await closeBoth(pair, clock);
      assert.deepEqual(
        tables.map(({ printed }) => printed),
        ['public.tree'],
      );
      assert.match(faults.join(), /public.low: its changes come under the name of public.tree/);
      let chunks = 0;
      const pipeline = new Pipeline(server, slot, {
        publications,
        onChunkRead: async () => {
          // Its columns are in another order, and it is behind what was read.
          if (++chunks === 1)
            await server.sql(
              'ALTER TABLE tree ATTACH PARTITION joining FOR VALUES FROM (30000) TO (40000); UPDATE tree SET v = 1 WHERE id IN (1, 30001)',
            );
          if (chunks === 2)
            await server.sql('ALTER TABLE tree DETACH PARTITION high; UPDATE tree SET v = 2 WHERE id = 30000');
        },
      });
      await ask(slot, 'public.tree');
      const { rows, givenUp } = await finish(pipeline);
      assert.deepEqual(givenUp, []);
      for (const row of await server.sql<{ id: number }>('SELECT id, v FROM tree'))
        assert.deepEqual(rows.get('public.tree')?.get(JSON.stringify({ id: row.id })), row);
    });
  }

  it('says of everything that is no such table why, and reads of a parent only its own rows', async () => {
    await server.sql(`CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
      CREATE UNLOGGED TABLE lost (id int PRIMARY KEY); CREATE MATERIALIZED VIEW stored AS SELECT 1 AS id; CREATE VIEW seen AS SELECT 1 AS id;
      CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER elsewhere_server FOREIGN DATA WRAPPER nothing; CREATE FOREIGN TABLE remote (id int) SERVER elsewhere_server`);
    const temporal = TESTED_MAJOR >= 18;
    if (temporal)
      await server.sql('CREATE TABLE temporal (a int4range, b int4range, PRIMARY KEY (a, b WITHOUT OVERLAPS))');
    const names = ['lost', 'stored', 'seen', 'remote'].map((name) => `public.${name}`);
    const connection = await openOn(server);
    const { tables, faults, missing } = await resolveTables(connection, [
      ...names,
      'pg_catalog.pg_class',
      'public.nothing_there',
      ...(temporal ? ['public.temporal'] : []),
    ]);
    await connection.client.end();
    assert.deepEqual(tables, []);
    for (const name of [...names, 'pg_catalog.pg_class'])
      assert.ok(
        faults.some((fault) => fault.startsWith(`${name}: it is no table`)),
        name,
      );
    assert.deepEqual(missing, ['There is no table "public.nothing_there".']);
    if (temporal)
      assert.ok(
        faults.some((fault) => fault.startsWith('public.temporal: its primary key has no order')),
        faults.join(),
      );
    const slot = await slotFor();
    const pipeline = new Pipeline(server, slot);
    await ask(slot, 'public.parent', 'public.child');
    const { rows } = await finish(pipeline);
    assert.deepEqual([rows.get('public.parent')?.size, rows.get('public.child')?.size], [1, 1]);
  });

  it('gives up a table with text that is not UTF-8 where the server does not know its encoding', async () => {
    await server.sql(`CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
    const client = await server.client({ database: 'bytes' });
    await client.query(`CREATE TABLE good (k text PRIMARY KEY); CREATE TABLE bad (k text PRIMARY KEY); INSERT INTO good VALUES ('a'), (convert_from('\\xc3a9', 'SQL_ASCII'));
      INSERT INTO bad VALUES (convert_from('\\xe9', 'SQL_ASCII')), (convert_from('\\xe8', 'SQL_ASCII'));`);
    await client.query(`SELECT pg_create_logical_replication_slot('bytes', 'test_decoding')`);
    const content = encodeSnapshotMessage('bytes', {
      kind: 'begin',
      id: 'b',
      begunAt: 1,
      tables: ['public.bad', 'public.good'],
      anew: false,
    });
    await client.query(`SELECT pg_logical_emit_message(false, 'pg2kinesis', $1::text), txid_current()`, [content]);
    await client.end();
    const { givenUp, rows } = await finish(new Pipeline(server, 'bytes', { database: 'bytes' }));
    assert.match(givenUp[0]?.why ?? '', /text that is not UTF-8/);
    assert.deepEqual([...(rows.get('public.good')?.values() ?? [])], [{ k: 'a' }, { k: 'é' }]);
  });
});

function quote(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
