/**
 * What COMPRESSION gains and costs: bytes and processor time a change, for blocks of few and of many changes of the drain's
 * benchmark, whose texts repeat, and of the same rows with a text of their own.
 * Without a server: `npm run bench -- --only compression`. What a whole drain takes: `--compression gzip,zstd`.
 */
import { createHash } from 'node:crypto';
import { TestDecodingDecoder } from '../../lambda/decode/test-decoding/decoder.ts';
import { FORMATS } from '../../lambda/format/formats.ts';
import { type Compression, compressor } from '../../lambda/pack/compression.ts';
import { FORMAT_OPTIONS, recordOf, written } from '../support/changes.ts';

const CHANGES = 8_000;
const LANES = 64;
/** Turns, of which the best counts: the machine may be busy. */
const TURNS = 5;

const repeated = (i: number): string => createHash('md5').update(String(i)).digest('hex').repeat(3);
const own = (i: number): string => createHash('sha384').update(String(i)).digest('hex');

const decoder = new TestDecodingDecoder();

/**
 * The lines that one lane of 64 gets of what the benchmark's `small` writes: three rows a transaction, of which two are
 * updated in it. So of a row's INSERT and UPDATE most stand one behind the other.
 *
 * @param updates - false: its INSERTs only, so that no text comes twice
 */
function linesOf(format: keyof typeof FORMATS, note: (i: number) => string, updates = true): string[] {
  const write = FORMATS[format](FORMAT_OPTIONS);
  const lines: string[] = [];
  for (let id = 1; lines.length < CHANGES; id += LANES - 3 + (id % 7)) {
    const count = Math.floor(id / 3);
    const commitTimeMicros = 1_767_323_045_678_901n + 700n * BigInt(count);
    const transaction = { xid: 754 + count, commitLsn: 0x16b3748n + 1900n * BigInt(count), commitTimeMicros };
    const at = new Date(Number(commitTimeMicros / 1000n)).toISOString().replace('T', ' ').slice(0, -1);
    const add = (operation: string, ordinal: number, n: number): void => {
      const line =
        `table public.t: ${operation}: id[bigint]:${id} name[text]:'user ${count}' balance[numeric]:${count * 1.5} ` +
        `at[timestamp with time zone]:'${at}+00' note[text]:'${note(count)}' n[integer]:${n}`;
      lines.push(`${written(write, recordOf(line, { key: ['id'], ordinal, transaction }, decoder))}\n`);
    };
    add('INSERT', 1 + (id % 3), count);
    if (updates && id % 3 < 2) add('UPDATE', 4 + (id % 3), count + 1);
  }
  return lines;
}

/** A block's size and what its compression takes, for one change. */
interface Block {
  readonly bytes: number;
  readonly micros: number;
}

function measure(lines: readonly string[], changesPerBlock: number, compression: Compression, turns = TURNS): Block {
  const compress = compressor(compression) ?? ((block: Buffer) => block);
  const blocks: Buffer[] = [];
  for (let i = 0; i + changesPerBlock <= lines.length; i += changesPerBlock)
    blocks.push(Buffer.from(lines.slice(i, i + changesPerBlock).join('')));
  let bytes = 0;
  let best = Infinity;
  for (let turn = 0; turn < turns; turn++) {
    const start = process.cpuUsage();
    bytes = blocks.reduce((sum, block) => sum + compress(block).length, 0);
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, user + system);
  }
  const changes = blocks.length * changesPerBlock;
  return { bytes: bytes / changes, micros: best / changes };
}

/** What can be in the blocks. */
const ROWS = {
  '`json`, each text comes again soon': () => linesOf('json', repeated),
  '`json`, no text comes twice': () => linesOf('json', own, false),
  '`csv-payload`': () => linesOf('csv-payload', repeated),
  '`csv-payload`, no key comes twice': () => linesOf('csv-payload', own, false),
} as const;

/**
 * @param rows - what is in the blocks
 * @param changesPerBlock - how many share one
 * @param compression - of them
 * @returns how many times smaller they become
 */
export function timesSmaller(rows: keyof typeof ROWS, changesPerBlock: number, compression: Compression): number {
  const lines = ROWS[rows]();
  const bytesOf = (how: Compression): number => measure(lines, changesPerBlock, how, 1).bytes;
  return bytesOf('none') / bytesOf(compression);
}

/** @returns the table of docs/records.md: each kind of rows, by the changes that share a record */
export function compressionTable(): string {
  const rows = Object.entries(ROWS).flatMap(([name, make]) => {
    const lines = make();
    return [1, 5, 25, 500].map((changesPerBlock) => {
      const plain = measure(lines, changesPerBlock, 'none').bytes;
      const gzip = measure(lines, changesPerBlock, 'gzip');
      const zstd = measure(lines, changesPerBlock, 'zstd');
      const both = (cell: (block: Block) => string): string => `${cell(gzip)}, ${cell(zstd)}`;
      return [
        name,
        String(changesPerBlock),
        `${plain.toFixed(0)}, ${both(({ bytes }) => bytes.toFixed(0))}`,
        both(({ bytes }) => (plain / bytes).toFixed(1)),
        both(({ micros }) => `${micros.toFixed(1)} µs`),
        both(({ micros }) => (Math.round(1000 / micros) * 1000).toLocaleString('en-US')),
      ];
    });
  });
  const heads = [
    'rows',
    'changes a record',
    'bytes a change: none, gzip, zstd',
    'times smaller: gzip, zstd',
    'processor time a change',
    'changes a second that one core compresses',
  ];
  return [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}
