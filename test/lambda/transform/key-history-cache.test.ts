/** Primary keys at write time: when the WAL is asked, for what, and what becomes of rows by the answer. The server is a fake. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KeyHistoryEntry } from '../../../lambda/decode/wal2json/key-history-entry.ts';
import type { KeyQuestion, TableEntry } from '../../../lambda/ports/catalogs.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { compilePatterns, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

type Stretch = Partial<KeyHistoryEntry> & Pick<KeyHistoryEntry, 'table' | 'key'>;

/** The fake's transactions have the ids 700, 701 and so on. */
const AFTER_ALL = 10_000;

async function publish(
  transactions: readonly (readonly string[])[],
  catalog: Record<string, Partial<TableEntry>>,
  answers: readonly Stretch[] | undefined,
  options: Partial<RunOptions> = {},
  overBefore: number | null = 600,
): Promise<{ records: string[]; answer: RunAnswer; asked: KeyQuestion[] }> {
  const slot = new FakeSlot();
  const commits = transactions.map((lines) => slot.commit(...lines));
  const keys = new FakeKeys(catalog);
  keys.overBefore = overBefore ?? undefined;
  const kit = runKit(slot, keys);
  const asked: KeyQuestion[] = [];
  const read = (question: KeyQuestion) => {
    asked.push(question);
    return Promise.resolve(
      answers?.map((each) => ({ commitLsn: commits[0] ?? 0n, lsn: 0n, inserted: true, schema: 'public', ...each })),
    );
  };
  const session = { ...kit.session, keyHistory: { read } };
  const answer = await run({ ...kit.ports, session }, kit.options(options));
  const left = Object.values<number>({ ...answer.skipped }).reduce((sum, count) => sum + count, 0);
  assert.equal(answer.changes, answer.published + left, 'I9');
  return { records: kit.publisher.acknowledged.map((record) => record.replace(/0,CDC,\d+,/, '')), answer, asked };
}

const INSERT = 'table public.t: INSERT: id[integer]:1 code[integer]:2';
/** A key that is younger than the changes. */
const YOUNG = { keySince: 9_000, seenFrom: AFTER_ALL };

describe('the WAL is asked for keys', () => {
  for (const [what, catalog, overBefore, expected] of [
    ['of a table whose key is younger than its change', { 'public.t': YOUNG }, 600, ['public.t']],
    [
      'of a table without a key, that may have had one',
      { 'public.t': { key: [], seenFrom: AFTER_ALL } },
      600,
      ['public.t'],
    ],
    ['of no table that was seen so before', { 'public.t': { ...YOUNG, seenFrom: 700 } }, 600, undefined],
    [
      'of no table whose key was made before all that is unread',
      { 'public.t': { keySince: 599, seenFrom: AFTER_ALL } },
      600,
      undefined,
    ],
    ['where nothing tells what is unread', { 'public.t': { keySince: 599, seenFrom: AFTER_ALL } }, null, ['public.t']],
    ['of no materialised view', { 'public.t': { isTable: false, key: [], seenFrom: AFTER_ALL } }, 600, undefined],
    [
      'together with other tables in doubt',
      { 'public.t': YOUNG, 'public.u': YOUNG, 'public.old': { keySince: 1 } },
      600,
      ['public.t', 'public.u'],
    ],
  ] as const) {
    it(what, async () => {
      const { asked } = await publish([[INSERT, INSERT], [INSERT]], catalog, [], {}, overBefore);
      assert.deepEqual(
        asked.map(({ tables }) => tables?.map(({ schema, name }) => `${schema}.${name}`)),
        expected === undefined ? [] : [expected],
      );
    });
  }

  it('of no table that is filtered', async () => {
    const { asked } = await publish([[INSERT]], {}, [], {
      filters: { ...NO_FILTERS, tableExclude: compilePatterns('public\\.t') },
    });
    assert.deepEqual(asked, []);
  });

  it('of all tables at once where the catalogs do not know one; of INSERTs only where others would tell nothing', async () => {
    const lines = Array.from({ length: 50 }, (_, i) => `table public.tmp_${i}: INSERT: id[integer]:1`);
    const { asked, answer } = await publish(
      [['table public.bare: INSERT: id[integer]:1', ...lines]],
      { 'public.bare': { key: [], seenFrom: AFTER_ALL } },
      [],
    );
    assert.deepEqual(
      asked.map(({ tables, insertsOnly }) => [tables?.length, insertsOnly]),
      [
        [1, true],
        [undefined, false],
      ],
    );
    assert.deepEqual(
      asked[1]?.except.map(({ name }) => name),
      ['bare'],
    );
    assert.deepEqual([answer.skipped.droppedTable, answer.skipped.noPrimaryKey], [50, 1]);
  });

  describe('of a table without a key', () => {
    const catalog = Object.fromEntries(
      ['t', 'u', 'v', 'w'].map((name) => [`public.${name}`, { key: [], seenFrom: AFTER_ALL }]),
    );
    const deletion = (name: string) => `table public.${name}: DELETE: id[integer]:1`;
    const update = 'table public.t: UPDATE: id[integer]:1 code[integer]:3';
    const full = (asked: readonly KeyQuestion[]) => asked.filter(({ insertsOnly }) => !insertsOnly).length;

    it('for all its changes where an INSERT shows that it had one, which a later change may have had no more', async () => {
      const { asked, records } = await publish([[INSERT, update]], catalog, [{ table: 't', key: ['id'] }]);
      assert.deepEqual([asked.length, full(asked)], [2, 1]);
      assert.deepEqual(records, ['public.t,INSERT,1', 'public.t,UPDATE,1']);
    });

    it('not where there are only UPDATEs of it', async () => {
      const { asked, answer } = await publish([[update]], catalog, []);
      assert.deepEqual([full(asked), answer.skipped.noPrimaryKey], [0, 1]);
    });

    it('at most twice a batch for tables that show an old row', async () => {
      const lines = ['t', 'u', 'v', 'w'].map(deletion);
      const { asked, answer } = await publish([lines], catalog, []);
      assert.deepEqual([full(asked), answer.skipped.noPrimaryKey], [2, 4]);
    });
  });

  it('once a batch where there is no answer', async () => {
    const lines = ['a', 'b', 'c'].map((name) => `table public.${name}: INSERT: id[integer]:1`);
    const { asked, answer } = await publish([lines], {}, undefined);
    assert.deepEqual([asked.length, answer.skipped.droppedTable], [1, 3]);
  });
});

describe('a table that is gone', () => {
  for (const [what, knownUntil, key] of [
    ['comes under the key that was known, up to where it was known', 5_000n, '1'],
    ['is asked for behind that: another table may have had its name', 0n, '2'],
  ] as const)
    it(what, async () => {
      const slot = new FakeSlot();
      const commitLsn = slot.commit(INSERT);
      const keys = new FakeKeys({ 'public.t': { keySince: 1, seenFrom: 1 } });
      keys.knownUntil = knownUntil;
      keys.catalog.delete('public.t');
      await keys.reload();
      const kit = runKit(slot, keys);
      const read = () =>
        Promise.resolve([{ commitLsn, lsn: 0n, inserted: true, schema: 'public', table: 't', key: ['code'] }]);
      await run({ ...kit.ports, session: { ...kit.session, keyHistory: { read } } }, kit.options());
      assert.deepEqual(
        kit.publisher.acknowledged.map((record) => record.trim().split(',').at(-1)),
        [key],
      );
    });
});

describe('by what the WAL says of keys, a run', () => {
  it('publishes a row under its primary key at write time, from the row on with which it begins', async () => {
    const { records } = await publish([[INSERT], [INSERT, INSERT]], { 'public.t': { ...YOUNG, key: ['uid'] } }, [
      { table: 't', key: ['id'] },
      // The second row of the second transaction: the sixth row of the fake.
      { table: 't', key: ['code'], commitLsn: 1_066n, lsn: 6n },
    ]);
    assert.deepEqual(records, ['public.t,INSERT,1', 'public.t,INSERT,1', 'public.t,INSERT,2']);
  });

  it('takes the key at write time, not the current one, where the row shows both', async () => {
    const { records } = await publish([[INSERT]], { 'public.t': { ...YOUNG, key: ['id', 'code'] } }, [
      { table: 't', key: ['code'] },
    ]);
    assert.deepEqual(records, ['public.t,INSERT,2']);
  });

  it('keeps a composite key in the order of the catalogs, else of the columns', async () => {
    const answers = [{ table: 't', key: ['id', 'code'] }];
    const known = await publish([[INSERT]], { 'public.t': { ...YOUNG, key: ['code', 'id'] } }, answers);
    assert.deepEqual(known.records, ['public.t,INSERT,"[""2"",""1""]"']);
    const unknown = await publish([[INSERT]], {}, answers);
    assert.deepEqual(unknown.records, ['public.t,INSERT,"[""1"",""2""]"']);
  });

  it('counts a table without a key as one, not as unknown', async () => {
    const none = [{ table: 't', key: [] }];
    const added = await publish([[INSERT]], { 'public.t': { ...YOUNG, key: ['uid'] } }, none);
    assert.equal(added.answer.skipped.noPrimaryKey, 1);
    const dropped = await publish([[INSERT]], {}, none);
    assert.equal(dropped.answer.skipped.noPrimaryKey, 1);
  });

  it('believes no key that only a DELETE or UPDATE shows', async () => {
    const { records } = await publish([[INSERT]], { 'public.t': YOUNG }, [{ table: 't', key: [], inserted: false }]);
    assert.deepEqual(records, ['public.t,INSERT,1']);
  });

  it('leaves out a table that an exclude list may mean: it may have been a partition', async () => {
    const filters = { ...NO_FILTERS, tableExclude: compilePatterns('public\\.secret') };
    const { records, answer } = await publish([[INSERT]], {}, [{ table: 't', key: ['id'] }], { filters });
    assert.deepEqual([records, answer.skipped.droppedTable], [[], 1]);
  });
});
