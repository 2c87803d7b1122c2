/**
 * What a record costs to write: nanoseconds per record of each format, on one core, on a row of eight columns.
 * Run it with `node test/bench/format.bench.ts`. The formats take turns, so that a busy moment of the machine hits all,
 * and the best of their turns counts; what was written is summed up and printed, so that no work is optimised away.
 * The records' keys and texts differ, as a format that met one row only would profit from the processor's memory of it.
 */
import { TestDecodingDecoder } from '../../lambda/decode/test-decoding/decoder.ts';
import { ByteWriter } from '../../lambda/format/byte-writer.ts';
import { FORMATS } from '../../lambda/format/formats.ts';
import { partitionKeyWriter } from '../../lambda/format/partition-key.ts';
import type { ChangeRecord } from '../../lambda/format/record.ts';
import { FORMAT_OPTIONS, keep, recordOf } from '../support/changes.ts';

const ROWS = 1_000;
const ROUNDS = 100;
const TURNS = 15;

/** About 250 bytes, without an apostrophe in it but in every eighth row. */
function line(i: number): string {
  const note = i % 8 === 0 ? "it''s a note" : 'a note of some length, as people write them';
  return (
    `table public.orders: INSERT: id[bigint]:${1_000_000 + i} customer_id[integer]:${i % 977} ` +
    `status[text]:'shipped' amount[numeric]:${i}.50 note[text]:'${note}' ` +
    `paid[boolean]:true created_at[timestamp with time zone]:'2026-01-02 03:04:05.678901+00' ` +
    `attributes[jsonb]:'{"colour": "red", "size": ${i % 50}}'`
  );
}

const decoder = new TestDecodingDecoder();
let bytes = 0;
const records: ChangeRecord[] = Array.from({ length: ROWS }, (_, i) => {
  const text = line(i);
  bytes += text.length;
  const record = recordOf(text, { key: ['id'], ordinal: i + 1 }, decoder);
  if (record.change === undefined || record.key === undefined) throw new Error('a row without a key');
  const change = keep(record.change);
  if (change.newTuple === undefined) throw new Error('no new row');
  return { ...record, change, key: { ...record.key, tuples: [change.newTuple] } };
});

const out = new ByteWriter(65_536);
const partitionKey = partitionKeyWriter('primary-key', 'app/pg2kinesis');
const subjects: { name: string; write: (record: ChangeRecord) => void; best: number; written: number }[] = [
  ...Object.entries(FORMATS).map(([name, make]) => {
    const format = make(FORMAT_OPTIONS);
    return { name, write: (record: ChangeRecord) => format.write(record, out), best: Infinity, written: 0 };
  }),
  { name: 'partition key', write: (record: ChangeRecord) => partitionKey(record, out), best: Infinity, written: 0 },
];

for (let turn = 0; turn < TURNS; turn++) {
  for (const subject of subjects) {
    let written = 0;
    const begin = process.hrtime.bigint();
    for (let round = 0; round < ROUNDS; round++) {
      for (const record of records) {
        out.clear();
        subject.write(record);
        written += out.length;
      }
    }
    const each = Number(process.hrtime.bigint() - begin) / (ROUNDS * ROWS);
    subject.best = Math.min(subject.best, each);
    subject.written = written;
  }
}

console.log(`a line of ${Math.round(bytes / ROWS)} bytes, ${ROWS} rows; best of ${TURNS} turns`);
for (const { name, best, written } of subjects) {
  const size = Math.round(written / (ROUNDS * ROWS));
  console.log(`${name.padEnd(14)} ${best.toFixed(0).padStart(5)} ns a record of ${size} bytes`);
}
