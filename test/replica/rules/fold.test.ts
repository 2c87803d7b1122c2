/** Changes that say too little of their row to be applied. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DELETED, Fold } from '../../../replica/rules/fold.ts';
import { type Change, readRecord } from '../../../replica/rules/record.ts';

function changeOf(over: object): Change {
  const at = {
    source: 's',
    commitLsn: '0/10',
    commitTime: '2026-01-02T03:04:05Z',
    ordinal: 1,
    schema: 'p',
    table: 't',
  };
  const change = readRecord(JSON.stringify({ ...at, op: 'DELETE', key: { id: 1 }, ...over }));
  assert.ok(change.kind === 'change');
  return change;
}

describe('a change that is folded', () => {
  it('is refused without the key of its row, and without the row: nothing of them can be told apart', () => {
    for (const [over, said] of [
      [
        { key: null },
        /^RECORD_UNUSABLE: The DELETE of p\.t in the transaction with commit LSN 0\/10 .* without the key/,
      ],
      [
        { op: 'INSERT', truncated: true },
        /^RECORD_UNUSABLE: The INSERT of p\.t .* without its row: .*--skip-truncated/,
      ],
    ] as const) {
      const fold = new Fold();
      assert.throws(
        () => fold.add(changeOf(over)),
        (error: Error) => said.test(error.message),
      );
    }
    const fold = new Fold();
    fold.add(changeOf({}));
    fold.add(changeOf({ op: 'TRUNCATE', key: null }));
    assert.equal(fold.changes, 2);
  });

  it('is a DELETE without its old row, which was too large: its key is enough, also where the row goes on under another one', () => {
    const fold = new Fold();
    fold.add(changeOf({ truncated: true }));
    fold.add(changeOf({ key: { id: 2 }, newKey: { id: 3 }, truncated: true }));
    const row = { key: { id: 3 }, oldKey: { id: 2 }, row: { id: 3 }, unchanged: ['big'] };
    fold.add(changeOf({ ...row, op: 'UPDATE', ordinal: 2 }));
    assert.deepEqual(
      [...(fold.tables[0]?.rows ?? [])].map(([key, now]) => [key, now === DELETED ? 'deleted' : now.base]),
      [
        ['{"id":1}', 'deleted'],
        ['{"id":2}', 'deleted'],
        ['{"id":3}', '{"id":2}'],
      ],
    );
  });
});
