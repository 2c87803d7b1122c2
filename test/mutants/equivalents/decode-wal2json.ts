/** Equivalent mutants of lambda/decode/wal2json/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const DECODE_WAL2JSON: readonly EquivalentMutants[] = [
  {
    file: 'lambda/decode/wal2json/decoder.ts',
    reason: 'Only how the memory grows: the same bytes.',
    changes: [
      [
        'if (this.#scratch.length < line.length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 * 1024...',
        'if (true) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 * 1024));',
      ],
      [
        'if (this.#scratch.length < line.length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 * 1024...',
        'if (this.#scratch.length <= line.length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 * 102...',
      ],
      [
        'if (this.#scratch.length < line.length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 * 1024...',
        'if (this.#scratch.length < line.length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(line.length, 64 / 1024...',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/decoder.ts',
    reason: 'Slower, the same messages: only what is remembered of earlier rows is not used.',
    changes: [
      ['if (table.pk.length > 0 && reader.takes(table.pk)) return table.key;', 'if (false) return table.key;'],
      ['if (table === undefined) {', 'if (true) {'],
      ['this.#tables.set(id, table);', ';'],
    ],
  },
  {
    file: 'lambda/decode/wal2json/decoder.ts',
    reason: 'More is copied than is needed: what is remembered is the same.',
    changes: [
      [
        'const written = Buffer.from(reader.bytes.subarray(from, Math.min(reader.end, from + 1_024)));',
        'const written = Buffer.from(reader.bytes.subarray(from, Math.max(reader.end, from + 1_024)));',
      ],
      [
        'const written = Buffer.from(reader.bytes.subarray(from, Math.min(reader.end, from + 1_024)));',
        'const written = Buffer.from(reader.bytes.subarray(from, Math.min(reader.end, from - 1_024)));',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/decoder.ts',
    reason: 'The interner forgets names by itself: slower, the same messages.',
    changes: [
      ['if (this.#tables.size >= this.#namesLimit) this.#tables.clear();', 'if (true) this.#tables.clear();'],
      ['if (this.#tables.size >= this.#namesLimit) this.#tables.clear();', 'if (false) this.#tables.clear();'],
      [
        'if (this.#tables.size >= this.#namesLimit) this.#tables.clear();',
        'if (this.#tables.size > this.#namesLimit) this.#tables.clear();',
      ],
      [
        'if (this.#tables.size >= this.#namesLimit) this.#tables.clear();',
        'if (this.#tables.size < this.#namesLimit) this.#tables.clear();',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/reader.ts',
    reason: 'The loop behind it goes through the rest of the string, and checks the end.',
    changes: [
      ['while (at < end && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;', 'while (false) at++;'],
      [
        'while (at < end && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;',
        'while (true && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;',
      ],
      [
        'while (at < end && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;',
        'while (at <= end && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/reader.ts',
    reason: 'Reads one byte behind the end, and the check for the end comes after.',
    changes: [['while (at < end && bytes[at] !== QUOTE) {', 'while (at <= end && bytes[at] !== QUOTE) {']],
  },
  {
    file: 'lambda/decode/wal2json/reader.ts',
    reason: 'There are four characters at most: the same with or without the ends.',
    changes: [
      [
        "if (letter !== UNICODE || !/^00[01][0-9a-f]$/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);",
        "if (false || !/^00[01][0-9a-f]$/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);",
      ],
      [
        "if (letter !== UNICODE || !/^00[01][0-9a-f]$/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);",
        "if (letter !== UNICODE || !/00[01][0-9a-f]$/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);",
      ],
      [
        "if (letter !== UNICODE || !/^00[01][0-9a-f]$/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);",
        "if (letter !== UNICODE || !/^00[01][0-9a-f]/i.test(hex)) throw this.expected('an escape of PostgreSQL', at);",
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row-shortener.ts',
    reason: 'It is set before anything is read, or stands before the letter of the action.',
    changes: [
      ['#escaped = false;', '#escaped = true;'],
      ['this.#escaped = false;', 'this.#escaped = true;'],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row-shortener.ts',
    reason: 'Once more is left out what is left out.',
    changes: [
      [
        "if (this.#place === 'kept' && this.#isTooMuch(this.#kept.length - this.#stringAt + at - from)) {",
        'if (true && this.#isTooMuch(this.#kept.length - this.#stringAt + at - from)) {',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row-shortener.ts',
    reason: 'Within a string everything was kept: nothing is left.',
    changes: [
      [
        "if (this.#place === 'outside') this.#kept.keep(bytes, from, end);",
        'if (true) this.#kept.keep(bytes, from, end);',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'It is set before anything is read.',
    changes: [['takesElided = false;', 'takesElided = true;']],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'Slower, the same messages: only what is remembered of earlier rows is not used.',
    changes: [
      ['if (known === undefined || !reader.takes(known.pattern)) {', 'if (true) {'],
      [
        'for (let ahead = place + 1; ahead < last.length; ahead++) {',
        'for (let ahead = place - 1; ahead < last.length; ahead++) {',
      ],
      [
        'for (let ahead = place + 1; ahead < last.length; ahead++) {',
        'for (let ahead = place + 1; ahead <= last.length; ahead++) {',
      ],
      [
        'for (let ahead = place + 1; ahead < last.length; ahead++) { const known = last[ahead]; if (known !== undefined...',
        'for (let ahead = place + 1; ahead < last.length; ahead++) {}',
      ],
      ['if (known !== undefined && reader.takes(known.pattern)) return ahead;', 'if (false) return ahead;'],
      ['const to = Math.min(place, last.length);', 'const to = Math.max(place, last.length);'],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'Only for the compiler: it was found or made.',
    changes: [
      [
        "if (known === undefined) throw reader.expected('a column');",
        'if (known === undefined) throw reader.expected("");',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'More is copied than is needed: what is remembered is the same.',
    changes: [
      [
        'const written = Buffer.from(reader.bytes.subarray(from, Math.min(reader.end, from + PATTERN_BYTES)));',
        'const written = Buffer.from(reader.bytes.subarray(from, Math.max(reader.end, from + PATTERN_BYTES)));',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'The list is a guess: slower, the same messages.',
    changes: [
      ['if (last.length >= COLUMNS_LIMIT) last.length = 0;', 'if (true) last.length = 0;'],
      ['if (last.length >= COLUMNS_LIMIT) last.length = 0;', 'if (false) last.length = 0;'],
      ['if (last.length >= COLUMNS_LIMIT) last.length = 0;', 'if (last.length > COLUMNS_LIMIT) last.length = 0;'],
      ['if (last.length >= COLUMNS_LIMIT) last.length = 0;', 'if (last.length < COLUMNS_LIMIT) last.length = 0;'],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'Only for the compiler: each column has a header.',
    changes: [
      [
        'const found = header === undefined ? -1 : row.tuple.headers.indexOf(header);',
        'const found = header === undefined ? +1 : row.tuple.headers.indexOf(header);',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/reader.ts',
    reason: 'Reads one byte behind the end: what has to follow is not there either way.',
    changes: [
      [
        'while (at < end && bytes[at] !== COMMA && bytes[at] !== CLOSING_BRACE) at++;',
        'while (at <= end && bytes[at] !== COMMA && bytes[at] !== CLOSING_BRACE) at++;',
      ],
    ],
  },
  {
    file: 'lambda/decode/wal2json/row.ts',
    reason: 'What is written again without need is the same, or nobody reads it.',
    changes: [
      [
        'for (let i = 0; tuple !== undefined && i < tuple.count; i++) {',
        'for (let i = 0; tuple !== undefined && i <= tuple.count; i++) {',
      ],
      ['if (tuple.kinds[i] !== ValueKind.quoted) continue;', 'if (false) continue;'],
    ],
  },
];
