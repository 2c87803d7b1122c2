/** What an operator reads of a change that can neither be published nor left out: what it was, where it is, and the way out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogicalMessage, Transaction } from '../../../lambda/decode/messages.ts';
import {
  asOperatorError,
  formatFailed,
  keyExcluded,
  keyUnresolved,
} from '../../../lambda/transform/transform-errors.ts';
import { recordOf } from '../../support/changes.ts';

const T = { printed: 'public.t', schema: 'public', name: 't' };
const U = { printed: 'public."U"', schema: 'public', name: 'U' };
const transaction: Transaction = { xid: 700, commitLsn: 0x40n, commitTimeMicros: 0n };
const WITHIN = 'in the transaction with commit LSN 0/40. It was not published, and the slot was not advanced past it.';
const OUTSIDE = 'outside a transaction. It was not published, and the slot was not advanced past it.';

describe('an error', () => {
  it('of a key column that is excluded says both ways out', () => {
    const { message, remedy } = keyExcluded('public.t', 'id');
    assert.match(message, /names the column public\.t\.id,/);
    assert.match(remedy, /^Take the column out of COLUMN_EXCLUDE_LIST, or leave out the table: TABLE_EXCLUDE_LIST\./);
  });

  it('of a key that a row does not show names all its columns', () => {
    const { message } = keyUnresolved({ operation: 'DELETE', table: T, transaction }, ['a', 'b']);
    assert.ok(
      message.includes(`The DELETE of a row of public.t does not show the table's primary key (a, b), ${WITHIN}`),
    );
  });

  it('of a formatter says which change it was of', () => {
    const of = (operation: 'INSERT' | 'TRUNCATE') =>
      formatFailed({ operation, table: T, transaction }, 'failed').message;
    assert.ok(of('INSERT').includes(`The formatter failed, for the INSERT of a row of public.t ${WITHIN}`));
    assert.ok(of('TRUNCATE').includes(`The formatter failed, for the TRUNCATE of public.t ${WITHIN}`));
  });
});

describe('what the code itself failed at', () => {
  const message = (transactional: boolean): LogicalMessage => ({
    kind: 'message',
    transactional,
    prefix: 'secret',
    bytes: Buffer.from('secret'),
    start: 0,
    end: 6,
    size: 6,
  });
  const { change } = recordOf("table public.t: INSERT: id[text]:'secret'");
  assert.ok(change !== undefined);

  for (const [row, expected] of [
    [change, `The INSERT of a row of public.t could not be written as a record (TypeError), ${WITHIN}`],
    [
      { kind: 'truncate', tables: [T, U] },
      `The TRUNCATE of public.t, public."U" could not be written as a record (TypeError), ${WITHIN}`,
    ],
    [message(true), `A logical message could not be written as a record (TypeError), ${WITHIN}`],
    [message(false), `A logical message could not be written as a record (TypeError), ${OUTSIDE}`],
  ] as const)
    it(`is named by what it was, and by nothing of it: ${expected}`, () => {
      const cause = new TypeError('secret');
      const error = asOperatorError(row, transaction, cause);
      assert.equal(error.code, 'DECODE_FAILED');
      assert.ok(error.message.includes(expected) && !error.message.includes('secret'), error.message);
      assert.equal(error.cause, cause);
    });

  it('is said to be anywhere, where nothing tells of its transaction', () => {
    assert.match(
      asOperatorError(change, undefined, 'secret').message,
      /\(string\), in the transaction with commit LSN unknown\./,
    );
  });
});
