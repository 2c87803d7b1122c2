/** Which lines tell of tables whose changes are left out, or went without their row: how many, and what they say. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LoggedReason, SkippedLog } from '../../../lambda/transform/skipped-log.ts';
import { recordOf } from '../../support/changes.ts';

/** A log that keeps its lines with their fields, and what is written to it. */
function logged(named = new Set<string>()) {
  const lines: { readonly level: string; readonly message: string; readonly fields: unknown }[] = [];
  const write =
    (level: string) =>
    (message: string, fields?: unknown): void =>
      void lines.push({ level, message, fields });
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  return { lines, named, skipped: new SkippedLog(log, named) };
}

const tables = (count: number): string[] => Array.from({ length: count }, (_, i) => `public.t${i}`);

describe('the log of tables that are left out', () => {
  for (const [reason, one, several, rest] of [
    ['noPrimaryKey', 'has no primary key', 'have no primary key', 'Give them a primary key, or exclude them.'],
    [
      'keyUnknown',
      'has another primary key than when some of its rows were written',
      'have other primary keys than when some of their rows were written',
      'Drain the slot before you change a key.',
    ],
    [
      'noReplicaIdentity',
      'has changes whose key the server did not send',
      'have changes whose key the server did not send',
      'Set REPLICA IDENTITY DEFAULT or FULL',
    ],
    [
      'keyTooLarge',
      'has a row whose primary key alone is larger than a Kinesis record may be',
      'have rows whose primary key alone is larger than a Kinesis record may be',
      'Raise MAX_RECORD_KIB',
    ],
    [
      'droppedTable',
      'is not in the catalogs: dropped, renamed or moved since',
      'are not in the catalogs: dropped, renamed or moved since',
      'Drain the slot before you drop or rename a table.',
    ],
    [
      'notTable',
      'is no table: a materialised view, or the copy of a table that is rewritten',
      'are no tables: materialised views, or copies of tables that are rewritten',
      'Their rows are counted, not published.',
    ],
    [
      'filtered',
      'may have been a partition of a table that the lists name, when some of its rows were written',
      'may have been partitions of tables that the lists name, when some of their rows were written',
      'or drain the slot before you detach one.',
    ],
  ] as const satisfies readonly (readonly [LoggedReason, string, string, string])[]) {
    it(`says what is the matter with one table, and with several: ${reason}`, () => {
      const { lines, skipped } = logged();
      skipped.note(reason, 'public.a', 0x10n);
      skipped.report();
      skipped.note(reason, 'public.b', 0x20n);
      skipped.note(reason, 'public.c', 0x30n);
      skipped.report();
      assert.deepEqual(
        lines.map(({ level, fields }) => [level, fields]),
        [
          [reason === 'notTable' ? 'info' : 'warn', { reason, count: 1, tables: ['public.a'], firstCommitLsn: '0/10' }],
          [
            reason === 'notTable' ? 'info' : 'warn',
            { reason, count: 2, tables: ['public.b', 'public.c'], firstCommitLsn: '0/20' },
          ],
        ],
      );
      assert.ok(lines[0]?.message.startsWith(`The table public.a ${one}. `), lines[0]?.message);
      assert.ok(lines[1]?.message.startsWith(`2 tables ${several}: public.b, public.c. `), lines[1]?.message);
      assert.ok(lines[0]?.message.includes(rest) && lines[1]?.message.includes(rest), lines[0]?.message);
    });
  }

  it('names ten tables, and says how many more there are', () => {
    for (const [count, more] of [
      [10, ''],
      [11, ', and 1 more'],
      [25, ', and 15 more'],
    ] as const) {
      const { lines, skipped } = logged();
      for (const table of tables(count)) skipped.note('noPrimaryKey', table, 1n);
      skipped.report();
      const expected = `${count} tables have no primary key: ${tables(10).join(', ')}${more}. `;
      assert.ok(lines[0]?.message.startsWith(expected), lines[0]?.message);
    }
  });

  it('names a table once a reason, for as long as the container lives', () => {
    const { lines, named, skipped } = logged();
    for (let i = 0; i < 3; i++) skipped.note('noPrimaryKey', 'public.t', 1n);
    skipped.report();
    skipped.report();
    const next = logged(named);
    next.skipped.note('noPrimaryKey', 'public.t', 1n);
    next.skipped.report();
    assert.deepEqual([lines.length, next.lines.length], [1, 0]);
    next.skipped.note('droppedTable', 'public.t', 1n);
    next.skipped.report();
    assert.equal(next.lines.length, 1);
  });

  it('I8: remembers 20,000 names, and then begins anew', () => {
    const { named, skipped } = logged();
    for (const table of tables(20_000)) skipped.note('noPrimaryKey', table, 1n);
    assert.equal(named.size, 20_000);
    skipped.note('noPrimaryKey', 'public.one_more', 1n);
    assert.deepEqual([...named], ['noPrimaryKey public.one_more']);
  });
});

describe('the log of messages that went without their content', () => {
  it('says how many, and the position of the first, once', () => {
    const { lines, skipped } = logged();
    skipped.noteWithoutContent(0x10n);
    skipped.noteWithoutContent(0x20n);
    skipped.report();
    skipped.report();
    assert.deepEqual(
      lines.map(({ fields }) => fields),
      [{ messages: 2, firstLsn: '0/10' }],
    );
  });
});

describe('the log of changes that went without their row', () => {
  const record = (table: string, key?: readonly string[]) =>
    recordOf(`table public.${table}: INSERT: a[integer]:1 b[integer]:2`, key === undefined ? {} : { key });

  it('names the table, the columns of its key and the first transaction, never a value', () => {
    const { lines, skipped } = logged();
    skipped.noteWithoutRow(record('t', ['b', 'a']));
    skipped.noteWithoutRow(record('t', ['b', 'a']));
    skipped.noteWithoutRow(record('u'));
    skipped.report();
    assert.deepEqual(lines, [
      {
        level: 'warn',
        message:
          'Changes too large for a Kinesis record were published without their row, of public.t (key: b, a; first in the transaction with commit LSN 0/16B3748), public.u (first in the transaction with commit LSN 0/16B3748). Consumers have to read these rows from the database. OVERSIZE decides about this.',
        fields: {
          records: 3,
          tables: [
            { table: 'public.t', keyColumns: ['b', 'a'], records: 2, firstCommitLsn: '0/16B3748' },
            { table: 'public.u', keyColumns: [], records: 1, firstCommitLsn: '0/16B3748' },
          ],
        },
      },
    ]);
  });

  it('knows only the parts that the key has now: its memory is used again', () => {
    const { lines, skipped } = logged();
    const one = record('t', ['b', 'a']);
    assert.ok(one.key !== undefined);
    skipped.noteWithoutRow({ ...one, key: { ...one.key, count: 1 } });
    skipped.report();
    assert.match(lines[0]?.message ?? '', /public\.t \(key: b; first/);
  });

  it('says so again with the next batch, and nothing where there was nothing', () => {
    const { lines, skipped } = logged();
    skipped.report();
    assert.equal(lines.length, 0);
    for (let i = 0; i < 2; i++) {
      skipped.noteWithoutRow(record('t'));
      skipped.report();
    }
    assert.deepEqual(
      lines.map(({ fields }) => (fields as { records: number }).records),
      [1, 1],
    );
  });

  it('names ten tables, and says how many more there are', () => {
    for (const [count, more] of [
      [10, ''],
      [11, ', and 1 more tables'],
      [13, ', and 3 more tables'],
    ] as const) {
      const { lines, skipped } = logged();
      for (let i = 0; i < count; i++) skipped.noteWithoutRow(record(`t${i}`));
      skipped.report();
      assert.ok(lines[0]?.message.includes(`0/16B3748)${more}. Consumers`), lines[0]?.message);
      const { records, tables: named } = lines[0]?.fields as { records: number; tables: unknown[] };
      assert.deepEqual([records, named.length], [count, 10]);
    }
  });
});
