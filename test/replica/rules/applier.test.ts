/**
 * What an applier gives its target at a time: never more than fits into memory, however large the transaction or its rows are. And
 * what it does with a batch of which the source has lost a part while it is written.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReplicaError } from '../../../replica/errors.ts';
import { Applier, type Position, type TargetTransaction } from '../../../replica/rules/applier.ts';
import { DELETED } from '../../../replica/rules/fold.ts';
import { Intake } from '../../../replica/rules/intake.ts';
import { Shards } from '../../../replica/rules/shards.ts';
import { SpillStore } from '../../../replica/store/spill-store.ts';

const MIB = 1024 * 1024;

/** Applies one transaction of INSERTs. @returns of each part that was written its rows, and the characters of their values */
async function partsOf(rows: number, chars: number): Promise<{ rows: number; chars: number }[]> {
  const intake = new Intake(
    { cut: 0n, source: 's', system: '1', timelines: [1], forks: [], shards: new Map() },
    new Shards(),
  );
  using store = new SpillStore();
  const at = { source: 's', commitLsn: '0/10', commitTime: '2026-01-02T03:04:05Z' };
  let sequence = 0;
  const take = (records: readonly object[]): void => {
    const texts = records.map((record) => JSON.stringify({ ...at, ...record }));
    intake.take({ shard: 'a', sequence: String(++sequence), arrivedMs: 0, partitionKey: 'lane-0-of-1', texts });
    store.spill(intake.lanes);
  };
  const insert = (id: number) => ({
    ...{ op: 'INSERT', schema: 'p', table: 't', ordinal: id },
    ...{ key: { id }, row: { id, v: 'x'.repeat(chars) } },
  });
  const ids = Array.from({ length: rows }, (_, i) => i + 1);
  for (let from = 0; from < rows; from += 500) take(ids.slice(from, from + 500).map(insert));
  take([{ op: 'MARK', lane: 0, lanes: 1, system: '1', timeline: 1 }]);
  const parts: { rows: number; chars: number }[] = [];
  const transaction: TargetTransaction = {
    write: (tables) => {
      const written = tables.flatMap((table) => [...table.rows.values()]);
      const values = written.flatMap((row) => (row === DELETED ? [] : row.values));
      parts.push({ rows: written.length, chars: values.reduce((sum, value) => sum + (value?.length ?? 0), 0) });
      return Promise.resolve();
    },
    commit: () => Promise.resolve(),
    rollback: () => Promise.resolve(),
  };
  const applier = new Applier({ intake, store, target: { begin: () => Promise.resolve(transaction) } });
  while ((await applier.step()) !== undefined);
  return parts;
}

describe('a part of a transaction', () => {
  it('is limited by its size where rows are large', async () => {
    const parts = await partsOf(12, MIB);
    assert.deepEqual(
      parts.map(({ rows }) => rows),
      [4, 4, 4],
    );
    assert.ok(parts.every(({ chars }) => chars < 5 * MIB));
  });

  it('is limited by its rows where they are small', async () => {
    const parts = await partsOf(12_000, 1);
    assert.deepEqual(
      parts.map(({ rows }) => rows),
      [5_000, 5_000, 2_000],
    );
  });
});

describe('a failover that is heard of while a batch is written', () => {
  const at = { source: 's', commitTime: '2026-01-02T03:04:05Z' };
  const insert = (commitLsn: string, id: number, v: string): object => ({
    ...at,
    ...{ op: 'INSERT', schema: 'p', table: 't', commitLsn, ordinal: 1, key: { id }, row: { id, v } },
  });
  const mark = (commitLsn: string, lane: number, more: object = {}): object => ({
    ...at,
    ...{ op: 'MARK', commitLsn, lane, lanes: 2, system: '1', timeline: 1, ...more },
  });
  const failover = (fork: string): object => ({ timeline: 2, forks: [[2, fork]] });

  /**
   * Applies what is common, and what the source loses.
   *
   * @param meanwhile - what comes while the first batch is written, by lane
   * @param failure - of the first write
   */
  async function applied(meanwhile: readonly (readonly [lane: number, ...object[]])[], failure?: Error) {
    const intake = new Intake(
      { cut: 0n, source: 's', system: '1', timelines: [1, 1], forks: [], shards: new Map() },
      new Shards(),
    );
    using store = new SpillStore();
    let sequence = 0;
    const take = (lane: number, ...records: object[]): void => {
      const texts = records.map((record) => JSON.stringify(record));
      const partitionKey = `lane-${lane}-of-2`;
      intake.take({ shard: 'a', sequence: String(++sequence), arrivedMs: 0, partitionKey, texts });
    };
    take(0, insert('0/10', 1, 'common'), insert('0/20', 2, 'lost'), mark('0/20', 0));
    take(1, insert('0/18', 3, 'lost'), mark('0/20', 1));
    const rows = new Map<string, string>();
    let position: Position | undefined;
    let isFirst = true;
    const begin = (): Promise<TargetTransaction> => {
      const written = new Map<string, string>();
      return Promise.resolve({
        write: async (tables) => {
          for (const table of tables)
            for (const [key, row] of table.rows)
              if (row !== DELETED) written.set(key, String(row.values[table.columns.indexOf('v')]));
          if (!isFirst) return;
          isFirst = false;
          for (const [lane, ...records] of meanwhile) take(lane, ...records);
          await Promise.resolve();
          if (failure !== undefined) throw failure;
        },
        commit: (committed) => {
          for (const [key, v] of written) rows.set(key, JSON.parse(v) as string);
          position = committed;
          return Promise.resolve();
        },
        rollback: () => Promise.resolve(),
      });
    };
    const applier = new Applier({ intake, store, target: { begin } });
    for (let steps = 0; steps < 4; steps++) await applier.step();
    return { rows: [...rows.values()], cut: position?.cut };
  }

  it('leaves out what the source has lost, though every lane was read further since on the new timeline', async () => {
    const meanwhile = [
      [0, mark('0/15', 0, failover('0/15')), insert('0/20', 4, 'new'), mark('0/30', 0, { timeline: 2 })],
      [1, mark('0/15', 1, failover('0/15')), mark('0/30', 1, { timeline: 2 })],
    ] as const;
    const expected = { rows: ['common', 'new'], cut: 0x30n };
    assert.deepEqual(await applied(meanwhile), expected);
    // What is left of the batch is of no history: what the target says of it does not count.
    assert.deepEqual(await applied(meanwhile, new ReplicaError('TARGET_REFUSED', 'x')), expected);
    assert.deepEqual(await applied(meanwhile, new ReplicaError('MISSING_ROW', 'x')), expected);
  });

  it('goes up to the fork where a lane has not heard of it', async () => {
    const meanwhile = [
      [0, mark('0/15', 0, failover('0/15')), insert('0/20', 4, 'new'), mark('0/30', 0, { timeline: 2 })],
    ] as const;
    assert.deepEqual(await applied(meanwhile), { rows: ['common'], cut: 0x15n });
  });

  it('changes nothing where the fork is not before the end of the batch', async () => {
    const meanwhile = [
      [0, mark('0/20', 0, failover('0/20')), mark('0/30', 0, { timeline: 2 })],
      [1, mark('0/20', 1, failover('0/20')), mark('0/30', 1, { timeline: 2 })],
    ] as const;
    assert.deepEqual(await applied(meanwhile), { rows: ['common', 'lost', 'lost'], cut: 0x30n });
    await assert.rejects(applied(meanwhile, new ReplicaError('TARGET_REFUSED', 'x')), /TARGET_REFUSED/);
  });
});

describe('a key that gets other columns', () => {
  it('ends the batch before that transaction, and the part within it', async () => {
    const intake = new Intake(
      { cut: 0n, source: 's', system: '1', timelines: [1], forks: [], shards: new Map() },
      new Shards(),
    );
    using store = new SpillStore();
    const at = { source: 's', commitTime: '2026-01-02T03:04:05Z' };
    const remove = (commitLsn: string, ordinal: number, key: object): string =>
      JSON.stringify({ ...at, op: 'DELETE', schema: 'p', table: 't', commitLsn, ordinal, key });
    const [both, one, turned] = [{ a: 1, b: 1 }, { a: 1 }, { b: 1, a: 1 }];
    const texts = [
      remove('0/10', 1, both),
      remove('0/20', 1, one),
      remove('0/20', 2, both),
      remove('0/20', 3, { ...both, a: 2 }),
      remove('0/30', 1, both),
      remove('0/40', 1, turned),
      JSON.stringify({ ...at, op: 'MARK', commitLsn: '0/50', lane: 0, lanes: 1, system: '1', timeline: 1 }),
    ];
    intake.take({ shard: 'a', sequence: '1', arrivedMs: 0, partitionKey: 'lane-0-of-1', texts });
    const done: string[] = [];
    const transaction: TargetTransaction = {
      write: ([table]) => {
        done.push([...(table?.rows.keys() ?? [])].join(' '));
        return Promise.resolve();
      },
      commit: ({ cut }) => {
        done.push(cut.toString(16));
        return Promise.resolve();
      },
      rollback: () => Promise.resolve(),
    };
    const applier = new Applier({ intake, store, target: { begin: () => Promise.resolve(transaction) } });
    while ((await applier.step()) !== undefined);
    assert.deepEqual(done, [
      ...['{"a":1,"b":1}', '10'],
      ...['{"a":1}', '{"a":1,"b":1} {"a":2,"b":1}', '30'],
      ...['{"b":1,"a":1}', '50'],
    ]);
  });
});

describe('a shard of which nothing comes', () => {
  it('is saved with when it was at its tip, now and then, though nothing is applied', async () => {
    const shards = new Shards();
    const intake = new Intake(
      { cut: 0n, source: 's', system: '1', timelines: [1, 1], forks: [], shards: new Map() },
      shards,
    );
    using store = new SpillStore();
    const saved: unknown[] = [];
    const transaction: TargetTransaction = {
      write: () => Promise.resolve(),
      commit: ({ shards: positions }) => {
        saved.push([...positions].map(([id, { sequence, tipMs }]) => [id, sequence, tipMs]));
        return Promise.resolve();
      },
      rollback: () => Promise.resolve(),
    };
    const applier = new Applier({ intake, store, target: { begin: () => Promise.resolve(transaction) } });
    const minute = 60_000;
    for (const now of [6 * minute, 9 * minute, 11 * minute]) {
      shards.noteTip('a', now);
      await applier.step();
      await applier.step();
    }
    const at = { op: 'MARK', source: 's', commitTime: '2026-01-02T03:04:05Z', lanes: 2, system: '1', timeline: 1 };
    const take = (shard: string, lane: number, commitLsn: string): void => {
      const texts = [JSON.stringify({ ...at, commitLsn, lane })];
      intake.take({
        shard,
        sequence: commitLsn === '0/20' ? '7' : '8',
        arrivedMs: 0,
        partitionKey: `lane-${lane}-of-2`,
        texts,
      });
    };
    take('a', 0, '0/20');
    // It waits for the other lane.
    shards.noteTip('a', 16 * minute);
    await applier.step();
    take('b', 1, '0/20');
    await applier.step();
    assert.deepEqual(saved, [
      [['a', undefined, 5 * minute]],
      [['a', undefined, 10 * minute]],
      [['a', undefined, undefined]],
      [
        ['a', '7', 15 * minute],
        ['b', '7', undefined],
      ],
    ]);
    take('a', 0, '0/30');
    shards.noteTip('b', 21 * minute);
    await applier.step();
    assert.deepEqual(saved.at(-1), [
      ['a', '7', 15 * minute],
      ['b', '7', 20 * minute],
    ]);
  });
});

describe('a copy of which nothing was applied yet', () => {
  it('is kept as it began, with how old what it has to read again is, and goes on like one that begins', async () => {
    const at = { source: 's', commitTime: '2026-01-02T03:04:05Z', system: '1' };
    const mark = (commitLsn: string, lane: number, more: object = { timeline: 1 }): object => ({
      ...at,
      ...{ op: 'MARK', commitLsn, lane, lanes: 2, ...more },
    });
    const change = { ...at, op: 'INSERT', schema: 'p', table: 't', commitLsn: '0/30', ordinal: 1, key: { id: 1 } };
    // The rows were loaded after a failover, which one of the shards was not read up to.
    const failover = { timeline: 2, forks: [[2, '0/7']] };
    const began = { cut: 20n, source: undefined, system: undefined, timelines: [], forks: [], shards: new Map() };
    const loaded = { ...began, copying: [], savedAtMs: 9 };
    const read = async (saved: ConstructorParameters<typeof Intake>[0], upto: number): Promise<Position[]> => {
      const shards = new Shards();
      const intake = new Intake(saved, shards);
      const records: readonly (readonly [shard: string, lane: number, ...object[]])[] = [
        ['a', 0, mark('0/5', 0), mark('0/6', 0, failover)],
        ['b', 1, mark('0/5', 1)],
        ['c', 0, { ...change, row: { id: 1 } }],
        ['b', 1, mark('0/6', 1, failover)],
        ['b', 1, mark('0/30', 1, { timeline: 2 })],
        ['a', 0, mark('0/30', 0, { timeline: 2 })],
      ];
      for (const [i, [shard, lane, ...texts]] of records.slice(0, upto).entries())
        intake.take({
          ...{ shard, sequence: String(i + 1), arrivedMs: i + 1, partitionKey: `lane-${lane}-of-2` },
          texts: texts.map((text) => JSON.stringify(text)),
        });
      for (const shard of ['a', 'c', 'quiet']) shards.noteTip(shard, 600_000);
      using store = new SpillStore();
      const committed: Position[] = [];
      const transaction: TargetTransaction = {
        write: () => Promise.resolve(),
        commit: (position) => {
          committed.push(position);
          return Promise.resolve();
        },
        rollback: () => Promise.resolve(),
      };
      const applier = new Applier({ intake, store, target: { begin: () => Promise.resolve(transaction) } });
      for (let steps = 0; steps < 3; steps++) await applier.step();
      return committed;
    };
    const [kept, ...none] = await read(loaded, 3);
    assert.deepEqual(none, []);
    const tip = { sequence: undefined, arrivedMs: undefined, atEnd: false, tipMs: 600_000 };
    assert.deepEqual(kept, {
      ...{ ...loaded, cutMs: undefined },
      shards: new Map<string, object>([
        ['a', tip],
        ['c', { sequence: undefined, arrivedMs: 3, atEnd: false }],
        ['quiet', tip],
      ]),
    });
    // A snapshot that is still to be asked for brings what waits, too.
    const [awaiting] = await read({ ...loaded, copying: 'awaited' }, 3);
    assert.deepEqual(awaiting?.shards, new Map(['a', 'c', 'quiet'].map((shard) => [shard, tip])));
    const [done] = await read({ ...kept, savedAtMs: 9 }, 6);
    assert.deepEqual([done?.cut, done?.timelines], [0x30n, [2, 2]]);
  });
});
