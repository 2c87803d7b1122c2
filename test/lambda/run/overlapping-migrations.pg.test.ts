/**
 * Tables that are altered by a transaction which had begun before rows were written to them: transaction ids say nothing
 * of the order then. What must not be seen stays out, and what was written afterwards is published.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { PluginName } from '../../../lambda/decode/plugin-names.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { type JsonRecord, Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';

const SETUP = `CREATE TABLE top (id int NOT NULL, d int NOT NULL, ssn text) PARTITION BY RANGE (d);
  CREATE TABLE mid PARTITION OF top FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (d);
  CREATE TABLE leaf PARTITION OF mid FOR VALUES FROM (0) TO (10); ALTER TABLE leaf ADD PRIMARY KEY (id, d);
  CREATE TABLE plain (id int NOT NULL, d int NOT NULL, ssn text, PRIMARY KEY (id, d)); CREATE TABLE other (id int PRIMARY KEY)`;

const DETACH = 'ALTER TABLE mid DETACH PARTITION leaf';

interface Case {
  readonly what: string;
  /** What the first transaction begins with. @default it writes to another table */
  readonly begin?: string;
  /** What is done and over before the row is written. */
  readonly between?: string;
  /** What the first transaction ends with. */
  readonly alter: string;
  /** Written when both are over. @default a row of the leaf */
  readonly later?: string;
  readonly options?: PipelineOptions;
  readonly expected: readonly string[];
  /** Also tried with pgoutput. */
  readonly everyPlugin?: true;
  /** Whether a row is left out in doubt, so that the log names its table. @default true */
  readonly doubt?: false;
}

const OTHER = 'INSERT other {"id":1}';
const LATER = 'INSERT leaf {"id":9,"d":1}';

const CASES: readonly Case[] = [
  { what: 'a leaf is detached', alter: DETACH, everyPlugin: true, expected: [OTHER, LATER] },
  { what: 'a middle level is detached', alter: 'ALTER TABLE top DETACH PARTITION mid', expected: [OTHER, LATER] },
  { what: 'the parent is renamed', alter: 'ALTER TABLE top RENAME TO summit', expected: [OTHER, LATER] },
  {
    what: 'the parent is moved to another schema',
    alter: 'CREATE SCHEMA elsewhere; ALTER TABLE top SET SCHEMA elsewhere',
    expected: [OTHER, LATER],
  },
  {
    what: 'a leaf is dropped, and another table made with its name',
    alter: 'DROP TABLE leaf; CREATE TABLE leaf (id int, d int, ssn text, PRIMARY KEY (id, d))',
    expected: [OTHER, LATER],
  },
  {
    what: 'another table takes the name of a leaf',
    alter: 'ALTER TABLE leaf RENAME TO leaf_old; ALTER TABLE plain RENAME TO leaf',
    expected: [OTHER, LATER],
  },
  {
    what: 'a leaf is detached in a subtransaction that had an id before',
    begin: 'SAVEPOINT s; INSERT INTO other VALUES (1)',
    alter: `${DETACH}; RELEASE s`,
    everyPlugin: true,
    expected: [OTHER, LATER],
  },
  {
    what: 'a leaf is detached, after a younger transaction has altered it',
    between: 'ALTER TABLE leaf RENAME TO sheet; ALTER TABLE sheet RENAME TO leaf',
    alter: DETACH,
    expected: [OTHER, LATER],
  },
  {
    what: 'a leaf is detached behind the end of the batch',
    alter: DETACH,
    options: { maxRows: 1 },
    everyPlugin: true,
    expected: [OTHER, LATER],
  },
  {
    what: 'a leaf is detached, and a column must not be seen',
    alter: DETACH,
    options: { exclude: 'public\\.nothing', columns: 'public\\.top\\.ssn' },
    expected: [OTHER, LATER],
  },
  {
    what: 'another table is made: that is no doubt',
    alter: 'CREATE TABLE fresh (id int PRIMARY KEY)',
    later: 'INSERT INTO fresh VALUES (9)',
    everyPlugin: true,
    expected: [OTHER, 'INSERT fresh {"id":9}'],
    doubt: false,
  },
];

const PLUGINS: readonly PluginName[] = TESTED_MAJOR === 10 ? ['test_decoding'] : ['test_decoding', 'pgoutput'];

describe('a table is altered by a transaction that had begun before its rows were written', () => {
  let server: PostgresServer;
  let slots = 0;
  before(async () => {
    server = await startPostgres({ settings: { max_replication_slots: '2' } });
  });
  after(() => server.stop());

  /** Plays a case, and reads it in a container that has seen nothing. @returns what came of it */
  async function trial({ begin, between, alter, later, options }: Omit<Case, 'what' | 'expected'>, plugin: PluginName) {
    const slot = `overlap_${++slots}`;
    await server.sql('DROP SCHEMA IF EXISTS elsewhere CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await server.sql(SETUP);
    const isPublished = plugin === 'pgoutput';
    if (isPublished) await server.sql('DROP PUBLICATION IF EXISTS p; CREATE PUBLICATION p FOR ALL TABLES');
    await server.createSlot(slot, plugin);
    const [first, second] = [await server.client(), await server.client()];
    await first.query(`BEGIN; ${begin ?? 'INSERT INTO other VALUES (1)'}`);
    if (between !== undefined) await second.query(between);
    await second.query(`INSERT INTO top VALUES (1, 1, 'secret')`);
    await first.query(`${alter}; COMMIT`);
    await second.query(later ?? 'INSERT INTO leaf (id, d) VALUES (9, 1)');
    await Promise.all([first.end(), second.end()]);
    const publications = isPublished ? { publications: ['p'] } : {};
    const pipeline = new Pipeline(server, slot, { exclude: 'public\\.top', ...publications, ...options });
    const answer = await pipeline.run();
    await server.sql(`SELECT pg_drop_replication_slot('${slot}')`);
    assert.doesNotMatch(pipeline.published.join('\n'), /secret/);
    assert.equal(
      answer.changes,
      answer.published + answer.skipped.filtered,
      'I9: every change is published or counted',
    );
    const shown = pipeline.records.map(({ op, table, key }: JsonRecord) => `${op} ${table} ${JSON.stringify(key)}`);
    return { answer, shown: shown.toSorted(), pipeline };
  }

  for (const plugin of PLUGINS)
    for (const each of CASES.filter(({ everyPlugin }) => everyPlugin === true || plugin === 'test_decoding'))
      it(`${plugin}: ${each.what}`, async () => {
        const { answer, shown, pipeline } = await trial(each, plugin);
        assert.deepEqual(shown, each.expected.toSorted());
        assert.equal(answer.skipped.filtered, 1);
        assert.equal(pipeline.warnings.length, each.doubt === false ? 0 : 1, 'a table in doubt is named');
      });

  // Before 12 no slot can be copied, and before 15 pgoutput itself shows every transaction.
  if (TESTED_MAJOR >= 15)
    it('leaves out what is in doubt where there is no answer: no slot is free for pgoutput', async () => {
      await server.sql(`SELECT pg_create_physical_replication_slot('another')`);
      const { shown, pipeline } = await trial({ alter: DETACH }, 'pgoutput');
      assert.deepEqual(shown, [OTHER]);
      assert.equal(pipeline.warnings.length, 1);
      assert.match(pipeline.recorder.lines.join('\n'), /^info The server could not say/m);
      await server.sql(`SELECT pg_drop_replication_slot('another')`);
    });
});
