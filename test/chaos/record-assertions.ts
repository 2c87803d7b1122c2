/**
 * What a stream has to look like, whatever happened on the way. Written from the promises alone; knows none of the code
 * that keeps them.
 */
import assert from 'node:assert/strict';
import type { Arrived } from './environment.ts';
import type { Book } from './workload.ts';

/**
 * Leaves out repeats, by `source` and `id` as a consumer does.
 *
 * @param records - as they arrived, each lane's in order
 * @returns the first of each
 * @throws when a repeat says anything else than the first did
 */
export function withoutRepeats(records: readonly Arrived[]): Arrived[] {
  const first = new Map<string, Arrived>();
  for (const record of records) {
    const { source } = JSON.parse(record.text) as { source: string };
    const identity = `${source} ${record.id}`;
    const seen = first.get(identity);
    if (seen === undefined) first.set(identity, record);
    else
      assert.deepEqual(
        [record.text, record.lane, record.partitionKey],
        [seen.text, seen.lane, seen.partitionKey],
        'a repeat differs from what it repeats',
      );
  }
  return [...first.values()];
}

/**
 * I3: without repeats, each lane is in commit order: by commit LSN, and within a transaction by ordinal.
 *
 * @param records - without repeats
 */
export function assertLanesInOrder(records: readonly Arrived[]): void {
  const last = new Map<string, Arrived>();
  for (const record of records) {
    const before = last.get(record.lane);
    if (before !== undefined) {
      const [older, newer] = [lsn(before), lsn(record)];
      assert.ok(
        older < newer || (older === newer && before.ordinal < record.ordinal),
        `lane ${record.lane}: ${record.id} came after ${before.id}`,
      );
    }
    last.set(record.lane, record);
  }
}

/**
 * I1, I3: without repeats, each row's records are exactly what was committed of it, in the order of the commits; each
 * lane is in order; and what the records say of that order is the order in which the writers committed.
 *
 * @param all - as they arrived, each lane's in order
 * @param book - what was committed
 * @returns the records without repeats
 */
export function assertAllArrived(all: readonly Arrived[], book: Book): Arrived[] {
  const records = withoutRepeats(all);
  assertLanesInOrder(records);
  const arrived = new Map<string, string[]>();
  const commitOf = new Map<number, bigint>();
  for (const record of records) {
    const v = record.row?.['v'];
    const list = arrived.get(rowOf(record)) ?? [];
    list.push(`${record.xid} ${record.op}${v === undefined ? '' : ` ${JSON.stringify(v)}`}`);
    arrived.set(rowOf(record), list);
    commitOf.set(record.xid, lsn(record));
  }
  for (const [row, expected] of book.rows) assert.deepEqual(arrived.get(row) ?? [], expected, `the changes of ${row}`);
  assert.equal(arrived.size, book.rows.size, 'a row arrived that nobody wrote');
  for (const [writer, xids] of book.transactions) {
    const commits = xids.map((xid) => commitOf.get(xid) ?? 0n);
    assert.ok(
      commits.every((commit, i) => i === 0 || commit > (commits[i - 1] ?? 0n)),
      `writer ${writer} committed in another order`,
    );
  }
  return records;
}

/** @returns the record's commit LSN as a number */
export function lsn({ commitLsn }: Arrived): bigint {
  const [high = '', low = ''] = commitLsn.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** @returns a row by its table and primary key, the same text for the same row */
export function rowOf({ schema, table, key }: Arrived): string {
  return `${schema}.${table} ${JSON.stringify(key)}`;
}
