/**
 * What changes cost in AWS, from what the benchmark measured: a table for docs/deploy.md. Pure: figures in, text out.
 * List prices of us-east-1, in US dollars.
 */

/** What the run of one minute took, at one rate. */
export interface CostLine {
  readonly format: string;
  /** Changes a second, of which a run publishes a minute's. */
  readonly rate: number;
  readonly changes: number;
  readonly functionCpuMs: number;
  /** Of the run, with the share of a core that the default memory gives. */
  readonly wallMs: number;
  /** Of user records. */
  readonly bytes: number;
  readonly kinesisRecords: number;
  /** As an on-demand stream bills them: each Kinesis record rounded up to 1 KiB. */
  readonly roundedBytes: number;
  /** As a provisioned stream bills them: payload units of 25 KiB. */
  readonly putUnits: number;
}

/** What was measured, and on what. */
export interface Cost {
  readonly machine: string;
  readonly memoryMib: number;
  readonly lines: readonly CostLine[];
}

/** A month's runs: one a minute for 730 hours. */
const RUNS = 43_800;
const HOURS = 730;
const PRICES = {
  /** Lambda on arm64. */
  gibSecond: 0.0000133334,
  /** Kinesis, on-demand. */
  streamHour: 0.04,
  gbIn: 0.08,
  /** Kinesis, provisioned. */
  shardHour: 0.015,
  putUnit: 0.014 / 1e6,
} as const;
/** What a shard takes in a second. */
const SHARD = { bytes: 1024 * 1024, records: 1000 };

/** A month at one rate, in dollars. */
export interface Month {
  readonly lambda: number;
  readonly onDemand: number;
  readonly shards: number;
  readonly provisioned: number;
}

/**
 * @param line - what a minute took
 * @param memoryMib - of the function
 * @returns what a month of such minutes costs
 */
export function monthOf({ wallMs, roundedBytes, kinesisRecords, putUnits }: CostLine, memoryMib: number): Month {
  const shards = Math.ceil(Math.max(roundedBytes / 60 / SHARD.bytes, kinesisRecords / 60 / SHARD.records));
  return {
    lambda: RUNS * (wallMs / 1000) * (memoryMib / 1024) * PRICES.gibSecond,
    onDemand: HOURS * PRICES.streamHour + ((RUNS * roundedBytes) / 1e9) * PRICES.gbIn,
    shards,
    provisioned: HOURS * shards * PRICES.shardHour + RUNS * putUnits * PRICES.putUnit,
  };
}

/** @param cost - what was measured @returns the table of a million changes and of a month */
export function costTable({ lines, memoryMib }: Cost): string {
  const rates = [...new Set(lines.map(({ rate }) => rate))].sort((a, b) => a - b);
  const formats = [...new Set(lines.map(({ format }) => format))];
  const heads = [
    'changes a second, format',
    'function CPU, s',
    'user records, MB',
    'Kinesis records',
    'Lambda, $ a month',
    'on-demand stream, $',
    'provisioned stream, $ (shards)',
  ];
  const rows = rates.flatMap((rate) =>
    formats.flatMap((format) => {
      const line = lines.find((each) => each.rate === rate && each.format === format);
      if (line === undefined) return [];
      const million = 1e6 / line.changes;
      const { lambda, onDemand, shards, provisioned } = monthOf(line, memoryMib);
      return [
        [
          `${rate.toLocaleString('en-US')}, ${format}`,
          ((line.functionCpuMs / 1000) * million).toFixed(1),
          ((line.bytes / 1e6) * million).toFixed(0),
          Math.round(line.kinesisRecords * million).toLocaleString('en-US'),
          lambda.toFixed(2),
          onDemand.toFixed(2),
          `${provisioned.toFixed(2)} (${shards})`,
        ],
      ];
    }),
  );
  return [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** @param cost - what was measured @returns the sums of one line, for a reader who wants to put in their own prices */
export function costArithmetic({ lines, memoryMib }: Cost): string {
  const line = lines.find(({ rate, format }) => rate === 1000 && format.startsWith('`json`')) ?? lines[0];
  if (line === undefined) return '';
  const { lambda, onDemand, shards, provisioned } = monthOf(line, memoryMib);
  const gb = line.roundedBytes / 1e9;
  return [
    `At ${line.rate.toLocaleString('en-US')} changes a second as ${line.format}, a run takes ${(line.wallMs / 1000).toFixed(2)} s and sends ${gb.toFixed(4)} GB in ${line.putUnits.toLocaleString('en-US')} payload units:`,
    '',
    `- Lambda: 43,800 runs x ${(line.wallMs / 1000).toFixed(2)} s x ${(memoryMib / 1024).toFixed(1)} GB x ${PRICES.gibSecond} = $${lambda.toFixed(2)}`,
    `- Kinesis, on-demand: 730 h x 0.04 + 43,800 x ${gb.toFixed(4)} GB x 0.08 = $${onDemand.toFixed(2)}`,
    `- Kinesis, provisioned: ${shards} shard${shards === 1 ? '' : 's'} x 730 h x 0.015 + 43,800 x ${line.putUnits.toLocaleString('en-US')} x 0.014 / 1 M = $${provisioned.toFixed(2)}`,
    '',
  ].join('\n');
}
