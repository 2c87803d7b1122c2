/** The demo's summary: what was committed, what was published, what arrived, and whether that proves anything. Pure. */
import type { Ledger } from './ledger.ts';
import { type Comparison, isConclusive } from './verifier.ts';

/** What the function said of itself, over all runs. */
export interface Runs {
  /** Invocations that answered. */
  answered: number;
  /** Invocations that failed. */
  failed: number;
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
    isConclusive(findings.comparison, findings.runs.failed > 0) &&
    countsMatch(findings)
  );
}

/** A run that failed returns no counts: then there is nothing to compare. */
function countsMatch({ ledger, runs }: Findings): boolean {
  return (
    runs.failed > 0 ||
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
    row('runs', runs.answered, runs.failed > 0 ? `and ${runs.failed} that failed` : ''),
    row('changes published', runs.published),
    row('changes skipped without a key', runs.noPrimaryKey),
    ...(ledger.filtered > 0 ? [row('changes excluded by filters', runs.filtered)] : []),
    row('Kinesis records', runs.kinesisRecords, `${kilobytes(runs.bytes)} in all`),
    'Arrived, as the consumer read it:',
    row('distinct records received', comparison.distinct),
    row('missing', comparison.missing),
    row('out of order', comparison.outOfOrder),
    row('duplicates', comparison.duplicates),
    row('unexpected', comparison.unexpected),
    row('wrong', comparison.wrong),
  ];
  for (const example of comparison.examples) lines.push(`  e.g. ${example}`);
  if (succeeded(findings)) lines.push('Every change committed with a key has arrived, in order, and nothing else has.');
  else if (comparison.expected === 0) lines.push('Nothing was committed, so nothing is proved.');
  else if (!countsMatch(findings)) lines.push('FAILED: the function has not counted what the writers committed.');
  else lines.push('FAILED: what arrived is not what was committed.');
  return lines;
}

/**
 * @param bytes - a number of bytes
 * @returns in kB, one decimal
 */
export function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
