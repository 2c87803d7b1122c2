/** One batch: what is asked of the catalogs and of the WAL for it, where it ends early, and what a failure leaves behind. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { Publisher } from '../../../lambda/ports/publisher.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const insert = (id: number, table = 'public.t'): string => `table ${table}: INSERT: id[integer]:${id}`;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const roundsOf = (requestEntries: number) =>
  createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024, limits: { requestEntries } });
const EXCLUDE_SECRETS = { tableInclude: [], tableExclude: [/^secret\./], columnExclude: [] };

function pipeline(keys = new FakeKeys({ 'public.t': {} })) {
  const slot = new FakeSlot();
  const kit = runKit(slot, keys);
  return { slot, keys, kit, runs: (changes: Partial<RunOptions> = {}) => run(kit.ports, kit.options(changes)) };
}

describe('the memory of a round', () => {
  it('is given back once the round is acknowledged, and not before', async () => {
    const { slot, kit, runs } = pipeline();
    for (const id of range(5)) slot.commit(insert(id));
    const packer = roundsOf(2);
    const steps: string[] = [];
    kit.publisher.fate = (round) => {
      steps.push(`sent ${round}`);
      return 'acknowledged';
    };
    const release = packer.release.bind(packer);
    packer.release = (round) => {
      steps.push(`released ${round.entries.length}`);
      release(round);
    };
    await runs({ packer });
    assert.deepEqual(steps, ['sent 0', 'released 2', 'sent 1', 'released 2', 'sent 2', 'released 1']);
  });
});

describe('where transactions that altered a table committed', () => {
  /** A table that a transaction altered, and another one wrote to meanwhile; what the WAL was asked. */
  function altered(over: { excludes?: boolean; line?: string } = {}) {
    const keys = new FakeKeys({
      'public.t': { ancestorsSince: 700, alteredBy: [690], seenFrom: 100_000 },
    });
    keys.overBefore = 650;
    const all = pipeline(keys);
    const asked: { xids: readonly number[]; upto: bigint }[] = [];
    let answer: ReadonlyMap<number, bigint> | undefined = new Map([[690, 1n]]);
    Object.assign(all.kit.session, {
      commitHistory: {
        read: (xids: readonly number[], upto: bigint) => {
          asked.push({ xids, upto });
          return Promise.resolve(answer);
        },
      },
    });
    const filters = over.excludes === false ? {} : { filters: EXCLUDE_SECRETS };
    return {
      ...all,
      asked,
      filters,
      answerNothing: () => (answer = undefined),
      runs: (changes: Partial<RunOptions> = {}) => all.runs({ ...filters, ...changes }),
    };
  }

  it('is asked once for what it decides, up to the last commit that is read', async () => {
    for (const line of [insert(1), 'table public.t: TRUNCATE: (no-flags)']) {
      const { slot, asked, runs } = altered();
      slot.commit(line);
      const last = slot.commit(line);
      slot.idleWal(1_000n);
      const { published } = await runs();
      assert.deepEqual([asked, published], [[{ xids: [690], upto: last }], 2], line);
    }
  });

  it('is not asked where no list leaves anything out', async () => {
    const { slot, asked, runs } = altered({ excludes: false });
    slot.commit(insert(1));
    assert.equal((await runs()).published, 1);
    assert.deepEqual(asked, []);
  });

  it('leaves rows out where the WAL does not tell, and each batch asks once more', async () => {
    const { slot, asked, runs, answerNothing } = altered();
    answerNothing();
    for (const id of range(4)) slot.commit(insert(id), insert(id + 10));
    const { published, skipped, batches } = await runs({ maxRows: 8 });
    assert.deepEqual([published, skipped.filtered, batches], [0, 8, 2]);
    assert.equal(asked.length, 2);
  });
});

describe('the keys that the WAL tells', () => {
  it('are of one batch: the next one asks for its own', async () => {
    const { slot, kit, runs } = pipeline(new FakeKeys({ 'public.t': { seenFrom: 10_000 } }));
    const asked: bigint[] = [];
    const read = ({ upto }: { upto: bigint }) => {
      asked.push(upto);
      return Promise.resolve([]);
    };
    Object.assign(kit.session, { keyHistory: { read } });
    const lasts = [1, 2].map((batch) =>
      range(3)
        .map((id) => slot.commit(insert(10 * batch + id)))
        .at(-1),
    );
    await runs({ maxRows: 9 });
    assert.deepEqual(asked, lasts);
  });
});

describe('a key that the plugin shows beside a change', () => {
  it('is not asked of the WAL', async () => {
    const { slot, kit, runs } = pipeline(new FakeKeys({ 'public.t': { seenFrom: 10_000 } }));
    let asked = 0;
    Object.assign(kit.session, { keyHistory: { read: () => Promise.resolve((asked++, [])) } });
    const peek = slot.peek.bind(slot);
    slot.peek = (...request) => {
      const found = peek(...request);
      const blocks = found[Symbol.asyncIterator].bind(found);
      found[Symbol.asyncIterator] = async function* () {
        for await (const block of { [Symbol.asyncIterator]: blocks }) {
          const next = block.next.bind(block);
          block.next = () => {
            const message = next();
            return message?.kind === 'change' ? { ...message, historicKey: ['id'] } : message;
          };
          yield block;
        }
      };
      return found;
    };
    slot.commit(insert(1));
    assert.deepEqual([(await runs()).published, asked], [1, 0]);
  });
});

describe('a commit that is waited for', () => {
  it('is no lag any more once it is published', async () => {
    const { slot, kit, keys, runs } = pipeline();
    slot.commit(insert(1));
    slot.commit(insert(2));
    keys.pending.add(701);
    let isAwaited = false;
    Object.assign(kit.session, { isLockAwaited: () => isAwaited });
    const sleep = kit.clock.sleep.bind(kit.clock);
    kit.clock.sleep = async (ms, signal) => {
      await sleep(Math.max(1, ms), signal);
      if (kit.clock.slept.length > 15) keys.pending.clear();
      if (kit.publisher.acknowledged.length < 2) return;
      // Something is left that no commit is known of, and the slot goes to somebody else.
      slot.idleWal(10n);
      isAwaited = true;
    };
    const answer = await runs({ lingerDutyPercent: 100 });
    assert.deepEqual([answer.stopped, answer.published, answer.lagBytes], ['handed-over', 2, 10]);
    assert.equal('lagSeconds' in answer, false);
  });
});

describe('I7: a batch when the time is over', () => {
  it('publishes what has come, and takes no more of it', async () => {
    const { slot, kit, runs } = pipeline();
    for (const id of range(20)) slot.commit(insert(id));
    let blocks = 0;
    slot.onBlock = () => {
      // The second block of seven rows is the last that is waited for.
      if (++blocks === 2) kit.clock.time += 68_000;
    };
    const functionDeadline = kit.clock.time + 70_000;
    kit.publisher.roundMs = 1;
    const { stopped, transactions } = await runs({ deadline: functionDeadline, functionDeadline }).catch(
      (error: unknown) => error as never,
    );
    assert.deepEqual([stopped, blocks], ['deadline', 2]);
    assert.ok(transactions >= 4, `${transactions} transactions`);
  });

  it('takes no more of it once the stream refuses', async () => {
    const { slot, kit, runs } = pipeline();
    slot.commit(...range(200).map((id) => insert(id)));
    let blocks = 0;
    slot.onBlock = () => (blocks += 1);
    kit.publisher.fate = () => 'throttled';
    await assert.rejects(runs({ packer: roundsOf(2) }), { code: 'STREAM_THROTTLED' });
    // The round that is refused, one that waits, and what was taken meanwhile.
    assert.ok(blocks <= 2, `${blocks} blocks of seven rows`);
  });

  it('takes on nothing of a peek that came too late', async () => {
    const { slot, kit, runs } = pipeline();
    slot.commit(insert(1));
    slot.onBlock = () => (kit.clock.time += 60_000);
    const functionDeadline = kit.clock.time + 50_000;
    await assert.rejects(runs({ functionDeadline }), { code: 'NO_PROGRESS' });
    assert.equal(kit.publisher.rounds.length, 0);
  });
});

describe('a batch that fails', () => {
  it('ends with what failed, also where the catalogs cannot be read either', async () => {
    const { slot, kit, keys, runs } = pipeline();
    slot.commit(insert(1));
    const failure = new Error('the peek failed');
    slot.failure = () => failure;
    keys.refreshIfStale = () => Promise.reject(new Error('the catalogs could not be read'));
    await assert.rejects(runs(), failure);
    // A rejection that nobody waits for would end the process.
    await new Promise(setImmediate);
    assert.equal(kit.publisher.rounds.length, 0);
  });

  it('I6: moves nothing where the lock was lost, though nothing was to be sent', async () => {
    const { slot, kit, runs } = pipeline();
    for (const id of range(20)) slot.commit(insert(id, 'secret.t'));
    const lost = new Error('the lock is lost');
    let blocks = 0;
    slot.onBlock = () => {
      if (++blocks === 9) kit.lose(lost);
    };
    slot.blockLines = 7;
    await assert.rejects(runs({ filters: EXCLUDE_SECRETS }), lost);
    assert.deepEqual(slot.advances, []);
  });

  it('I6: answers with no request in flight', async () => {
    const { slot, kit } = pipeline();
    for (const id of range(9)) slot.commit(insert(id));
    let inFlight = 0;
    const publisher: Publisher = {
      publish: async (round, deadline, signal) => {
        inFlight++;
        const published = await kit.publisher.publish(round, deadline, signal);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inFlight--;
        return published;
      },
    };
    const packer = roundsOf(2);
    const broken = new Error('no memory');
    let isAdding = false;
    const add = packer.add.bind(packer);
    const flush = packer.flush.bind(packer);
    packer.add = (...args) => {
      isAdding = true;
      const full = add(...args);
      isAdding = false;
      return full;
    };
    // The last round of the batch cannot be closed, while the one before it is being sent.
    packer.flush = () => {
      if (isAdding) return flush();
      assert.equal(inFlight, 1);
      throw broken;
    };
    await assert.rejects(run({ ...kit.ports, publisher }, kit.options({ packer })), broken);
    assert.equal(inFlight, 0);
  });
});
