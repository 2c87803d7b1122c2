/**
 * What the benchmark measured, as a table for a terminal and one for docs/performance.md. Pure: figures in, text out.
 */

/** One thing that was measured on one workload: medians. */
export interface SpeedLine {
  readonly workload: string;
  /** A format, by which pg2kinesis published; or who else read the same WAL. */
  readonly subject: string;
  readonly changes: number;
  /** Of a core that the function was held to. @default all of it */
  readonly share?: number;
  readonly wallMs: number;
  /** Processor time of the function, or of the client in its place. */
  readonly functionCpuMs?: number;
  /** Processor time of the server. */
  readonly serverCpuMs?: number;
  /** What was published. */
  readonly bytes?: number;
  readonly kinesisRecords?: number;
  /** The most memory resident. */
  readonly maxRssMb?: number;
}

/** A whole run of the benchmark. */
export interface Speed {
  readonly machine: string;
  /** The load average of the last five minutes, when it ended: far above the number of cores, the figures say little. */
  readonly load?: number;
  readonly rounds: number;
  /** What each workload is. */
  readonly workloads: Readonly<Record<string, string>>;
  readonly lines: readonly SpeedLine[];
}

/** With what throughput is compared. */
export const PEER = 'pg_recvlogical';

/** @param values - at least one @returns the middle one */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const HEADS = [
  'reader',
  'time',
  'changes a second',
  `ratio to ${PEER}`,
  'function CPU',
  'server CPU',
  'bytes',
  'memory',
];

/** A line's cells: numbers a change where there are changes. */
function cellsOf(line: SpeedLine, lines: readonly SpeedLine[]): string[] {
  const { subject, share, changes, wallMs, functionCpuMs, serverCpuMs, bytes, maxRssMb } = line;
  const peer = lines.find((other) => other.workload === line.workload && other.subject === PEER);
  const micros = (ms: number | undefined): string =>
    ms === undefined ? '' : changes === 0 ? `${ms.toFixed(1)} ms` : `${((1000 * ms) / changes).toFixed(1)} µs`;
  return [
    share === undefined ? subject : `${subject}, ${share} of a core`,
    changes === 0 ? `${wallMs.toFixed(1)} ms` : `${(wallMs / 1000).toFixed(1)} s`,
    changes === 0 ? '' : Math.round((1000 * changes) / wallMs).toLocaleString('en-US'),
    peer === undefined ? '' : (peer.wallMs / wallMs).toFixed(2),
    micros(functionCpuMs),
    micros(serverCpuMs),
    bytes === undefined || changes === 0 ? '' : (bytes / changes).toFixed(0),
    maxRssMb === undefined ? '' : `${maxRssMb.toFixed(0)} MB`,
  ];
}

/**
 * @param lines - of one workload
 * @returns a table for a terminal
 */
export function speedText(lines: readonly SpeedLine[]): string {
  const [first] = lines;
  if (first === undefined) return '';
  const rows = [
    [`${first.workload} (${first.changes})`, ...HEADS.slice(1)],
    ...lines.map((line) => cellsOf(line, lines)),
  ];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
    .join('\n')
    .concat('\n');
}

/**
 * @param speed - a run of the benchmark
 * @returns tables for the page, one a workload
 */
export function speedTables({ lines, workloads }: Speed): string {
  const names = [...new Set(lines.map(({ workload }) => workload))];
  return names
    .map((name) => {
      const own = lines.filter(({ workload }) => workload === name);
      const changes = own[0]?.changes ?? 0;
      const about = workloads[name] ?? 'a run that finds nothing to do';
      const title = `**${name}**: ${about}${changes === 0 ? '' : `; ${changes.toLocaleString('en-US')} changes`}`;
      const cells = own.map((line) => cellsOf(line, lines));
      // A column that was not measured is left out.
      const measured = HEADS.map((_, column) => cells.some((row) => row[column] !== ''));
      const rows = [HEADS, HEADS.map(() => '---'), ...cells].map((row) => row.filter((_, column) => measured[column]));
      return `${title}\n\n${rows.map((row) => `| ${row.join(' | ')} |\n`).join('')}`;
    })
    .join('\n');
}

/**
 * @param speed - a run of the benchmark
 * @returns what README says of it
 */
export function speedSummary({ lines, machine }: Speed): string {
  const small = lines.filter(({ workload, share }) => workload === 'small' && share === undefined);
  const peer = small.find(({ subject }) => subject === PEER);
  const own = small.filter(({ bytes }) => bytes !== undefined);
  const told = own.map(({ subject, changes, wallMs }) => {
    const ratio = peer === undefined ? '' : ` (${(peer.wallMs / wallMs).toFixed(2)} times \`${PEER}\`)`;
    return `${(Math.round(changes / wallMs) * 1000).toLocaleString('en-US')} as \`${subject}\`${ratio}`;
  });
  return `Changes a second that one function publishes on ${machine}, beside \`${PEER}\` of test_decoding:\n${told.join(', ')}.\n`;
}
