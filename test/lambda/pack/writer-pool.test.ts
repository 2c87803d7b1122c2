/** Memory that two rounds would share: the bytes of one would be written over those of the other. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Round } from '../../../lambda/pack/round.ts';
import { WriterPool } from '../../../lambda/pack/writer-pool.ts';

describe('the writer pool', () => {
  it('lends a writer to one round at a time, though it be released twice', () => {
    const pool = new WriterPool();
    const writer = pool.take();
    const round = pool.lend({ entries: [] } as unknown as Round, writer);
    pool.release(round);
    pool.release(round);
    assert.equal(pool.take(), writer, 'used again');
    assert.notEqual(pool.take(), writer, 'and not twice at once');
  });

  it('I8: keeps two idle writers, and no more', () => {
    const pool = new WriterPool();
    const writers = [pool.take(), pool.take(), pool.take()];
    const rounds = writers.map((writer) => pool.lend({ entries: [] } as unknown as Round, writer));
    for (const round of rounds) pool.release(round);
    const again = [pool.take(), pool.take(), pool.take()];
    assert.deepEqual(again.map((writer) => writers.indexOf(writer)).sort(), [-1, 0, 1]);
  });
});
