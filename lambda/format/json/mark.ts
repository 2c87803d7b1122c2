/**
 * A mark in the format `json`: all records of its lane with a commit LSN up to its own stand before it.
 *
 * `{"op":"MARK","source":…,"commitLsn":…,"commitTime":…,"lane":…,"lanes":…,"system":…,"timeline":…[,"forks":[[timeline,lsn],…]]}`
 *
 * Knows no run: when marks are written is decided elsewhere.
 */
import { formatLsn, type Lsn } from '../../decode/lsn.ts';
import { isoMicros } from '../temporal.ts';

/** Where a timeline began, and up to where its history is that of the one before. */
export type MarkFork = readonly [timeline: number, lsn: Lsn];

/** What the marks of all lanes say. */
export interface Mark {
  readonly source: string;
  readonly commitLsn: Lsn;
  readonly commitTimeMicros: bigint;
  readonly lanes: number;
  readonly system: string;
  readonly timeline: number;
  /** On marks that a run begins with: all forks of the server's history. */
  readonly forks?: readonly MarkFork[] | undefined;
}

/**
 * @param mark - what it says
 * @param lane - the lane that it goes into, from 0
 * @returns one line of JSON
 */
export function jsonMark(mark: Mark, lane: number): string {
  const { source, commitLsn, commitTimeMicros, lanes, system, timeline, forks } = mark;
  return JSON.stringify({
    op: 'MARK',
    source,
    commitLsn: formatLsn(commitLsn),
    commitTime: isoMicros(commitTimeMicros),
    lane,
    lanes,
    system,
    timeline,
    forks: forks?.map(([began, lsn]) => [began, formatLsn(lsn)]),
  });
}
