/**
 * Which alarm is raised when, by the rules that are synthesised: metrics of what can happen, minute by minute, through a
 * model of CloudWatch's evaluation. The table of docs/operations.md is what comes out.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, REMEDIES } from '../../lambda/errors.ts';
import { type AlarmProperties, type AlarmState, evaluateAlarm, type MetricData } from '../support/cloudwatch.ts';
import { assertTable } from '../support/docs-table.ts';
import { resourcesOf, synthesise } from './synth.ts';

const GIB = 1024 ** 3;
/** By how much a slot that is not read grows in a minute. */
const WAL_A_MINUTE = 0.1 * GIB;
const MINUTES_BEFORE = 30;

/** The metrics of one minute. */
type Minute = Readonly<Record<string, number>>;

/** A run that ended well, with nothing left. */
const healthy: Minute = {
  Errors: 0,
  Throttles: 0,
  RunHealthy: 1,
  Stalled: 0,
  LagBytes: 0,
  LagSeconds: 0,
  RetainedWalBytes: 0.1 * GIB,
};
const nothing: Minute = {};
/** A run that failed before the database answered, or without a slot. */
const silent: Minute = { Errors: 1, Throttles: 0 };
/** A run that failed while the database answers. @param minute - since it began */
const failed = (minute: number): Minute => ({
  ...silent,
  Stalled: 1,
  LagBytes: minute * WAL_A_MINUTE,
  RetainedWalBytes: minute * WAL_A_MINUTE,
});
/** The same, after it had read how old the first change is. */
const failedKnowingAge = (minute: number): Minute => ({ ...failed(minute), LagSeconds: minute * 60 });
/** A run that found the slot locked. */
const locked = (minute: number): Minute => {
  const { LagBytes = 0, RetainedWalBytes = 0 } = failed(minute);
  return { Errors: 0, Throttles: 0, LagBytes, RetainedWalBytes };
};

interface Case {
  readonly title: string;
  readonly minutes: number;
  readonly at: (minute: number) => Minute;
  /** Whether alarms were there before, with healthy runs. @default true */
  readonly deployed?: boolean;
}

/** How a run fails by each code. */
const FAILURES: readonly [how: string, codes: readonly ErrorCode[], at: (minute: number) => Minute][] = [
  [
    '',
    [
      'DATABASE_UNREACHABLE',
      'DATABASE_AUTH_FAILED',
      'POOLER_REFUSED',
      'SERVERS_DIFFER',
      'SERVER_IS_STANDBY',
      'CONFIG_INVALID',
      'SLOT_MISSING',
    ],
    () => silent,
  ],
  ['', ['SLOT_LOST'], (minute) => ({ ...silent, Stalled: 1, LagBytes: minute * WAL_A_MINUTE })],
  ['', ['SLOT_BUSY', 'WRONG_PLUGIN', 'TRANSACTION_UNDECODABLE'], failed],
  [
    '',
    [
      'DECODE_FAILED',
      'PUBLICATION_MISSING',
      'KEY_UNRESOLVED',
      'FORMAT_FAILED',
      'RECORD_TOO_LARGE',
      'STREAM_MISSING',
      'STREAM_ACCESS_DENIED',
      'STREAM_THROTTLED',
      'NO_PROGRESS',
    ],
    failedKnowingAge,
  ],
  [
    ', once: an invocation by hand',
    ['EVENT_INVALID', 'SLOT_UNREAD', 'ADMIN_ONLY', 'SNAPSHOT_REFUSED'],
    (minute) => (minute === 0 ? { ...healthy, Errors: 1 } : healthy),
  ],
];

const CASES: readonly Case[] = [
  ...FAILURES.map(([how, codes, at]) => ({
    title: `${codes.map((code) => `\`${code}\``).join(', ')}${how}`,
    minutes: 180,
    at,
  })),
  { title: 'one run fails, the next does not', minutes: 60, at: (minute) => (minute === 0 ? failed(1) : healthy) },
  { title: 'the database is stopped over the weekend', minutes: 60 * 60, at: () => silent },
  { title: 'the schedule is switched off outside the stack', minutes: 60 * 48, at: () => nothing },
  { title: 'Lambda refuses each invocation', minutes: 60, at: () => ({ Throttles: 1 }) },
  {
    title: 'first deployment: the slot is made, a minute later runs begin',
    minutes: 60,
    deployed: false,
    at: (minute) => (minute === 0 ? { Errors: 0, Throttles: 0, RunHealthy: 1 } : healthy),
  },
  {
    title: 'new code is deployed: one minute without a run',
    minutes: 60,
    at: (minute) => (minute === 0 ? nothing : healthy),
  },
  {
    title: 'a drain of 15 minutes, of a backlog of 5 GiB',
    minutes: 60,
    at: (minute) => (minute < 15 ? { ...locked(50), RunHealthy: 1, Stalled: 0 } : healthy),
  },
  {
    title: 'a function that vanished holds the lock for 15 minutes',
    minutes: 60,
    at: (m) => (m < 15 ? locked(m) : healthy),
  },
  { title: 'no change for a week', minutes: 60 * 24 * 7, at: () => healthy },
  {
    title: 'a transaction stays open, runs are well',
    minutes: 180,
    at: (minute) => ({ ...healthy, RetainedWalBytes: minute * WAL_A_MINUTE }),
  },
  {
    title: 'a standby is away that runs wait for',
    minutes: 180,
    at: (minute) => {
      // How old the first change is, nobody has read.
      const { LagBytes = 0, RetainedWalBytes = 0 } = failed(minute);
      return { Errors: 0, Throttles: 0, RunHealthy: 1, Stalled: 1, WaitingForStandby: 1, LagBytes, RetainedWalBytes };
    },
  },
  {
    title: 'more is written than is published, runs are well',
    minutes: 180,
    at: (minute) => ({ ...healthy, LagBytes: 1, LagSeconds: minute * 60, RetainedWalBytes: minute * WAL_A_MINUTE }),
  },
  {
    title: 'a backlog is worked off, runs are well',
    minutes: 60,
    at: (minute) => ({ ...healthy, LagBytes: 1, LagSeconds: Math.max(0, 3000 - minute * 60) }),
  },
  {
    title: 'the stream takes less than is written, but something',
    minutes: 180,
    at: (minute) => ({
      Errors: 0,
      Throttles: 0,
      Stalled: 0,
      LagSeconds: minute * 60,
      RetainedWalBytes: minute * WAL_A_MINUTE,
    }),
  },
  {
    title: 'a run ends 6 s late',
    minutes: 60,
    at: (m) => (m === 0 ? { ...healthy, DeadlineOverrunMs: 6000 } : healthy),
  },
  { title: 'a table without a key is written to', minutes: 60, at: () => ({ ...healthy, SkippedNoPrimaryKey: 1 }) },
];

const { template } = synthesise({ alarmEmail: 'oncall@example.com', skippedAlarm: true });
const alarms = Object.entries(resourcesOf(template, 'AWS::CloudWatch::Alarm')).map(
  ([id, { Properties }]): [name: string, alarm: AlarmProperties] => [
    /^Alarms([A-Za-z]+?)[0-9A-F]{8}$/.exec(id)?.[1] ?? id,
    Properties as unknown as AlarmProperties,
  ],
);
const names = ['Errors', 'NotRunning', 'Stalled', 'FallingBehind', 'RetainedWal', 'Throttled', 'Overrun', 'Skipped'];
/** Those that say that changes wait. */
const WAITING = names.slice(0, 5);

/** Minutes as series, by metric. */
function dataOf(minutes: readonly Minute[]): MetricData {
  const metrics = new Set([healthy, ...minutes].flatMap((minute) => Object.keys(minute)));
  return Object.fromEntries([...metrics].map((name) => [name, minutes.map((minute) => minute[name])]));
}

/** The states of an alarm from the case's first minute on. */
function statesOf(
  name: string,
  minutes: readonly Minute[],
  from: number,
  state: AlarmState,
  lookBack = 2,
): readonly AlarmState[] {
  const [, alarm] = alarms.find(([known]) => known === name) ?? [];
  assert.ok(alarm, name);
  return evaluateAlarm(alarm, dataOf(minutes), { from, state, lookBack });
}

/** After how many minutes an alarm is raised; undefined: it is not. */
function raisedAfter(name: string, { deployed = true, minutes, at }: Case, lookBack?: number): number | undefined {
  const before = Array.from({ length: MINUTES_BEFORE }, () => (deployed ? healthy : nothing));
  const all = [...before, ...Array.from({ length: minutes }, (_, minute) => at(minute))];
  const states = statesOf(name, all, MINUTES_BEFORE, deployed ? 'OK' : 'INSUFFICIENT_DATA', lookBack);
  const at1 = states.indexOf('ALARM');
  return at1 === -1 ? undefined : at1 + 1;
}

describe('the alarms in what can happen', () => {
  it('are all in the model, and all error codes are', () => {
    assert.deepEqual(alarms.map(([name]) => name).toSorted(), names.toSorted());
    assert.deepEqual(
      FAILURES.flatMap(([, codes]) => codes).toSorted(),
      Object.keys(REMEDIES).toSorted(),
      'add the error code to FAILURES, to the group whose metrics a run that fails by it shows; then write the table: UPDATE_TABLES=1 node --test test/lib/alarm-cases.test.ts',
    );
  });

  it('are raised as docs/operations.md says', () => {
    assertTable('docs/operations.md', 'alarm-cases', [
      ['what happens', ...names],
      ...CASES.map((each) => [
        each.title,
        ...names.map((name) => {
          const minutes = raisedAfter(name, each);
          return minutes === undefined ? '' : `${minutes}`;
        }),
      ]),
    ]);
  });

  it('are raised in the same cases, however far CloudWatch looks back', () => {
    for (const each of CASES)
      for (const name of names)
        for (const lookBack of [0, 5])
          assert.equal(
            raisedAfter(name, each, lookBack) !== undefined,
            raisedAfter(name, each) !== undefined,
            `${each.title}: ${name}, ${lookBack}`,
          );
  });

  for (const [what, at] of [
    ['no run begins', () => nothing],
    ['Lambda refuses each', () => ({ Throttles: 1 })],
    ['each fails without an answer', () => silent],
    ['each fails', failedKnowingAge],
  ] as const) {
    it(`stay raised while ${what}, as long as it may take`, () => {
      const trouble = Array.from({ length: 240 }, (_, minute) => failedKnowingAge(minute));
      const then = Array.from({ length: 600 }, (_, minute) => at(240 + minute));
      for (const name of WAITING) {
        const states = statesOf(name, [...trouble, ...then], 240, 'ALARM');
        assert.equal(
          states.find((state) => state !== 'ALARM'),
          undefined,
          name,
        );
      }
    });
  }

  it('are over soon after runs end well again, and only then', () => {
    const trouble = Array.from({ length: 240 }, (_, minute) => failedKnowingAge(minute));
    const pause = Array.from({ length: 60 }, () => nothing);
    const well = Array.from({ length: 30 }, () => healthy);
    for (const name of WAITING) {
      const states = statesOf(name, [...trouble, ...pause, ...well], 240, 'ALARM');
      const over = states.indexOf('OK');
      assert.ok(over >= 60 && over < 60 + 15, `${name} after ${over} minutes`);
      assert.equal(states.at(-1), 'OK');
    }
  });

  it('need no run while the schedule is off by its setting', () => {
    const off = synthesise({ alarmEmail: 'oncall@example.com', schedule: 'false' }).template;
    assert.ok(!Object.keys(resourcesOf(off, 'AWS::CloudWatch::Alarm')).some((id) => id.includes('NotRunning')));
  });
});
