/** The demo's summary: what was committed, what was published, what arrived, and whether that proves anything. Pure. */
import type { Ledger } from './ledger.ts';
import type { ComparedTable } from './second-postgres.ts';
import { type Comparison, isConclusive } from './verifier.ts';

/** What the function said of itself, over all runs. */
export interface Runs {
  /** Invocations that answered. */
  answered: number;
  /** Invocations that failed. */
  failed: number;
  /** Invocations that were killed, on purpose. */
  killed: number;
  /** Changes published. */
  published: number;
  /** Changes skipped because their table has no primary key. */
  noPrimaryKey: number;
  /** Changes that the settings exclude. */
  filtered: number;
  /** Entries of PutRecords acknowledged. */
  kinesisRecords: number;
  /** Their size. */
  bytes: number;
}

/** What the summary is made of. */
export interface Findings {
  readonly ledger: Pick<Ledger, 'transactions' | 'keyed' | 'keyless' | 'filtered'>;
  readonly comparison: Comparison;
  readonly runs: Runs;
  /** Rows that a snapshot has published. */
  readonly snapshotRows: number;
  /** The tables of the second PostgreSQL; undefined: there is none. */
  readonly compared: readonly ComparedTable[] | undefined;
}

/**
 * Whether the demo did what it is to show.
 *
 * @param findings - what was committed, published and received
 * @returns true when everything committed arrived, once and in order, and the function counted as the ledger does
 */
export function succeeded(findings: Findings): boolean {
  return (
    findings.comparison.expected > 0 &&
    isConclusive(findings.comparison, wasCutShort(findings)) &&
    countsMatch(findings) &&
    isCopyEqual(findings)
  );
}

/** What a run that failed or was killed has sent may come again. */
function wasCutShort({ runs }: Findings): boolean {
  return runs.failed + runs.killed > 0;
}

function isCopyEqual({ compared }: Findings): boolean {
  return compared === undefined || compared.every(({ isEqual }) => isEqual);
}

/** A run that failed or was killed returns no counts: then there is nothing to compare. */
function countsMatch({ ledger, runs }: Findings): boolean {
  return (
    runs.failed + runs.killed > 0 ||
    (runs.published === ledger.keyed && runs.noPrimaryKey === ledger.keyless && runs.filtered === ledger.filtered)
  );
}

/**
 * @param findings - what was committed, published and received
 * @returns the summary, in lines
 */
export function summary(findings: Findings): string[] {
  const { ledger, comparison, runs } = findings;
  const row = (what: string, count: number, note = ''): string =>
    `  ${what.padEnd(34)}${String(count).padStart(9)}${note === '' ? '' : `  ${note}`}`;
  const lines = [
    'Committed, as the writers counted it:',
    row('transactions', ledger.transactions),
    row('changes committed with a key', ledger.keyed),
    row('changes committed without a key', ledger.keyless, 'cannot be published; counted by the function'),
    ...(ledger.filtered > 0 ? [row('changes that the settings exclude', ledger.filtered)] : []),
    row('records expected', comparison.expected, 'a change of the primary key makes two'),
    'Published, as the function answered:',
    row('runs', runs.answered, besides(runs)),
    ...(findings.compared === undefined ? [] : [row('rows that a snapshot has read', findings.snapshotRows)]),
    row('changes published', runs.published),
    row('changes skipped without a key', runs.noPrimaryKey),
    ...(ledger.filtered > 0 ? [row('changes excluded by filters', runs.filtered)] : []),
    row('Kinesis records', runs.kinesisRecords, `${kilobytes(runs.bytes)} in all`),
    'Arrived, as the consumer read it:',
    row('distinct records received', comparison.distinct),
    row('missing', comparison.missing),
    row('out of order', comparison.outOfOrder),
    row(
      'duplicates',
      comparison.duplicates,
      comparison.duplicates > 0 && wasCutShort(findings) ? 'of runs that were cut short' : '',
    ),
    row('unexpected', comparison.unexpected),
    row('wrong', comparison.wrong),
  ];
  if (!succeeded(findings)) for (const example of comparison.examples) lines.push(`  e.g. ${example}`);
  lines.push(...copyLines(findings));
  if (succeeded(findings)) lines.push('Every change committed with a key has arrived, in order, and nothing else has.');
  else if (comparison.expected === 0) lines.push('Nothing was committed, so nothing is proved.');
  else if (!isCopyEqual(findings)) lines.push('FAILED: the second PostgreSQL is not equal to the first.');
  else if (!countsMatch(findings)) lines.push('FAILED: the function has not counted what the writers committed.');
  else lines.push('FAILED: what arrived is not what was committed.');
  return lines;
}

/** Runs that did not answer. */
function besides({ failed, killed }: Runs): string {
  const parts = [
    ...(killed > 0 ? [`${killed} that were killed`] : []),
    ...(failed > 0 ? [`${failed} that failed`] : []),
  ];
  return parts.length === 0 ? '' : `and ${parts.join(', ')}`;
}

/** Both PostgreSQLs, table by table. */
function copyLines({ compared }: Findings): string[] {
  if (compared === undefined) return [];
  return [
    'The second PostgreSQL, made of the stream alone, beside the first (rows, MD5 of all rows):',
    ...compared.map(
      ({ table, rows, hash, isEqual }) =>
        `  ${table.padEnd(46)}${String(rows).padStart(6)}  ${hash}  ${isEqual ? 'equal' : 'DIFFERENT'}`,
    ),
  ];
}

/**
 * @param bytes - a number of bytes
 * @returns in kB, one decimal
 */
export function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
