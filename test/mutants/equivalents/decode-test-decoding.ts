/** Equivalent mutants of lambda/decode/test-decoding/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const DECODE_TEST_DECODING: readonly EquivalentMutants[] = [
  {
    file: 'lambda/decode/test-decoding/decoder.ts',
    reason: 'Slower, the same messages: only what is remembered of earlier rows is not used.',
    changes: [
      ['if (bytes !== this.#change.bytes) {', 'if (true) {'],
      [
        'if (last !== undefined) { let known: KnownTable | undefined = last; if (!matchesAt(this.#view, start, end, kno...',
        'if (last !== undefined) {}',
      ],
      [
        'if (known !== undefined && (known === last || matchesAt(this.#view, start, end, known.prefix))) {',
        'if (known !== undefined && (known === last && matchesAt(this.#view, start, end, known.prefix))) {',
      ],
      [
        'if (known !== undefined && (known === last || matchesAt(this.#view, start, end, known.prefix))) {',
        'if (known !== undefined && (false || matchesAt(this.#view, start, end, known.prefix))) {',
      ],
      [
        'if (known !== undefined && (known === last || matchesAt(this.#view, start, end, known.prefix))) { this.#table ...',
        'if (known !== undefined && (known === last || matchesAt(this.#view, start, end, known.prefix))) {}',
      ],
      ['if (known === undefined || !matchesAt(view, at, end, known.pattern)) {', 'if (true) {'],
      ['place++;', 'place--;'],
      [
        'for (let ahead = place + 1; ahead < lastColumns.length; ahead++) {',
        'for (let ahead = place - 1; ahead < lastColumns.length; ahead++) {',
      ],
      [
        'for (let ahead = place + 1; ahead < lastColumns.length; ahead++) {',
        'for (let ahead = place + 1; ahead <= lastColumns.length; ahead++) {',
      ],
      [
        'for (let ahead = place + 1; ahead < lastColumns.length; ahead++) { const known = lastColumns[ahead]; if (known...',
        'for (let ahead = place + 1; ahead < lastColumns.length; ahead++) {}',
      ],
      [
        'if (known !== undefined && matchesAt(this.#view, at, end, known.pattern)) { this.#foundAt = ahead; return know...',
        'if (known !== undefined && matchesAt(this.#view, at, end, known.pattern)) {}',
      ],
      ['this.#foundAt = Math.min(place, lastColumns.length);', 'this.#foundAt = Math.max(place, lastColumns.length);'],
      ['lastColumns.splice(this.#foundAt, 0, known);', ';'],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/decoder.ts',
    reason: 'The list is a guess, and is forgotten with the names at the latest: slower, the same messages.',
    changes: [
      ['if (lastColumns.length >= COLUMNS_LIMIT) lastColumns.length = 0;', 'if (true) lastColumns.length = 0;'],
      ['if (lastColumns.length >= COLUMNS_LIMIT) lastColumns.length = 0;', 'if (false) lastColumns.length = 0;'],
      [
        'if (lastColumns.length >= COLUMNS_LIMIT) lastColumns.length = 0;',
        'if (lastColumns.length > COLUMNS_LIMIT) lastColumns.length = 0;',
      ],
      [
        'if (lastColumns.length >= COLUMNS_LIMIT) lastColumns.length = 0;',
        'if (lastColumns.length < COLUMNS_LIMIT) lastColumns.length = 0;',
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/intern.ts',
    reason: 'There is nothing yet to be forgotten.',
    changes: [['full = false;', 'full = true;']],
  },
  {
    file: 'lambda/decode/test-decoding/intern.ts',
    reason: 'Forgets one name sooner or later than it should: the same messages.',
    changes: [
      [
        'if (this.#tables.size > this.#limit) this.full = true;',
        'if (this.#tables.size >= this.#limit) this.full = true;',
      ],
      [
        'if (this.#headers.size > this.#limit) this.full = true;',
        'if (this.#headers.size >= this.#limit) this.full = true;',
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/logical-message.ts',
    reason: 'The words before it come first.',
    changes: [
      [
        'for (let size = bytes.indexOf(SIZE, at); size >= 0 && size < end; size = bytes.indexOf(SIZE, size + 1)) {',
        'for (let size = bytes.indexOf(SIZE, at); size > 0 && size < end; size = bytes.indexOf(SIZE, size + 1)) {',
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/logical-message.ts',
    reason: 'Behind the end nothing fits: what comes after a size has to be within the line.',
    changes: [
      [
        'for (let size = bytes.indexOf(SIZE, at); size >= 0 && size < end; size = bytes.indexOf(SIZE, size + 1)) {',
        'for (let size = bytes.indexOf(SIZE, at); size >= 0 && true; size = bytes.indexOf(SIZE, size + 1)) {',
      ],
      [
        'for (let size = bytes.indexOf(SIZE, at); size >= 0 && size < end; size = bytes.indexOf(SIZE, size + 1)) {',
        'for (let size = bytes.indexOf(SIZE, at); size >= 0 && size <= end; size = bytes.indexOf(SIZE, size + 1)) {',
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/logical-message.ts',
    reason: 'Reads one byte behind the end, and the check for the end comes after.',
    changes: [
      [
        'while (afterDigits < end && bytes[afterDigits] !== SPACE) afterDigits++;',
        'while (afterDigits <= end && bytes[afterDigits] !== SPACE) afterDigits++;',
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/repair.ts',
    reason: 'There is no column behind the last: its kind is not one of text.',
    changes: [['for (let i = 0; i < (tuple?.count ?? 0); i++) {', 'for (let i = 0; i <= (tuple?.count ?? 0); i++) {']],
  },
  {
    file: 'lambda/decode/test-decoding/repair.ts',
    reason: 'All other values are ASCII.',
    changes: [
      [
        'if (kind === ValueKind.quoted || kind === ValueKind.escaped) yield [tuple?.starts[i] ?? 0, tuple?.ends[i] ?? 0...',
        'if (true) yield [tuple?.starts[i] ?? 0, tuple?.ends[i] ?? 0];',
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/row-shortener.ts',
    reason: 'One length of a line in 32 million.',
    changes: [
      [
        "if (this.#kept.length > this.#limits.lineBytes + this.#limits.restBytes) this.#place = 'cut';",
        "if (this.#kept.length >= this.#limits.lineBytes + this.#limits.restBytes) this.#place = 'cut';",
      ],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/scan.ts',
    reason: 'Reads one byte behind the end, and the check for the end comes after.',
    changes: [['while (i < end && bytes[i] !== QUOTE) i++;', 'while (i <= end && bytes[i] !== QUOTE) i++;']],
  },
  {
    file: 'lambda/decode/test-decoding/transaction-lines.ts',
    reason: 'What reads the number refuses it at the same byte.',
    changes: [['if (at + 1 >= end || bytes[at] !== SPACE) return at;', 'if (at + 1 >= end || false) return at;']],
  },
  {
    file: 'lambda/decode/test-decoding/value.ts',
    reason: 'Another way of searching: slower, the same place.',
    changes: [
      [
        'const limit = Math.min(end, at + INDEX_OF_THRESHOLD);',
        'const limit = Math.min(end, at - INDEX_OF_THRESHOLD);',
      ],
      ['while (i < limit && bytes[i] !== APOSTROPHE) i++;', 'while (i <= limit && bytes[i] !== APOSTROPHE) i++;'],
      ['if (i < limit) return i;', 'if (false) return i;'],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/value.ts',
    reason: 'Searched from behind the end it is found there or not at all: refused as well.',
    changes: [
      ['if (i < end) i = bytes.indexOf(APOSTROPHE, i);', 'if (true) i = bytes.indexOf(APOSTROPHE, i);'],
      ['if (i < end) i = bytes.indexOf(APOSTROPHE, i);', 'if (i <= end) i = bytes.indexOf(APOSTROPHE, i);'],
    ],
  },
  {
    file: 'lambda/decode/test-decoding/value.ts',
    reason: 'A value is never at 0: its column comes before it.',
    changes: [
      [
        "if (i < 0 || i >= end) throw new UndecodableError('the closing apostrophe of a value', end - start);",
        "if (i <= 0 || i >= end) throw new UndecodableError('the closing apostrophe of a value', end - start);",
      ],
    ],
  },
];
