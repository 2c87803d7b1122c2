/** Which rows were written before their table was altered, by positions in the WAL. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { TableEntry } from '../../../lambda/ports/catalogs.ts';
import { AlterationOrder, type Overlap, overlapOf } from '../../../lambda/transform/alterations.ts';

const ENTRY: TableEntry = {
  oid: 1,
  printed: 'public.t',
  schema: 'public',
  name: 'public.t',
  isTable: true,
  key: ['id'],
  ancestors: [],
  ancestorsSince: 701,
  alteredBy: [650, 700],
  keySince: undefined,
  seenFrom: 720,
  virtualColumns: [],
  identityHoldsKey: true,
};
const transaction = (xid: number, commitLsn = 100n) => ({ xid, commitLsn, commitTimeMicros: 0n });
const OVERLAP: Overlap = { from: 701, until: 720, after: 50n, alteredBy: [650, 700] };

it('looks at the transactions between the alteration and the reading, and at those alterations that may be unread', () => {
  assert.deepEqual(overlapOf(ENTRY, 50n, 600), OVERLAP);
  assert.deepEqual(overlapOf(ENTRY, 50n, undefined), OVERLAP, 'nothing is known of what is over');
  assert.deepEqual(overlapOf(ENTRY, 50n, 651)?.alteredBy, [700]);
  assert.equal(overlapOf(ENTRY, 50n, 701), undefined, 'all were over before');
  assert.equal(overlapOf({ ...ENTRY, alteredBy: [] }, 50n, 600), undefined);
  assert.equal(overlapOf({ ...ENTRY, ancestorsSince: undefined }, 50n, 600), undefined);
  assert.equal(overlapOf({ ...ENTRY, seenFrom: 701 }, 50n, 600), undefined, 'no transaction is between');
});

it('asks for what decides about a transaction, until it is known', () => {
  const order = new AlterationOrder();
  assert.deepEqual(order.unknown([OVERLAP], transaction(705)), [650, 700]);
  for (const other of [transaction(700), transaction(720), transaction(705, 50n)])
    assert.deepEqual(order.unknown([OVERLAP], other), []);
  assert.deepEqual(order.unknown([{ ...OVERLAP, from: 705, alteredBy: [705] }], transaction(705)), [], 'its own');
  order.take(new Map([[650, 10n]]));
  assert.deepEqual(order.unknown([OVERLAP], transaction(705)), [700]);
  assert.deepEqual([order.knows(650), order.knows(700)], [true, false]);
});

it('leaves a row in doubt that was written before one of them committed, or of which it is not known', () => {
  const order = new AlterationOrder();
  const isInDoubt = (position: bigint, of = transaction(705)) => order.isInDoubt([OVERLAP], of, () => position);
  order.take(new Map([[650, 60n]]));
  assert.equal(isInDoubt(99n), true, 'one is not known');
  order.take(new Map([[700, 80n]]));
  assert.deepEqual([isInDoubt(79n), isInDoubt(80n), isInDoubt(81n)], [true, false, false]);
  assert.equal(isInDoubt(1n, transaction(700)), false, 'of no concern here: its id tells');
  assert.equal(isInDoubt(1n, transaction(720)), false, 'began after the reading');
  assert.equal(isInDoubt(1n, transaction(705, 50n)), false, 'an earlier reading tells');
  assert.equal(
    order.isInDoubt([{ ...OVERLAP, from: 705, alteredBy: [705] }], transaction(705), () => 1n),
    false,
    'what it has altered itself',
  );
  assert.equal(
    order.isInDoubt([], transaction(705), () => 1n),
    false,
  );
});
