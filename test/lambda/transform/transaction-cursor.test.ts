/** Where a run is inside a transaction, and what the next skips. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Transaction } from '../../../lambda/decode/messages.ts';
import { TransactionCursor } from '../../../lambda/transform/transaction-cursor.ts';

const transaction: Transaction = { xid: 700, commitLsn: 0x40n, commitTimeMicros: 0n };

it('as many messages as rows are progress, too, and are skipped when the transaction comes again', () => {
  const cursor = new TransactionCursor(undefined);
  cursor.begin(transaction);
  assert.equal(cursor.progress, undefined);
  assert.equal(cursor.skipsRow(), false);
  cursor.ordinal++;
  cursor.rowDone();
  assert.equal(cursor.skipsMessage(), false);
  cursor.messageDone();
  assert.deepEqual(cursor.progress, { transaction, ordinal: 1, rows: 1, messages: 1 });
  cursor.startOver();
  cursor.begin(transaction);
  assert.deepEqual([cursor.skipsRow(), cursor.skipsMessage(), cursor.skipsMessage()], [true, true, false]);
  assert.equal(cursor.ordinal, 1);
});
