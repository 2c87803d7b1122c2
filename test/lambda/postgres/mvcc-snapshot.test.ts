/** What a snapshot says of 32-bit transaction ids, across epochs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MvccSnapshot } from '../../../lambda/postgres/mvcc-snapshot.ts';

const EPOCH = 2n ** 32n;

describe('a snapshot', () => {
  for (const [text, xid, over] of [
    ['700:705:700,703', 699, true],
    ['700:705:700,703', 700, false],
    ['700:705:700,703', 702, true],
    ['700:705:700,703', 703, false],
    ['700:705:700,703', 704, true],
    ['700:705:700,703', 705, false],
    ['700:705:700,703', 4_000, false],
    ['3:3:', 3, false],
    // The next is the first usable one of the fourth epoch; the last of the third are just behind it.
    [`${3n * EPOCH - 2n}:${3n * EPOCH + 5n}:${3n * EPOCH - 1n},${3n * EPOCH + 4n}`, 2 ** 32 - 2, true],
    [`${3n * EPOCH - 2n}:${3n * EPOCH + 5n}:${3n * EPOCH - 1n},${3n * EPOCH + 4n}`, 2 ** 32 - 1, false],
    [`${3n * EPOCH - 2n}:${3n * EPOCH + 5n}:${3n * EPOCH - 1n},${3n * EPOCH + 4n}`, 3, true],
    [`${3n * EPOCH - 2n}:${3n * EPOCH + 5n}:${3n * EPOCH - 1n},${3n * EPOCH + 4n}`, 4, false],
    [`${3n * EPOCH - 2n}:${3n * EPOCH + 5n}:${3n * EPOCH - 1n},${3n * EPOCH + 4n}`, 5, false],
    // And the other way round: the snapshot was taken just before the epoch's end.
    [`${EPOCH - 1n}:${EPOCH - 1n}:`, 3, false],
  ] as const)
    it(`I11: ${text} sees ${xid} as ${over ? 'over' : 'not over'}`, () =>
      assert.equal(new MvccSnapshot(text).isOver(xid), over));

  it('fails on a text that is no snapshot', () => assert.throws(() => new MvccSnapshot('700:705'), TypeError));
});
