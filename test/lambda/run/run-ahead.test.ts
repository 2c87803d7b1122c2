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

/** A run over more rows than the first peek of a backlog takes, and what was read ahead. */
async function reading(over: { options?: Partial<RunOptions>; idleBytes?: bigint; fails?: boolean } = {}) {
  const slot = new FakeSlot();
  const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
  const insert = 'table public.t: INSERT: id[integer]:1';
  for (let rows = 0; rows < FIRST_ROWS + 500; rows += 502) slot.commit(...Array.from({ length: 500 }, () => insert));
  slot.idleWal(over.idleBytes ?? MIN_BACKLOG_BYTES);
  slot.blockLines = 4_000;
  kit.publisher.roundMs = 1;
  const calls: string[] = [];
  const ahead: AheadSource = {
    isOver: false,
    begin: (_from, _upto, limit) => {
      calls.push(`begin ${limit}`);
      return Promise.resolve(undefined);
    },
    close: () => {
      calls.push('close');
      return Promise.resolve();
    },
  };
  Object.assign(kit.session, { ahead });
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
