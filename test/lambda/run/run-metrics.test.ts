/** Which metrics a run adds, with which values; and what a run says that got nowhere. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PipelineError } from '../../../lambda/errors.ts';
import { PeekTooLargeError } from '../../../lambda/peek-errors.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import {
  noProgress,
  type NoProgressFacts,
  searchUnfinished,
  serverOutOfSpace,
  transactionTooLarge,
} from '../../../lambda/run/no-progress-errors.ts';
import { addRunMetrics, addSlotMetrics, CountReporter, type ReportedCounts } from '../../../lambda/run/run-metrics.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { Recorder } from '../../support/run-kit.ts';

const COUNTS = {
  ...noCounts(),
  published: 1,
  transactions: 2,
  kinesisRecords: 3,
  bytes: 4,
  skipped: {
    noPrimaryKey: 11,
    keyUnknown: 12,
    noReplicaIdentity: 13,
    keyTooLarge: 14,
    droppedTable: 15,
    notTable: 16,
    filtered: 17,
    formatter: 0,
  },
};
const ANSWER = {
  ...COUNTS,
  action: 'run',
  slot: 's',
  caughtUp: true,
  stopped: 'caught-up',
  batches: 1,
  advancedTo: '0/10',
  lagBytes: 5,
  lagSeconds: 6,
  throttledEntries: 7,
  durationMs: 8,
} as unknown as RunAnswer;

/** What a run adds. */
function added(changes: Partial<RunAnswer>, end = { moved: false, retainedWalBytes: 9 as number | undefined }) {
  const recorder = new Recorder();
  addRunMetrics(recorder, { ...ANSWER, ...changes }, end);
  return Object.fromEntries(recorder.values) as Record<string, number | undefined>;
}

describe('the metrics of a run', () => {
  it('are all that it counts, each under its name', () => {
    assert.deepEqual(added({}), {
      RunDurationMs: 8,
      RunHealthy: 1,
      Stalled: 0,
      ChangesPublished: 1,
      SkippedNoPrimaryKey: 11,
      SkippedKeyUnknown: 12,
      SkippedNoReplicaIdentity: 13,
      SkippedKeyTooLarge: 14,
      SkippedDroppedTable: 15,
      SkippedNotTable: 16,
      SkippedFiltered: 17,
      TransactionsPublished: 2,
      KinesisRecords: 3,
      BytesPublished: 4,
      ThrottledEntries: 7,
      LagBytes: 5,
      LagSeconds: 6,
      RetainedWalBytes: 9,
    });
    assert.equal(added({ skipped: { ...COUNTS.skipped, formatter: 18 } }).SkippedFormatter, 18);
  });

  it('are its duration alone where it found the slot held', () => {
    assert.deepEqual(added({ stopped: 'locked' }), { RunDurationMs: 8 });
  });

  it('leave out what is not known', () => {
    const { lagBytes, lagSeconds, ...unknown } = ANSWER;
    assert.deepEqual([lagBytes, lagSeconds], [5, 6]);
    const recorder = new Recorder();
    addRunMetrics(recorder, unknown, { moved: true, retainedWalBytes: undefined });
    const names = recorder.values.map(([name]) => name);
    for (const name of ['LagBytes', 'LagSeconds', 'RetainedWalBytes'] as const) assert.ok(!names.includes(name), name);
  });

  for (const [what, changes, moved, stalled] of [
    ['nothing sent, nothing moved, something left', { kinesisRecords: 0, lagBytes: 1 }, false, 1],
    ['nothing left', { kinesisRecords: 0, lagBytes: 0 }, false, 0],
    ['something sent', { kinesisRecords: 1, lagBytes: 1 }, false, 0],
    ['the slot moved', { kinesisRecords: 0, lagBytes: 1 }, true, 0],
  ] as const) {
    it(`say ${stalled === 1 ? '' : 'not '}stalled: ${what}`, () => {
      assert.equal(added(changes, { moved, retainedWalBytes: 9 }).Stalled, stalled);
    });
  }

  it('say healthy, unless it was throttled, and who waits for a standby', () => {
    assert.equal(added({ stopped: 'throttled' }).RunHealthy, undefined);
    assert.equal(added({ stopped: 'deadline' }).RunHealthy, 1);
    assert.equal(added({ stopped: 'waiting-for-standby' }).WaitingForStandby, 1);
    assert.equal(added({ stopped: 'deadline' }).WaitingForStandby, undefined);
  });
});

describe('what a run tells the metrics in its middle', () => {
  const told = (...reports: readonly Partial<ReportedCounts>[]) => {
    const recorder = new Recorder();
    const reporter = new CountReporter(recorder);
    return reports.map((report) => {
      recorder.values.length = 0;
      reporter.report({ ...COUNTS, throttledEntries: 0, ...report });
      return Object.fromEntries(recorder.values);
    });
  };

  it('is not told again at its end', () => {
    const [first, second] = told(
      { throttledEntries: 2, messages: 5 },
      { published: 4, throttledEntries: 7, messages: 5 },
    );
    assert.deepEqual(
      [first?.['ChangesPublished'], first?.['ThrottledEntries'], first?.['MessagesPublished']],
      [1, 2, 5],
    );
    assert.deepEqual([second?.['ChangesPublished'], second?.['ThrottledEntries']], [3, 5]);
    assert.deepEqual([second?.['TransactionsPublished'], second?.['SkippedFiltered']], [0, 0]);
    assert.equal(second !== undefined && 'MessagesPublished' in second, false, 'there are no new ones');
  });

  it('has a snapshot in it as long as there is one, and once that it is done', () => {
    const snapshot = (rowsPublished: number, tablesLeft: number) => ({ snapshot: { rowsPublished, tablesLeft } });
    const reports = told(
      {},
      snapshot(0, 2),
      snapshot(0, 2),
      snapshot(10, 1),
      snapshot(15, 0),
      snapshot(15, 0),
      snapshot(18, 1),
      snapshot(18, 0),
      snapshot(18, 0),
      snapshot(20, 0),
      snapshot(20, 1),
    );
    assert.deepEqual(
      reports.map((values) => [values['SnapshotRowsPublished'], values['SnapshotTablesLeft']]),
      [
        [undefined, undefined],
        [0, 2],
        [0, 2],
        [10, 1],
        [5, 0],
        [undefined, undefined],
        [3, 1],
        [0, 0],
        [undefined, undefined],
        [2, 0],
        [0, 1],
      ],
    );
    assert.deepEqual(
      told(snapshot(0, 0)).map((values) => values['SnapshotTablesLeft']),
      [0],
      'of a run that only finds that it is done',
    );
  });
});

describe('the metrics of a slot behind a run that failed', () => {
  const measured = (
    measure: { confirmedFlush?: bigint; lagBytes?: number; retainedWalBytes?: number },
    failed?: { before: bigint | undefined },
  ) => {
    const recorder = new Recorder();
    addSlotMetrics(
      recorder,
      { confirmedFlush: undefined, lagBytes: undefined, retainedWalBytes: undefined, ...measure },
      failed,
    );
    return Object.fromEntries(recorder.values);
  };
  for (const [what, measure, failed, expected] of [
    ['nothing is known', {}, { before: 1n }, {}],
    ['it did not fail', { lagBytes: 1, retainedWalBytes: 2 }, undefined, { LagBytes: 1, RetainedWalBytes: 2 }],
    ['it did not move', { confirmedFlush: 1n, lagBytes: 1 }, { before: 1n }, { LagBytes: 1, Stalled: 1 }],
    ['it moved', { confirmedFlush: 2n, lagBytes: 1 }, { before: 1n }, { LagBytes: 1, Stalled: 0 }],
    [
      'nobody knows where it was',
      { confirmedFlush: 2n, lagBytes: 1 },
      { before: undefined },
      { LagBytes: 1, Stalled: 1 },
    ],
    ['nothing is left', { confirmedFlush: 1n, lagBytes: 0 }, { before: 1n }, { LagBytes: 0, Stalled: 0 }],
  ] as const) {
    it(what, () => assert.deepEqual(measured(measure, failed), expected));
  }
});

describe('a run that got nowhere', () => {
  const FACTS: NoProgressFacts = {
    stopped: 'deadline',
    lastFailure: undefined,
    pendingCommit: undefined,
    catalogMs: 0,
    undecodedMs: undefined,
    durationMs: 10_000,
    graceCutShort: false,
  };
  const failed = (changes: Partial<NoProgressFacts>): PipelineError => noProgress({ ...FACTS, ...changes });
  const pendingCommit = { xid: 77, commitLsn: 0x10n, commitTimeMicros: 0n };
  for (const [what, changes, code, message, remedy] of [
    ['nothing else is known', {}, 'NO_PROGRESS', /^The run had no time to publish anything\. The slot was/, /./],
    [
      'it waited for another',
      { graceCutShort: true, stopped: 'throttled' },
      'NO_PROGRESS',
      /An earlier run had lost the lock/,
      /./,
    ],
    [
      'it was throttled',
      { stopped: 'throttled', pendingCommit },
      'STREAM_THROTTLED',
      /because the stream lacks capacity/,
      /./,
    ],
    [
      'the stream was throttled',
      { stopped: 'throttled', lastFailure: 'ProvisionedThroughputExceededException' },
      'STREAM_THROTTLED',
      /because the stream lacks capacity/,
      /more shards/,
    ],
    [
      'the key was throttled',
      { stopped: 'throttled', lastFailure: 'KMSThrottlingException (HTTP 400)' },
      'STREAM_THROTTLED',
      /^AWS KMS refused to encrypt records for the whole run/,
      /^Raise the account's quota/,
    ],
    [
      'a commit waits',
      { pendingCommit, lastFailure: 'x' },
      'NO_PROGRESS',
      /xid 77 and commit LSN 0\/10 is in the WAL/,
      /./,
    ],
    [
      'the catalogs took more than half',
      { catalogMs: 5_001 },
      'NO_PROGRESS',
      /catalogs took 5\.0 of 10\.0 seconds/,
      /./,
    ],
    ['the catalogs took half', { catalogMs: 5_000 }, 'NO_PROGRESS', /no time to publish anything\. The/, /./],
    [
      'the catalogs took long, and Kinesis refused',
      { catalogMs: 9_000, lastFailure: 'Refused' },
      'NO_PROGRESS',
      /The last request failed: Refused\./,
      /NAT gateway/,
    ],
    [
      'no transaction was decoded',
      { undecodedMs: 35_000 },
      'NO_PROGRESS',
      /not even one transaction in the 35 seconds/,
      /--max-seconds 14400/,
    ],
    [
      'Kinesis refused',
      { lastFailure: 'Refused', undecodedMs: 1 },
      'NO_PROGRESS',
      /Kinesis took nothing .* failed: Refused\. The slot was/,
      /AWS Health Dashboard/,
    ],
  ] as const) {
    it(`fails with ${code} where ${what}`, () => {
      const error = failed(changes);
      assert.equal(error.code, code);
      assert.match(error.what, message);
      assert.match(error.what, /slot was not advanced|not over/);
      assert.match(error.remedy, remedy);
    });
  }

  it('fails with the transaction that is larger than all of the time', () => {
    const error = transactionTooLarge('0/20', 5);
    assert.match(error.what, /commit LSN 0\/20 is larger .* \(5 records were\)/);
    assert.match(error.remedy, /skip-transaction with this commit LSN/);
  });

  for (const [sqlState, lack] of [
    ['53400', 'temporary files, by its temp_file_limit,'],
    ['53100', 'disk space'],
    ['53200', 'memory'],
  ] as const) {
    it(`fails where the server has no room: ${sqlState}`, () => {
      const lacking = new PeekTooLargeError('x', { resourceSqlState: sqlState });
      const start = `PostgreSQL has not enough ${lack} to decode even the smallest batch (SQLSTATE ${sqlState})`;
      const unknown = serverOutOfSpace(lacking);
      assert.equal(unknown.what, `${start}. The slot was not advanced.`);
      assert.match(unknown.remedy, /^Give the server more; more time/);
      const known = serverOutOfSpace(lacking, '0/20');
      assert.ok(known.what.startsWith(`${start}: the transaction with commit LSN 0/20 is larger.`), known.what);
      assert.match(known.remedy, /skip-transaction with this commit LSN, and reload/);
      const spilling = serverOutOfSpace(
        new PeekTooLargeError('x', { resourceSqlState: sqlState, spilling: true }),
        '0/20',
      );
      assert.ok(spilling.what.startsWith(`${start}: it collects the changes`), spilling.what);
      assert.match(spilling.remedy, /^Give the server more disk space/);
      for (const error of [unknown, known]) assert.equal(error.cause, lacking);
    });
  }

  it('fails with the range that was not searched to its end', () => {
    const cause = new Error('of the server');
    const error = searchUnfinished('0/10', '0/20', cause);
    assert.equal(error.cause, cause);
    assert.match(error.what, /committed between 0\/10 and 0\/20, and the time was over/);
    assert.match(error.remedy, /--max-seconds 14400/);
  });
});
