/**
 * Keeps changes until they are applied: in memory up to a limit, then in temporary files. The files are removed when this process
 * ends: what was not applied is read again from the stream. Knows no table.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WaitingStore } from '../rules/applier.ts';
import type { WaitingRecord } from '../rules/lane.ts';
import type { Lanes } from '../rules/lanes.ts';
import { type Change, readRecord } from '../rules/record.ts';

/** How much may wait in memory, in characters of records. The process needs about three times as many bytes for them. */
const MAX_MEMORY_CHARS = 6 * 1024 * 1024;

/** The size of a file. One is deleted as soon as nothing in it is needed, so files are kept small. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024;
/** A file is read in parts of this size. A larger record is read whole. */
const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A file. */
interface Segment {
  readonly fd: number;
  size: number;
  /** How many of its records are needed. */
  needed: number;
}

/** Where a record is. */
class Spilled {
  readonly segment: Segment;
  readonly offset: number;
  readonly length: number;
  constructor(segment: Segment, offset: number, length: number) {
    this.segment = segment;
    this.offset = offset;
    this.length = length;
  }
}

/** Keeps waiting changes in memory and in files. */
export class SpillStore implements WaitingStore {
  readonly #memory: number;
  readonly #segments = new Set<Segment>();
  #current: Segment | undefined;

  /** @param memory - how much may wait in memory, in characters @default 6 Mi */
  constructor(memory = MAX_MEMORY_CHARS) {
    this.#memory = memory;
  }

  /**
   * Where there is too much in memory, writes to a file what will be needed last.
   *
   * @returns how much waits now, in memory and in files, in characters
   */
  spill(lanes: Lanes<Change>): number {
    const { memory, stored } = lanes.waiting;
    let left = memory;
    if (left > this.#memory) {
      const records = lanes.lanes.flatMap((lane) => lane.waitingRecords).filter(({ entries }) => entries !== undefined);
      records.sort((a, b) => (a.first < b.first ? 1 : a.first > b.first ? -1 : b.place.n - a.place.n));
      for (const record of records) {
        if (left <= this.#memory / 2) break;
        left -= record.size;
        this.#spillRecord(record);
      }
    }
    return memory + stored;
  }

  /** @returns the changes of a record, from memory or from its file */
  load(record: WaitingRecord<Change>): Iterable<Change> {
    return record.entries ?? (record.stored instanceof Spilled ? readSpilled(record.stored) : []);
  }

  release(records: readonly WaitingRecord<Change>[]): void {
    for (const { stored } of records) {
      if (!(stored instanceof Spilled)) continue;
      const { segment } = stored;
      segment.needed--;
      if (segment.needed === 0 && segment !== this.#current) this.#close(segment);
    }
  }

  /** Deletes all files. */
  [Symbol.dispose](): void {
    for (const segment of this.#segments) this.#close(segment);
  }

  #spillRecord(record: WaitingRecord<Change>): void {
    // A record is one line.
    const bytes = Buffer.from((record.entries ?? []).map(({ text }) => text).join('\n'));
    const segment = this.#segment();
    for (let at = 0; at < bytes.length;) at += writeSync(segment.fd, bytes, at, bytes.length - at, segment.size + at);
    record.stored = new Spilled(segment, segment.size, bytes.length);
    record.entries = undefined;
    segment.size += bytes.length;
    segment.needed++;
  }

  #segment(): Segment {
    if (this.#current !== undefined && this.#current.size < MAX_SEGMENT_BYTES) return this.#current;
    const full = this.#current;
    const dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-replicate-'));
    this.#current = { fd: openSync(join(dir, 'waiting'), 'wx+', 0o600), size: 0, needed: 0 };
    // The file's name is removed at once: the file itself goes when it is closed, however this process ends.
    rmSync(dir, { recursive: true, force: true });
    this.#segments.add(this.#current);
    if (full?.needed === 0) this.#close(full);
    return this.#current;
  }

  #close(segment: Segment): void {
    this.#segments.delete(segment);
    closeSync(segment.fd);
  }
}

function* readSpilled({ segment, offset, length }: Spilled): Generator<Change, void> {
  // All lanes are read side by side: of each only a part is in memory.
  let bytes = Buffer.allocUnsafe(Math.min(length, READ_BYTES));
  let filled = 0;
  for (let read = 0; ;) {
    if (read < length) {
      if (filled === bytes.length) bytes = Buffer.concat([bytes, Buffer.allocUnsafe(bytes.length)]);
      const wanted = Math.min(bytes.length - filled, length - read);
      const got = readSync(segment.fd, bytes, filled, wanted, offset + read);
      if (got === 0) throw new Error('A temporary file of waiting changes is shorter than what was written to it.');
      filled += got;
      read += got;
    }
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE, at); end >= 0 && end < filled; end = bytes.indexOf(NEWLINE, at)) {
      yield* changesIn(bytes.toString('utf8', at, end));
      at = end + 1;
    }
    bytes.copyWithin(0, at, filled);
    filled -= at;
    if (read < length) continue;
    if (filled > 0) yield* changesIn(bytes.toString('utf8', 0, filled));
    return;
  }
}

function* changesIn(text: string): Generator<Change, void> {
  const record = readRecord(text);
  if (record.kind === 'change') yield record;
}
