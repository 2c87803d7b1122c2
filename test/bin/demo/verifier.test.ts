/** Whether the demo's verifier finds what is missing, repeated, unexpected, wrong or out of order. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Comparison,
  type ExpectedRecord,
  isConclusive,
  type ReceivedRecord,
  Verifier,
} from '../../../bin/demo/verifier.ts';

const expected = (identity: string, over: Partial<ExpectedRecord> = {}): ExpectedRecord => ({
  identity,
  group: 'g',
  partitionKey: 'k',
  table: 't',
  isBarrier: false,
  contents: `says ${identity}`,
  ...over,
});
const received = (identity: string, over: Partial<ReceivedRecord> = {}): ReceivedRecord => ({
  identity,
  partitionKey: 'k',
  contents: `says ${identity}`,
  id: `id ${identity}`,
  arrivedMs: 0,
  ...over,
});
const compare = (due: readonly ExpectedRecord[], got: readonly ReceivedRecord[]): Comparison => {
  const verifier = new Verifier();
  for (const each of due) verifier.expect(each);
  for (const each of got) verifier.receive(each);
  return verifier.comparison();
};
const clean = { missing: 0, outOfOrder: 0, duplicates: 0, unexpected: 0, wrong: 0 };
const found = ({ missing, outOfOrder, duplicates, unexpected, wrong }: Comparison) => ({
  missing,
  outOfOrder,
  duplicates,
  unexpected,
  wrong,
});

const abc = ['a', 'b', 'c'].map((identity) => expected(identity));
const truncated = [
  expected('row'),
  expected('gone', { isBarrier: true, group: 'g2' }),
  expected('new', { group: 'g3' }),
];

describe('the verifier', () => {
  const cases: readonly {
    readonly name: string;
    readonly due: readonly ExpectedRecord[];
    readonly got: readonly ReceivedRecord[];
    readonly finds: Partial<typeof clean>;
  }[] = [
    { name: 'accepts what came as committed', due: abc, got: ['a', 'b', 'c'].map((i) => received(i)), finds: {} },
    { name: 'fails on a missing record', due: abc, got: [received('a'), received('c')], finds: { missing: 1 } },
    { name: 'fails on all missing', due: abc, got: [], finds: { missing: 3 } },
    {
      name: 'fails on two swapped',
      due: abc,
      got: [received('b'), received('a'), received('c')],
      finds: { outOfOrder: 1 },
    },
    {
      name: 'fails on one that comes first though it is the last',
      due: abc,
      got: [received('c'), received('a'), received('b')],
      finds: { outOfOrder: 1 },
    },
    {
      name: 'fails on all turned round',
      due: abc,
      got: [received('c'), received('b'), received('a')],
      finds: { outOfOrder: 2 },
    },
    {
      name: 'fails on a repeat',
      due: abc,
      got: ['a', 'b', 'b', 'c'].map((i) => received(i)),
      finds: { duplicates: 1 },
    },
    {
      name: 'takes a repeat of what came before for no disorder',
      due: abc,
      got: ['a', 'b', 'a', 'b', 'c'].map((i) => received(i)),
      finds: { duplicates: 2 },
    },
    {
      name: 'fails on a foreign record',
      due: abc,
      got: ['a', 'b', 'x', 'c'].map((i) => received(i)),
      finds: { unexpected: 1 },
    },
    {
      name: 'fails on a foreign record that comes twice',
      due: abc,
      got: ['a', 'x', 'b', 'x', 'c'].map((i) => received(i)),
      finds: { unexpected: 1, duplicates: 1 },
    },
    {
      name: 'fails on other contents',
      due: abc,
      got: [received('a'), received('b', { contents: 'lies' }), received('c')],
      finds: { wrong: 1 },
    },
    {
      name: 'fails on another partition key',
      due: abc,
      got: [received('a'), received('b', { partitionKey: 'x' }), received('c')],
      finds: { wrong: 1 },
    },
    {
      name: 'asks for no contents and key where the format has none',
      due: abc,
      got: abc.map(({ identity }) =>
        received(identity, { contents: undefined, partitionKey: undefined, id: undefined }),
      ),
      finds: {},
    },
    {
      name: 'fails on an identifier that two records share',
      due: abc,
      got: [received('a'), received('b', { id: 'id a' }), received('c')],
      finds: { wrong: 1 },
    },
    {
      name: 'fails on a repeat with another identifier',
      due: abc,
      got: [received('a'), received('a', { id: 'other' }), received('b'), received('c')],
      finds: { duplicates: 1, wrong: 1 },
    },
    {
      name: 'knows no order between groups',
      due: [expected('a'), expected('b', { group: 'h' })],
      got: [received('b'), received('a')],
      finds: {},
    },
    {
      name: 'accepts a fence that all keep to',
      due: truncated,
      got: [received('new', { arrivedMs: 3 }), received('row', { arrivedMs: 1 }), received('gone', { arrivedMs: 2 })],
      finds: {},
    },
    {
      name: 'fails on a row that the stream took after its TRUNCATE',
      due: truncated,
      got: [received('row', { arrivedMs: 3 }), received('gone', { arrivedMs: 2 }), received('new', { arrivedMs: 4 })],
      finds: { outOfOrder: 1 },
    },
    {
      name: 'fails on a row that the stream took before the TRUNCATE it follows',
      due: truncated,
      got: [received('row', { arrivedMs: 1 }), received('gone', { arrivedMs: 3 }), received('new', { arrivedMs: 2 })],
      finds: { outOfOrder: 1 },
    },
  ];
  for (const { name, due, got, finds } of cases) {
    it(name, () => {
      const comparison = compare(due, got);
      assert.deepEqual(found(comparison), { ...clean, ...finds });
      assert.equal(isConclusive(comparison, false), Object.keys(finds).length === 0);
      assert.equal(comparison.expected, due.length);
      assert.equal(comparison.distinct, due.length - comparison.missing);
    });
  }

  it('excuses repeats where something failed, and nothing else', () => {
    assert.ok(
      isConclusive(
        {
          ...compare(
            abc,
            ['a', 'a', 'b', 'c'].map((i) => received(i)),
          ),
        },
        true,
      ),
    );
    assert.ok(!isConclusive(compare(abc, [received('a'), received('c')]), true));
  });

  it('counts what could not be read as unexpected', () => {
    const verifier = new Verifier();
    verifier.unreadable('garbage');
    assert.equal(verifier.comparison().unexpected, 1);
  });

  it('fails when the ledger expects one record twice', () => {
    const verifier = new Verifier();
    verifier.expect(expected('a'));
    assert.throws(() => verifier.expect(expected('a')), /twice/);
  });

  it('finds the same, whichever side learns of a record first', () => {
    const stream = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'x'), { maxLength: 12 });
    fc.assert(
      fc.property(stream, fc.infiniteStream(fc.boolean()), (arrivals, coin) => {
        const due = ['a', 'b', 'c', 'd'].map((identity) =>
          expected(identity, { contents: identity === 'd' ? 'else' : `says ${identity}` }),
        );
        const got = arrivals.map((identity) => received(identity));
        const interleaved = new Verifier();
        let [e, r] = [0, 0];
        while (e < due.length || r < got.length) {
          const [nextDue, nextGot] = [due[e], got[r]];
          if (nextDue !== undefined && (nextGot === undefined || coin.next().value === true)) {
            interleaved.expect(nextDue);
            e++;
          } else if (nextGot !== undefined) {
            interleaved.receive(nextGot);
            r++;
          }
        }
        assert.deepEqual(found(interleaved.comparison()), found(compare(due, got)));
      }),
    );
  });
});
