/**
 * What the records of one workload have to be, whatever it did: nothing twice, nothing on a foreign shard, every change
 * published or counted, and the same in each format. Knows the promises, and none of the code that keeps them.
 */
import assert from 'node:assert/strict';
import type pg from 'pg';
import { lanes } from '../../lambda/pack/lanes.ts';
import type { Drained } from './drain.ts';
import type { Recorded } from './recorder.ts';

/** README's bound for the function's memory, with room for what a process under a debugger's Node.js takes. */
const MAX_MB = 256;
const HASH_KEYS = new Map(lanes(64).map(({ name, explicitHashKey }) => [name, explicitHashKey]));

/** A name as test_decoding prints it: `schema.table`, each quoted where it must be. */
const PRINTED = /(?:"(?:[^"]|"")*"|[^",.: ]+)\.(?:"(?:[^"]|"")*"|[^",.: ]+)/g;

/**
 * How many changes a slot holds by the server's own lines: one a row, and one a table that is truncated.
 *
 * @param client - in the slot's database
 * @param slot - stays where it is
 */
export async function changesOf(client: pg.Client, slot: string): Promise<number> {
  const { rows } = await client.query<{ count: string; line: Buffer | null }>(
    `WITH lines AS (SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL) WHERE substr(data, 1, 6) = 'table ')
     SELECT count(*) AS count, NULL::bytea AS line FROM lines WHERE position(': TRUNCATE: '::bytea IN data) = 0
     UNION ALL SELECT 1, data FROM lines WHERE position(': TRUNCATE: '::bytea IN data) > 0`,
    [slot],
  );
  return rows.reduce((sum, { count, line }) => sum + (line === null ? Number(count) : changesIn(line.toString())), 0);
}

/** A row's value may look like a TRUNCATE. */
function changesIn(line: string): number {
  const truncate = /^table (.*): TRUNCATE: [a-z_() -]*$/s.exec(line)?.[1];
  const names = truncate?.match(PRINTED) ?? [];
  return names.join(', ') === truncate ? names.length : 1;
}

/**
 * Checks one drain.
 *
 * @param drained - what it came to
 * @param changes - how many there were
 * @throws {assert.AssertionError} what is wrong
 */
export function assertDrain({ answer, records, maxRssMb }: Drained, changes: number): void {
  const { caughtUp, published, skipped } = answer;
  assert.ok(caughtUp, `not caught up: ${answer.stopped}`);
  const left = Object.values<number>({ ...skipped }).reduce((sum, count) => sum + count, 0);
  assert.equal(published + left, answer.changes, 'each change is published or counted');
  assert.equal(answer.changes, changes, 'as many changes as the server has');
  assert.equal(records.length, answer.records, 'as many records as were counted');
  assert.ok(maxRssMb < MAX_MB, `${maxRssMb.toFixed(0)} MB of memory`);
  for (const { hashKey, carrierHashKey, lane } of records) {
    if (carrierHashKey === undefined) continue;
    assert.equal(hashKey ?? carrierHashKey, carrierHashKey, 'a record is on a foreign shard');
    assert.equal(carrierHashKey, HASH_KEYS.get(lane), `the hash key of ${lane}`);
  }
}

/** What every format tells of a change. */
interface Told {
  readonly id: string;
  readonly source: string;
  readonly op: string;
  readonly xid: number;
  readonly key: unknown;
  readonly commitLsn: string;
  readonly ordinal: number;
}

/** No record comes twice, and none out of its lane's order. */
export function assertJson(records: readonly Recorded[]): void {
  const ids = new Set<string>();
  const last = new Map<string, string>();
  for (const { text, lane } of records) {
    const { id, source, commitLsn, ordinal } = JSON.parse(text) as Told;
    assert.ok(!ids.has(`${source} ${id}`), `twice: ${id}`);
    ids.add(`${source} ${id}`);
    const [high = '', low = ''] = commitLsn.split('/');
    const place = `${high.padStart(8, '0')}/${low.padStart(8, '0')} ${String(ordinal).padStart(12, '0')}`;
    assert.ok(place > (last.get(lane) ?? ''), `out of order in ${lane}: ${id}`);
    last.set(lane, place);
  }
}

/** The CSV formats have the records of `json`, but for DELETEs without a key. */
export function assertSameChanges(json: readonly Recorded[], csv: readonly Recorded[]): void {
  const expected = json.flatMap(({ text, partitionKey }) => {
    const { op, xid, key } = JSON.parse(text) as Told;
    return key === null && op !== 'TRUNCATE' ? [] : [`${xid} ${op} ${partitionKey}`];
  });
  const found = csv.map(({ text, partitionKey }) => {
    const payload = /^0,CDC,\{"xid": "(\d+)", "table": "(?:[^"\\]|\\.)*", "operation": "([A-Z]+)"/s.exec(text);
    const fields = payload ?? /^0,CDC,(\d+),(?:"(?:[^"]|"")*"|[^",]*),([A-Z]+),/s.exec(text);
    return `${fields?.[1] ?? '?'} ${fields?.[2] ?? '?'} ${partitionKey}`;
  });
  expected.sort();
  found.sort();
  assert.equal(found.length, expected.length, 'as many records as in json');
  for (const [i, record] of expected.entries()) assert.equal(found[i], record);
}
