/** Records of a table as the function publishes them, made without it, for benchmarks of replicas. */
import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { ByteWriter } from '../../lambda/format/byte-writer.ts';
import { kpl } from '../../lambda/pack/kpl.ts';
import { type Lane, laneOf, lanes as lanesOf } from '../../lambda/pack/lanes.ts';

export const LANES = 64;
export const TABLE = `CREATE TABLE public.rows (id integer PRIMARY KEY, name text, balance numeric, at timestamptz, flag boolean, doc jsonb, part integer, note text)`;

const names = lanesOf(LANES);

/** A row. */
export interface Row {
  readonly id: number;
  readonly name: string;
  readonly balance: string;
  readonly note: string;
}

/** @param noteChars - about how large the column `note` is */
export function rowOf(id: number, round: number, noteChars = 96): Row {
  const hash = createHash('md5').update(`${id} ${round}`).digest('hex');
  return {
    id,
    name: `name ${id}`,
    balance: `${id + round}.50`,
    note: hash.repeat(Math.ceil(noteChars / hash.length)).slice(0, noteChars),
  };
}

/** A change. @param lsn - its commit LSN */
export function changeText(op: string, row: Row, lsn: string, ordinal: number): string {
  const { id, name, balance, note } = row;
  return `{"id":"${lsn}@1#${ordinal}","source":"bench","op":"${op}","schema":"public","table":"rows","key":{"id":${id}},"row":{"id":${id},"name":"${name}","balance":"${balance}","at":"2026-01-02T03:04:05.678901Z","flag":true,"doc":{"a": 1},"part":${id % 7},"note":"${note}"},"xid":7,"commitLsn":"${lsn}","ordinal":${ordinal},"commitTime":"2026-01-02T03:04:05.678901Z"}`;
}

export function markText(lane: number, lsn: string): string {
  return `{"op":"MARK","source":"bench","commitLsn":"${lsn}","commitTime":"2026-01-02T03:04:05Z","lane":${lane},"lanes":${LANES},"system":"1","timeline":1}`;
}

/** What a Kinesis record of one lane holds. */
export interface Packed {
  readonly lane: number;
  readonly texts: readonly string[];
}

/** Puts changes into lanes, some hundred to a Kinesis record. */
export class LanePacker {
  readonly #open = new Map<number, string[]>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns a Kinesis record that is full now */
  add(id: number, text: string): Packed[] {
    const lane = laneOf(Buffer.from(`public.rows:${id}`), LANES);
    const texts = this.#open.get(lane) ?? [];
    texts.push(text);
    this.#open.set(lane, texts);
    if (texts.length < this.#most) return [];
    this.#open.delete(lane);
    return [{ lane, texts }];
  }

  /** Puts a mark into each lane. @returns all that was open */
  mark(lsn: string): Packed[] {
    const packed = Array.from({ length: LANES }, (_, lane) => ({
      lane,
      texts: [...(this.#open.get(lane) ?? []), markText(lane, lsn)],
    }));
    this.#open.clear();
    return packed;
  }
}

/** @returns a lane's name, which is the partition key of its records */
export function laneName(lane: number): string {
  return names[lane]?.name ?? '';
}

/** A Kinesis record's data, as the KPL aggregates. */
export function aggregate({ lane, texts }: Packed): Buffer {
  const content = { lane: names[lane] as Lane, partitionKeys: new ByteWriter(), records: new ByteWriter() };
  kpl.addKey(content, Buffer.from(laneName(lane)));
  for (const text of texts) kpl.addRecord(content, 0, Buffer.from(text));
  const out = new ByteWriter();
  kpl.write(content, out);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

/** The same with AGGREGATION=lines and COMPRESSION=zstd. */
export function compressed({ texts }: Packed): Buffer {
  return zstdCompressSync(`${texts.join('\n')}\n`);
}
