/** Runs that go on where another was cut, and runs in which something fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseLsn } from '../../../lambda/decode/lsn.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import type { Format } from '../../../lambda/format/record.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { Publisher } from '../../../lambda/ports/publisher.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
import { run } from '../../../lambda/run/run.ts';
import { skipFirstTransaction } from '../../../lambda/run/skip-first-transaction.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type RunKit, runKit } from '../../support/run-kit.ts';

const insert = (id: number, table = 'public.t'): string => `table ${table}: INSERT: id[integer]:${id}`;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const usual = (): FakeKeys => new FakeKeys({ 'public.t': {}, 'public.keyless': { key: [] } });

/** A peek that ends with an error behind so many blocks. */
function failing(peek: Peek, blocks: number, fail: () => Error): Peek {
  return {
    get rows() {
      return peek.rows;
    },
    transactions: peek.transactions,
    lastCommit: undefined,
    leftOut: [],
    firstRowMs: 1,
    close: () => peek.close(),
    async *[Symbol.asyncIterator]() {
      let taken = 0;
      for await (const block of peek) {
        if (taken++ === blocks) throw fail();
        yield block;
      }
    },
  };
}

/** Twelve records a round, one of a key. */
const roundsOfTwelve = () =>
  createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024, limits: { requestEntries: 12 } });

const roundsOf = (requestEntries: number) => ({
  packer: createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024, limits: { requestEntries } }),
});

describe('a run that goes on where another was cut', () => {
  it('I1: skips what was acknowledged and nothing else, though a primary key was altered in between', async () => {
    const slot = new FakeSlot();
    const move = (a: number) =>
      `table public.m: UPDATE: old-key: a[integer]:${a} b[integer]:0 new-tuple: a[integer]:${a} b[integer]:1`;
    slot.commit(...range(5).map(move), ...range(20).map((id) => insert(id)));
    const keys = new FakeKeys({ 'public.t': {}, 'public.m': { key: ['a', 'b'] } });
    const kit = runKit(slot, keys);
    kit.publisher.fate = (round) => (round === 1 ? 'unanswered' : 'acknowledged');
    const first = await run(kit.ports, kit.options({ packer: roundsOfTwelve() }));
    assert.deepEqual([first.resume?.rows, first.resume?.ordinal], [7, 12]);
    // Each of the updates took two ordinals, and takes one from now on.
    keys.catalog.set('public.m', { key: ['a'] });
    await keys.reload();
    const second = await run(kit.ports, kit.options({ packer: roundsOfTwelve() }));
    assert.equal(second.stopped, 'caught-up');
    const inserted = kit.publisher.acknowledged.filter((record) => record.includes('public.t,'));
    assert.deepEqual(
      inserted,
      range(20).map((id) => `0,CDC,700,public.t,INSERT,${id}`),
    );
  });

  it('I1: repeats a row of which only one half was acknowledged', async () => {
    const slot = new FakeSlot();
    const update = (from: number) =>
      `table public.t: UPDATE: old-key: id[integer]:${from} new-tuple: id[integer]:${from + 100}`;
    slot.commit(...range(11).map((id) => insert(id)), update(50), insert(60));
    const kit = runKit(slot, usual());
    kit.publisher.fate = (round) => (round === 1 ? 'unanswered' : 'acknowledged');
    const first = await run(kit.ports, kit.options({ packer: roundsOfTwelve() }));
    assert.deepEqual([first.resume?.rows, first.resume?.ordinal], [11, 11]);
    await run(kit.ports, kit.options({ packer: roundsOfTwelve() }));
    const told = (record: string) => record.replace('0,CDC,700,public.t,', '');
    assert.deepEqual(kit.publisher.acknowledged.slice(11).map(told), [
      'DELETE,50',
      'DELETE,50',
      'INSERT,150',
      'INSERT,60',
    ]);
  });

  it('I7: containers that take turns do not begin a large transaction over and over', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(40).map(() => insert(1)));
    const kits = [runKit(slot, usual()), runKit(slot, usual())];
    const stops: string[] = [];
    for (let i = 0; i < 6 && stops.at(-1) !== 'caught-up'; i++) {
      const kit = kits[i % 2] as RunKit;
      kit.publisher.roundMs = 4_000;
      stops.push((await run(kit.ports, kit.options())).stopped);
    }
    assert.deepEqual(stops, ['deadline', 'deadline', 'caught-up']);
  });
});

describe('a run', () => {
  it('gets past messages outside transactions behind a batch that held commits', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(8).map((id) => insert(id)));
    for (let i = 0; i < 40; i++) slot.message();
    slot.commit(insert(99));
    const kit = runKit(slot, usual());
    slot.onBlock = () => (kit.clock.time += 100);
    const answer = await run(kit.ports, kit.options({ maxRows: 10 }));
    assert.deepEqual([answer.stopped, answer.published], ['caught-up', 9]);
    assert.ok(slot.peeks.length <= 4, `${slot.peeks.length} peeks`);
  });

  it('I6: answers with no request in flight when a cancellation struck behind the first rows', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(20).map(() => insert(1)));
    const kit = runKit(slot, usual());
    const peek = slot.peek.bind(slot);
    slot.peek = (...asked) =>
      failing(peek(...asked), 1, () => {
        kit.clock.time += 60_000;
        return new PeekTooLargeError('cancelled behind its first row');
      });
    let inFlight = 0;
    const publisher: Publisher = {
      publish: async () => {
        inFlight++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        inFlight--;
        return { complete: true, throttledEntries: 0 };
      },
    };
    const answer = await run({ ...kit.ports, publisher }, kit.options({ functionDeadline: kit.clock.now() + 50_000 }));
    assert.deepEqual([answer.stopped, inFlight], ['deadline', 0]);
  });

  it('fails at once with NO_PROGRESS where the server has no room for the smallest batch', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(20).map(() => insert(1)));
    const kit = runKit(slot, usual());
    const peek = slot.peek.bind(slot);
    slot.peek = (...asked) =>
      failing(peek(...asked), 0, () => new PeekTooLargeError('no room', { resourceSqlState: '53400' }));
    await assert.rejects(run(kit.ports, kit.options()), {
      code: 'NO_PROGRESS',
      message: /temp_file_limit.*SQLSTATE 53400/,
    });
    assert.ok(slot.peeks.length < 20, `${slot.peeks.length} peeks`);
  });

  it('I9: counts what it advanced over also when it fails behind it', async () => {
    const slot = new FakeSlot();
    const before = slot.commit(insert(1), insert(2, 'public.keyless'));
    slot.commit('table public.t: INSERT: other[integer]:4');
    const kit = runKit(slot, usual());
    await assert.rejects(run(kit.ports, kit.options({ unknownKey: 'fail' })), { code: 'KEY_UNRESOLVED' });
    assert.equal(slot.confirmed, before);
    const values = new Map(kit.recorder.values);
    assert.deepEqual(
      [values.get('ChangesPublished'), values.get('SkippedNoPrimaryKey'), values.get('RunHealthy')],
      [1, 1, undefined],
    );
  });

  it('I6: advances nothing once the lock is lost', async () => {
    const slot = new FakeSlot();
    slot.commit(...range(8).map((id) => insert(id)));
    slot.commit(...range(20).map((id) => insert(id)));
    const kit = runKit(slot, usual());
    const lostLock = new Error('the lock is lost');
    // The first transaction is acknowledged whole; the lock goes while the second is sent.
    kit.publisher.fate = (round) => {
      if (round === 1) kit.lose(lostLock);
      return 'acknowledged';
    };
    await assert.rejects(run(kit.ports, kit.options(roundsOf(8))), lostLock);
    assert.deepEqual(kit.publisher.acknowledged.length >= 8, true);
    assert.deepEqual(slot.advances, []);
  });

  it('I6: advances nothing where the lock is lost during the last request, which is acknowledged', async () => {
    const slot = new FakeSlot();
    slot.commit(insert(1));
    const kit = runKit(slot, usual());
    const lostLock = new Error('the lock is lost');
    kit.publisher.fate = () => {
      kit.lose(lostLock);
      return 'acknowledged';
    };
    await assert.rejects(run(kit.ports, kit.options()), lostLock);
    assert.equal(kit.publisher.acknowledged.length, 1);
    assert.deepEqual(slot.advances, []);
  });

  it('asks for rows again, with a limit, behind messages that took a peek without one', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 40; i++) slot.message();
    // So much that the peek without a limit does not reach the end.
    slot.idleWal(4n * 1024n ** 3n);
    for (const id of range(40)) slot.commit(insert(id));
    const kit = runKit(slot, usual());
    await run(kit.ports, kit.options({ maxRows: 10 }));
    assert.equal(slot.peeks[1]?.limit, undefined);
    assert.ok(slot.peeks.length > 2);
    for (const { limit } of slot.peeks.slice(2)) assert.ok(limit !== undefined, 'a limit');
  });
});

describe('a run whose format fails at a row', () => {
  const csv = FORMATS.csv({ ...FORMAT_OPTIONS, source: 'test/fake' });
  const broken: Format = {
    ...csv,
    write(record, out) {
      csv.write(record, out);
      if (out.toString().endsWith(',2')) throw new SyntaxError('Cannot convert MARKER-value to a BigInt');
    },
  };

  it('publishes what is before it, and names the transaction, which can be skipped; I10: and no value', async () => {
    const slot = new FakeSlot();
    for (const id of [1, 2, 3]) slot.commit(insert(id));
    const kit = runKit(slot, usual());
    const refused = async () => {
      const error: unknown = await run(kit.ports, kit.options({ format: broken })).catch((caught: unknown) => caught);
      assert.ok(error instanceof PipelineError && error.code === 'DECODE_FAILED', String(error));
      return error.message;
    };
    const message = await refused();
    assert.match(message, /The INSERT of a row of public\.t could not be written as a record \(SyntaxError\)/);
    assert.doesNotMatch(message, /MARKER/);
    assert.deepEqual(kit.publisher.acknowledged, ['0,CDC,700,public.t,INSERT,1']);
    const commitLsn = parseLsn(/commit LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(message)?.[1] ?? '') ?? 0n;
    await skipFirstTransaction(slot, kit.clock, commitLsn, kit.clock.time + 60_000);
    assert.equal((await run(kit.ports, kit.options({ format: broken }))).caughtUp, true);
    assert.deepEqual(kit.publisher.acknowledged.slice(1), ['0,CDC,702,public.t,INSERT,3']);
  });
});
