/**
 * What the records of a database that was altered meanwhile have to be, by what is known of each change at the moment at
 * which it was written.
 */
import assert from 'node:assert/strict';
import type { JsonRecord } from '../real-pipeline.ts';
import { type Expected, type Model, SECRET } from './model.ts';

/** A change, and the transaction that made it. */
export interface Written extends Expected {
  readonly xid: number;
  /** Whether the transaction altered tables, too. */
  readonly alters: boolean;
}

/** What is promised of a reader. */
export interface Promised {
  /** Which changes must come, each under its key at write time; the others may, or are counted. */
  readonly must: (change: Written, model: Model) => boolean;
  /** Whether nothing of the secret table may come. */
  readonly hides: boolean;
}

interface Half {
  readonly newKey?: unknown;
}

/**
 * Checks what one reader published.
 *
 * @throws {assert.AssertionError} what is wrong
 */
export function assertRecords(
  model: Model,
  written: readonly Written[],
  records: readonly JsonRecord[],
  { must, hides }: Promised,
): void {
  const byMarker = new Map(
    written.filter(({ operation }) => operation !== 'DELETE').map((each) => [each.marker, each]),
  );
  const seen = new Set<Written>();
  const ids = new Set<string>();
  for (const record of records) {
    if (record.op === 'TRUNCATE') continue;
    const told = JSON.stringify(record);
    assert.ok(!ids.has(record.id), `the same record twice: ${told}`);
    ids.add(record.id);
    const change =
      record.row === undefined
        ? deletionOf(written, record, seen)
        : byMarker.get(Number(record.row[markerColumn(record.row)]));
    assert.ok(change !== undefined, `nobody wrote ${told}`);
    assert.equal(change.xid, record.xid, told);
    assert.equal(change.table, `${record.schema}.${record.table}`, told);
    assert.ok(!hides || !change.secret, `a partition of ${SECRET} is shown: ${told}`);
    const isFirstHalf = 'newKey' in record && (record as Half).newKey !== undefined;
    if (!isFirstHalf) {
      assert.ok(!seen.has(change), `twice: ${told}`);
      seen.add(change);
    }
    if (record.key === null) {
      assert.ok(record.op === 'DELETE', told);
      assert.ok(!must(change, model) || !change.sendsKey, `the key was sent: ${told}`);
      continue;
    }
    const from = isFirstHalf ? change.before : change.row;
    const columns = Object.keys(record.key);
    for (const column of columns) assert.equal(record.key[column], from?.[column], `another value: ${told}`);
    const set = JSON.stringify([...columns].sort());
    // A row of before a key may come under it. The order of a composite key at write time is not always known.
    if (must(change, model) && change.key !== undefined)
      assert.equal(set, JSON.stringify([...change.key].sort()), `another key: ${told}`);
    const allowed = [change.table, String(change.identity)].some((of) => model.keysEver.get(of)?.has(set));
    assert.ok(allowed, `never a key: ${told}`);
  }
  const missing = written.filter((change) => must(change, model) && change.key !== undefined && !seen.has(change));
  assert.deepEqual(missing, [], 'never came');
}

/** The column that marks rows is never renamed. */
const markerColumn = (row: Readonly<Record<string, unknown>>): string => ('m' in row ? 'm' : '?');

/**
 * Which change a record without a row is of: a DELETE, or the first half of a key change. Where nothing was sent of the
 * rows, those of a transaction cannot be told apart: each is of one that no record was of yet.
 */
function deletionOf(written: readonly Written[], record: JsonRecord, seen: ReadonlySet<Written>): Written | undefined {
  const isHalf = (record as Half).newKey !== undefined;
  const candidates = written.filter(
    ({ xid, table, operation }) =>
      xid === record.xid &&
      table === `${record.schema}.${record.table}` &&
      operation === (isHalf ? 'UPDATE' : 'DELETE'),
  );
  const shown = Object.entries(record.key ?? record.old ?? {});
  const matching = candidates.filter((change) => {
    const row = isHalf ? change.before : change.row;
    return row !== undefined && shown.every(([column, value]) => row[column] === value);
  });
  return matching.find((change) => !seen.has(change)) ?? matching[0];
}
