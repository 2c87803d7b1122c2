/** What a table's plan refuses, and which failures are not called failures of the connection. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isConnectionFailure } from '../../../replica/postgres/connection.ts';
import { planTable } from '../../../replica/postgres/table-plan.ts';
import type { TargetTable } from '../../../replica/postgres/target-table.ts';
import { DELETED, type FoldedTable } from '../../../replica/rules/fold.ts';

const column = (name: string) => ({ name, type: 'integer', kind: { kind: 'text' }, isGenerated: false }) as const;
const key = (...columns: string[]) => ({ columns, equals: columns.map(() => '=') });
const TABLE = {
  ...{ sql: 'p.t', columns: [column('a'), column('b')], keys: [key('a', 'b'), key('a')] },
  ...{ isReferenced: false, originOnly: [], always: [], hasRowSecurity: false },
} as unknown as TargetTable;

const deleting = (...keys: string[]): FoldedTable => ({
  ...{ schema: 'p', name: 't', columns: [], isEmptied: false, changes: keys.length },
  rows: new Map(keys.map((each) => [each, DELETED])),
});

describe('a plan of a table', () => {
  it('is refused where its keys have different columns: some would be deleted by a part of their key', () => {
    assert.deepEqual(planTable(deleting('{"a":1,"b":2}', '{"a":3,"b":4}'), TABLE).deleted, [
      ['1', '3'],
      ['2', '4'],
    ]);
    for (const keys of [
      ['{"a":1,"b":2}', '{"a":3}'],
      ['{"a":3}', '{"a":1,"b":2}'],
    ])
      assert.throws(() => planTable(deleting(...keys), TABLE), /TARGET_KEY_DIFFERS: .* key of other columns/);
  });
});

describe('a failure of the connection', () => {
  it('is one of the network or of the client, and no fault of this program', () => {
    for (const message of ['Connection terminated unexpectedly', 'Query read timeout', 'Client was closed'])
      assert.ok(isConnectionFailure(new Error(message)), message);
    assert.ok(isConnectionFailure(Object.assign(new Error('read'), { code: 'ECONNRESET' })));
    const faults = [new TypeError('connection is undefined'), new SyntaxError('timeout'), new RangeError('closed')];
    for (const error of [...faults, new Error('The key has a column that the table does not have.'), 'text'])
      assert.ok(!isConnectionFailure(error), String(error));
  });
});
