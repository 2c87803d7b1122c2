/** A position inside a transaction is good for that very transaction (I1). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSameTransaction, resumePosition } from '../../../lambda/decode/resume-position.ts';

describe('a position inside a transaction', () => {
  const transaction = { xid: 754, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n };
  const position = resumePosition({ transaction, ordinal: 12, rows: 7, messages: 0 }, 'evidence');

  it('is written down whole', () => {
    assert.deepEqual(position, {
      commitLsn: '0/16B3748',
      xid: 754,
      commitTimeMicros: '1767323045678901',
      ordinal: 12,
      rows: 7,
      evidence: 'evidence',
    });
  });

  it('I1: is of that transaction, and of none that differs in LSN, xid or time', () => {
    assert.equal(isSameTransaction(position, transaction), true);
    for (const other of [{ commitLsn: 0x16b3749n }, { xid: 755 }, { commitTimeMicros: 1_767_323_045_678_902n }])
      assert.equal(isSameTransaction(position, { ...transaction, ...other }), false, Object.keys(other)[0]);
  });
});
