/** The demo's last words: what was committed beside what arrived, and whether it proves anything. Pure. */
import type { Ledger } from './ledger.ts';
import { proves, type Verdict } from './verifier.ts';

/** What the function said of itself, over all runs. */
export interface Runs {
  /** Invocations that answered. */
  answered: number;
  /** Invocations that failed. */
  failed: number;
  /** Changes published. */
  published: number;
  /** Changes left out for want of a primary key. */
  noPrimaryKey: number;
  /** Changes left out by the settings. */
  filtered: number;
  /** Entries of PutRecords acknowledged. */
  kinesisRecords: number;
  /** Their size. */
  bytes: number;
}

/** What the summary is made of. */
export interface Findings {
  readonly ledger: Pick<Ledger, 'transactions' | 'keyed' | 'keyless' | 'filtered'>;
  readonly verdict: Verdict;
  readonly runs: Runs;
}

/**
 * Whether the demo did what it is to show.
 *
 * @param findings - both sides
 * @returns true when everything committed arrived, once and in order, and the function counted as the ledger does
 */
export function succeeded(findings: Findings): boolean {
  return findings.verdict.expected > 0 && proves(findings.verdict, findings.runs.failed > 0) && countsAgree(findings);
}

/** A failed run tells no counts: then there is nothing to compare. */
function countsAgree({ ledger, runs }: Findings): boolean {
  return (
    runs.failed > 0 ||
    (runs.published === ledger.keyed && runs.noPrimaryKey === ledger.keyless && runs.filtered === ledger.filtered)
  );
}

/**
 * @param findings - both sides
 * @returns the summary, in lines
 */
export function summary(findings: Findings): string[] {
  const { ledger, verdict, runs } = findings;
  const row = (what: string, count: number, note = ''): string =>
    `  ${what.padEnd(34)}${String(count).padStart(9)}${note === '' ? '' : `  ${note}`}`;
  const lines = [
    'What was committed, by the book of its writers:',
    row('transactions', ledger.transactions),
    row('changes committed with a key', ledger.keyed),
    row('changes committed without a key', ledger.keyless, 'cannot be published; counted by the function'),
    ...(ledger.filtered > 0 ? [row('changes that the settings leave out', ledger.filtered)] : []),
    row('records due', verdict.expected, 'a key change is two'),
    'What was published, by the answers of the function:',
    row('runs', runs.answered, runs.failed > 0 ? `and ${runs.failed} that failed` : ''),
    row('changes published', runs.published),
    row('changes skipped without a key', runs.noPrimaryKey),
    ...(ledger.filtered > 0 ? [row('changes left out by filters', runs.filtered)] : []),
    row('Kinesis records', runs.kinesisRecords, `${kilobytes(runs.bytes)} in all`),
    'What arrived, by its consumer:',
    row('distinct records received', verdict.distinct),
    row('missing', verdict.missing),
    row('out of order', verdict.outOfOrder),
    row('duplicates', verdict.duplicates),
    row('unexpected', verdict.unexpected),
    row('wrong', verdict.wrong),
  ];
  for (const example of verdict.examples) lines.push(`  e.g. ${example}`);
  if (succeeded(findings)) lines.push('Every change committed with a key has arrived, in order, and nothing else has.');
  else if (verdict.expected === 0) lines.push('Nothing was committed, so nothing is shown.');
  else if (!countsAgree(findings)) lines.push('FAILED: the function has not counted what the writers committed.');
  else lines.push('FAILED: what arrived is not what was committed.');
  return lines;
}

/**
 * @param bytes - how many
 * @returns in kB, one decimal
 */
export function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
