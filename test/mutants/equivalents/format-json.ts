/** Equivalent mutants of lambda/format/json/ and lambda/format/module/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const FORMAT_JSON: readonly EquivalentMutants[] = [
  {
    file: 'lambda/format/json/value-converters.ts',
    reason: 'Only a text of blanks goes on by one, and its length is then negative: it is not null.',
    changes: [
      [
        'while (from < to && (bytes[from] ?? 0) <= SPACE) from++;',
        'while (from <= to && (bytes[from] ?? 0) <= SPACE) from++;',
      ],
      [
        'while (to > from && (bytes[to - 1] ?? 0) <= SPACE) to--;',
        'while (to >= from && (bytes[to - 1] ?? 0) <= SPACE) to--;',
      ],
    ],
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    reason: 'Only four bytes are equal to four bytes.',
    changes: [
      [
        'return to - from === NULL.length && bytes.compare(NULL, 0, NULL.length, from, to) === 0;',
        'return true && bytes.compare(NULL, 0, NULL.length, from, to) === 0;',
      ],
    ],
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    reason: 'No float that the server prints begins with a byte below 0, its sign apart.',
    changes: [
      [
        'if (first >= ZERO && first <= NINE) out.copy(bytes, start, end);',
        'if (true && first <= NINE) out.copy(bytes, start, end);',
      ],
    ],
  },
  {
    file: 'lambda/format/json/value-converters.ts',
    reason: 'Reserves more memory than is needed: the same bytes.',
    changes: [
      [
        'const target = out.reserve(Math.ceil((end - start) / 6) * 4 + 2);',
        'const target = out.reserve(Math.ceil((end - start) * 6) * 4 + 2);',
      ],
      [
        'const target = out.reserve(Math.ceil((end - start) / 6) * 4 + 2);',
        'const target = out.reserve(Math.ceil((end + start) / 6) * 4 + 2);',
      ],
    ],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'Reads one byte behind the end, and the check for the end comes after: still no array.',
    changes: [
      ['while (close < end && bytes[close] !== QUOTE) {', 'while (close <= end && bytes[close] !== QUOTE) {'],
      [
        'while (i < end && bytes[i] !== comma && bytes[i] !== CLOSE) i++;',
        'while (i <= end && bytes[i] !== comma && bytes[i] !== CLOSE) i++;',
      ],
      ['if (i < end && bytes[i] === OPEN) {', 'if (true && bytes[i] === OPEN) {'],
      ['if (i < end && bytes[i] === OPEN) {', 'if (i <= end && bytes[i] === OPEN) {'],
      ['while (i < end && bytes[i] === CLOSE && depth > 0) {', 'while (true && bytes[i] === CLOSE && depth > 0) {'],
      ['while (i < end && bytes[i] === CLOSE && depth > 0) {', 'while (i <= end && bytes[i] === CLOSE && depth > 0) {'],
    ],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'The array is then beyond its end, and refused there.',
    changes: [
      ['if (close >= end) return -1;', 'if (false) return -1;'],
      ['if (close >= end) return -1;', 'if (close > end) return -1;'],
    ],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'A closing quote is never the first byte: the array begins before it.',
    changes: [['return close < 0 ? -1 : close + 1;', 'return close <= 0 ? -1 : close + 1;']],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'Only four bytes are equal to four bytes.',
    changes: [
      [
        'if (i - start === 4 && bytes.compare(PRINTED_NULL, 0, 4, start, i) === 0) out.copy(NULL);',
        'if (true && bytes.compare(PRINTED_NULL, 0, 4, start, i) === 0) out.copy(NULL);',
      ],
    ],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'There is no byte at -1, so it is no delimiter: refused three lines below.',
    changes: [['if (i < 0) return false;', 'if (false) return false;']],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'No element ends at 0.',
    changes: [['if (i < 0) return false;', 'if (i <= 0) return false;']],
  },
  {
    file: 'lambda/format/json/arrays.ts',
    reason: 'Behind the end no element is read: refused at the next.',
    changes: [
      ['if (i >= end || bytes[i] !== comma) return false;', 'if (false || bytes[i] !== comma) return false;'],
      ['if (i >= end || bytes[i] !== comma) return false;', 'if (i > end || bytes[i] !== comma) return false;'],
    ],
  },
  {
    file: 'lambda/format/module/change.ts',
    reason: 'An empty set has nothing.',
    changes: [
      [
        'if (header === undefined || (omitted.size > 0 && omitted.has(header.printed))) continue;',
        'if (header === undefined || (true && omitted.has(header.printed))) continue;',
      ],
      [
        'if (header === undefined || (omitted.size > 0 && omitted.has(header.printed))) continue;',
        'if (header === undefined || (omitted.size >= 0 && omitted.has(header.printed))) continue;',
      ],
    ],
  },
  {
    file: 'lambda/format/module/change.ts',
    reason: 'Without an old row the place is not used.',
    changes: [
      [
        'place = oldTuple === undefined ? -1 : indexOfSent(oldTuple, header);',
        'place = oldTuple === undefined ? +1 : indexOfSent(oldTuple, header);',
      ],
    ],
  },
  {
    file: 'lambda/format/module/change.ts',
    reason: 'Each column has a place of its own all the same: more memory, the same values.',
    changes: [['const slot = header.id % MAX_COLUMNS;', 'const slot = header.id * MAX_COLUMNS;']],
  },
  {
    file: 'lambda/format/module/change.ts',
    reason: 'The reader is made again for each value: slower, the same values.',
    changes: [['if (known?.header !== header) {', 'if (true) {']],
  },
  {
    file: 'lambda/format/module/change.ts',
    reason: 'An own property is the same, however it came to be.',
    changes: [["if (name === '__proto__')", 'if (true)']],
  },
  {
    file: 'lambda/format/json/json.ts',
    reason: 'Each column has a place of its own all the same: more memory, the same values.',
    changes: [['const place = header.id % MAX_COLUMNS;', 'const place = header.id * MAX_COLUMNS;']],
  },
  {
    file: 'lambda/format/json/json.ts',
    reason: 'An empty set has nothing.',
    changes: [['if (omitted.size === 0) return false;', 'if (false) return false;']],
  },
  {
    file: 'lambda/format/module/value-readers.ts',
    reason: 'A number of 15 digits is safe either way.',
    changes: [
      [
        'if (end - start <= SAFE_DIGITS) return integer(bytes, start, end);',
        'if (end - start < SAFE_DIGITS) return integer(bytes, start, end);',
      ],
    ],
  },
  {
    file: 'lambda/format/json/json.ts',
    reason: 'Without an old row the place is not used.',
    changes: [
      [
        'const known = old === undefined ? -1 : indexOfSent(old, row.headers[i]);',
        'const known = old === undefined ? +1 : indexOfSent(old, row.headers[i]);',
      ],
    ],
  },
  {
    file: 'lambda/format/json/transaction-text.ts',
    reason: 'The text is made again for each record: slower, the same bytes.',
    changes: [['if (transaction === this.#transaction) return;', 'if (false) return;']],
  },
  {
    file: 'lambda/format/module/value-readers.ts',
    reason: 'The other way reads the same number: slower.',
    changes: [
      [
        'if (end - start <= SAFE_DIGITS) return integer(bytes, start, end);',
        'if (false) return integer(bytes, start, end);',
      ],
      [
        'if (end - start <= SAFE_DIGITS) return integer(bytes, start, end);',
        'if (end + start <= SAFE_DIGITS) return integer(bytes, start, end);',
      ],
    ],
  },
];
