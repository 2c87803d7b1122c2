/** Where a logical message's record ends at the latest, by the sizes of PostgreSQL's WAL. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogicalMessage } from '../../../lambda/decode/messages.ts';
import { latestEnd } from '../../../lambda/run/logical-message-end.ts';

const message = (prefix: string | undefined, size: number): LogicalMessage => {
  return { kind: 'message', transactional: false, prefix, bytes: Buffer.alloc(0), start: 0, end: 0, size };
};
/** Headers, and the zero behind the prefix. */
const AROUND = 73n;

describe('the end of a logical message', () => {
  it('is behind its headers, its prefix in UTF-8, a zero and its content', () => {
    assert.equal(latestEnd(16_384n, message('', 0)), 16_384n + AROUND);
    assert.equal(latestEnd(16_384n, message('abc', 100)), 16_384n + AROUND + 103n);
    assert.equal(latestEnd(16_384n, message('é€', 0)), 16_384n + AROUND + 5n);
    assert.equal(latestEnd(16_384n, message(undefined, 7)), 16_384n + AROUND + 7n);
  });

  it('is behind the header of each page that it goes into', () => {
    const room = 8_152n;
    const at = (offset: bigint, size: bigint): bigint => {
      return latestEnd(16_384n + offset, message('', Number(size))) - 16_384n - offset - AROUND - size;
    };
    assert.equal(at(0n, room - AROUND - 1n), 0n);
    assert.equal(at(0n, room - AROUND), 40n);
    assert.equal(at(1n, room - AROUND - 1n), 40n);
    assert.equal(at(8_000n, room - AROUND - 8_001n + 8_152n), 40n);
    assert.equal(at(8_000n, 2n * room - AROUND - 8_000n), 80n);
    assert.equal(at(0n, 10n * room), 400n);
  });
});
