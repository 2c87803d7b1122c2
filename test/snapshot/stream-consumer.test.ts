/** The consumer of the snapshot's long test: it has to be right itself, for what it finds missing to be the product's fault. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Format, StreamConsumer } from './stream-consumer.ts';

/** A record of FORMAT=json at a place. */
function json(lsn: string, ordinal: number, rest: object): string {
  return JSON.stringify({ id: `${lsn}@1#${ordinal}`, table: 'accounts', commitLsn: lsn, ordinal, ...rest });
}
const rowsOf = (consumer: StreamConsumer): unknown => Object.fromEntries(consumer.tables.get('accounts') ?? []);

describe('the consumer of a whole stream', () => {
  const read = json('0/10', 1, { op: 'READ', key: { id: 1 }, row: { id: 1, v: 1, ok: null, note: 'n1' } });
  const away = json('0/20', 1, { op: 'DELETE', key: { id: 1 }, newKey: { id: 2 } });
  const there = json('0/20', 2, {
    op: 'INSERT',
    key: { id: 2 },
    oldKey: { id: 1 },
    row: { id: 2, v: 2, ok: true },
    unchanged: ['note'],
  });
  const back = json('0/30', 2, {
    op: 'INSERT',
    key: { id: 1 },
    oldKey: { id: 2 },
    row: { id: 1, v: 3, ok: false },
    unchanged: ['note'],
  });
  const awayAgain = json('0/30', 1, { op: 'DELETE', key: { id: 2 }, newKey: { id: 1 } });
  const ends = { '1': { id: '1', v: '3', ok: 'f', note: 'n1' } };

  for (const lanes of [
    [
      [read, away, back],
      [there, awayAgain],
    ],
    [
      [there, awayAgain],
      [read, away, back],
    ],
    [
      [read, away, read, away, back],
      [there, awayAgain, there, awayAgain],
    ],
  ])
    it(`follows rows that are moved to another lane and back, ${lanes[0]?.length} records in the first lane`, () => {
      const consumer = new StreamConsumer('json');
      consumer.consume(lanes);
      assert.deepEqual(rowsOf(consumer), ends);
    });

  it('would miss values, if it read one lane after the other', () => {
    const consumer = new StreamConsumer('json');
    for (const text of [there, awayAgain, read, away, back]) consumer.apply(text);
    assert.notDeepEqual(rowsOf(consumer), ends);
  });

  const debezium = (op: string, id: number, row: object, order: number): string => {
    const image = { id, ...row };
    const source = { table: 'accounts', txId: 7, ts_us: 1, lsn: 9 };
    return JSON.stringify({
      before: op === 'd' ? image : null,
      after: op === 'd' ? null : image,
      source,
      op,
      transaction: op === 'r' ? null : { total_order: order },
    });
  };
  const dms = (operation: string, data: object, order: number): string => {
    const metadata = {
      operation,
      'table-name': 'accounts',
      'transaction-id': 7,
      'commit-timestamp': 't',
      'transaction-record-id': order,
    };
    return JSON.stringify({ data, metadata });
  };
  const envelopes: Readonly<Record<Exclude<Format, 'json'>, readonly string[]>> = {
    debezium: [
      debezium('r', 1, { v: 1, ok: true, note: 'n1' }, 0),
      debezium('u', 1, { v: 2, ok: null, note: '__debezium_unavailable_value' }, 1),
      debezium('d', 1, { v: 0, ok: false, note: '' }, 2),
      debezium('c', 2, { v: 2, ok: null, note: '__debezium_unavailable_value' }, 3),
      debezium('u', 1, { v: 2, ok: null, note: '__debezium_unavailable_value' }, 1),
    ],
    dms: [
      dms('load', { id: 1, v: 1, ok: 'true', note: 'n1' }, 0),
      dms('update', { id: 1, v: 2, ok: null }, 1),
      dms('delete', { id: 1 }, 2),
      dms('insert', { id: 2, v: 2, ok: null }, 3),
      dms('update', { id: 1, v: 2, ok: null }, 1),
    ],
  };
  for (const format of ['debezium', 'dms'] as const)
    it(`reads ${format}, where a move does not say that it is one`, () => {
      const consumer = new StreamConsumer(format);
      consumer.consume([envelopes[format]]);
      assert.deepEqual(rowsOf(consumer), { '2': { id: '2', v: '2', note: 'n1' } });
      assert.deepEqual([consumer.reads, consumer.repeats], [1, 1]);
    });
});
