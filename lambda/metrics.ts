/**
 * The table of metrics: what the function emits, in which unit, and what each says. The one place that knows them in
 * `lambda/`; docs/operations.md is generated from it, and a test compares the list with the one of `lib/`. Imports nothing.
 */

/** A metric's unit, as CloudWatch spells it. */
type Unit = 'Count' | 'Bytes' | 'Seconds' | 'Milliseconds';

/** Every metric, in the order of docs/operations.md. */
export const METRICS = {
  RunHealthy: {
    unit: 'Count',
    about:
      '1 at the end of each run that did not fail and was neither `locked` nor `throttled`; and each minute inside a long one that makes progress; once, too, when the stack has made its slot',
  },
  Stalled: {
    unit: 'Count',
    about:
      'at the same moments, and after each run that was throttled or failed while the database answers: 1 if something is left to publish, nothing was acknowledged, and the slot did not move; else 0',
  },
  WaitingForStandby: {
    unit: 'Count',
    about:
      '1 at the end of each run that could publish no more before a standby has confirmed it; else there is no data',
  },
  LagBytes: {
    unit: 'Bytes',
    about: 'WAL that is flushed and not consumed; also of a run that failed or found the slot locked',
  },
  LagSeconds: {
    unit: 'Seconds',
    about:
      'the age of the first unpublished COMMIT, also of a run that failed; 0 when caught up, left out when it is not known',
  },
  RetainedWalBytes: {
    unit: 'Bytes',
    about: 'WAL that the slot makes the server keep; also of a run that failed or found the slot locked',
  },
  ChangesPublished: { unit: 'Count', about: 'changes that were published' },
  MessagesPublished: { unit: 'Count', about: 'logical messages that were published; no data where there were none' },
  SnapshotRowsPublished: {
    unit: 'Count',
    about: 'rows of tables that were published for a snapshot; no data where none is under way',
  },
  SnapshotTablesLeft: {
    unit: 'Count',
    about: 'tables that a snapshot has not read to their end; no data where none is under way',
  },
  TransactionsPublished: { unit: 'Count', about: 'transactions that were published' },
  KinesisRecords: { unit: 'Count', about: 'Kinesis records that were published' },
  BytesPublished: { unit: 'Bytes', about: 'their bytes' },
  SkippedNoPrimaryKey: { unit: 'Count', about: 'changes that were skipped: their table has no primary key' },
  SkippedKeyUnknown: {
    unit: 'Count',
    about:
      'changes that were skipped: their row does not show the current primary key, and the one at write time is not known',
  },
  SkippedNoReplicaIdentity: { unit: 'Count', about: 'changes that were skipped: the server did not send their key' },
  SkippedKeyTooLarge: {
    unit: 'Count',
    about: 'changes that were skipped: their primary key alone is larger than a Kinesis record may be',
  },
  SkippedDroppedTable: { unit: 'Count', about: 'changes that were skipped: their table is gone' },
  SkippedNotTable: { unit: 'Count', about: 'rows that were skipped: of a materialised view, which is no table' },
  SkippedFiltered: { unit: 'Count', about: 'changes that were skipped: a filter excludes them' },
  SkippedFormatter: { unit: 'Count', about: 'changes that were skipped: the formatter left them out' },
  ThrottledEntries: {
    unit: 'Count',
    about: 'entries that Kinesis refused because the stream has not enough capacity, each refusal counted',
  },
  PeekMs: {
    unit: 'Milliseconds',
    about: 'each minute of a run that lingers: how long the server worked for the slowest peek of that minute',
  },
  RunDurationMs: { unit: 'Milliseconds', about: 'how long a run took' },
  DeadlineOverrunMs: { unit: 'Milliseconds', about: 'how long after its deadline a run answered' },
} as const satisfies Readonly<Record<string, { readonly unit: Unit; readonly about: string }>>;

/** A metric's name. */
export type MetricName = keyof typeof METRICS;
