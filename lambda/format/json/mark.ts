/**
 * A mark in the format `json`: every record of its lane with a commit LSN at or below the mark's comes before it.
 *
 * `{"op":"MARK","source":…,"commitLsn":…,"commitTime":…,"lane":…,"lanes":…,"system":…,"timeline":…[,"forks":[[timeline,lsn],…]]}`
 *
 * Marks also name the tables of which a snapshot reads rows: `"reading":[[schema,table],…]` those that it is not through with,
 * `"read":[…]` those that it is through with since the mark before. Each lane has it: who applies lanes one by one knows no other.
 * `"partial":true`: there may be more of them, because the run has not read the slot to its end yet.
 *
 * Knows no run: when marks are written is decided elsewhere.
 */
import { formatLsn, type Lsn } from '../../decode/lsn.ts';
import { isoMicros } from '../temporal.ts';

/** Where a timeline began, and up to where its history is that of the one before. */
export type MarkFork = readonly [timeline: number, lsn: Lsn];

/** Tables by schema and name; `all`: more than a mark names. */
export type MarkTables = readonly (readonly [schema: string, table: string])[] | 'all';

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
  /** Tables that a snapshot under way is not through with. */
  readonly reading?: MarkTables | undefined;
  /** Tables that a snapshot is through with since the mark before. */
  readonly read?: MarkTables | undefined;
  /** A snapshot may read other tables, too: the run does not know. */
  readonly partial?: boolean | undefined;
}

/**
 * @param mark - what it says
 * @param lane - the lane that it goes into, from 0
 * @returns one line of JSON
 */
export function jsonMark(mark: Mark, lane: number): string {
  const { source, commitLsn, commitTimeMicros, lanes, system, timeline, forks, reading, read, partial } = mark;
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
    reading,
    read,
    partial,
  });
}
