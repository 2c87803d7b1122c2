/**
 * What a user record costs on its way through lane and packer, and what the hash of its partition key is made of.
 * Prints; asserts nothing. Run it with `node test/bench/pack.bench.ts`. The packers are interleaved and measured three
 * times each, so that a slow moment of the machine shows as such.
 */
import { createHash, hash } from 'node:crypto';
import { createRequire } from 'node:module';
import { createPacker, type PackerOptions } from '../../lambda/pack/create-packer.ts';
import { keyHash } from '../../lambda/pack/lanes.ts';
import type { Round } from '../../lambda/pack/round.ts';

const RECORDS = 400_000;
const KEYS = Array.from({ length: 65_536 }, (_, i) => Buffer.from(`public.customers:${10_000_000 + i * 7}`));
const TABLES = Array.from({ length: 12 }, (_, i) => Buffer.from(`public.a_table_of_many_${i}`));
const DATA = Buffer.from(JSON.stringify({ id: '0/16B3748@1767323045678901#3', row: 'x'.repeat(206) }));

/** Consumed, so that nothing measured can be optimised away. */
let sink = 0;

function consume(packer: ReturnType<typeof createPacker>, round: Round | undefined): void {
  if (round === undefined) return;
  sink ^= round.bytes ^ (round.entries[0]?.data[20] ?? 0);
  packer.release(round);
}

function pack(options: PackerOptions, keys: readonly Buffer[]): number {
  const packer = createPacker(options);
  const start = process.hrtime.bigint();
  for (let i = 0; i < RECORDS; i++) {
    const key = keys[i % keys.length];
    if (key !== undefined) consume(packer, packer.add(key, DATA));
  }
  consume(packer, packer.flush());
  return Number(process.hrtime.bigint() - start) / RECORDS;
}

function digest(one: (key: Buffer) => number): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < RECORDS; i++) sink ^= one(KEYS[i & 0xffff] ?? DATA);
  return Number(process.hrtime.bigint() - start) / RECORDS;
}

/** What is used of aws-kinesis-agg, which has one aggregate at a time, knows no lanes, and takes a text for a key. */
interface Peer {
  checkIfUserRecordFits(record: object): boolean;
  addUserRecord(record: object): void;
  build(): { readonly data: Buffer };
}
const { RecordAggregator } = createRequire(import.meta.url)('aws-kinesis-agg') as { RecordAggregator: new () => Peer };

function packByPeer(): number {
  const aggregator = new RecordAggregator();
  const keys = KEYS.map(String);
  const start = process.hrtime.bigint();
  for (let i = 0; i < RECORDS; i++) {
    const record = { partitionKey: keys[i % keys.length], data: DATA, explicitHashKey: '0' };
    if (!aggregator.checkIfUserRecordFits(record)) sink ^= aggregator.build().data.length;
    aggregator.addUserRecord(record);
  }
  sink ^= aggregator.build().data.length;
  return Number(process.hrtime.bigint() - start) / RECORDS;
}

const megabyte = Buffer.alloc(1024 * 1024, 'x');
const cases: Record<string, () => number> = {
  'hash of a key (used)': () => digest(keyHash),
  'md5 of a key: hash(), binary string': () => digest((key) => hash('md5', key, 'binary').charCodeAt(0)),
  'md5 of a key: createHash()': () => digest((key) => createHash('md5').update(key).digest().readUInt32BE()),
  [`md5 of ${DATA.length} bytes of an aggregate`]: () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 50; i++) sink ^= hash('md5', megabyte, 'binary').charCodeAt(0);
    return (Number(process.hrtime.bigint() - start) / 50 / megabyte.length) * DATA.length;
  },
  'kpl, 64 lanes, by primary key': () => pack({ aggregation: 'kpl', lanes: 64, maxRecordBytes: 1 << 20 }, KEYS),
  'kpl, 64 lanes, by table': () => pack({ aggregation: 'kpl', lanes: 64, maxRecordBytes: 1 << 20 }, TABLES),
  'aws-kinesis-agg, one aggregate at a time': packByPeer,
  'lines, 64 lanes, by primary key': () => pack({ aggregation: 'lines', lanes: 64, maxRecordBytes: 1 << 20 }, KEYS),
  'none, by primary key': () => pack({ aggregation: 'none', lanes: 64, maxRecordBytes: 1 << 20 }, KEYS),
};

const results = new Map<string, number[]>();
for (let turn = 0; turn < 3; turn++) {
  for (const [name, run] of Object.entries(cases)) results.set(name, [...(results.get(name) ?? []), run()]);
}
console.log(`ns per user record of ${DATA.length} bytes, key of ${KEYS[0]?.length} bytes`);
for (const [name, times] of results) console.log(times.map((time) => time.toFixed(0).padStart(6)).join(' '), ' ', name);
if (sink === 0.5) console.log(sink);
