/** Equivalent mutants of lambda/format/ but for the folders json and module. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const FORMAT: readonly EquivalentMutants[] = [
  {
    file: 'lambda/format/byte-writer.ts',
    reason: 'Only how the memory grows: the same bytes.',
    changes: [['const bytes = this.reserve(end - start);', 'const bytes = this.reserve(end + start);']],
  },
  {
    file: 'lambda/format/debezium/temporal.ts',
    reason: 'Behind the seconds there is no other dot.',
    changes: [
      [
        "return `\"${isoDay(read)}T${clock.slice(0, 8)}.${(/^\\.(\\d+)/.exec(clock.slice(8))?.[1] ?? '').padEnd(6, '0')}Z\"...",
        "return `\"${isoDay(read)}T${clock.slice(0, 8)}.${(/\\.(\\d+)/.exec(clock.slice(8))?.[1] ?? '').padEnd(6, '0')}Z\"`...",
      ],
    ],
  },
  {
    file: 'lambda/format/fields.ts',
    reason: 'Each column has a place of its own all the same: more memory, the same values.',
    changes: [['const place = header.id % MAX_COLUMNS;', 'const place = header.id * MAX_COLUMNS;']],
  },
  {
    file: 'lambda/format/partition-key.ts',
    reason: 'No part of a primary key is NULL.',
    changes: [
      [
        'const fields = new FieldWriter(debeziumTypes(time, types), { nulls: true });',
        'const fields = new FieldWriter(debeziumTypes(time, types), { nulls: false });',
      ],
    ],
  },
  {
    file: 'lambda/format/temporal.ts',
    reason: 'Only what is remembered is not used: the same bytes.',
    changes: [
      [
        'if (at !== lastSecond.at) lastSecond = { at, text: new Date(at * 1000).toISOString().slice(0, -5) };',
        'if (true) lastSecond = { at, text: new Date(at * 1000).toISOString().slice(0, -5) };',
      ],
    ],
  },
  {
    file: 'lambda/format/byte-writer.ts',
    reason: 'Up to 2^31 both loops write the same digits.',
    changes: [
      [
        'for (; rest > 0x7fffffff; rest = Math.floor(rest / 10)) bytes[--at] = 0x30 + (rest % 10);',
        'for (; rest >= 0x7fffffff; rest = Math.floor(rest / 10)) bytes[--at] = 0x30 + (rest % 10);',
      ],
    ],
  },
  {
    file: 'lambda/format/byte-writer.ts',
    reason: 'Both ways copy the same bytes: which is quicker depends on the length.',
    changes: [
      ['if (end - start > 44) {', 'if (true) {'],
      ['if (end - start > 44) {', 'if (false) {'],
      ['if (end - start > 44) {', 'if (end - start >= 44) {'],
      ['if (end - start > 44) {', 'if (end - start <= 44) {'],
      ['if (end - start > 44) {', 'if (end + start > 44) {'],
    ],
  },
  {
    file: 'lambda/format/debezium/scalars.ts',
    reason: 'Where the whole matches, this part does.',
    changes: [["const [whole, key = '', value] = match;", 'const [whole, key = "Stryker was here!", value] = match;']],
  },
  {
    file: 'lambda/format/debezium/temporal.ts',
    reason: 'Where the whole matches, this part does.',
    changes: [
      [
        "const micros = match === null ? undefined : readTime(match[1] ?? '');",
        'const micros = match === null ? undefined : readTime(match[1] ?? "Stryker was here!");',
      ],
    ],
  },
  {
    file: 'lambda/format/dms/types.ts',
    reason: 'Nothing that the server prints stands before the year.',
    changes: [
      [
        'const match = /^(\\d{4,6}-\\d\\d-\\d\\d) (\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?)(?:\\+00)?$/.exec(text);',
        'const match = /(\\d{4,6}-\\d\\d-\\d\\d) (\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?)(?:\\+00)?$/.exec(text);',
      ],
    ],
  },
  {
    file: 'lambda/format/fields.ts',
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
    file: 'lambda/format/fields.ts',
    reason: 'Without an old row the place is not used.',
    changes: [
      [
        'const known = old === undefined ? -1 : indexOfSent(old, header);',
        'const known = old === undefined ? +1 : indexOfSent(old, header);',
      ],
    ],
  },
  {
    file: 'lambda/format/partition-key.ts',
    reason: 'Only saves counting the characters: they are no more than the bytes.',
    changes: [
      ['if (out.length - start <= MAX_CHARACTERS) return;', 'if (false) return;'],
      ['if (out.length - start <= MAX_CHARACTERS) return;', 'if (out.length - start < MAX_CHARACTERS) return;'],
      ['if (out.length - start <= MAX_CHARACTERS) return;', 'if (out.length + start <= MAX_CHARACTERS) return;'],
    ],
  },
  {
    file: 'lambda/format/temporal.ts',
    reason: 'No second is equal to NaN: the text is replaced before it is read.',
    changes: [["let lastSecond = { at: NaN, text: '' };", 'let lastSecond = { at: NaN, text: "Stryker was here!" };']],
  },
];
