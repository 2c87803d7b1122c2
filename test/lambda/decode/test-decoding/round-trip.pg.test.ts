/** What a real server does to rows, decoded: each kind of statement, table and replica identity against SELECT. */
import assert from 'node:assert/strict';
import { finished } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import { from as copyFrom } from 'pg-copy-streams';
import { UndecodableError } from '../../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import type { PostgresServer } from '../../../support/postgres.ts';
import { startPostgres } from '../../../support/postgres.ts';
import type { Fields, Told } from './slot-reader.ts';
import { SlotReader, UNCHANGED } from './slot-reader.ts';

const inserted = (table: string, row: Fields | undefined): Told => ({
  kind: 'change',
  operation: 'INSERT',
  table,
  old: undefined,
  new: row,
});
const updated = (table: string, old: Fields | undefined, row: Fields | undefined): Told => ({
  kind: 'change',
  operation: 'UPDATE',
  table,
  old,
  new: row,
});
const deleted = (table: string, old: Fields | undefined): Told => ({
  kind: 'change',
  operation: 'DELETE',
  table,
  old,
  new: undefined,
});

describe('changes on a real server', () => {
  let server: PostgresServer;
  let slot: SlotReader;
  /** Runs statements, each a transaction of its own, and takes the changes they made. */
  async function making(...statements: readonly string[]): Promise<Told[]> {
    for (const statement of statements) await server.sql(statement);
    return slot.changes();
  }
  before(async () => {
    server = await startPostgres();
    slot = await SlotReader.create(server, 'changes');
  });
  after(() => server.stop());

  it('tells a table without columns from no data', async () => {
    const told = await making(
      'CREATE TABLE public.bare ()',
      'INSERT INTO public.bare DEFAULT VALUES',
      'DELETE FROM public.bare',
    );
    assert.deepEqual(told, [inserted('public.bare', {}), deleted('public.bare', undefined)]);
    assert.deepEqual(
      await making(
        'ALTER TABLE public.bare REPLICA IDENTITY FULL',
        'INSERT INTO public.bare DEFAULT VALUES',
        'DELETE FROM public.bare',
      ),
      [inserted('public.bare', {}), deleted('public.bare', {})],
    );
  });

  it('decodes each replica identity', async () => {
    const identities: readonly (readonly [
      name: string,
      ddl: string,
      oldKey: Fields | undefined,
      oldOfUpdate: Fields | undefined,
    ])[] = [
      ['dflt', '', { 'id integer': '1' }, undefined],
      [
        'full_id',
        'ALTER TABLE public.full_id REPLICA IDENTITY FULL',
        { 'id integer': '1', 'u text': 'a' },
        { 'id integer': '1', 'u text': 'a' },
      ],
      ['silent', 'ALTER TABLE public.silent REPLICA IDENTITY NOTHING', undefined, undefined],
      ['indexed', 'ALTER TABLE public.indexed REPLICA IDENTITY USING INDEX indexed_u', { 'u text': 'a' }, undefined],
    ];
    for (const [name, ddl, oldKey, oldOfUpdate] of identities) {
      const table = `public.${name}`;
      await server.sql(
        `CREATE TABLE ${table} (id integer PRIMARY KEY, u text NOT NULL, n integer); CREATE UNIQUE INDEX ${name}_u ON ${table} (u); ${ddl}`,
      );
      const row = { 'id integer': '1', 'u text': 'a' };
      assert.deepEqual(await making(`INSERT INTO ${table} VALUES (1, 'a')`), [
        inserted(table, { ...row, 'n integer': null }),
      ]);
      assert.deepEqual(await making(`UPDATE ${table} SET n = 5`), [
        updated(table, oldOfUpdate, { ...row, 'n integer': '5' }),
      ]);
      const full = name === 'full_id' ? { 'n integer': '5' } : {};
      assert.deepEqual(await making(`UPDATE ${table} SET id = 2, u = 'b'`), [
        updated(table, oldKey && { ...oldKey, ...full }, { 'id integer': '2', 'u text': 'b', 'n integer': '5' }),
      ]);
      await making(`UPDATE ${table} SET id = 1, u = 'a'`);
      assert.deepEqual(await making(`DELETE FROM ${table}`), [deleted(table, oldKey && { ...oldKey, ...full })]);
    }
  });

  it('has no old key with a deferrable primary key or none, and NULLs only under full identity', async () => {
    for (const [name, key] of [
      ['later', 'PRIMARY KEY DEFERRABLE'],
      ['keyless', ''],
    ] as const) {
      const table = `public.${name}`;
      const told = await making(
        `CREATE TABLE ${table} (id integer ${key}, v text)`,
        `INSERT INTO ${table} VALUES (1)`,
        `UPDATE ${table} SET id = 2`,
        `DELETE FROM ${table}`,
      );
      assert.deepEqual(told, [
        inserted(table, { 'id integer': '1', 'v text': null }),
        updated(table, undefined, { 'id integer': '2', 'v text': null }),
        deleted(table, undefined),
      ]);
    }
    assert.deepEqual(
      await making(
        'ALTER TABLE public.keyless REPLICA IDENTITY FULL',
        'INSERT INTO public.keyless VALUES (NULL)',
        `UPDATE public.keyless SET v = 'x'`,
        `UPDATE public.keyless SET v = NULL`,
        'DELETE FROM public.keyless',
      ),
      [
        inserted('public.keyless', { 'id integer': null, 'v text': null }),
        updated('public.keyless', {}, { 'id integer': null, 'v text': 'x' }),
        updated('public.keyless', { 'v text': 'x' }, { 'id integer': null, 'v text': null }),
        deleted('public.keyless', {}),
      ],
    );
  });

  it('decodes composite keys, quoted names, and a key changed', async () => {
    const table = '"S p"."Ta:ble"';
    await server.sql(
      `CREATE SCHEMA "S p"; CREATE TABLE ${table} ("B b" text, v text, "a[]" integer, PRIMARY KEY ("a[]", "B b"))`,
    );
    const told = await making(`INSERT INTO ${table} VALUES ('it''s', 'x', 1)`, `UPDATE ${table} SET "a[]" = 2`);
    const now = (await slot.select(table))[0];
    assert.deepEqual(told, [
      inserted(table, { ...now, '"a[]" integer': '1' }),
      updated(table, { '"B b" text': "it's", '"a[]" integer': '1' }, now),
    ]);
  });

  it('decodes values stored out of line: whole, unchanged, and as part of a key', async () => {
    await server.sql(
      `CREATE TABLE public.big (id integer PRIMARY KEY, body text, n integer); ALTER TABLE public.big ALTER body SET STORAGE EXTERNAL`,
    );
    const body = `it's\n`.repeat(20_000);
    const told = await making(
      `INSERT INTO public.big VALUES (1, repeat(E'it''s\\n', 20000), 1)`,
      'UPDATE public.big SET n = 2',
    );
    const row = { 'id integer': '1', 'body text': body, 'n integer': '1' };
    assert.deepEqual(told, [
      inserted('public.big', row),
      updated('public.big', undefined, { ...row, 'body text': UNCHANGED, 'n integer': '2' }),
    ]);
    assert.deepEqual(
      await making(
        'ALTER TABLE public.big REPLICA IDENTITY FULL',
        'UPDATE public.big SET n = 3',
        'DELETE FROM public.big',
      ),
      [
        updated('public.big', { ...row, 'n integer': '2' }, { ...row, 'body text': UNCHANGED, 'n integer': '3' }),
        deleted('public.big', { ...row, 'n integer': '3' }),
      ],
    );

    await server.sql(
      `CREATE TABLE public.big_key (k text PRIMARY KEY, n integer); ALTER TABLE public.big_key ALTER k SET STORAGE EXTERNAL`,
    );
    const key = { 'k text': 'k'.repeat(2500) };
    assert.deepEqual(
      await making(
        `INSERT INTO public.big_key VALUES (repeat('k', 2500), 1)`,
        'UPDATE public.big_key SET n = 2',
        'DELETE FROM public.big_key',
      ),
      [
        inserted('public.big_key', { ...key, 'n integer': '1' }),
        // An old key without a change of it: a key column that is stored out of line.
        updated('public.big_key', key, { 'k text': UNCHANGED, 'n integer': '2' }),
        deleted('public.big_key', key),
      ],
    );
  });

  it("decodes partitions under the leaf's name, and a row that moves as DELETE and INSERT", async () => {
    const key = server.version >= 11 ? ', PRIMARY KEY (id, r)' : '';
    await server.sql(`
      CREATE TABLE public.parts (id integer, r integer${key}) PARTITION BY RANGE (r);
      CREATE TABLE public.part_1 PARTITION OF public.parts FOR VALUES FROM (0) TO (10);
      CREATE TABLE public."Part 2" PARTITION OF public.parts FOR VALUES FROM (10) TO (20);`);
    if (server.version < 11)
      await server.sql(
        'ALTER TABLE public.part_1 ADD PRIMARY KEY (id, r); ALTER TABLE public."Part 2" ADD PRIMARY KEY (id, r)',
      );
    const row = (r: string): Fields => ({ 'id integer': '1', 'r integer': r });
    assert.deepEqual(await making('INSERT INTO public.parts VALUES (1, 5)', 'UPDATE public.parts SET r = 6'), [
      inserted('public.part_1', row('5')),
      updated('public.part_1', row('5'), row('6')),
    ]);
    const move = 'UPDATE public.parts SET r = 15';
    if (server.version < 11) return assert.rejects(server.sql(move), /violates partition constraint/);
    assert.deepEqual(await making(move), [deleted('public.part_1', row('6')), inserted('public."Part 2"', row('15'))]);
    const [told] = await making('TRUNCATE public.parts');
    assert.ok(told?.kind === 'truncate');
    assert.deepEqual(
      [...told.tables].sort(),
      server.version >= 11 ? ['public."Part 2"', 'public.part_1', 'public.parts'] : [],
    );
  });

  it('decodes generated columns as the server sends them', async () => {
    if (server.version >= 12) {
      const told = await making(
        'CREATE TABLE public.stored (id integer PRIMARY KEY, d integer GENERATED ALWAYS AS (id * 2) STORED)',
        'INSERT INTO public.stored VALUES (21)',
      );
      assert.deepEqual(told, [inserted('public.stored', { 'id integer': '21', 'd integer': '42' })]);
    }
    if (server.version >= 18) {
      const told = await making(
        'CREATE TABLE public.virtual (id integer PRIMARY KEY, d integer GENERATED ALWAYS AS (id * 2) VIRTUAL)',
        'INSERT INTO public.virtual VALUES (21)',
      );
      assert.deepEqual(told, [inserted('public.virtual', { 'id integer': '21', 'd integer': null })]);
    }
    const told = await making(
      'CREATE TABLE public.ident (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)',
      `INSERT INTO public.ident (v) VALUES ('x')`,
    );
    assert.deepEqual(told, [inserted('public.ident', { 'id integer': '1', 'v text': 'x' })]);
  });

  it('decodes COPY, upsert, savepoints and rollback', async () => {
    await server.sql('CREATE TABLE public.many (id integer PRIMARY KEY, v text)');
    const client = await server.client();
    const copy = client.query(copyFrom('COPY public.many FROM STDIN'));
    copy.end(Array.from({ length: 300 }, (_, i) => `${i}\t${i % 3 === 0 ? '\\N' : `it's ${i}\\n\\\\`}\n`).join(''));
    await finished(copy);
    assert.deepEqual(
      await slot.changes(),
      (await slot.select('public.many')).map((row) => inserted('public.many', row)),
    );

    const row = (id: number, v: string | null): Fields => ({ 'id integer': String(id), 'v text': v });
    assert.deepEqual(
      await making(
        `INSERT INTO public.many VALUES (1, 'up'), (1000, 'in') ON CONFLICT (id) DO UPDATE SET v = excluded.v`,
        `INSERT INTO public.many VALUES (1, 'no') ON CONFLICT DO NOTHING`,
      ),
      [updated('public.many', undefined, row(1, 'up')), inserted('public.many', row(1000, 'in'))],
    );
    await server.sql(`BEGIN; INSERT INTO public.many VALUES (2001, 'a'); SAVEPOINT s; INSERT INTO public.many VALUES (2002, 'gone'); ROLLBACK TO s;
      SAVEPOINT t; INSERT INTO public.many VALUES (2003, 'c'); RELEASE t; COMMIT; BEGIN; INSERT INTO public.many VALUES (2004, 'gone'); ROLLBACK`);
    assert.deepEqual(await slot.read(), [
      { kind: 'begin' },
      inserted('public.many', row(2001, 'a')),
      inserted('public.many', row(2003, 'c')),
      { kind: 'commit' },
    ]);
  });

  it('decodes TRUNCATE of one table and several, with every flag', async () => {
    await server.sql(
      'CREATE TABLE public.t1 (id serial PRIMARY KEY); CREATE TABLE public."T, 2" (id integer REFERENCES public.t1); CREATE TABLE public.t3 (id serial)',
    );
    // 10 does not decode TRUNCATE at all.
    const tables = (...names: string[]): Told[] => (server.version >= 11 ? [{ kind: 'truncate', tables: names }] : []);
    assert.deepEqual(await making('TRUNCATE public.t3'), tables('public.t3'));
    assert.deepEqual(await making('TRUNCATE public.t3 RESTART IDENTITY'), tables('public.t3'));
    assert.deepEqual(
      await making('TRUNCATE public.t3, public.t1, public."T, 2"'),
      tables('public.t3', 'public.t1', 'public."T, 2"'),
    );
    assert.deepEqual(await making('TRUNCATE public.t1 CASCADE'), tables('public.t1', 'public."T, 2"'));
    assert.deepEqual(await making('TRUNCATE public.t1 RESTART IDENTITY CASCADE'), tables('public.t1', 'public."T, 2"'));
  });

  it('reads logical messages, transactional or not, of any content', async () => {
    await server.sql('CREATE TABLE public.marks ()');
    const emit = (transactional: boolean, prefix: string, content: string): string =>
      `SELECT pg_logical_emit_message(${transactional}, ${prefix}, ${content})`;
    const hostile = [
      [`'p'`, `'plain'`, 'p', 'plain'],
      [`''`, `''`, '', ''],
      [`'a, sz: 3 content:b'`, `', sz: 1 content:'`, 'a, sz: 3 content:b', ', sz: 1 content:'],
      [
        `E'COMMIT 1\\n'`,
        `E'\\nBEGIN 5\\ntable a.b: INSERT: x[text]:''y'`,
        'COMMIT 1\n',
        "\nBEGIN 5\ntable a.b: INSERT: x[text]:'y",
      ],
      [`'€'`, `'€'`, '€', Buffer.from('€').toString('latin1')],
      [`'bytes'`, `'\\xff00fe'::bytea`, 'bytes', '\xff\0\xfe'],
      // The same line as prefix `a`, content `b, sz: 1 content:c`: that no content can pass for a prefix, it is taken for that.
      [`'a, sz: 18 content:b'`, `'c'`, 'a', 'b, sz: 1 content:c'],
    ] as const;
    for (const [prefix, content, readPrefix, readContent] of hostile) {
      for (const transactional of [true, false]) {
        // The commit behind it has a message outside transactions flushed, which alone it is not.
        const told = await making(emit(transactional, prefix, content), 'INSERT INTO public.marks DEFAULT VALUES');
        const message = { kind: 'message', transactional, prefix: readPrefix, content: readContent };
        assert.deepEqual(told, [message, inserted('public.marks', {})], `${prefix} ${content}`);
      }
    }
  });

  it('decodes tables and columns that are altered, dropped or made in the same transaction', async () => {
    await server.sql(
      `CREATE TABLE public.shifty (id integer PRIMARY KEY, a text, b integer); INSERT INTO public.shifty VALUES (1, 'a', 2)`,
    );
    await server.sql(`ALTER TABLE public.shifty DROP COLUMN a; INSERT INTO public.shifty VALUES (2, 3)`);
    await server.sql(
      `ALTER TABLE public.shifty ADD COLUMN "c c" boolean; INSERT INTO public.shifty VALUES (3, 4, true)`,
    );
    await server.sql(
      `ALTER TABLE public.shifty RENAME b TO "B"; ALTER TABLE public.shifty RENAME TO moved; INSERT INTO public.moved VALUES (4, 5, false)`,
    );
    await server.sql(
      `BEGIN; CREATE TABLE public.fleeting (id integer PRIMARY KEY); INSERT INTO public.fleeting VALUES (1); DROP TABLE public.fleeting; COMMIT`,
    );
    await server.sql(`DROP TABLE public.moved`);
    assert.deepEqual(await slot.changes(), [
      inserted('public.shifty', { 'id integer': '1', 'a text': 'a', 'b integer': '2' }),
      inserted('public.shifty', { 'id integer': '2', 'b integer': '3' }),
      inserted('public.shifty', { 'id integer': '3', 'b integer': '4', '"c c" boolean': 'true' }),
      inserted('public.moved', { 'id integer': '4', '"B" integer': '5', '"c c" boolean': 'false' }),
      inserted('public.fleeting', { 'id integer': '1' }),
    ]);
  });

  it('decodes a rewritten table, which 10 shows as inserts into another', async () => {
    await server.sql(
      'CREATE TABLE public.rewritten (id integer PRIMARY KEY, v text); INSERT INTO public.rewritten VALUES (1)',
    );
    await slot.changes();
    const told = await making('ALTER TABLE public.rewritten ALTER id TYPE bigint', 'VACUUM FULL public.rewritten');
    assert.deepEqual(
      told.map((line) => line.kind === 'change' && [line.operation, line.table.replace(/\d+/, 'N'), line.new]),
      server.version >= 11 ? [] : [['INSERT', 'public.pg_temp_N', { 'id bigint': '1', 'v text': null }]],
    );
  });

  it('decodes the hidden oid of a table, which 12 removed', async () => {
    const created = server.sql('CREATE TABLE public.with_oid (id integer PRIMARY KEY) WITH OIDS');
    if (server.version >= 12) return assert.rejects(created, /WITH|OIDS/i);
    await created;
    const [told] = await making('INSERT INTO public.with_oid VALUES (1)');
    assert.ok(told?.kind === 'change' && told.new);
    assert.match(told.new['oid oid'] ?? '', /^\d+$/);
    assert.equal(told.new['id integer'], '1');
  });

  it('decodes a prepared transaction at its COMMIT PREPARED', async () => {
    await server.sql('CREATE TABLE public.prepared (id integer PRIMARY KEY)');
    await server.sql(`BEGIN; INSERT INTO public.prepared VALUES (1); PREPARE TRANSACTION 'it''s one'`);
    assert.deepEqual(await slot.read(), []);
    await server.sql(`COMMIT PREPARED 'it''s one'`);
    assert.deepEqual(await slot.read(), [
      { kind: 'begin' },
      inserted('public.prepared', { 'id integer': '1' }),
      { kind: 'commit' },
    ]);
    await server.sql(`BEGIN; INSERT INTO public.prepared VALUES (2); PREPARE TRANSACTION 'gone'`);
    await server.sql(`ROLLBACK PREPARED 'gone'`);
    assert.deepEqual(await slot.read(), []);
  });

  it('fails on the lines of a slot made with two_phase, which 14 brought', async () => {
    const creation = SlotReader.create(server, 'two_phase', true);
    if (server.version < 14) return assert.rejects(creation, /pg_create_logical_replication_slot/);
    const twoPhase = await creation;
    await server.sql('CREATE TABLE public.twice (id integer PRIMARY KEY)');
    for (const [id, end] of ['COMMIT', 'ROLLBACK'].entries()) {
      await server.sql(`BEGIN; INSERT INTO public.twice VALUES (${id}); PREPARE TRANSACTION 'it''s \\ ${end}'`);
      await server.sql(`${end} PREPARED 'it''s \\ ${end}'`);
    }
    const decoder = new TestDecodingDecoder();
    const refused = (await twoPhase.lines()).filter((line) => {
      try {
        decoder.decode(line, 0, line.length);
        return false;
      } catch (error) {
        assert.ok(
          error instanceof UndecodableError && error.expected.includes('prepared transaction') && error.offset === 0,
        );
        return true;
      }
    });
    const words = refused.map((line) => line.toString().split(' ', 2).join(' '));
    assert.deepEqual(words, ['PREPARE TRANSACTION', 'COMMIT PREPARED', 'PREPARE TRANSACTION', 'ROLLBACK PREPARED']);
  });
});
