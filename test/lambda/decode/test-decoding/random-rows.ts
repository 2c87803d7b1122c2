/** Rows as fast-check draws them: names, types and values that look like anything but what they are. */
import fc from 'fast-check';
import type { Column, Row, Value } from './printer.ts';
import { printIdentifier, printTable } from './printer.ts';

export const HOSTILE = [
  'a',
  'id',
  'B',
  '.',
  ':',
  ', ',
  '[',
  ']',
  '[]',
  '"',
  '""',
  "'",
  "''",
  '\n',
  '\r',
  ' ',
  '\\',
  '€',
  '😀',
  ' new-tuple:',
  ' old-key:',
  ' (no-tuple-data)',
  ': TRUNCATE: cascade',
  'table ',
  ' x[integer]:1',
  'null',
  '0',
  '\t',
  '$',
  '{',
  '}',
  'message:',
  'COMMIT 1',
];
/** Never in a type, a name's rule or an error's text. */
export const SECRET = 'zqsecretqz';

/** Objects as literals make them, to be compared with. */
const PLAIN = { noNullPrototype: true } as const;

export const hostile = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...HOSTILE) }, fc.string({ unit: 'binary', maxLength: 3 })), {
    maxLength: 6,
  })
  .map((parts) => parts.join('').replaceAll('\0', ''));
const identifier = fc.oneof(
  fc.stringMatching(/^[a-z_][a-z0-9_]{0,10}$/),
  hostile.filter((name) => name !== ''),
);
export const table = fc.record({ schema: identifier, name: identifier }, PLAIN);
const words = fc.constantFrom(
  'integer',
  'text',
  'double precision',
  'timestamp without time zone',
  'character varying',
  'bit varying',
  '"char"',
  'oid',
  'jsonb',
);
const type = fc
  .tuple(fc.oneof(words, identifier.map(printIdentifier), table.map(printTable)), fc.boolean())
  .map(([name, array]) => (array ? `${name}[]` : name));

const number = fc.oneof(
  fc.bigInt(-(2n ** 63n), 2n ** 63n).map(String),
  fc
    .tuple(fc.bigInt(-(10n ** 20n), 10n ** 20n), fc.stringMatching(/^[0-9]{1,12}$/))
    .map(([whole, part]) => `${String(whole)}.${part}`),
  fc
    .tuple(fc.stringMatching(/^-?[1-9](\.[0-9]{1,16})?$/), fc.stringMatching(/^[+-][0-9]{2,3}$/))
    .map(([mantissa, exponent]) => `${mantissa}e${exponent}`),
);
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.constant<Value>({ kind: 'null' }),
  fc.constant<Value>({ kind: 'unchanged' }),
  fc
    .oneof(number, fc.constantFrom('true', 'false', 'NaN', 'Infinity', '-Infinity'))
    .map((text): Value => ({ kind: 'bare', text })),
  fc.stringMatching(/^[01]{0,70}$/).map((text): Value => ({ kind: 'bits', text })),
  fc
    .oneof(
      hostile,
      fc.array(hostile, { minLength: 5, maxLength: 30 }).map((parts) => parts.join(SECRET)),
    )
    .map((text): Value => ({ kind: 'literal', text })),
);
const column: fc.Arbitrary<Column> = fc.record({ name: identifier, type, value }, PLAIN);
const tuple = fc.oneof({ weight: 9, arbitrary: fc.array(column, { maxLength: 8 }) }, fc.constant(null));

export const row: fc.Arbitrary<Row> = fc.oneof(
  fc.record({ table, operation: fc.constant('INSERT' as const), oldTuple: fc.constant(null), newTuple: tuple }, PLAIN),
  fc.record({ table, operation: fc.constant('DELETE' as const), oldTuple: tuple, newTuple: fc.constant(null) }, PLAIN),
  fc.record(
    {
      table,
      operation: fc.constant('UPDATE' as const),
      oldTuple: tuple.map((old) => old && old.filter(({ value }) => value.kind !== 'null')),
      newTuple: tuple,
    },
    PLAIN,
  ),
);
/** Rows of one table as it comes: columns left out and put in, as by NULLs in old rows and by ALTER TABLE. */
export const rowsOfATable = fc
  .record({ table, columns: fc.array(column, { minLength: 1, maxLength: 8 }) })
  .chain(({ table, columns }) =>
    fc.array(
      fc
        .tuple(fc.subarray(columns), fc.subarray(columns))
        .map(([oldTuple, newTuple]): Row => ({ table, operation: 'UPDATE', oldTuple, newTuple })),
      { minLength: 2, maxLength: 12 },
    ),
  );
