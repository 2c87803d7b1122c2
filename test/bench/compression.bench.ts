/**
 * What COMPRESSION gains and costs: bytes and processor time a row, for blocks of few and of many rows, of rows whose text
 * repeats and of rows whose text does not. Prints; asserts nothing. Run it with `node test/bench/compression.bench.ts`.
 */
import { createHash } from 'node:crypto';
import { type Compression, compressor } from '../../lambda/pack/compression.ts';

const ROWS = 4_000;
/** A row of the drain's benchmark: eight columns, a text of 96 characters. */
const json = (text: string, i: number): string =>
  `{"id":"0/16B3748@1767323045678901#${i}","source":"postgres/bench","op":"INSERT","schema":"public","table":"orders","key":{"id":${i}},"row":{"id":${i},"customer":${(i * 7919) % 100_000},"status":"new","total":"${(i % 1000) / 100}","created":"2026-01-02T03:04:05.${String(i % 1_000_000).padStart(6, '0')}Z","paid":${i % 2 === 0},"note":null,"text":"${text}"},"xid":${754 + i},"commitLsn":"0/16B3748","ordinal":${i},"commitTime":"2026-01-02T03:04:05.678901Z"}\n`;
const csvPayload = (i: number): string =>
  `0,CDC,{"xid": "${754 + i}", "table": "public.orders", "operation": "INSERT", "pkey": "${i}"}\n`;
const same = '0123456789'.repeat(10).slice(0, 96);
const own = (i: number): string =>
  createHash('sha512').update(String(i)).digest('base64').slice(0, 64) +
  createHash('md5').update(String(i)).digest('hex');

const workloads: Readonly<Record<string, (i: number) => string>> = {
  'json, text repeats': (i) => json(same, i),
  'json, text of its own': (i) => json(own(i), i),
  'csv-payload': csvPayload,
};

/** @returns bytes and microseconds a row */
function measure(
  lines: readonly string[],
  rowsPerBlock: number,
  compression: Compression,
): { bytes: number; micros: number } {
  const compress = compressor(compression) ?? ((block: Buffer) => block);
  const blocks: Buffer[] = [];
  for (let i = 0; i + rowsPerBlock <= lines.length; i += rowsPerBlock)
    blocks.push(Buffer.from(lines.slice(i, i + rowsPerBlock).join('')));
  for (const block of blocks.slice(0, 50)) compress(block);
  const start = process.cpuUsage();
  const bytes = blocks.reduce((sum, block) => sum + compress(block).length, 0);
  const { user, system } = process.cpuUsage(start);
  return { bytes: bytes / (blocks.length * rowsPerBlock), micros: (user + system) / (blocks.length * rowsPerBlock) };
}

for (const [name, line] of Object.entries(workloads)) {
  const lines = Array.from({ length: ROWS }, (_, i) => line(i + 1));
  for (const rowsPerBlock of [1, 5, 25, 200]) {
    const plain = measure(lines, rowsPerBlock, 'none').bytes;
    for (const compression of ['gzip', 'zstd'] as const) {
      const { bytes, micros } = measure(lines, rowsPerBlock, compression);
      console.log(
        `${name.padEnd(22)} ${String(rowsPerBlock).padStart(4)} rows a block  ${compression}  ${plain.toFixed(0).padStart(4)} -> ${bytes.toFixed(1).padStart(6)} bytes a row, ${(plain / bytes).toFixed(1).padStart(5)} times smaller, ${micros.toFixed(2).padStart(6)} us a row`,
      );
    }
  }
}
