/** Messages to user records: keys, key changes, filters, what is counted and what fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { TableEntry } from '../../../lambda/ports/catalogs.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { compilePatterns, type Filters, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import type { Operation } from '../../../lambda/settings/setting-schemas.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const filters = (changes: { include?: string; exclude?: string; columns?: string }): Filters => ({
  tableInclude: compilePatterns(changes.include ?? ''),
  tableExclude: compilePatterns(changes.exclude ?? ''),
  columnExclude: compilePatterns(changes.columns ?? ''),
});

/** One transaction through the whole run, as csv or json. */
async function publish(
  lines: readonly string[],
  catalog: Record<string, Partial<TableEntry>>,
  options: Partial<RunOptions> = {},
  change: (keys: FakeKeys, slot: FakeSlot) => void = () => undefined,
): Promise<{
  records: string[];
  rounds: (readonly string[])[];
  answer: RunAnswer;
  keys: FakeKeys;
  log: readonly string[];
}> {
  const slot = new FakeSlot();
  slot.commit(...lines);
  const keys = new FakeKeys(catalog);
  change(keys, slot);
  const kit = runKit(slot, keys);
  const answer = await run(kit.ports, kit.options(options));
  const rounds = kit.publisher.rounds.map(({ records }) => records);
  return {
    records: kit.publisher.acknowledged.map((record) => record.replace('0,CDC,700,', '')),
    rounds,
    answer,
    keys,
    log: kit.recorder.lines,
  };
}

const json = FORMATS.json({ ...FORMAT_OPTIONS, source: 'test/fake' });
interface Told {
  op: string;
  key: unknown;
  ordinal: number;
  row?: Record<string, unknown>;
  old?: Record<string, unknown>;
  newKey?: unknown;
  oldKey?: unknown;
  truncated?: boolean;
  unchanged?: string[];
}
const told = (records: readonly string[]): Told[] => records.map((record) => JSON.parse(record) as Told);

describe('transform', () => {
  it('writes composite keys in key order, whatever the order of the columns', async () => {
    const { records } = await publish(["table public.t: INSERT: a[text]:'x' b[integer]:7 c[text]:'y'"], {
      'public.t': { key: ['c', 'b'] },
    });
    assert.deepEqual(records, ['public.t,INSERT,"[""y"",""7""]"']);
  });

  it('writes the key of json in key order in every kind of record, so that its text can be a map key', async () => {
    const key = ['c', 'b'];
    const { records } = await publish(
      [
        "table public.t: INSERT: a[text]:'x' b[integer]:7 c[text]:'y'",
        "table public.t: UPDATE: a[text]:'z' b[integer]:7 c[text]:'y'",
        "table public.t: UPDATE: old-key: b[integer]:7 c[text]:'y' new-tuple: a[text]:'z' b[integer]:8 c[text]:'y'",
        "table public.t: DELETE: b[integer]:8 c[text]:'y'",
        // REPLICA IDENTITY FULL
        "table public.t: DELETE: a[text]:'z' b[integer]:9 c[text]:'y'",
      ],
      { 'public.t': { key } },
      { format: json },
    );
    const keys = told(records).flatMap((change) => [change.key, change.newKey, change.oldKey].filter(Boolean));
    assert.equal(keys.length, 8);
    for (const one of keys) assert.deepEqual(Object.keys(one as object), key);
  });

  it('I10: shows an excluded column in no half of any operation', async () => {
    const lines = [
      "table public.t: DELETE: id[integer]:1 ssn[text]:'123-45'",
      "table public.t: UPDATE: old-key: id[integer]:2 ssn[text]:'123-45' new-tuple: id[integer]:2 ssn[text]:'123-46'",
      "table public.t: UPDATE: old-key: id[integer]:3 ssn[text]:'123-45' new-tuple: id[integer]:4 ssn[text]:'123-46'",
      "table public.t: INSERT: id[integer]:5 ssn[text]:'123-45'",
    ];
    for (const [i, line] of lines.entries()) {
      // Each by itself: what one row taught of a column would hide what the next one lacks.
      const { records } = await publish(
        [line],
        { 'public.t': {} },
        { format: json, filters: filters({ columns: '.*\\.ssn' }) },
      );
      assert.ok(records.length === (i === 2 ? 2 : 1) && !records.join('').includes('123-4'), records.join('\n'));
    }
  });

  it('publishes a key change as DELETE and INSERT, counted once and numbered twice', async () => {
    const { records, answer } = await publish(
      [
        'table public.t: INSERT: id[integer]:1',
        'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2',
        'table public.t: DELETE: id[integer]:2',
      ],
      { 'public.t': {} },
      { format: json },
    );
    assert.deepEqual(
      told(records).map(({ op, key, ordinal, newKey, oldKey }) => ({ op, key, ordinal, newKey, oldKey })),
      [
        { op: 'INSERT', key: { id: 1 }, ordinal: 1, newKey: undefined, oldKey: undefined },
        { op: 'DELETE', key: { id: 1 }, ordinal: 2, newKey: { id: 2 }, oldKey: undefined },
        { op: 'INSERT', key: { id: 2 }, ordinal: 3, newKey: undefined, oldKey: { id: 1 } },
        { op: 'DELETE', key: { id: 2 }, ordinal: 4, newKey: undefined, oldKey: undefined },
      ],
    );
    assert.deepEqual([answer.changes, answer.published, answer.records], [3, 3, 4]);
  });

  it('takes an old key that is the same for an update', async () => {
    const { records } = await publish(
      ["table public.t: UPDATE: old-key: id[integer]:1 v[text]:'before' new-tuple: id[integer]:1 v[text]:'after'"],
      { 'public.t': {} },
    );
    assert.deepEqual(records, ['public.t,UPDATE,1']);
  });

  it('takes a key column that was not sent from the old key', async () => {
    const { records } = await publish(
      ["table public.t: UPDATE: old-key: id[text]:'long' new-tuple: id[text]:unchanged-toast-datum v[integer]:1"],
      { 'public.t': {} },
    );
    assert.deepEqual(records, ['public.t,UPDATE,long']);
  });

  it('counts an UPDATE whose key was not sent at all', async () => {
    const { answer } = await publish(['table public.t: UPDATE: id[text]:unchanged-toast-datum v[integer]:1'], {
      'public.t': {},
    });
    assert.equal(answer.skipped.noReplicaIdentity, 1);
  });

  it('filters an update that changes the key by UPDATE, not by its halves', async () => {
    const lines = [
      'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2',
      'table public.t: INSERT: id[integer]:3',
    ];
    const operations = (...words: Operation[]): Partial<RunOptions> => ({ operations: new Set(words), format: json });
    const without = await publish(lines, { 'public.t': {} }, operations('INSERT', 'DELETE'));
    // Numbered before any filter: the two halves are 1 and 2 though they are not published.
    assert.deepEqual(
      told(without.records).map(({ op, ordinal }) => [op, ordinal]),
      [['INSERT', 3]],
    );
    assert.equal(without.answer.skipped.filtered, 1);
    const only = await publish(lines, { 'public.t': {} }, operations('UPDATE'));
    assert.deepEqual(
      told(only.records).map(({ op }) => op),
      ['DELETE', 'INSERT'],
    );
  });

  it("filters tables by their own and by their ancestors' names", async () => {
    const catalog = {
      'public.sales_2026': { ancestors: ['public.sales'] },
      'public.users': {},
      'audit."Log 1"': {},
    };
    const lines = Object.keys(catalog).map((table) => `table ${table}: INSERT: id[integer]:1`);
    for (const [lists, expected] of [
      [{ include: 'public\\.sales' }, ['public.sales_2026,INSERT,1']],
      [{ exclude: 'public\\.sales,audit\\..*' }, ['public.users,INSERT,1']],
      [{ include: 'audit\\.Log 1' }, ['"audit.""Log 1""",INSERT,1']],
      [{ include: 'public\\.user' }, []],
      [{ include: 'public\\..*', exclude: 'public\\.users' }, ['public.sales_2026,INSERT,1']],
    ] as const) {
      const { records, answer } = await publish(lines, catalog, { filters: filters(lists) });
      assert.deepEqual(records, expected, JSON.stringify(lists));
      assert.equal(answer.skipped.filtered, 3 - expected.length);
    }
  });

  describe('filters of a table that was another partition, or had another name, before', () => {
    const leaf = 'table public.leaf: INSERT: id[integer]:1';
    const detached = (until: bigint, line = leaf) =>
      [
        [line],
        { 'public.leaf': { ancestors: ['public.top'] } },
        (keys: FakeKeys) => {
          keys.until = until;
          keys.catalog.set('public.leaf', { ancestors: [] });
          void keys.reload();
        },
      ] as const;
    // The transaction's commit LSN is 1028.
    for (const [what, until, lists, published] of [
      [
        'an include list of its name at write time keeps what was committed until then',
        1028n,
        { include: 'public\\.top' },
        1,
      ],
      ['an include list of its name at write time keeps nothing of later', 1027n, { include: 'public\\.top' }, 0],
      [
        'an exclude list of its name at write time leaves out what was committed until then',
        1028n,
        { exclude: 'public\\.top' },
        0,
      ],
      ['an exclude list of its name at write time leaves out nothing of later', 1027n, { exclude: 'public\\.top' }, 1],
      ['an exclude list wins', 1028n, { exclude: 'public\\.top', include: 'public\\.(top|leaf)' }, 0],
    ] as const)
      it(what, async () => {
        const [lines, catalog, change] = detached(until);
        const { answer } = await publish(lines, catalog, { filters: filters(lists) }, change);
        assert.deepEqual([answer.published, answer.skipped.filtered], [published, 1 - published]);
      });

    it('a column list that names the table as it was leaves out the column', async () => {
      const [lines, catalog, change] = detached(1028n, "table public.leaf: INSERT: id[integer]:1 ssn[text]:'1'");
      const { records } = await publish(
        lines,
        catalog,
        { format: json, filters: filters({ columns: 'public\\.top\\.ssn' }) },
        change,
      );
      assert.deepEqual(told(records)[0]?.row, { id: 1 });
    });

    for (const [lists, published] of [
      [{ exclude: 'public\\.hidden' }, 0],
      [{ include: 'public\\.hidden' }, 1],
      [{ exclude: 'public\\.seen' }, 0],
    ] as const)
      it(`its current name counts, too: ${JSON.stringify(lists)}`, async () => {
        const { answer } = await publish(
          ['table public.seen: INSERT: id[integer]:1'],
          { 'public.seen': { oid: 7 } },
          { filters: filters(lists) },
          (keys) => {
            keys.catalog.delete('public.seen');
            keys.catalog.set('public.hidden', { oid: 7 });
            void keys.reload();
          },
        );
        assert.deepEqual([answer.published, answer.skipped.filtered], [published, 1 - published]);
      });
  });

  it('needs no catalogs for a table that is excluded', async () => {
    const { keys, answer } = await publish(
      ['table public.t: INSERT: id[integer]:1'],
      {},
      { filters: filters({ exclude: 'public\\.t' }) },
    );
    assert.deepEqual([keys.reloads, answer.skipped.filtered], [0, 1]);
  });

  it('leaves out columns by name, and virtual ones', async () => {
    const { records } = await publish(
      ['table public.t: INSERT: id[integer]:1 "Secret"[text]:\'s\' v[integer]:null n[integer]:5'],
      { 'public.t': { virtualColumns: ['v'] } },
      { format: json, filters: filters({ columns: 'public\\.t\\.Secret' }) },
    );
    assert.deepEqual(told(records)[0]?.row, { id: 1, n: 5 });
  });

  it('refuses to leave out a column of the key, which every record holds', async () => {
    await assert.rejects(
      publish(
        ["table public.t: INSERT: id[integer]:1 a[text]:'s3cret'"],
        { 'public.t': {} },
        { filters: filters({ columns: '.*\\.id' }) },
      ),
      (error: Error) => {
        assert.equal(error.name, 'CONFIG_INVALID');
        assert.match(error.message, /COLUMN_EXCLUDE_LIST names the column public\.t\.id,.*primary key/);
        assert.doesNotMatch(error.message, /s3cret/);
        return true;
      },
    );
  });

  describe('keys that the cache does not know', () => {
    it('reads the catalogs again when a table is new', async () => {
      const { records, keys } = await publish(
        ['table public.t: INSERT: id[integer]:1', 'table public.t: INSERT: id[integer]:2'],
        {},
        {},
        ({ catalog }) => {
          catalog.set('public.t', {});
        },
      );
      assert.deepEqual(records, ['public.t,INSERT,1', 'public.t,INSERT,2']);
      assert.equal(keys.reloads, 1);
    });

    it('reads them again when a key column is new', async () => {
      const { records } = await publish(
        ['table public.t: INSERT: uid[integer]:1'],
        { 'public.t': {} },
        {},
        ({ catalog }) => {
          catalog.set('public.t', { key: ['uid'] });
        },
      );
      assert.deepEqual(records, ['public.t,INSERT,1']);
    });

    it('tries the earlier key of a table whose key column was renamed since', async () => {
      const { records } = await publish(
        [
          'table public.t: INSERT: id[integer]:1',
          'table public.t: DELETE: id[integer]:1',
          'table public.t: UPDATE: old-key: id[integer]:2 new-tuple: id[integer]:3',
          'table public.t: INSERT: uid[integer]:4',
        ],
        { 'public.t': {} },
        {},
        (keys) => {
          keys.catalog.set('public.t', { key: ['uid'] });
          void keys.reload();
        },
      );
      assert.deepEqual(records, [
        'public.t,INSERT,1',
        'public.t,DELETE,1',
        'public.t,DELETE,2',
        'public.t,INSERT,3',
        'public.t,INSERT,4',
      ]);
    });

    it('publishes what is left of a dropped table by its earlier key, and counts it where there is none', async () => {
      const line = 'table public.t: INSERT: id[integer]:1';
      const known = await publish([line], { 'public.t': {} }, {}, (keys) => {
        keys.catalog.delete('public.t');
        void keys.reload();
      });
      assert.deepEqual(known.records, ['public.t,INSERT,1']);
      const unknown = await publish([line], {});
      assert.deepEqual([unknown.answer.skipped.droppedTable, unknown.answer.changes], [1, 1]);
    });

    it('counts what is left of a dropped table that never had a key as of a table without one', async () => {
      const { answer } = await publish(
        ['table public.t: INSERT: id[integer]:1'],
        { 'public.t': { key: [] } },
        {},
        (keys) => {
          keys.catalog.delete('public.t');
          void keys.reload();
        },
      );
      assert.deepEqual([answer.skipped.noPrimaryKey, answer.skipped.droppedTable], [1, 0]);
    });

    it('reads the catalogs once for all tables that they do not know', async () => {
      const lines = Array.from({ length: 400 }, (_, i) => `table public.tmp_${i}: INSERT: id[integer]:1`);
      const { answer, keys, log } = await publish([...lines, 'table public.t: INSERT: id[integer]:1'], {
        'public.t': {},
      });
      assert.deepEqual([answer.skipped.droppedTable, answer.published], [400, 1]);
      assert.ok(keys.reloads <= 1, `${keys.reloads} readings`);
      const warnings = log.filter((line) => line.startsWith('warn'));
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] ?? '',
        /400 tables are not in the catalogs.*public\.tmp_0, .*public\.tmp_9, and 390 more\./,
      );
    });

    it('counts rows of materialised views, and of tables that PostgreSQL 10 rewrites, as no tables', async () => {
      const { answer, log } = await publish(
        ['table public.mv: INSERT: id[integer]:1', 'table public.pg_temp_16385: INSERT: id[integer]:1'],
        { 'public.mv': { isTable: false, key: [] } },
      );
      assert.deepEqual([answer.skipped.notTable, answer.skipped.droppedTable, answer.changes], [2, 0, 2]);
      assert.deepEqual(
        log.filter((line) => line.startsWith('warn')),
        [],
      );
    });

    it('asks about a dropped table in each batch: it may have been made again', async () => {
      const slot = new FakeSlot();
      slot.commit('table public.t: INSERT: id[integer]:1');
      slot.commit('table public.t: INSERT: id[integer]:2');
      const keys = new FakeKeys({});
      const kit = runKit(slot, keys);
      await run(kit.ports, kit.options({ maxRows: 1, maxBatches: 1 }));
      keys.catalog.set('public.t', {});
      const answer = await run(kit.ports, kit.options({ maxRows: 1 }));
      assert.equal(answer.published, 1);
    });

    describe('and that the change does not show', () => {
      const lines = [
        'table public.t: INSERT: id[integer]:1',
        "table public.t: INSERT: v[text]:'private'",
        "table public.t: UPDATE: v[text]:'private'",
        'table public.t: UPDATE: (no-tuple-data)',
        "table public.t: DELETE: v[text]:'private'",
        'table public.t: INSERT: id[integer]:null v[integer]:1',
      ];

      it('I9: are counted as keyUnknown, and the rest goes on; named once, with the commit LSN, never a value', async () => {
        const { records, answer, log } = await publish(lines, { 'public.t': {} });
        assert.deepEqual(records, ['public.t,INSERT,1']);
        assert.deepEqual([answer.skipped.keyUnknown, answer.changes, answer.published], [5, 6, 1]);
        const warnings = log.filter((line) => line.startsWith('warn'));
        assert.equal(warnings.length, 1, warnings.join('\n'));
        assert.match(warnings[0] ?? '', /public\.t has another primary key.*not published.*ON_UNKNOWN_KEY/);
        assert.doesNotMatch(warnings[0] ?? '', /private/);
      });

      it('become a DELETE without key in a format that can say so', async () => {
        const { records, answer } = await publish(lines, { 'public.t': {} }, { format: json, unknownKey: 'skip' });
        assert.deepEqual(
          told(records).map(({ op, key, old }) => [op, key, old]),
          [
            ['INSERT', { id: 1 }, undefined],
            ['DELETE', null, { v: 'private' }],
          ],
        );
        assert.deepEqual([answer.skipped.keyUnknown, answer.published], [4, 2]);
      });

      for (const line of lines.slice(1))
        it(`fails with KEY_UNRESOLVED where ON_UNKNOWN_KEY says so, naming table and key, never a value: ${line}`, async () => {
          await assert.rejects(publish([line], { 'public.t': {} }, { unknownKey: 'fail' }), (error: Error) => {
            assert.match(
              error.message,
              /^KEY_UNRESOLVED: The \w+ of a row of public\.t does not show the table's primary key \(id\)/,
            );
            assert.doesNotMatch(error.message, /private/);
            return true;
          });
        });
    });

    it('tries every earlier key, the newest first', async () => {
      const { records } = await publish(
        [
          'table public.t: INSERT: a[integer]:1',
          'table public.t: INSERT: a[integer]:2 b[integer]:3',
          'table public.t: INSERT: c[integer]:4',
        ],
        { 'public.t': { key: ['a'] } },
        {},
        (keys) => {
          for (const key of ['b', 'c']) {
            keys.catalog.set('public.t', { key: [key] });
            void keys.reload();
          }
        },
      );
      assert.deepEqual(records, ['public.t,INSERT,1', 'public.t,INSERT,3', 'public.t,INSERT,4']);
    });

    it('takes an earlier key where the current one was not sent, or was NULL at write time', async () => {
      const { records } = await publish(
        [
          'table public.t: UPDATE: id[integer]:1 body[text]:unchanged-toast-datum',
          'table public.t: INSERT: id[integer]:2 body[text]:null',
        ],
        { 'public.t': {} },
        {},
        (keys) => {
          keys.catalog.set('public.t', { key: ['body'] });
          void keys.reload();
        },
      );
      assert.deepEqual(records, ['public.t,UPDATE,1', 'public.t,INSERT,2']);
    });

    it('counts rows of before a table had a primary key', async () => {
      const { answer } = await publish(
        ['table public.t: INSERT: v[integer]:1'],
        { 'public.t': { key: [] } },
        {},
        (keys) => {
          keys.catalog.set('public.t', { key: ['id'] });
          void keys.reload();
        },
      );
      assert.equal(answer.skipped.noPrimaryKey, 1);
    });
  });

  describe('a DELETE that carries no key', () => {
    for (const [what, line, entry] of [
      ['nothing was sent', 'table public.t: DELETE: (no-tuple-data)', {}],
      ['the index is not the key', "table public.t: DELETE: email[text]:'a@b'", { identityHoldsKey: false }],
    ] as const) {
      it(`is told by json and counted by csv where ${what}`, async () => {
        const asJson = await publish([line], { 'public.t': entry }, { format: json });
        assert.deepEqual(
          told(asJson.records).map(({ op, key }) => [op, key]),
          [['DELETE', null]],
        );
        const asCsv = await publish([line], { 'public.t': entry });
        assert.deepEqual([asCsv.records.length, asCsv.answer.skipped.noReplicaIdentity], [0, 1]);
      });
    }
  });

  it('I3: gives a TRUNCATE and a DELETE without key a round of their own, shared by consecutive ones of a table', async () => {
    const { rounds } = await publish(
      [
        'table public.t: INSERT: id[integer]:1',
        'table public.t, public.u: TRUNCATE: (no-flags)',
        'table public.u: DELETE: (no-tuple-data)',
        'table public.t: INSERT: id[integer]:2',
        'table public.t: INSERT: id[integer]:3',
      ],
      { 'public.t': {}, 'public.u': {} },
      { format: json, packer: createPacker({ aggregation: 'lines', lanes: 1, maxRecordBytes: 1024 * 1024 }) },
    );
    const shape = rounds.map((records) =>
      records.flatMap((record) => told(record.trimEnd().split('\n')).map(({ op }) => op)),
    );
    assert.deepEqual(shape, [['INSERT'], ['TRUNCATE'], ['TRUNCATE', 'DELETE'], ['INSERT', 'INSERT']]);
  });

  describe('a record too large for Kinesis', () => {
    const big = `table public.t: INSERT: id[integer]:1 v[text]:'${'x'.repeat(1024 * 1024)}'`;

    it('is published without its row, counted, and told', async () => {
      const { records, answer, log } = await publish([big], { 'public.t': {} }, { format: json });
      assert.ok(log.some((line) => line.includes('published without their row, of public.t (key: id;')));
      assert.deepEqual(
        told(records).map(({ key, row, truncated }) => ({ key, row, truncated })),
        [{ key: { id: 1 }, row: undefined, truncated: true }],
      );
      assert.equal(answer.truncated, 1);
    });

    it('fails with RECORD_TOO_LARGE where OVERSIZE says so, naming the commit LSN, never a value', async () => {
      await assert.rejects(publish([big], { 'public.t': {} }, { format: json, oversize: 'fail' }), (error: Error) => {
        assert.match(
          error.message,
          new RegExp(
            `^RECORD_TOO_LARGE: The record of the INSERT of a row of public\\.t has \\d+ bytes.* commit LSN ${formatLsn(1028n)}`,
          ),
        );
        assert.doesNotMatch(error.message, /xxx/);
        return true;
      });
    });

    const huge = `'${'x'.repeat(1024 * 1024)}'`;
    for (const format of [json, FORMATS.debezium({ ...FORMAT_OPTIONS, source: 'test' }), undefined]) {
      for (const [what, line, ops] of [
        ['the key of an INSERT', `INSERT: id[text]:${huge}`, []],
        ['the key of an UPDATE', `UPDATE: id[text]:${huge} v[text]:'a'`, []],
        ['the key of a DELETE', `DELETE: id[text]:${huge}`, []],
        ['the new key of a key change', `UPDATE: old-key: id[text]:'a' new-tuple: id[text]:${huge}`, ['DELETE']],
        ['the old key of a key change', `UPDATE: old-key: id[text]:${huge} new-tuple: id[text]:'a'`, ['INSERT']],
      ] as const) {
        it(`${format?.constructor.name ?? 'csv'}: is skipped and counted where ${what} is too large; the next row keeps its ordinal`, async () => {
          const lines = [`table public.t: ${line}`, `table public.t: INSERT: id[text]:'b'`];
          const { records, answer } = await publish(lines, { 'public.t': {} }, format === undefined ? {} : { format });
          assert.deepEqual(
            [answer.changes, answer.published, answer.skipped.keyTooLarge, answer.records],
            [2, 1, 1, ops.length + 1],
          );
          if (format === json) {
            const shown = told(records).map(({ op, key, ordinal }) => [op, key, ordinal]);
            const moves = ops.length > 0;
            assert.deepEqual(shown, [
              ...ops.map((op) => [op, { id: 'a' }, op === 'DELETE' ? 1 : 2]),
              ['INSERT', { id: 'b' }, moves ? 3 : 2],
            ]);
          }
        });
      }
    }

    it('fails where its key is too large and OVERSIZE says so', async () => {
      const line = `table public.t: INSERT: id[text]:${huge}`;
      await assert.rejects(publish([line], { 'public.t': {} }, { oversize: 'fail' }), { code: 'RECORD_TOO_LARGE' });
    });
  });

  describe('a row of which large values were not kept', () => {
    const insert = 'table public.t: INSERT: v[bytea]:elided id[integer]:1';
    const shortened = (_: FakeKeys, slot: FakeSlot): void => void (slot.oversizeBytes = 600_000_000);

    it('is published without its row, counted, and keeps its ordinal', async () => {
      const lines = [insert, 'table public.t: INSERT: v[bytea]:null id[integer]:2'];
      const { records, answer } = await publish(lines, { 'public.t': {} }, { format: json }, shortened);
      assert.deepEqual(
        told(records).map(({ key, row, truncated, ordinal }) => ({ key, row, truncated, ordinal })),
        [
          { key: { id: 1 }, row: undefined, truncated: true, ordinal: 1 },
          { key: { id: 2 }, row: { v: null, id: 2 }, truncated: undefined, ordinal: 2 },
        ],
      );
      assert.deepEqual([answer.truncated, answer.published, answer.changes], [1, 2, 2]);
    });

    it('is published whole where the record does not show them', async () => {
      const filter = { format: json, filters: filters({ columns: 'public\\.t\\.v' }) };
      const asJson = await publish([insert], { 'public.t': {} }, filter, shortened);
      assert.deepEqual(
        told(asJson.records).map(({ row, truncated }) => ({ row, truncated })),
        [{ row: { id: 1 }, truncated: undefined }],
      );
      const asCsv = await publish([insert], { 'public.t': {} }, {}, shortened);
      assert.deepEqual([asCsv.records, asCsv.answer.truncated], [['public.t,INSERT,1'], 0]);
    });

    for (const [what, line, expected] of [
      [
        'an UPDATE under FULL',
        'table public.t: UPDATE: old-key: v[bytea]:elided id[integer]:1 new-tuple: v[bytea]:unchanged-toast-datum id[integer]:1',
        [['UPDATE', { id: 1 }, true]],
      ],
      [
        'a key change, in both halves',
        'table public.t: UPDATE: old-key: v[bytea]:elided id[integer]:1 new-tuple: v[bytea]:elided id[integer]:2',
        [
          ['DELETE', { id: 1 }, true],
          ['INSERT', { id: 2 }, true],
        ],
      ],
      ['a DELETE under FULL', 'table public.t: DELETE: v[bytea]:elided id[integer]:1', [['DELETE', { id: 1 }, true]]],
      [
        'a DELETE of small values',
        "table public.t: DELETE: v[bytea]:'' id[integer]:1",
        [['DELETE', { id: 1 }, undefined]],
      ],
    ] as const) {
      it(`is published by its key: ${what}`, async () => {
        const { records } = await publish([line], { 'public.t': {} }, { format: json }, shortened);
        assert.deepEqual(
          told(records).map(({ op, key, truncated, row, old }) =>
            [op, key, truncated, row ?? old !== undefined].slice(0, 3),
          ),
          expected,
        );
      });
    }

    for (const [what, line, options] of [
      ['OVERSIZE says so', insert, { oversize: 'fail' }],
      ['its key is among them', 'table public.t: INSERT: id[text]:elided', { oversize: 'fail' }],
      [
        'its old key is among them',
        "table public.t: UPDATE: old-key: id[text]:elided new-tuple: id[text]:'a'",
        { oversize: 'fail' },
      ],
    ] as const) {
      it(`fails with RECORD_TOO_LARGE where ${what}, naming table, size and commit LSN`, async () => {
        await assert.rejects(publish([line], { 'public.t': {} }, { format: json, ...options }, shortened), {
          code: 'RECORD_TOO_LARGE',
          message: /of a row of public\.t has 600000000 bytes.* commit LSN 0\/404/,
        });
      });
    }
  });

  it('counts a row whose key was not kept', async () => {
    const lines = [
      'table public.t: INSERT: id[text]:elided',
      "table public.t: UPDATE: old-key: id[text]:elided new-tuple: id[text]:'a'",
    ];
    const { records, answer } = await publish(
      lines,
      { 'public.t': {} },
      { format: json },
      (_, slot) => void (slot.oversizeBytes = 600_000_000),
    );
    assert.deepEqual([records, answer.changes, answer.skipped.keyTooLarge], [[], 2, 2]);
  });

  it('counts all of a filtered database and publishes nothing', async () => {
    const { answer } = await publish(
      ['table public.t: INSERT: id[integer]:1'],
      { 'public.t': {} },
      { filters: { ...NO_FILTERS, tableInclude: compilePatterns('none') } },
    );
    assert.deepEqual([answer.changes, answer.published, answer.kinesisRecords, answer.caughtUp], [1, 0, 0, true]);
  });
});
