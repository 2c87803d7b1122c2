/** When a replica says that a stream has no marks, or other lanes than before: never while what it waits for may still come. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { GetRecordsCommand, GetShardIteratorCommand, ListShardsCommand } from '@aws-sdk/client-kinesis';
import { Replication } from '../../bin/replicate/replication.ts';
import { ReplicaShardPlan } from '../../bin/replicate/shard-plan.ts';
import { ReplicaError } from '../../replica/errors.ts';
import { Applier, type TargetTransaction } from '../../replica/rules/applier.ts';
import { Intake } from '../../replica/rules/intake.ts';
import { Shards } from '../../replica/rules/shards.ts';
import { SpillStore } from '../../replica/store/spill-store.ts';

const at = { source: 's', commitTime: '2026-01-02T03:04:05Z', commitLsn: '0/10' };
const change = (ordinal: number): object => ({
  ...at,
  op: 'INSERT',
  schema: 'p',
  table: 't',
  key: { id: ordinal },
  row: { id: ordinal },
  ordinal,
});
const mark = { ...at, op: 'MARK', lane: 0, lanes: 1, system: '1', timeline: 1 };

/** Answers of a stream, by their number; `behindMs`: there are more. */
type Pages = (page: number) => { readonly records: readonly object[]; readonly behindMs: number };

/** These answers, and then nothing. */
const listed =
  (pages: readonly (readonly object[])[]): Pages =>
  (page) => ({ records: pages[page] ?? [], behindMs: page + 1 < pages.length ? 1000 : 0 });

/** A stream of a shard, or two. */
function streamOf(...shards: readonly Pages[]): KinesisClient {
  let sequence = 0;
  const send = (command: object): Promise<object> => {
    if (command instanceof ListShardsCommand)
      return Promise.resolve({ Shards: shards.map((_, i) => ({ ShardId: String(i) })) });
    if (command instanceof GetShardIteratorCommand)
      return Promise.resolve({ ShardIterator: `${command.input.ShardId ?? ''} 0` });
    if (!(command instanceof GetRecordsCommand)) throw new Error('Nothing else is asked for.');
    const [shard = 0, page = 0] = (command.input.ShardIterator ?? '').split(' ').map(Number);
    const { records, behindMs } = shards[shard]?.(page) ?? { records: [], behindMs: 0 };
    return Promise.resolve({
      Records: records.map((record) => ({
        Data: Buffer.from(JSON.stringify(record)),
        SequenceNumber: String(++sequence),
        PartitionKey: 'partition' in record ? record.partition : 'lane-0-of-1',
        ApproximateArrivalTimestamp: new Date(),
      })),
      NextShardIterator: `${shard} ${page + 1}`,
      MillisBehindLatest: behindMs,
    });
  };
  return { send, config: { region: () => Promise.resolve('x') } } as unknown as KinesisClient;
}

interface ReplicateOptions {
  readonly once?: boolean;
  readonly hasBegun?: boolean;
  readonly write?: () => unknown;
  readonly other?: Pages;
  readonly tell?: (text: string) => void;
  readonly stops?: number;
}

/**
 * Replicates a stream.
 *
 * @param patienceMs - how long marks are waited for
 * @param options - `hasBegun`: by a position of before, in two lanes; `write`: before one that counts; `other`: of a second
 *   shard; `stops`: so many batches are to stop where the target is
 * @returns how many changes were applied
 */
async function replicate(
  pages: readonly (readonly object[])[] | Pages,
  patienceMs: number,
  { once = false, hasBegun = false, write, other, stops = 0, tell = () => undefined }: ReplicateOptions = {},
): Promise<number> {
  const timelines = hasBegun ? [1, 1] : [];
  const shards = new Shards();
  const intake = new Intake(
    { cut: 0n, source: undefined, system: undefined, timelines, forks: [], shards: new Map() },
    shards,
  );
  using store = new SpillStore();
  const stop = new AbortController();
  let applied = 0;
  const transaction: TargetTransaction = {
    write: async (tables) => {
      await write?.();
      for (const { changes } of tables) applied += changes;
    },
    commit: () => Promise.resolve(applied > 0 ? stop.abort() : undefined),
    rollback: () => Promise.resolve(),
  };
  let begun = 0;
  const begin = () => Promise.resolve({ ...transaction, stopAt: begun++ < stops ? intake.lanes.applied : undefined });
  const replication = new Replication({
    client: streamOf(typeof pages === 'function' ? pages : listed(pages), ...(other === undefined ? [] : [other])),
    stream: 'made',
    once,
    patienceMs,
    until: undefined,
    stop: stop.signal,
    intake,
    plan: new ReplicaShardPlan({ shards, saved: new Map(), savedAtMs: 0, now: Date.now(), retentionMs: 86_400_000 }),
    applier: new Applier({ intake, store, target: { begin } }),
    store,
    cutMs: undefined,
    tell,
  });
  await replication.run();
  return applied;
}

describe('a stream without marks', () => {
  it('is waited for as long as there is something to be read: one transaction may take longer than the patience', async () => {
    assert.equal(await replicate([[change(1)], [change(2)], [change(3)], [mark]], 20), 3);
  });

  it('fails once nothing more comes', async () => {
    await assert.rejects(replicate([[change(1)], [change(2)]], 20), /2 changes and no marks/);
  });

  it('fails at once where no more will be read', async () => {
    await assert.rejects(replicate([[change(1)]], 3_600_000, { once: true }), /1 changes and no marks/);
  });

  /** Changes of one transaction after the other, without end, all of them at the stream's tip. */
  const busy: Pages = (page) => ({
    records: [{ ...change(1), commitLsn: `0/${(page + 16).toString(16)}` }],
    behindMs: 0,
  });

  it('fails for a copy that begins though changes never stop: marks would be before the first of them', async () => {
    await assert.rejects(replicate(busy, 400), /MARKS_MISSING: /);
  });

  /** The same, with large rows, in one lane of two. @param commitLsn - of a page */
  const large =
    (pages: number, commitLsn: (page: number) => string, last: readonly object[]): Pages =>
    (page) => {
      const row = { id: page, v: 'x'.repeat(6_000_000) };
      const record = { ...change(page), row, commitLsn: commitLsn(page), partition: 'lane-0-of-2' };
      return { records: page < pages ? [record] : last, behindMs: 0 };
    };

  it('fails for a copy that goes on after so much that there would be marks in between', async () => {
    const transactions = large(6, (page) => `0/${page + 10}`, []);
    await assert.rejects(
      replicate(transactions, 3_600_000, { hasBegun: true }),
      /MARKS_MISSING: .* no mark behind them/,
    );
  });

  const marked = (commitLsn: string): object[] =>
    [0, 1].map((lane) => ({ ...mark, commitLsn, lane, lanes: 2, partition: `lane-${lane}-of-2` }));

  it('fails where marks have stopped, after so much that there would be marks in between', async () => {
    const transactions = large(7, (page) => `0/${page + 10}`, []);
    const after: Pages = (page) => (page === 0 ? { records: marked('0/8'), behindMs: 0 } : transactions(page));
    await assert.rejects(replicate(after, 3_600_000), /MARKS_MISSING: .* as if MARKS had been switched off\./);
  });

  it('is no failure where marks had stopped and have come again: all that is in between is applied', async () => {
    const transactions = large(7, (page) => `0/${page + 10}`, marked('0/20'));
    for (const hasBegun of [true, false]) {
      const pages: Pages = (page) => ({
        records: page === 0 && !hasBegun ? marked('0/8') : transactions(page).records,
        behindMs: page < 7 ? 1000 : 0,
      });
      assert.equal(await replicate(pages, 3_600_000, { hasBegun }), hasBegun ? 7 : 6);
    }
  });

  it('is only spoken of where marks have stopped and nothing more comes: the next run may bring them', async () => {
    const told: string[] = [];
    const pages: Pages = (page) => {
      if (page === 0) return { records: marked('0/8'), behindMs: 0 };
      if (page === 1) return large(2, () => '0/10', [])(1);
      return { records: told.length > 0 ? marked('0/20') : [], behindMs: 0 };
    };
    assert.equal(await replicate(pages, 20, { tell: (text) => told.push(text) }), 1);
    assert.match(
      told.join(),
      /^Changes wait for a mark: what was committed after 0\/8 is not applied yet\.[^]*MARKS is on\.$/,
    );
  });

  it('is only spoken of by a copy that goes on and has seen no mark since, though nothing more comes', async () => {
    const told: string[] = [];
    const pages: Pages = (page) => {
      if (page === 0) return large(1, () => '0/10', [])(0);
      return { records: told.length > 0 ? marked('0/20') : [], behindMs: 0 };
    };
    assert.equal(await replicate(pages, 20, { hasBegun: true, tell: (text) => told.push(text) }), 1);
    assert.match(told.join(), /^Changes wait for a mark: /);
    told.length = 0;
    const end = { hasBegun: true, once: true, tell: (text: string) => void told.push(text) };
    assert.equal(await replicate([[{ ...change(1), partition: 'lane-0-of-2' }]], 3_600_000, end), 0);
    assert.match(told.join(), /^Changes wait for a mark: /);
  });

  it('is waited for while a copy that goes on has one large transaction', async () => {
    const marks = [0, 1].map((lane) => ({ ...mark, lane, lanes: 2, partition: `lane-${lane}-of-2` }));
    const transaction = large(6, () => '0/10', marks);
    assert.equal(await replicate(transaction, 3_600_000, { hasBegun: true }), 6);
  });
});

describe('a replica that ends at what is in the stream', () => {
  const inTwoLanes = (lane: number, record: object): object => ({
    ...record,
    lane,
    lanes: 2,
    partition: `lane-${lane}-of-2`,
  });
  /** Lane 1 was marked further than lane 0, whose marks tell of snapshots. */
  const uneven = [
    [0, mark],
    [1, mark],
    [1, { ...change(1), commitLsn: '0/18' }],
    [0, { ...change(2), commitLsn: '0/30' }],
    [1, { ...mark, commitLsn: '0/20' }],
  ] as const;
  const page = uneven.map(([lane, record]) => inTwoLanes(lane, record));

  it('fails where a row is missing that a mark to come might have explained', async () => {
    const write = (): void => {
      throw new ReplicaError('MISSING_ROW', 'One row.');
    };
    await assert.rejects(replicate([page], 20, { once: true, write }), /MISSING_ROW: One row\./);
  });

  it('waits while a comparison wants it to stop', async () => {
    assert.equal(await replicate([page], 20, { once: true, stops: 2 }), 1);
  });
});

describe('a stream whose LANES were changed', () => {
  const opening = { ...mark, commitLsn: '0/8', forks: [] };
  const later = { ...change(1), commitLsn: '0/20', partition: 'lane-0-of-2' };

  it('fails where changes of the old lanes were followed by no marks, and applies nothing of the new ones', async () => {
    await assert.rejects(
      replicate([[opening, change(1)], [later]], 20),
      /LANES_CHANGED: LANES was changed while records of the old lanes .* records of lane-0-of-2, .* in 1 lanes/,
    );
  });

  it('is waited for while what came before is applied, however long that takes', async () => {
    const write = () => wait(1000);
    const pages = [[opening, change(1), { ...mark, commitLsn: '0/18' }], [later]];
    assert.equal(await replicate(pages, 20, { write }), 1);
    // A comparison wants the copy to stop for a while.
    assert.equal(await replicate(pages, 20, { stops: 5 }), 1);
  });

  it('is waited for while another shard has records of the old lanes', async () => {
    const inOldLane = (lane: number, record: object): object => ({
      ...{ ...record, lane, lanes: 2 },
      partition: `lane-${lane}-of-2`,
    });
    const first = [inOldLane(0, change(1)), inOldLane(0, { ...mark, commitLsn: '0/18' })];
    const others = Array.from({ length: 10 }, (_, i) => [inOldLane(1, change(2 + i))]);
    const other = listed([...others, [inOldLane(1, { ...mark, commitLsn: '0/18' })]]);
    // The patience is longer than a page takes, and shorter than all of them do.
    assert.equal(await replicate([first, [{ ...later, partition: 'lane-0-of-1' }]], 2_000, { other }), 11);
  });
});
