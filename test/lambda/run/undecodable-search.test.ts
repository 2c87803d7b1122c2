/** The search for the transaction at which the server fails: pure, and in a run over fakes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { PeekTooLargeError, ServerDecodingError } from '../../../lambda/peek-errors.ts';
import { run } from '../../../lambda/run/run.ts';
import { beforeCommitRecord, insideCommitRecord, UndecodableSearch } from '../../../lambda/run/undecodable-search.ts';
import { FakeKeys, FakeSlot, type FakeTransaction } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const cause = new Error('what the server said');
const failure = (near?: bigint) =>
  new ServerDecodingError('failed', { sqlState: 'XX000', report: 'SQLSTATE XX000', near, cause });

const PAGE = 8192n;
const SEGMENT = 16n * 1024n * 1024n;
/** A record that would begin where a page does begins behind the page's header. */
const placed = (at: bigint): bigint => (at % SEGMENT === 0n ? at + 40n : at % PAGE === 0n ? at + 24n : at);

describe('the search for a transaction', () => {
  it('I2: finds a position inside its commit record and before the next, in few steps', () => {
    const lsn = fc.bigInt({ min: 1n, max: 1n << 40n });
    fc.assert(
      fc.property(
        fc.oneof(
          lsn,
          fc.bigInt({ min: 1n, max: 1n << 20n }).map((page) => page * PAGE),
          fc.bigInt({ min: 1n, max: 1n << 16n }).map((segment) => segment * SEGMENT),
        ),
        fc.bigInt({ min: 0n, max: 1n << 31n }),
        fc.bigInt({ min: 1n, max: 1n << 31n }),
        fc.option(fc.bigInt({ min: -1_000n, max: 1_000_000n }), { nil: undefined }),
        fc.boolean(),
        (at, before, behind, distance, remembers) => {
          // The record's beginning, and where the one before it ended.
          const ended = at - (at % 8n) + 8n;
          const record = placed(ended);
          // Behind a page's header no record ends at once.
          fc.pre(ended % PAGE !== 24n && ended % SEGMENT !== 40n);
          const position = ended > before ? ended - before : 0n;
          const fails = (upto: bigint): boolean => upto > ended;
          const near = distance === undefined || distance > record ? undefined : record - distance;
          const known = remembers ? insideCommitRecord(ended) : undefined;
          const search = new UndecodableSearch(position, record + behind, failure(near), known);
          let steps = 0;
          for (let upto = search.next; upto !== undefined; upto = search.next) {
            assert.ok(++steps <= 80, 'it does not end');
            if (fails(upto)) search.failed(upto, failure(near));
            else search.succeeded(upto, 0);
          }
          assert.ok(!search.over && !search.blameless);
          assert.ok(search.inside > record && search.inside <= record + 40n, `${search.inside} for ${record}`);
          // No commit record is as small as what may lie between the two.
          const start = beforeCommitRecord(search.inside);
          assert.ok(start <= ended && ended - start <= 40n, `${start} for ${ended}`);
          if (remembers && start === ended) assert.ok(steps <= 5, `${steps} steps to what is known`);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('takes few steps where the server says at which change it was', () => {
    const search = new UndecodableSearch(0n, 1n << 40n, failure(1n << 36n), undefined);
    let steps = 0;
    for (let upto = search.next; upto !== undefined; upto = search.next) {
      steps++;
      if (upto > (1n << 36n) + 400n) search.failed(upto, failure(1n << 36n));
      else search.succeeded(upto, 0);
    }
    assert.ok(steps <= 12, `${steps} steps`);
  });
});

describe('a run that meets a transaction at which the server fails', () => {
  const line = (id: number): string => `table public.t: INSERT: id[integer]:${id}`;

  /** A slot with a transaction for each id, and a run of it. */
  function pipeline(count: number, fails: (taken: readonly FakeTransaction[]) => Error | undefined) {
    const slot = new FakeSlot();
    slot.lineBytes = 16n;
    for (let id = 1; id <= count; id++) slot.commit(line(id));
    slot.failure = fails;
    const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
    const keys = () => kit.publisher.acknowledged.map((record) => Number(record.split(',').at(-1)));
    return { slot, kit, keys, runs: (maxRows = 1_000) => run(kit.ports, kit.options({ maxRows })) };
  }
  const holds = (id: number) => (taken: readonly FakeTransaction[]) => taken.some(({ lines }) => lines[0] === line(id));

  it('I1: publishes what is before it, names it, and advances over nothing of it', async () => {
    const { slot, keys, runs } = pipeline(50, (taken) => (holds(20)(taken) ? failure() : undefined));
    const broken = slot.wal[19];
    assert.ok(broken);
    await assert.rejects(runs(), (error: Error) => {
      assert.ok(error instanceof PipelineError && error.code === 'TRANSACTION_UNDECODABLE', String(error));
      assert.match(error.message, new RegExp(`commit LSN ${formatLsn(broken.commitStart + 8n)} \\(SQLSTATE XX000\\)`));
      return true;
    });
    assert.deepEqual(
      keys(),
      Array.from({ length: 19 }, (_, i) => i + 1),
    );
    assert.ok(slot.advances.every((lsn) => lsn <= broken.commitStart));
  });

  it('goes on with less where it was only too many that were too large together', async () => {
    const tooMany = new PeekTooLargeError('no room', { resourceSqlState: '53400' });
    const { keys, runs } = pipeline(200, (taken) => (taken.length > 3 ? tooMany : undefined));
    const answer = await runs();
    assert.equal(answer.caughtUp, true);
    assert.deepEqual(
      keys(),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
  });

  it('fails with SLOT_LOST where WAL cannot be read, after all before it is published', async () => {
    const lost = new PipelineError('SLOT_LOST', 'WAL is damaged.');
    const unreadable = new ServerDecodingError('failed', {
      sqlState: 'XX000',
      report: 'SQLSTATE XX000',
      near: undefined,
      cause: lost,
    });
    const { keys, runs } = pipeline(9, (taken) => (taken.length > 0 && holds(6)(taken) ? unreadable : undefined));
    await assert.rejects(runs(), (error: unknown) => error === lost);
    assert.deepEqual(keys(), [1, 2, 3, 4, 5]);
  });

  it('names it where the server’s error has another explanation than WAL', async () => {
    const explained = new PipelineError('NO_PROGRESS', 'A file is missing.');
    const failing = new ServerDecodingError('failed', {
      sqlState: '58P01',
      report: 'SQLSTATE 58P01',
      near: undefined,
      cause: explained,
    });
    const { keys, runs } = pipeline(9, (taken) => (holds(6)(taken) ? failing : undefined));
    await assert.rejects(runs(), { code: 'TRANSACTION_UNDECODABLE', message: /SQLSTATE 58P01/ });
    assert.deepEqual(keys(), [1, 2, 3, 4, 5]);
  });

  for (const [spilling, message] of [
    [false, /commit LSN 0\/\w+ is larger.*invoke skip-transaction/],
    [true, /one transaction is too large.*[Nn]either more time nor skip-transaction/],
  ] as const)
    it(`says whether skipping helps where the server has no room ${spilling ? 'to collect changes' : 'for the result'}`, async () => {
      const large = new PeekTooLargeError('no room', { resourceSqlState: '53100', spilling });
      const { keys, runs } = pipeline(9, (taken) => (holds(6)(taken) ? large : undefined));
      await assert.rejects(runs(), { code: 'NO_PROGRESS', message });
      assert.deepEqual(keys(), [1, 2, 3, 4, 5]);
    });

  it('fails with what the server said where it fails at nothing', async () => {
    const { slot, runs } = pipeline(3, () => failure());
    await assert.rejects(runs(), (error: unknown) => error === cause);
    assert.deepEqual(slot.advances, []);
  });

  it('fails with NO_PROGRESS where the time is over before it is found, and says between which positions it is', async () => {
    const { slot, kit, runs } = pipeline(3, (taken) => (holds(2)(taken) ? failure() : undefined));
    const peek = slot.peek.bind(slot);
    slot.peek = (...asked) => {
      kit.clock.time += 400_000;
      return peek(...asked);
    };
    await assert.rejects(runs(), {
      code: 'NO_PROGRESS',
      message: /committed between 0\/\w+ and 0\/\w+, and the time was over/,
    });
  });

  it('remembers it, so that the next run asks little of the server', async () => {
    const { slot, runs } = pipeline(50, (taken) => (holds(20)(taken) ? failure() : undefined));
    await assert.rejects(runs(), { code: 'TRANSACTION_UNDECODABLE' });
    slot.peeks.length = 0;
    await assert.rejects(runs(), { code: 'TRANSACTION_UNDECODABLE' });
    assert.ok(slot.peeks.length <= 6, `${slot.peeks.length} peeks`);
  });
});

describe('the steps of a search', () => {
  const search = (good: bigint, bad: bigint, near?: bigint, known?: bigint) =>
    new UndecodableSearch(good, bad, failure(near), known);

  it('halve what lies between, at multiples of 8', () => {
    const it = search(3n, 8_000n);
    const steps: (bigint | undefined)[] = [];
    for (const fails of [true, false, true, false]) {
      const upto = it.next ?? assert.fail('it is over');
      steps.push(upto);
      if (fails) it.failed(upto, failure());
      else it.succeeded(upto, 0);
    }
    assert.deepEqual(steps, [4_000n, 2_000n, 3_000n, 2_496n]);
    assert.deepEqual(it.range, [2_496n, 3_000n]);
  });

  it('begin with what an earlier search found, and then right behind it; only where it lies between', () => {
    const known = insideCommitRecord(1_008n);
    const it = search(0n, 8_000n, undefined, known);
    assert.equal(it.next, 1_008n);
    it.succeeded(1_008n, 0);
    assert.equal(it.next, 1_016n);
    for (const [good, bad] of [
      [0n, 1_008n],
      [2_000n, 8_000n],
    ] as const) {
      const other = search(good, bad, undefined, known);
      assert.equal(other.next, ((good + bad) / 2n / 8n) * 8n, `${good} ${bad}`);
    }
  });

  it('go on from where the server failed, further each time that was not far enough', () => {
    const it = search(0n, 1n << 30n, 1_001n);
    assert.equal(it.next, 1_000n + 128n);
    it.succeeded(1_128n, 0);
    assert.equal(it.next, 1_128n + 512n);
    it.succeeded(1_640n, 0);
    assert.equal(it.next, 1_640n + 2_048n);
  });

  it('go by the newest of these positions, and keep the last where the server names none', () => {
    const it = search(0n, 1n << 30n, 100_000n);
    it.failed(1n << 29n, failure(50_000n));
    assert.equal(it.next, 50_000n + 128n);
    it.failed(1n << 28n, failure());
    assert.equal(it.next, 50_000n + 128n);
  });

  it('do not go by one that lies behind, and by half where that is nearer', () => {
    for (const near of [8_000n, 9_000n]) assert.equal(search(0n, 8_000n, near).next, 4_000n, `${near}`);
    assert.equal(search(0n, 8_000n, 3_880n).next, 4_000n);
    assert.equal(search(0n, 8_000n, 3_864n).next, 3_992n);
    // One that lies before what is good is no help.
    assert.equal(search(1_000n, 80_000n, 500n).next, 1_128n);
  });

  it('try the transaction alone once more, wherever something before it was published meanwhile', () => {
    const it = search(0n, 24n);
    it.succeeded(8n, 0);
    assert.equal(it.next, 16n);
    it.succeeded(16n, 0);
    assert.equal(it.next, it.inside);
    it.failed(it.inside, failure());
    assert.equal(it.next, undefined);
    it.succeeded(16n, 0);
    assert.equal(it.next, undefined, 'nothing was there');
    it.succeeded(16n, 3);
    assert.equal(it.next, it.inside);
  });
});
