/** Equivalent mutants of lambda/decode/, but for those of test_decoding and wal2json. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const DECODE: readonly EquivalentMutants[] = [
  {
    file: 'lambda/decode/kept-bytes.ts',
    reason: 'Only how the memory grows: the same bytes.',
    changes: [
      ['const FIRST_BYTES = 64 * 1024;', 'const FIRST_BYTES = 64 / 1024;'],
      ['if (length > this.#bytes.length) {', 'if (length >= this.#bytes.length) {'],
      [
        'const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2));',
        'const grown = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length / 2));',
      ],
    ],
  },
  {
    file: 'lambda/decode/pgoutput/decoder.ts',
    reason: 'There is no relation yet that it could be of.',
    changes: [['#lastOid = -1;', '#lastOid = +1;']],
  },
  {
    file: 'lambda/decode/pgoutput/decoder.ts',
    reason: 'It is set before anything is read.',
    changes: [['#hasRawBytes = false;', '#hasRawBytes = true;']],
  },
  {
    file: 'lambda/decode/pgoutput/decoder.ts',
    reason: 'No table has the number 1, or no relation is known.',
    changes: [['this.#lastOid = -1;', 'this.#lastOid = +1;']],
  },
  {
    file: 'lambda/decode/pgoutput/logical-message.ts',
    reason: 'A zero byte is never the first: the kind comes before it.',
    changes: [
      ['const isKept = zero >= 0 && zero + SIZE_BYTES < end;', 'const isKept = zero > 0 && zero + SIZE_BYTES < end;'],
    ],
  },
  {
    file: 'lambda/decode/pgoutput/logical-message.ts',
    reason: 'Cannot fail: the zero byte behind the prefix was found.',
    changes: [
      [
        "const prefix = isKept ? reader.text('a prefix') : undefined;",
        'const prefix = isKept ? reader.text("") : undefined;',
      ],
    ],
  },
  {
    file: 'lambda/decode/pgoutput/logical-message.ts',
    reason: 'Cannot fail: the bytes of the size are there.',
    changes: [
      [
        "const size = isKept ? reader.uint32('a size') : start + oversizeBytes - reader.at;",
        'const size = isKept ? reader.uint32("") : start + oversizeBytes - reader.at;',
      ],
    ],
  },
  {
    file: 'lambda/decode/pgoutput/reader.ts',
    reason: 'It is set before anything is read.',
    changes: [['checksText = false;', 'checksText = true;']],
  },
  {
    file: 'lambda/decode/pgoutput/reader.ts',
    reason: 'A zero byte is never the first: the kind comes before it.',
    changes: [
      [
        'if (zero < 0 || zero >= this.#end) throw this.expected(`the end of ${what}`, this.#end - this.#start);',
        'if (zero <= 0 || zero >= this.#end) throw this.expected(`the end of ${what}`, this.#end - this.#start);',
      ],
    ],
  },
  {
    file: 'lambda/decode/relations.ts',
    reason: 'Forgets one name sooner or later than it should: the same messages.',
    changes: [
      [
        'return this.#headers.size > this.#limit || this.#tables.size > this.#limit;',
        'return this.#headers.size >= this.#limit || this.#tables.size > this.#limit;',
      ],
      [
        'return this.#headers.size > this.#limit || this.#tables.size > this.#limit;',
        'return this.#headers.size > this.#limit || this.#tables.size >= this.#limit;',
      ],
    ],
  },
  {
    file: 'lambda/decode/pgoutput/repair.ts',
    reason: 'There is no column behind the last: its kind is not one of text.',
    changes: [['for (let i = 0; i < (tuple?.count ?? 0); i++) {', 'for (let i = 0; i <= (tuple?.count ?? 0); i++) {']],
  },
  {
    file: 'lambda/decode/pgoutput/row-shortener.ts',
    reason: 'It is set before anything is read.',
    changes: [['#another = false;', '#another = true;']],
  },
  {
    file: 'lambda/decode/pgoutput/row-shortener.ts',
    reason: 'Goes on byte by byte, and no rule takes one: slower.',
    changes: [["if (this.#field === 'rest') return;", 'if (false) return;']],
  },
  {
    file: 'lambda/decode/pgoutput/row-shortener.ts',
    reason: 'The next value begins with the next byte all the same.',
    changes: [['if (length === 0) this.#nextValue();', 'if (false) this.#nextValue();']],
  },
  {
    file: 'lambda/decode/raw-bytes.ts',
    reason: 'There is no byte behind the last, and 0 is no raw byte.',
    changes: [['for (let i = 0; i < value.length; i++) {', 'for (let i = 0; i <= value.length; i++) {']],
  },
  {
    file: 'lambda/decode/reused-row.ts',
    reason: 'It is filled before anybody reads it.',
    changes: [
      [
        "table: { printed: '', schema: '', name: '' },",
        "table: { printed: \"Stryker was here!\", schema: '', name: '' },",
      ],
      [
        "table: { printed: '', schema: '', name: '' },",
        "table: { printed: '', schema: \"Stryker was here!\", name: '' },",
      ],
      [
        "table: { printed: '', schema: '', name: '' },",
        "table: { printed: '', schema: '', name: \"Stryker was here!\" },",
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'The bound is the nearest time to itself.',
    changes: [
      [
        'return micros < EARLIEST ? EARLIEST : micros > LATEST ? LATEST : micros;',
        'return micros <= EARLIEST ? EARLIEST : micros > LATEST ? LATEST : micros;',
      ],
      [
        'return micros < EARLIEST ? EARLIEST : micros > LATEST ? LATEST : micros;',
        'return micros < EARLIEST ? EARLIEST : micros >= LATEST ? LATEST : micros;',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'Only quicker: it asks for the whole of it next.',
    changes: [["if (text[text.length - 1] === 'C' && text.endsWith(' BC'))", "if (true && text.endsWith(' BC'))"]],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'Only quicker: the sign is found there, too.',
    changes: [
      [
        "const beyond = text[4] === '-' ? 0 : text.indexOf('-') - 4;",
        "const beyond = false ? 0 : text.indexOf('-') - 4;",
      ],
      [
        "const beyond = text[4] === '-' ? 0 : text.indexOf('-') - 4;",
        'const beyond = text[4] === "" ? 0 : text.indexOf(\'-\') - 4;',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'Only asked whether it is a number.',
    changes: [
      [
        'const digits = digitAt(text, 0) + digitAt(text, beyond - 1);',
        'const digits = digitAt(text, 0) - digitAt(text, beyond - 1);',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'Only what is remembered is not used. A text that ends in a day has no time.',
    changes: [
      ['if (text.startsWith(lastDay.text)) return lastDay.days;', 'if (false) return lastDay.days;'],
      [
        'if (text.startsWith(lastDay.text)) return lastDay.days;',
        'if (text.endsWith(lastDay.text)) return lastDay.days;',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'Only what is remembered is not used.',
    changes: [
      [
        'if (!Number.isNaN(days)) lastDay = { text: text.slice(0, 10), days };',
        'if (false) lastDay = { text: text.slice(0, 10), days };',
      ],
      [
        'if (!Number.isNaN(days)) lastDay = { text: text.slice(0, 10), days };',
        'if (!Number.isNaN(days)) lastDay = { text: text, days };',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'A day of two digits that the month lacks is in another month.',
    changes: [
      [
        'return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() / 86_400_000 : NaN;',
        'return date.getUTCMonth() === month - 1 && true ? date.getTime() / 86_400_000 : NaN;',
      ],
    ],
  },
  {
    file: 'lambda/decode/lsn.ts',
    reason: 'The text is made again each time: slower, the same.',
    changes: [
      [
        'if (half !== lastHigh.half) lastHigh = { half, text: `${half.toString(16).toUpperCase()}/` };',
        'if (true) lastHigh = { half, text: `${half.toString(16).toUpperCase()}/` };',
      ],
    ],
  },
  {
    file: 'lambda/decode/table-name.ts',
    reason: 'There is nothing behind the end of the text, one byte on or two.',
    changes: [
      [
        'for (let quoted = false; dot < printed.length; dot++) {',
        'for (let quoted = false; dot <= printed.length; dot++) {',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason:
      'Where there are less than two characters for the seconds, one of them is no digit: it is read the other way.',
    changes: [
      [
        'if (last < begin + MIN_SECONDS_LENGTH || last > begin + MAX_SECONDS_LENGTH || !isUtc(bytes, last)) return NaN;',
        'if (false || last > begin + MAX_SECONDS_LENGTH || !isUtc(bytes, last)) return NaN;',
      ],
      [
        'if (last < begin + MIN_SECONDS_LENGTH || last > begin + MAX_SECONDS_LENGTH || !isUtc(bytes, last)) return NaN;',
        'if (last < begin - MIN_SECONDS_LENGTH || last > begin + MAX_SECONDS_LENGTH || !isUtc(bytes, last)) return NaN;',
      ],
    ],
  },
  {
    file: 'lambda/decode/timestamp.ts',
    reason: 'The last minute that is remembered, or the first that is not: either way reads the same time.',
    changes: [
      [
        'if (micros < 0n || micros > LAST_EXACT || !isUtc(bytes, end - UTC_LENGTH)) return;',
        'if (micros < 0n || micros >= LAST_EXACT || !isUtc(bytes, end - UTC_LENGTH)) return;',
      ],
    ],
  },
];
