/** Printed names of tables, taken apart. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { splitTableName } from '../../../lambda/decode/table-name.ts';

describe('splitTableName', () => {
  const cases: readonly (readonly [printed: string, schema: string, name: string])[] = [
    ['public.orders', 'public', 'orders'],
    ['public."Order.items"', 'public', 'Order.items'],
    ['"a.b"."say ""x"".y"', 'a.b', 'say "x".y'],
    ['"""."."."', '".', '.'],
  ];
  for (const [printed, schema, name] of cases)
    it(`takes ${printed} apart`, () => assert.deepEqual(splitTableName(printed), [schema, name]));
});
