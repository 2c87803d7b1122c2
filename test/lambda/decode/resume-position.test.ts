/** A position inside a transaction is good for that very transaction (I1). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isFurther, isSameTransaction, resumePosition } from '../../../lambda/decode/resume-position.ts';

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

describe('progress inside a transaction', () => {
  const at = (rows: number, messages: number) => ({ rows, messages });

  it('says how many logical messages behind the last row are done, where any are', () => {
    const transaction = { xid: 1, commitLsn: 1n, commitTimeMicros: 1n };
    assert.equal(resumePosition({ transaction, ordinal: 0, rows: 0, messages: 3 }, '').messages, 3);
    assert.equal('messages' in resumePosition({ transaction, ordinal: 0, rows: 0, messages: 0 }, ''), false);
  });

  it('is further with more rows, or with as many rows and more messages behind them', () => {
    assert.equal(isFurther(at(8, 0), at(7, 5)), true);
    assert.equal(isFurther(at(7, 6), at(7, 5)), true);
    assert.equal(isFurther(at(7, 5), at(7, 5)), false);
    assert.equal(isFurther(at(7, 4), at(7, 5)), false);
    assert.equal(isFurther(at(6, 9), at(7, 5)), false);
  });

  it('is counted from the beginning where there is no position, or none inside its messages', () => {
    assert.equal(isFurther(at(0, 0), undefined), false);
    assert.equal(isFurther(at(1, 0), undefined), true);
    assert.equal(isFurther(at(0, 1), undefined), true);
    assert.equal(isFurther(at(7, 1), { rows: 7 }), true);
    assert.equal(isFurther(at(7, 0), { rows: 7 }), false);
  });
});
