/**
 * Logical messages of real servers as records, through each plugin that has them: their place, their content whatever it
 * is, their ids in a repeat, and rows that are the same whether messages are read or not.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';

/** A record as this file looks at it. */
interface Told {
  readonly id: string;
  readonly op: string;
  readonly prefix?: string;
  readonly content?: string;
  readonly encoding?: string;
  readonly truncated?: boolean;
  readonly transactional?: boolean;
  readonly lsn?: string;
  readonly key?: { readonly id: number };
  readonly xid?: number;
}

const emit = (transactional: boolean, prefix: string, content: string): string =>
  `SELECT pg_logical_emit_message(${transactional}, ${prefix}, ${content})`;
const row = (id: number): string => `INSERT INTO t VALUES (${id})`;

/** Each one call to the server, and what is published of it, in order: `<prefix or row> <place in its transaction>`. */
const SCRIPT: readonly (readonly [statements: string, ...published: string[]])[] = [
  // Before the first row, between rows, behind the last: up to 16 the first of them is printed before BEGIN.
  [
    `BEGIN; ${emit(true, `'a/1'`, `'x'`)}; ${row(1)}; ${emit(true, `'a/2'`, `'x'`)}; ${emit(true, `'not wanted'`, `'x'`)}; ${emit(true, `'a/3'`, `'x'`)}; ${row(2)}; ${emit(true, `'a/4'`, `'x'`)}; COMMIT`,
    'a/1 0.1',
    '1 1',
    'a/2 1.1',
    'a/3 1.3',
    '2 2',
    'a/4 2.1',
  ],
  // Of messages alone: up to 16 there is no BEGIN around it.
  [`BEGIN; ${emit(true, `'a/5'`, `'x'`)}; ${emit(true, `'a/6'`, `'x'`)}; COMMIT`, 'a/5 0.1', 'a/6 0.2'],
  // Outside the transaction it comes before it, even from one that is rolled back.
  [
    `BEGIN; ${row(3)}; ${emit(false, `'a/7'`, `'x'`)}; ${emit(true, `'a/8'`, `'x'`)}; COMMIT`,
    'a/7 m',
    '3 1',
    'a/8 1.1',
  ],
  [`BEGIN; ${row(4)}; ${emit(false, `'a/9'`, `'x'`)}; ${emit(true, `'a/10'`, `'x'`)}; ROLLBACK`, 'a/9 m'],
  // What a savepoint rolls back is gone.
  [
    `BEGIN; ${row(5)}; SAVEPOINT s; ${emit(true, `'a/11'`, `'x'`)}; ROLLBACK TO s; ${emit(true, `'a/12'`, `'x'`)}; COMMIT`,
    '5 1',
    'a/12 1.1',
  ],
  // Empty transactions, and those of catalogs alone.
  ['CREATE TABLE more (id int PRIMARY KEY); DROP TABLE more'],
  [`BEGIN; ${emit(true, `'not wanted'`, `'x'`)}; COMMIT`],
  ...[false, true].flatMap((transactional) => {
    const place = transactional ? '0.1' : 'm';
    return [
      [emit(transactional, `'a/bytes'`, `'\\xff00fe'::bytea`), `a/bytes ${place}`],
      [emit(transactional, `'a/nul'`, `'\\x610062'::bytea`), `a/nul ${place}`],
      [emit(transactional, `'a/empty'`, `''`), `a/empty ${place}`],
      [emit(transactional, `''`, `'no prefix'`), ` ${place}`],
      [emit(transactional, `'a/large'`, `repeat('x', 900 * 1024)`), `a/large ${place}`],
      [emit(transactional, `'a/over'`, `repeat('''', 1100 * 1024)`), `a/over ${place}`],
      [emit(transactional, `'a/shortened'`, `repeat('''', 5000 * 1024)`), `a/shortened ${place}`],
      [emit(transactional, `'a/é, sz: 3 content:b'`, `', sz: 1 content:é'`), `a/é, sz: 3 content:b ${place}`],
      [
        emit(transactional, `E'a/COMMIT 1\\n'`, `E'\\nBEGIN 5\\ntable a.b: INSERT: x[text]:''y'`),
        `a/COMMIT 1\n ${place}`,
      ],
    ] as const;
  }),
  // It has what is outside of transactions flushed.
  [row(6), '6 1'],
];

const CONTENTS: Readonly<Record<string, readonly [content: string | undefined, encoding?: string]>> = {
  'a/bytes': ['/wD+', 'base64'],
  'a/nul': ['a\0b'],
  'a/empty': [''],
  '': ['no prefix'],
  'a/large': ['x'.repeat(900 * 1024)],
  'a/over': [undefined],
  'a/shortened': [undefined],
  'a/é, sz: 3 content:b': [', sz: 1 content:é'],
  'a/COMMIT 1\n': ["\nBEGIN 5\ntable a.b: INSERT: x[text]:'y"],
};

const PLUGINS = TESTED_MAJOR >= 14 ? (['test_decoding', 'pgoutput'] as const) : (['test_decoding'] as const);

describe('logical messages', () => {
  let server: PostgresServer;
  const slots = PLUGINS.flatMap((plugin) => ['first', 'again', 'off', 'cut'].map((use) => `${use}_of_${plugin}`));
  const pipeline = (slot: string, options: PipelineOptions = {}): Pipeline =>
    new Pipeline(server, slot, {
      messages: slot.startsWith('off') ? '' : 'a/.*,',
      ...(slot.endsWith('pgoutput') ? { publications: ['everything'] } : {}),
      ...options,
    });
  const all = async (slot: string, options: PipelineOptions = {}): Promise<Told[]> => {
    const made = pipeline(slot, { ...options });
    for (let runs = 0; runs < 40; runs++) {
      if ((await made.run()).caughtUp) return made.records as unknown as Told[];
    }
    throw new Error('never caught up');
  };
  const place = ({ id, key, prefix }: Told): string => `${prefix ?? key?.id} ${id.replace(/^.*#/, '')}`;

  before(async () => {
    server = await startPostgres();
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
    if (TESTED_MAJOR >= 14) await server.sql('CREATE PUBLICATION everything FOR ALL TABLES');
    for (const slot of slots) await server.createSlot(slot, slot.replace(/^.*_of_/, ''));
    for (const [statements] of SCRIPT) await server.sql(statements);
  });
  after(() => server.stop());

  const expected = SCRIPT.flatMap(([, ...published]) => published).filter((each) => !each.startsWith(' '));
  const results = new Map<string, Told[]>();

  for (const plugin of PLUGINS) {
    it(`are records in their place, by ${plugin}`, async () => {
      const made = pipeline(`first_of_${plugin}`, { messages: 'a/.*|' });
      const answer = await made.run();
      const records = made.records as unknown as Told[];
      results.set(plugin, records);
      const published = SCRIPT.flatMap(([, ...each]) => each);
      assert.deepEqual(records.map(place), published);
      const messages = published.length - 5;
      assert.deepEqual(
        [answer.caughtUp, answer.published, answer.messages, answer.messagesSkipped, answer.truncated],
        [true, 5, messages, 2, 4],
      );
      for (const record of records) {
        assert.equal(record.transactional, record.op === 'MESSAGE' ? !record.id.endsWith('#m') : undefined);
        const [content, encoding] = CONTENTS[record.prefix ?? '-'] ?? [record.op === 'MESSAGE' ? 'x' : undefined];
        assert.equal(record.content, content, record.prefix);
        assert.equal(record.encoding, encoding);
        assert.equal(record.truncated, record.op === 'MESSAGE' && content === undefined ? true : undefined);
      }
    });

    it(`leave rows their ids, and come again with theirs, by ${plugin}`, async () => {
      const records = results.get(plugin) ?? [];
      assert.deepEqual(
        (await all(`off_of_${plugin}`)).map(({ id }) => id),
        records.filter(({ op }) => op !== 'MESSAGE').map(({ id }) => id),
      );
      assert.deepEqual(
        (await all(`again_of_${plugin}`, { messages: 'a/.*|' })).map(({ id }) => id),
        records.map(({ id }) => id),
      );
      // In peeks of one transaction each: a message behind a COMMIT is read in two of them.
      assert.deepEqual(
        (await all(`cut_of_${plugin}`, { messages: 'a/.*|', maxRows: 3 })).map(({ id }) => id),
        records.map(({ id }) => id),
      );
    });
  }

  it('are the same through each plugin', () => {
    const [first, ...others] = PLUGINS.map((plugin) => results.get(plugin));
    assert.ok((first?.length ?? 0) >= expected.length);
    for (const other of others) assert.deepEqual(other, first);
  });

  it('are the way of an outbox without a table: one is atomic with its rows', async () => {
    await server.createSlot('outbox');
    await server.sql(`BEGIN; ${row(7)}; ${emit(true, `'a/42'`, `'{"paid":true}'`)}; COMMIT`);
    const made = pipeline('outbox');
    await made.run();
    const records = made.records as unknown as Told[];
    assert.equal(new Set(records.map(({ xid }) => xid)).size, 1);
    assert.deepEqual(records.map(place), ['7 1', 'a/42 1.1']);
  });

  it('of Debezium and of a formatter are made on the same way', async () => {
    await server.createSlot('debezium');
    await server.createSlot('module');
    await server.sql(`BEGIN; ${emit(true, `'a/42'`, `'\\xff'::bytea`)}; ${row(8)}; COMMIT`);
    const debezium = pipeline('debezium', { format: 'debezium' });
    await debezium.run();
    const [message] = debezium.published.map((text) => JSON.parse(text) as { op: string; message?: unknown });
    assert.deepEqual([message?.op, message?.message], ['m', { prefix: 'a/42', content: '/w==' }]);
    const module = pipeline('module', {
      format: 'module',
      formatOptions: {
        formatter: {
          format: ({ key }) => ({ data: `row ${JSON.stringify(key)}` }),
          formatMessage: ({ prefix, content }) => ({ data: `${prefix} ${JSON.stringify([...(content ?? [])])}` }),
        },
      },
    });
    await module.run();
    assert.deepEqual(module.published, ['a/42 [255]', 'row {"id":8}']);
  });

  it('outside of transactions, before one that is skipped, are published by the run that fails at it', async () => {
    await server.createSlot('skipped');
    await server.sql(emit(false, `'a/before'`, `'x'`));
    await server.sql(
      `BEGIN; ${row(9)}; ${emit(false, `'a/within'`, `'x'`)}; ${emit(true, `'a/inside'`, `'x'`)}; COMMIT`,
    );
    await server.sql(emit(false, `'a/behind'`, `'x'`));
    await server.sql(row(10));
    const made = pipeline('skipped', {
      format: 'module',
      formatOptions: {
        formatter: {
          format: ({ key }) => {
            if (key?.['id'] === 9) throw new Error('as expected');
            return { data: `row ${JSON.stringify(key)}` };
          },
          formatMessage: ({ prefix }) => ({ data: prefix }),
        },
      },
    });
    const error = await made.run().catch((caught: unknown) => caught as Error);
    assert.ok(error instanceof Error);
    assert.match(error.message, /^FORMAT_FAILED/);
    await made.skip(/commit LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(error.message)?.[1] ?? '');
    assert.equal((await made.run()).caughtUp, true);
    assert.deepEqual(made.published, ['a/before', 'a/within', 'a/behind', 'row {"id":10}']);
  });

  for (const [encoding, prefix] of [
    ['LATIN1', 'a/é'],
    ['SQL_ASCII', 'a/e'],
  ] as const) {
    it(`keep their content's bytes in a database of ${encoding}, whose prefixes are put in UTF-8`, async () => {
      const name = encoding.toLowerCase();
      await server.sql(`CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
      const client = await server.client({ database: name });
      await client.query('CREATE TABLE t (id int PRIMARY KEY)');
      await client.query(`SELECT pg_create_logical_replication_slot('${name}', 'test_decoding')`);
      await client.query(
        `BEGIN; ${emit(true, `'${prefix}'`, `'\\xe9ff'::bytea`)}; ${emit(true, `'a/text'`, `'plain'`)}; ${row(1)}; COMMIT`,
      );
      await client.end();
      const made = pipeline(name, { database: name });
      await made.run();
      const records = made.records as unknown as Told[];
      assert.deepEqual(
        records.map((record) => [record.prefix, record.content, record.encoding]),
        [
          [prefix, '6f8=', 'base64'],
          ['a/text', 'plain', undefined],
          [undefined, undefined, undefined],
        ],
      );
    });
  }

  // The suite runs on 13, too.
  if (TESTED_MAJOR >= 11 && TESTED_MAJOR < 14) {
    it('are refused with pgoutput before PostgreSQL 14, before anything is read', async () => {
      await server.sql('CREATE PUBLICATION everything FOR ALL TABLES');
      await server.createSlot('old', 'pgoutput');
      await assert.rejects(pipeline('old', { publications: ['everything'] }).run(), (error: Error) => {
        assert.match(error.message, /^CONFIG_INVALID: MESSAGES cannot be set with PLUGIN "pgoutput".*Nothing was read/);
        return true;
      });
    });
  }
});
