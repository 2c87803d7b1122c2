/**
 * The shapes that records may have in the stream: format, aggregation and compression. Each says what a container is told,
 * and reads what arrived back to what the assertions look at. Written from docs/records.md alone.
 */
import { fileURLToPath } from 'node:url';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { deaggregate } from '../support/deaggregate.ts';
import type { Arrived, RawRecord } from './environment.ts';
import type { Random } from './workload.ts';

/** One shape. */
export interface Shape {
  readonly name: string;
  /** What a container is told besides the usual. */
  readonly settings: Readonly<Record<string, string>>;
  /** Whether logical messages are among the records. */
  readonly messages: boolean;
  /** @returns the user records of a Kinesis record */
  read(record: RawRecord): Arrived[];
}

/** What a record of any format says of its change. */
type Said = Omit<Arrived, 'lane' | 'partitionKey' | 'text'>;

const FORMATTER = fileURLToPath(new URL('formatter.ts', import.meta.url));
const KEYS: Readonly<Record<string, readonly string[]>> = { items: ['id'], Pairs: ['name', 'owner'] };

/** A row's key, of the columns that a format shows of it. */
function keyOf(table: string, row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries((KEYS[table] ?? []).map((name) => [name, row[name]]));
}

function printLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

/** A message takes no ordinal: behind the change before it, in the order in which they came. */
function readJson(text: string): Said {
  const said = JSON.parse(text) as Said & { readonly prefix?: string; readonly content?: string };
  if (said.op !== 'MESSAGE') return said;
  const [, ordinal, place] = /#(\d+)\.(\d+)$/.exec(said.id) ?? [];
  return {
    ...said,
    schema: 'message',
    table: said.prefix ?? '',
    key: null,
    row: { v: Number(said.content) },
    ordinal: Number(ordinal) + Number(place) / 1_000,
  };
}

const DEBEZIUM_OPERATIONS: Readonly<Record<string, string>> = { c: 'INSERT', u: 'UPDATE', d: 'DELETE' };

function readDebezium(text: string): Said {
  const { before, after, source, op, transaction } = JSON.parse(text) as {
    readonly before: Readonly<Record<string, unknown>> | null;
    readonly after: Readonly<Record<string, unknown>> | null;
    readonly source: {
      readonly table: string;
      readonly schema: string;
      readonly txId: number;
      readonly ts_us: number;
      readonly sequence: string;
    };
    readonly op: string;
    readonly transaction: { readonly total_order: number };
  };
  const [commitLsn] = JSON.parse(source.sequence) as [string, string];
  return {
    id: `${source.txId} ${source.ts_us} ${transaction.total_order}`,
    op: DEBEZIUM_OPERATIONS[op] ?? op,
    schema: source.schema,
    table: source.table,
    key: keyOf(source.table, after ?? before ?? {}),
    ...(after === null ? {} : { row: after }),
    xid: source.txId,
    commitLsn: printLsn(BigInt(commitLsn)),
    ordinal: transaction.total_order,
  };
}

function readDms(text: string): Said {
  const { data, metadata } = JSON.parse(text) as {
    readonly data: Readonly<Record<string, unknown>>;
    readonly metadata: Readonly<Record<string, string>> & {
      readonly 'transaction-id': number;
      readonly 'transaction-record-id': number;
    };
  };
  const xid = metadata['transaction-id'];
  const ordinal = metadata['transaction-record-id'];
  const op = metadata['operation']?.toUpperCase() ?? '';
  return {
    id: `${xid} ${metadata['commit-timestamp'] ?? ''} ${ordinal}`,
    op,
    schema: metadata['schema-name'] ?? '',
    table: metadata['table-name'] ?? '',
    key: keyOf(metadata['table-name'] ?? '', data),
    ...(op === 'DELETE' ? {} : { row: data }),
    xid,
    commitLsn: metadata['stream-position']?.split('.')[0] ?? '',
    ordinal,
  };
}

/** Each format: its settings, how it is read, and its text without the time of writing, which differs in a repeat. */
const FORMATS = {
  json: { settings: {}, read: readJson, timeless: (text: string) => text },
  module: { settings: { FORMATTER }, read: readJson, timeless: (text: string) => text },
  debezium: {
    settings: { DEBEZIUM_TRANSACTION: 'on' },
    read: readDebezium,
    timeless: (text: string) => text.replace(/,"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+\}$/, '}'),
  },
  dms: {
    settings: { DMS_TRANSACTION: 'on' },
    read: readDms,
    timeless: (text: string) => text.replace(/"timestamp":"[^"]*",/, ''),
  },
} as const;

/** Without aggregation a request holds one record of a key: the backlog of this test takes minutes. The overlap test sends so. */
const CARRIERS = [
  { AGGREGATION: 'kpl', COMPRESSION: 'none' },
  { AGGREGATION: 'lines', COMPRESSION: 'none' },
  { AGGREGATION: 'lines', COMPRESSION: 'gzip' },
  { AGGREGATION: 'lines', COMPRESSION: 'zstd' },
] as const;

/** The lines of a Kinesis record, which is compressed or not: one that would not get smaller is left as it is. */
function linesOf(data: Uint8Array): string[] {
  const magic = Buffer.from(data.subarray(0, 4)).toString('hex');
  const plain = magic === '28b52ffd' ? zstdDecompressSync(data) : magic.startsWith('1f8b') ? gunzipSync(data) : data;
  return Buffer.from(plain).toString().split('\n').slice(0, -1);
}

/** @returns one shape of all, by chance */
export function chooseShape(random: Random, mayHaveMessages = true): Shape {
  const names = Object.keys(FORMATS) as (keyof typeof FORMATS)[];
  const name = names[Math.floor(random() * names.length)] ?? 'json';
  const carrier = CARRIERS[Math.floor(random() * CARRIERS.length)] ?? CARRIERS[0];
  const { settings, read, timeless } = FORMATS[name];
  const messages = mayHaveMessages && (name === 'json' || name === 'module') && random() < 0.7;
  return {
    name: `${name}, ${carrier.AGGREGATION}, ${carrier.COMPRESSION}${messages ? ', messages' : ''}`,
    settings: { FORMAT: name, ...settings, ...carrier, ...(messages ? { MESSAGES: 'chaos/.*' } : {}) },
    messages,
    read: ({ partitionKey: lane, data }) => {
      const records =
        carrier.AGGREGATION === 'lines'
          ? linesOf(data).map((text) => ({ text, partitionKey: '' }))
          : deaggregate({ partitionKey: lane, data }).map((each) => ({ ...each, text: each.data.toString() }));
      return records.map(({ text, partitionKey }) => ({ ...read(text), lane, partitionKey, text: timeless(text) }));
    },
  };
}
