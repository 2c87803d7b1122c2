/** How a chunk of a table is asked for, what is made of the answer, and what becomes of a table that cannot be read. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pg from 'pg';
import { ValueKind } from '../../../lambda/decode/messages.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { SnapshotReader } from '../../../lambda/postgres/snapshot-reader.ts';
import type { ChunkRequest } from '../../../lambda/snapshot/chunk.ts';
import { type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';

const TABLE = {
  oid: 20_000,
  printed: 'public.t',
  schema: 'public',
  name: 't',
  partitioned: false,
  is_table: true,
  key: [{ printed: 'id', cast: 'integer', base: 'integer', collation: null, greater: '>', equal: '=' }],
  deferrable: false,
  is_btree: true,
  holds: true,
  may_read: true,
  hides_rows: false,
  comes_under: null,
  published: true,
  columns: [
    { name: 'id', printed: 'id', type: 'integer' },
    { name: 'v', printed: 'v', type: 'text' },
  ],
  ancestors: null,
  filter: null,
};
const SIGNATURE = '[20000,["id","integer",">"]]';
const REQUEST: ChunkRequest = {
  table: 'public.t',
  key: undefined,
  cursor: undefined,
  asked: undefined,
  barrier: undefined,
};
const lines = (...rows: readonly string[]) => ({ copy: rows.map((row) => Buffer.from(`${row}\n`)) });

interface Case {
  readonly replies?: readonly (readonly [string, Reply])[];
  readonly table?: object;
  readonly kind?: string;
  readonly rows?: Reply;
  readonly encoding?: string;
  readonly maxRecordBytes?: number;
}

/** A reader, whose time-outs never pass. */
async function reading({
  replies = [],
  table = {},
  kind = 'r',
  rows = lines('1\ta', '2\tb'),
  encoding = 'UTF8',
  maxRecordBytes = 1_000_000,
}: Case = {}) {
  const server = await startScriptedPostgres([
    ...replies,
    ['AS relkind', [{ relkind: kind }]],
    ['AS snapshot', [{ snapshot: '100:110:105' }]],
    ['to_regclass($1)', [{ ...TABLE, ...table }]],
    ['COPY (', rows],
  ]);
  const connect = async () => {
    const client = new pg.Client({
      host: server.host,
      port: server.port,
      user: 'u',
      database: 'd',
      password: () => '',
      ssl: false,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const context = { host: 'db', port: 5432, database: 'app', user: 'cdc', auth: 'password' };
  const connection = (client: pg.Client, pid: number) =>
    ({
      client,
      pid,
      query: async (text: string, values?: unknown[]) => await client.query(text, values),
      versionNum: 160004,
      encoding,
      plugin: TEST_DECODING,
      context,
    }) as unknown as Connection;
  const clock: Clock = {
    now: () => 0,
    random: () => 0,
    sleep: (_, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) resolve();
        signal?.addEventListener('abort', () => resolve());
      }),
  };
  const [one, other] = [await connect(), await connect()];
  const snapshots = new SnapshotReader({
    main: connection(one, 101),
    control: connection(other, 102),
    clock,
    maxRecordBytes,
  });
  const read = (request: Partial<ChunkRequest> = {}, maxBytes = 1_000_000, firstRowMs = 5_000) =>
    snapshots.read({ ...REQUEST, ...request }, maxBytes, firstRowMs);
  /** @returns the chunk, in short */
  const chunkOf = async (...request: Parameters<typeof read>) => {
    const answer = await read(...request);
    if (answer.kind !== 'chunk') return assert.fail(JSON.stringify(answer));
    const { chunk, bytes } = answer;
    const { table, key, last, atEnd, asked, rows: found } = chunk;
    const sees = (xid: number) => chunk.sees(xid);
    return { table, key, last, atEnd, asked, bytes, sees, keys: [...found.keys()], held: [...found.values()] };
  };
  const copies = () => server.sent.filter(({ text }) => text.startsWith('COPY')).map(({ text }) => text);
  return {
    ...server,
    nextXid: () => snapshots.nextXid(),
    write: (content: string) => snapshots.write(content),
    read,
    chunkOf,
    copies,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([one.end(), other.end()].map((each) => each.catch(() => undefined)));
      await server[Symbol.asyncDispose]();
    },
  };
}

describe('a chunk of a table', () => {
  it('is read under its lock, in one snapshot that is taken behind it, and the transaction is given back', async () => {
    await using server = await reading();
    await server.chunkOf();
    const texts = server.sent.map(({ text }) => text);
    assert.deepEqual(
      ['AS relkind', 'BEGIN ISOLATION', 'LOCK TABLE', 'AS snapshot', 'to_regclass', 'COPY (', 'ROLLBACK'].map((part) =>
        texts.findIndex((text) => text.includes(part)),
      ),
      [0, 1, 2, 3, 4, 5, 6],
    );
    assert.deepEqual(server.sent[0]?.values, ['public', 't']);
    assert.match(
      texts[1] ?? '',
      /^BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;.*lock_timeout = 2000;.*row_security = off;.*enable_seqscan = off;.*enable_sort = off;.*enable_hashjoin = off$/s,
    );
    assert.equal(texts[2], 'LOCK TABLE ONLY "public"."t" IN ACCESS SHARE MODE');
    assert.deepEqual(server.sent[4]?.values, ['"public"."t"']);
    assert.ok(server.sent.every(({ pid }) => pid === 101));
  });

  it('has its rows by key, its end, its size, and what its snapshot sees', async () => {
    await using server = await reading();
    const { sees, held, ...chunk } = await server.chunkOf();
    assert.deepEqual(chunk, {
      table: 'public.t',
      key: SIGNATURE,
      keys: ['1', '2'],
      last: ['2'],
      atEnd: true,
      asked: undefined,
      bytes: 8,
    });
    assert.deepEqual([sees(99), sees(104), sees(105), sees(110)], [true, true, false, false]);
    assert.deepEqual(
      held.map(({ rows, index }) => rows.text(index, 1)),
      ['a', 'b'],
    );
  });

  it('knows the types that COPY prints in a way of its own', async () => {
    const types = ['boolean', 'bit', 'bit varying', 'text', 'mood'];
    const columns = [
      ...TABLE.columns.slice(0, 1),
      ...types.map((type, i) => ({ name: `c${i}`, printed: `c${i}`, type })),
    ];
    await using server = await reading({ table: { columns }, rows: lines('1\tt\t101\t11\tx\ty') });
    const [row] = (await server.chunkOf()).held;
    assert.deepEqual(
      row?.rows.columns.map(({ kind }) => kind),
      [ValueKind.quoted, ValueKind.boolean, ValueKind.bits, ValueKind.bits, ValueKind.quoted, ValueKind.quoted],
    );
  });

  it('of a partitioned table is read with its partitions', async () => {
    await using server = await reading({ kind: 'p', table: { partitioned: true } });
    await server.chunkOf();
    assert.ok(server.sent.some(({ text }) => text === 'LOCK TABLE "public"."t" IN ACCESS SHARE MODE'));
  });

  it('asks for so many rows as fit, once it is known how large they are', async () => {
    const limitOf = (text = '') => Number(/LIMIT (\d+)\)/.exec(text)?.[1]);
    await using server = await reading();
    await server.chunkOf({}, 1_000_000);
    await server.chunkOf({}, 100_001);
    await server.chunkOf({}, 1_000_000);
    await server.chunkOf({}, 1);
    assert.deepEqual(server.copies().map(limitOf), [2_000, 20_000, 20_000, 1]);
    await server.chunkOf({}, 4_003);
    assert.equal(limitOf(server.copies().at(-1)), 1_000);
    await using small = await reading();
    await small.chunkOf({}, 20_199);
    assert.deepEqual(small.copies().map(limitOf), [100]);
    // What an empty chunk says of their size is nothing.
    await using empty = await reading({ rows: lines() });
    await empty.chunkOf({}, 20_000);
    await empty.chunkOf({}, 20_000);
    assert.deepEqual(empty.copies().map(limitOf), [100, 100]);
  });

  it('is not the last one where it is full', async () => {
    await using server = await reading();
    assert.equal((await server.chunkOf({}, 400)).atEnd, false);
    await using empty = await reading({ rows: lines() });
    const { last, atEnd, keys } = await empty.chunkOf({}, 400);
    assert.deepEqual([last, atEnd, keys], [undefined, true, []]);
  });

  it('begins behind the cursor', async () => {
    await using server = await reading();
    await server.chunkOf({ cursor: ['7'], key: SIGNATURE });
    assert.match(server.copies()[0] ?? '', /WHERE id > '7'::integer ORDER BY id LIMIT 2000/);
  });

  it('is cut where its rows are more than twice as large as thought, and the next asks for less', async () => {
    const row = (id: number) => `${id}\t${'x'.repeat(96)}`;
    const pieces = Array.from({ length: 100 }, (_, i) => row(i + 10));
    await using server = await reading({ rows: lines(...pieces) });
    const { atEnd, keys, last, bytes } = await server.chunkOf({}, 1_000);
    assert.deepEqual([atEnd, bytes > 2_000, last], [false, true, [keys.at(-1)]]);
    assert.ok(keys.length >= 20 && keys.length < 100, `${keys.length}`);
    await server.chunkOf({}, 1_000);
    assert.match(server.copies()[1] ?? '', /LIMIT (9|10)\)/);
    // Up to twice as large is let pass.
    await using whole = await reading({ rows: lines(...pieces) });
    assert.equal((await whole.chunkOf({}, 5_000)).keys.length, 100);
  });

  it('holds what the publications’ filter lets in, and goes on behind the others, too', async () => {
    await using server = await reading({ table: { filter: 'v > 0' }, rows: lines('1\ta\tt', '2\tb\tf') });
    const { keys, last } = await server.chunkOf();
    assert.deepEqual([keys, last], [['1'], ['2']]);
  });

  describe('asked for by keys', () => {
    it('has those, and says nothing of the table’s end', async () => {
      await using server = await reading();
      const asked = [['1'], ['2'], ['3']];
      const { keys, last, atEnd, asked: answered } = await server.chunkOf({ asked });
      assert.deepEqual([keys, last, atEnd, answered], [['1', '2'], undefined, false, asked]);
      assert.match(
        server.copies()[0] ?? '',
        /WHERE \(id = '1'::integer\) OR \(id = '2'::integer\) OR \(id = '3'::integer\)\) TO/,
      );
    });

    it('says of those alone that came before it was cut', async () => {
      const long = (id: number) => `${id}\t${'x'.repeat(300)}`;
      await using server = await reading({ rows: lines(long(1), long(2), long(3)) });
      const { asked, keys } = await server.chunkOf({ asked: [['3'], ['1'], ['9']] }, 100);
      assert.deepEqual(asked, [['1']]);
      assert.deepEqual(keys, ['1']);
    });

    it('is asked for one of them where it cannot be said which came', async () => {
      const long = `1.00\t${'x'.repeat(300)}`;
      await using server = await reading({ rows: lines(long, long) });
      const { asked } = await server.chunkOf({ asked: [['1.0'], ['2.0']] }, 100);
      assert.deepEqual(asked, [['1.0']]);
      assert.match(server.copies()[1] ?? '', /WHERE \(id = '1\.0'::integer\)\) TO/);
      assert.equal(server.copies().length, 2);
    });
  });
});

describe('a table', () => {
  for (const [what, given, request, why] of [
    ['has a name that is none', {}, { table: 'public.T' }, 'its name is none'],
    ['is gone', { replies: [['AS relkind', []]] }, {}, 'it does not exist any more'],
    ['goes meanwhile', { replies: [['to_regclass', []]] }, {}, 'it does not exist any more'],
    ['is a view', { kind: 'v' }, {}, /^it is no table/],
    ['has lost its key', { table: { key: null } }, {}, 'it has no primary key'],
    ['has another key', {}, { key: '[1]', cursor: ['1'] }, 'its primary key was altered, or the table was made anew'],
    [
      'holds what is not UTF-8',
      { encoding: 'SQL_ASCII', rows: { copy: [Buffer.from([49, 9, 0xff, 10])] } },
      {},
      /^it holds text that is not UTF-8/,
    ],
    ['is gone by its lock', { replies: [['LOCK TABLE', '42P01']] }, {}, 'it does not exist any more'],
    ['has no schema', { replies: [['LOCK TABLE', '3F000']] }, {}, 'it does not exist any more'],
    ['cannot be locked, being none', { replies: [['LOCK TABLE', '42809']] }, {}, /^it is no table/],
    ['may not be read', { replies: [['COPY (', '42501']] }, {}, 'this role may not read all of its rows'],
    ...[
      '0A000',
      '21000',
      '22P02',
      '23514',
      '39000',
      '42703',
      '44000',
      '45000',
      '54000',
      '55000',
      'P0001',
      'WX001',
      'XX001',
    ].map(
      (code) =>
        [`fails with ${code}`, { replies: [['COPY (', code]] }, {}, `the server cannot read it (${code})`] as const,
    ),
  ] as const)
    it(`that ${what} is refused, and the connection is free`, async () => {
      await using server = await reading(given);
      const answer = await server.read(request);
      if (answer.kind !== 'refused') return assert.fail(JSON.stringify(answer));
      if (typeof why === 'string') assert.equal(answer.why, why);
      else assert.match(answer.why, why);
      if (server.sent.some(({ text }) => text.startsWith('BEGIN'))) assert.equal(server.sent.at(-1)?.text, 'ROLLBACK');
      else assert.ok(!server.sent.some(({ text }) => text.startsWith('LOCK')));
    });

  for (const [code, what] of [
    ['55P03', 'a lock on public.t'],
    ['40P01', 'a lock on public.t'],
    ['57014', 'the next row of public.t, which took more than 5 s to find'],
    ['53200', 'the server, which failed with 53200 on public.t'],
    ['58030', 'the server, which failed with 58030 on public.t'],
  ] as const)
    it(`that fails with ${code} is waited for`, async () => {
      await using server = await reading({ replies: [['COPY (', code]] });
      assert.deepEqual(await server.read(), { kind: 'waiting', what });
      assert.equal(server.sent.at(-1)?.text, 'ROLLBACK');
    });

  it('is no reason for an error of the connection', async () => {
    // The last five characters of the other are no SQLSTATE.
    for (const code of ['57P01', 'ECONNRESET']) {
      await using server = await reading({ replies: [['LOCK TABLE', code]] });
      await assert.rejects(server.read(), { code: 'DATABASE_UNREACHABLE' });
    }
  });

  it('is read once everything from before its barrier is over', async () => {
    await using server = await reading();
    assert.deepEqual(await server.read({ barrier: 101n }), {
      kind: 'waiting',
      what: 'transaction 100, which began before it',
    });
    assert.equal(server.copies().length, 0);
    assert.equal((await server.read({ barrier: 100n })).kind, 'chunk');
  });
});

describe('the connection that writes', () => {
  it('says which transaction is next, and what was written', async () => {
    await using server = await reading({
      replies: [
        ['txid_snapshot_xmax', [{ xid: '4294967300' }]],
        ['pg_logical_emit_message', [{ xid: 4, micros: '1767400000000001', lsn: '0/1' }]],
      ],
    });
    assert.equal(await server.nextXid(), 4_294_967_300n);
    assert.deepEqual(await server.write('text'), { xid: 4, micros: 1_767_400_000_000_001n });
    assert.deepEqual(
      server.sent.map(({ pid }) => pid),
      [102, 102],
    );
    assert.deepEqual(server.sent[1]?.values, ['text']);
  });

  it('says in the operator’s words what it met', async () => {
    await using server = await reading({
      replies: [
        ['txid_snapshot_xmax', '57P01'],
        ['pg_logical_emit_message', '57P01'],
      ],
    });
    await assert.rejects(server.nextXid(), { code: 'DATABASE_UNREACHABLE' });
    await assert.rejects(server.write('text'), { code: 'DATABASE_UNREACHABLE' });
  });
});
