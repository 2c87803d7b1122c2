/** What is made of wal2json's warnings: which changes it leaves out. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { leftOutBy } from '../../../lambda/postgres/left-out.ts';

const warning = (message: string, count = 1, routine = 'pg_decode_write_change') => ({
  code: '01000',
  routine,
  message,
  count,
});

it('reads tables and numbers, and nothing of other warnings', () => {
  assert.deepEqual(
    leftOutBy([
      warning('no tuple identifier for UPDATE in table "public"."t"', 3),
      warning('no tuple identifier for DELETE in table "a b"."c"d"'),
      warning('no tuple data for INSERT in table "s"."two\nlines"'),
      warning('no old tuple data for UPDATE in table "public"."printed"'),
      warning('no tuple identifier for UPDATE in table "public"."t"', 1, 'other'),
      warning('skipped loading publication "p"'),
    ]),
    [
      { schema: 'public', name: 't', changes: 3 },
      { schema: 'a b', name: 'c"d', changes: 1 },
      { schema: 's', name: 'two\nlines', changes: 1 },
    ],
  );
});
