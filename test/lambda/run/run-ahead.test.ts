/** Which runs read ahead, and that none leaves it open. Over fakes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AheadSource } from '../../../lambda/ports/read-ahead.ts';
import { FIRST_ROWS, MIN_BACKLOG_BYTES } from '../../../lambda/run/read-ahead.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const FAILURE = new Error('the stream is gone');

/** A pipeline with more rows than the first peek of a backlog takes, and what is read ahead: `begun` is what becomes of it. */
function backlog(idleBytes = MIN_BACKLOG_BYTES, begun: Promise<undefined> = Promise.resolve(undefined)) {
  const slot = new FakeSlot();
  const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
  const insert = 'table public.t: INSERT: id[integer]:1';
  for (let rows = 0; rows < FIRST_ROWS + 500; rows += 502) slot.commit(...Array.from({ length: 500 }, () => insert));
  slot.idleWal(idleBytes);
  slot.blockLines = 4_000;
  kit.publisher.roundMs = 1;
  const calls: string[] = [];
  const ahead: AheadSource = {
    isOver: false,
    begin: (_from, _upto, limit) => {
      calls.push(`begin ${limit}`);
      return begun;
    },
    close: () => {
      calls.push('close');
      return Promise.resolve();
    },
  };
  Object.assign(kit.session, { ahead });
  return { slot, kit, calls };
}

/** A run over that. @returns what was asked of reading ahead */
async function reading(over: { options?: Partial<RunOptions>; idleBytes?: bigint; fails?: boolean } = {}) {
  const { kit, calls } = backlog(over.idleBytes);
  if (over.fails === true) kit.publisher.fate = () => FAILURE;
  const options = over.options ?? {};
  const running = run(kit.ports, kit.options(options));
  if (over.fails === true) await assert.rejects(running, FAILURE);
  else assert.equal((await running).caughtUp, true);
  return calls;
}

describe('a run', () => {
  it('reads ahead where a backlog is worth it, and closes what it read with', async () => {
    const calls = await reading();
    assert.deepEqual([calls[0], calls.at(-1)], [`begin ${3 * FIRST_ROWS}`, 'close']);
  });

  it('closes it where it fails, too', async () => {
    assert.equal((await reading({ fails: true })).at(-1), 'close');
  });

  it('I6: advances nothing where the lock is lost while it waits for a peek that is read ahead', async () => {
    const begun: { give?: (peek: undefined) => void } = {};
    const { slot, kit, calls } = backlog(MIN_BACKLOG_BYTES, new Promise((resolve) => (begun.give = resolve)));
    // So fast that the slot does not follow in mid-batch.
    kit.publisher.roundMs = 0;
    const position = slot.position.bind(slot);
    slot.position = () => {
      // The last question before the peek is waited for.
      if (calls.length > 0) {
        kit.lose(FAILURE);
        begun.give?.(undefined);
      }
      return position();
    };
    await assert.rejects(run(kit.ports, kit.options()), FAILURE);
    assert.deepEqual(slot.advances, []);
  });

  for (const [why, over] of [
    ['there is little to read', { idleBytes: 0n }],
    ['READ_AHEAD is off', { options: { readAhead: false } }],
    ['it lingers', { options: { lingerDutyPercent: 100 } }],
  ] as const)
    it(`does not read ahead where ${why}`, async () => {
      const calls = await reading(over);
      assert.deepEqual(
        calls.filter((call) => call !== 'close'),
        [],
      );
    });
});
