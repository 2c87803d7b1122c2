/** When marks are written and what they say, decision by decision: over a transformation that only counts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MarkOptions, type MarkState, type MarkTaker, RunMarks } from '../../../lambda/run/marks.ts';
import type { AckPosition } from '../../../lambda/transform/ack-position.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { TestClock } from '../../support/run-kit.ts';

const LANES = 4;
const OPTIONS: MarkOptions = {
  source: 'test/fake',
  lanes: LANES,
  system: '7312',
  timeline: 2,
  forks: () => Promise.resolve([[1, 0n] as const, [2, 0x20n] as const]),
};
const MIB = 1024 * 1024;

/** What the marks of one moment said. */
type Written = Readonly<Record<string, unknown>>;

/** Where the slot is when a run begins. */
const BEGUN = 0x8n;

interface Over {
  readonly lingers?: boolean;
  readonly warm?: MarkState;
  readonly options?: Partial<MarkOptions>;
  /** How long after the container's last marks it begins, in milliseconds. */
  readonly ms?: number;
  /** The end of the WAL. @default the run finds the slot there, so it knows of all snapshots */
  readonly flush?: bigint;
}

/** A run's marks, begun at a moment of the test's clock. */
function deciding(over: Over = {}) {
  const clock = new TestClock();
  clock.time += over.ms ?? 0;
  const warmState: { marks: MarkState | undefined } = { marks: over.warm };
  const written: Written[] = [];
  const reading: string[] = [];
  const taker: { -readonly [name in keyof MarkTaker]: MarkTaker[name] } & { marked: AckPosition['marked'] } = {
    counts: noCounts(),
    takenBytes: 0,
    marked: undefined,
    newestPlace: undefined,
    mark(keys, data) {
      assert.equal(keys.length, LANES);
      const lanes = keys.map((_, lane) => JSON.parse(data(lane).toString()) as Written);
      assert.deepEqual(
        lanes.map(({ lane }) => lane),
        [0, 1, 2, 3],
      );
      for (const other of lanes) {
        assert.deepEqual([other['reading'], other['read']], [lanes[0]?.['reading'], lanes[0]?.['read']]);
      }
      written.push(lanes[0] ?? {});
      return (taker.marked = { boundary: taker.newestPlace?.commitLsn, records: taker.counts.records });
    },
  };
  const marks = new RunMarks(
    { ...OPTIONS, ...over.options },
    {
      clock,
      warmState,
      lingers: over.lingers ?? false,
      reading: () => reading,
      flush: () => over.flush ?? BEGUN,
      wasRequestedAnew: () => false,
    },
  );
  marks.begin(BEGUN);
  marks.readTo(BEGUN);
  /** Takes a transaction of records, and says so. */
  const commit = (commitLsn: bigint, records = 1, bytes = 0): void => {
    taker.counts.records += records;
    taker.takenBytes += bytes;
    taker.newestPlace = { xid: 1, commitLsn, commitTimeMicros: 1_767_323_045_678_901n };
    marks.committed(taker);
  };
  const lsns = () => written.map(({ commitLsn }) => commitLsn);
  return { clock, warmState, written, reading, taker, marks, commit, lsns };
}

/** An acknowledgement of so many records, with marks behind some of them. */
function acknowledgement(records: number, marked?: AckPosition['marked']): AckPosition {
  return {
    boundary: undefined,
    counts: { ...noCounts(), records },
    progress: undefined,
    openTransaction: undefined,
    marked,
    largest: undefined,
  };
}

const WARM: MarkState = {
  system: '7312',
  timeline: 2,
  at: new TestClock().time,
  isOwed: false,
  tablesAbove: undefined,
  position: BEGUN,
  knowsTables: true,
};

describe('a run', () => {
  for (const [what, warm, ms, mustOpen] of [
    ['of a new container opens', undefined, 0, true],
    ['behind one that marked everything does not open', WARM, 0, false],
    ['behind one that left records without marks opens', { ...WARM, isOwed: true }, 0, true],
    ['on another server opens', { ...WARM, system: '7313' }, 0, true],
    ['on another timeline opens', { ...WARM, timeline: 1 }, 0, true],
    ['does not open within an hour', WARM, 3_599_999, false],
    ['opens after an hour without marks', WARM, 3_600_000, true],
  ] as const) {
    it(`${what} with marks`, () => {
      const { marks } = deciding({ ms, ...(warm === undefined ? {} : { warm: { ...warm } }) });
      assert.equal(marks.mustOpen, mustOpen);
    });
  }

  it('marks what the last one left without marks where the slot is, and is quits', () => {
    const { marks, taker, lsns } = deciding({ warm: { ...WARM, isOwed: true } });
    assert.equal(marks.isOwing, true);
    marks.settle(taker, BEGUN);
    assert.deepEqual([lsns(), marks.isOwing], [['0/8'], false]);
  });

  it('still owes the tables behind marks that could not tell them, where it marks what was left at the same place', () => {
    const { marks, taker, lsns } = deciding({ warm: { ...WARM, isOwed: true, tablesAbove: BEGUN } });
    marks.settle(taker, BEGUN);
    assert.deepEqual([lsns(), marks.isOwing], [['0/8'], true]);
    marks.settle(taker, BEGUN + 1n);
    assert.deepEqual([lsns(), marks.isOwing], [['0/8', '0/9'], false]);
  });

  it('that finds the slot elsewhere than its container left it opens with marks: another one may have ended without', () => {
    const { marks, warmState } = deciding({ warm: { ...WARM, position: BEGUN - 1n } });
    assert.deepEqual([marks.mustOpen, marks.isOwing], [true, true]);
    // It may end before it has marked anything.
    assert.equal(warmState.marks?.isOwed, true);
  });

  it("opens with the position before the slot's, the present time and the forks", async () => {
    const { marks, taker, written, clock, reading } = deciding();
    reading.push('public.t');
    clock.time += 0.75;
    await marks.open(taker, 0x1000n);
    assert.deepEqual(written, [
      {
        op: 'MARK',
        source: 'test/fake',
        commitLsn: '0/FFF',
        commitTime: new Date(Math.trunc(clock.time)).toISOString().replace('Z', '000Z'),
        lane: 0,
        lanes: LANES,
        system: '7312',
        timeline: 2,
        forks: [
          [1, '0/0'],
          [2, '0/20'],
        ],
      },
    ]);
  });
});

describe('a batch', () => {
  it('is marked at its end, once for the same records, and not where nothing was read', () => {
    const { marks, taker, commit, lsns } = deciding();
    marks.ended(taker);
    assert.deepEqual(lsns(), []);
    commit(0x10n);
    commit(0x20n);
    assert.deepEqual(lsns(), []);
    marks.ended(taker);
    marks.ended(taker);
    assert.deepEqual(lsns(), ['0/20']);
    commit(0x30n, 0);
    marks.ended(taker);
    assert.deepEqual(lsns(), ['0/20'], 'a transaction without records');
    commit(0x40n);
    marks.ended(taker);
    assert.deepEqual(lsns(), ['0/20', '0/40']);
  });

  it('is not marked where no record came, though the run has marked nothing yet', () => {
    const { marks, taker, commit, lsns } = deciding({ warm: { ...WARM } });
    commit(0x10n, 0);
    marks.ended(taker, true);
    assert.deepEqual(lsns(), []);
  });

  it('that is long is marked each second, at a COMMIT', () => {
    const { commit, clock, lsns } = deciding();
    for (const [ms, lsn, marked] of [
      [999, 0x10n, []],
      [1, 0x20n, ['0/20']],
      [999, 0x30n, ['0/20']],
      [1, 0x40n, ['0/20', '0/40']],
    ] as const) {
      clock.time += ms;
      commit(lsn);
      assert.deepEqual(lsns(), marked);
    }
  });

  it('that is large is marked every 8 MiB, at a COMMIT', () => {
    const { commit, lsns } = deciding();
    commit(0x10n, 1, 8 * MIB - 1);
    assert.deepEqual(lsns(), []);
    commit(0x20n, 1, 1);
    assert.deepEqual(lsns(), ['0/20']);
    commit(0x30n, 1, 8 * MIB - 1);
    assert.deepEqual(lsns(), ['0/20']);
    commit(0x40n, 1, 1);
    assert.deepEqual(lsns(), ['0/20', '0/40']);
  });
});

describe('a run that lingers', () => {
  it('marks once a second at most, and what it held back is due then', () => {
    const { marks, taker, commit, clock, lsns, warmState } = deciding({ lingers: true, warm: { ...WARM } });
    commit(0x10n);
    clock.time += 999;
    marks.ended(taker);
    marks.acknowledged(acknowledgement(1));
    assert.deepEqual([lsns(), warmState.marks?.isOwed, marks.isDue], [[], true, false]);
    clock.time += 1;
    assert.equal(marks.isDue, true);
    marks.ended(taker);
    assert.deepEqual([lsns(), marks.isDue], [['0/10'], false]);
  });

  it('marks at its end, however soon after the last', () => {
    const { marks, taker, commit, lsns, clock } = deciding({ lingers: true, warm: { ...WARM, isOwed: true } });
    commit(0x10n);
    marks.acknowledged(acknowledgement(1));
    marks.ended(taker, true);
    assert.deepEqual(lsns(), ['0/10']);
    clock.time += 1_000;
    assert.equal(marks.isDue, true);
    marks.ended(taker, true);
    assert.deepEqual(lsns(), ['0/10']);
    assert.equal(marks.isDue, false, 'there was nothing to write, and nothing is due again at once');
  });

  it('marks what comes after a pause at once, whatever it read meanwhile without records', () => {
    const { marks, taker, commit, clock, lsns } = deciding({ lingers: true, warm: { ...WARM } });
    clock.time += 5_000;
    marks.ended(taker);
    clock.time += 10;
    commit(0x10n);
    assert.deepEqual(lsns(), ['0/10']);
  });

  it('has none due where everything is marked, or nothing is known', () => {
    for (const warm of [undefined, WARM]) {
      const { marks, clock } = deciding({ lingers: true, ...(warm === undefined ? {} : { warm: { ...warm } }) });
      clock.time += 60_000;
      assert.equal(marks.isDue, false);
    }
  });
});

describe('the marks that end a drain', () => {
  it('are at the slot’s position, unless marks were written that say as much', async () => {
    const { marks, taker, lsns, written, clock, reading } = deciding();
    await marks.open(taker, 0x10n);
    for (const position of [0x10n, 0x10n, 0x8n]) marks.seal(taker, position);
    assert.deepEqual(lsns(), ['0/F', '0/10']);
    reading.push('public.t');
    clock.time += 5_000.5;
    marks.seal(taker, 0x11n);
    assert.deepEqual(lsns(), ['0/F', '0/10', '0/11']);
    assert.deepEqual(written[2]?.['reading'], [['public', 't']]);
    assert.equal(written[2]['commitTime'], new Date(Math.trunc(clock.time)).toISOString().replace('Z', '000Z'));
  });
});

describe('marks', () => {
  it('never go back: what a snapshot reads is told by the next ones that are newer', () => {
    const { marks, taker, commit, lsns, written, reading } = deciding({ warm: { ...WARM } });
    commit(0x10n);
    marks.ended(taker, true);
    marks.seal(taker, 0x18n);
    reading.push('public.t');
    marks.ended(taker, true);
    assert.deepEqual([lsns(), marks.isOwing], [['0/10', '0/18'], true]);
    marks.settle(taker, 0x18n);
    assert.deepEqual(lsns(), ['0/10', '0/18']);
    marks.settle(taker, 0x20n);
    assert.deepEqual([lsns(), written[2]?.['reading']], [['0/10', '0/18', '0/20'], [['public', 't']]]);
    assert.equal(marks.isOwing, false);
  });
});

describe('what a container remembers of marks', () => {
  it('is when they were acknowledged, by which server, and whether records came after them', () => {
    const { marks, taker, commit, warmState, clock } = deciding();
    const remembered = () => [
      warmState.marks?.system,
      warmState.marks?.timeline,
      warmState.marks?.at,
      warmState.marks?.isOwed,
      marks.acknowledgedLsn,
    ];
    marks.acknowledged(acknowledgement(3));
    assert.equal(warmState.marks, undefined, 'there were none');
    commit(0x10n, 3);
    marks.ended(taker);
    const first = taker.marked;
    clock.time += 70;
    const at = clock.time;
    marks.acknowledged(acknowledgement(3, first));
    assert.deepEqual(remembered(), ['7312', 2, at, false, 0x10n]);
    clock.time += 70;
    commit(0x20n);
    marks.acknowledged(acknowledgement(4, first));
    assert.deepEqual(remembered(), ['7312', 2, at, true, 0x10n], 'the same marks');
    marks.ended(taker);
    marks.acknowledged(acknowledgement(3, first));
    assert.deepEqual(remembered(), ['7312', 2, at, true, 0x10n], 'the newer ones are not acknowledged');
    marks.acknowledged(acknowledgement(4, taker.marked));
    assert.deepEqual(remembered(), ['7312', 2, clock.time, false, 0x20n]);
  });

  it('is owed until marks at the slot’s position are acknowledged, where a run before may have left something', async () => {
    const { marks, taker, warmState } = deciding();
    await marks.open(taker, BEGUN);
    marks.acknowledged(acknowledgement(0, taker.marked));
    assert.equal(warmState.marks?.isOwed, true, 'those that open stand before it');
    const opening = taker.marked;
    marks.settle(taker, BEGUN);
    marks.acknowledged(acknowledgement(0, opening));
    assert.equal(warmState.marks.isOwed, true);
    marks.acknowledged(acknowledgement(0, taker.marked));
    assert.deepEqual([warmState.marks.isOwed, marks.isOwing], [false, false]);
  });

  it('of an earlier run is owed as soon as one record is acknowledged', () => {
    const { marks, warmState } = deciding({ warm: { ...WARM } });
    marks.acknowledged(acknowledgement(0));
    assert.equal(warmState.marks?.isOwed, false);
    marks.acknowledged(acknowledgement(1));
    assert.equal(warmState.marks.isOwed, true);
  });
});

describe('the tables that a snapshot reads', () => {
  it('are named while they are read, and once when they are through', () => {
    const { marks, taker, commit, written, reading } = deciding();
    const said = () => written.map(({ reading, read }) => ({ reading, read }));
    commit(0x10n);
    marks.ended(taker);
    reading.push('public.t', '"S".u');
    marks.ended(taker);
    assert.equal(written.length, 2, 'also where no record came');
    marks.ended(taker);
    assert.equal(written.length, 2, 'once');
    marks.rowsRead('public.t');
    marks.rowsRead('"S".u');
    reading.shift();
    marks.ended(taker);
    reading.shift();
    marks.ended(taker);
    marks.ended(taker);
    const [t, u] = [
      ['public', 't'],
      ['S', 'u'],
    ];
    assert.deepEqual(said(), [
      { reading: undefined, read: undefined },
      { reading: [t, u], read: undefined },
      { reading: [u], read: [t] },
      { reading: undefined, read: undefined },
    ]);
  });

  it('that were read since are named though they are through before the next marks', () => {
    const { marks, taker, commit, written } = deciding();
    commit(0x10n);
    marks.rowsRead('public.t');
    marks.ended(taker);
    commit(0x20n);
    marks.ended(taker);
    assert.deepEqual(
      written.map(({ read }) => read),
      [[['public', 't']], undefined],
    );
  });

  it('are named as soon as they are asked for, at the place of the message', () => {
    const { marks, taker, commit, written, reading } = deciding();
    marks.snapshotRead(taker, 0x8n);
    commit(0x10n);
    marks.rowsRead('public.s');
    reading.push('public.t');
    marks.snapshotRead(taker, 0x20n);
    marks.snapshotRead(taker, 0x30n);
    marks.ended(taker);
    reading.push('public.u');
    marks.snapshotRead(taker, 0x40n);
    const [s, t, u] = ['s', 't', 'u'].map((name) => ['public', name]);
    assert.deepEqual(
      written.map(({ commitLsn, reading, read }) => [commitLsn, reading, read]),
      [
        ['0/20', [t], [s]],
        ['0/40', [t, u], undefined],
      ],
    );
  });

  it('are "all" where there are more than 200', () => {
    const { marks, taker, commit, written, reading } = deciding();
    for (let i = 0; i < 200; i++) reading.push(`public.t${i}`);
    commit(0x10n);
    marks.ended(taker);
    assert.equal((written[0]?.['reading'] as unknown[]).length, 200);
    reading.push('public.last');
    commit(0x20n);
    marks.ended(taker);
    assert.equal(written[1]?.['reading'], 'all');
  });
});

describe('a run that has not read the slot to its end', () => {
  /** A run with more in the WAL than it has read. */
  const behind = (over: Over = {}) => deciding({ flush: 0x100n, ...over });

  it('says that tables may be missing: a snapshot may be requested anew further on', () => {
    const { marks, taker, commit, written, reading } = behind();
    const said = () => written.map(({ reading, read, partial }) => [reading, read, partial]);
    const [t, u] = [
      ['public', 't'],
      ['public', 'u'],
    ];
    commit(0x10n);
    marks.ended(taker);
    reading.push('public.t');
    marks.snapshotRead(taker, 0x20n);
    marks.readTo(0xffn);
    commit(0x30n);
    marks.ended(taker);
    marks.readTo(0x100n);
    marks.ended(taker);
    marks.ended(taker);
    reading.push('public.u');
    marks.snapshotRead(taker, 0x110n);
    assert.deepEqual(said(), [
      [undefined, undefined, true],
      [[t], undefined, true],
      [[t], undefined, true],
      [[t], undefined, undefined],
      [[t, u], undefined, undefined],
    ]);
  });

  it('knows all where the container’s last run did, and the slot stands where that left it', () => {
    for (const [over, partial] of [
      [{ warm: { ...WARM } }, undefined],
      [{ warm: { ...WARM, knowsTables: false } }, true],
      [{ warm: { ...WARM, timeline: 1 } }, true],
      [{ warm: { ...WARM, position: BEGUN - 1n } }, true],
      [{}, true],
    ] as const) {
      const { marks, taker, commit, written } = behind(over);
      commit(0x10n);
      marks.ended(taker);
      assert.equal(
        written[0]?.['partial'],
        partial,
        JSON.stringify(over, (_, value: unknown) => String(value)),
      );
    }
  });

  it('marks what a run before has published all the same, if more is to come', () => {
    const { marks, taker, written, lsns } = behind();
    marks.settle(taker, BEGUN);
    assert.deepEqual([lsns(), written[0]?.['partial']], [['0/8'], true]);
    marks.settle(taker, BEGUN);
    assert.deepEqual([lsns(), marks.isOwing], [['0/8'], true], 'the tables are still to be told');
    marks.readTo(0x100n);
    marks.settle(taker, BEGUN);
    assert.deepEqual(lsns(), ['0/8'], 'and at a newer position: a replica may have applied that one');
    marks.settle(taker, 0x100n);
    assert.deepEqual([lsns(), written[1]?.['partial'], marks.isOwing], [['0/8', '0/100'], undefined, false]);
  });

  it('says so once, and again where records come', () => {
    const { marks, taker, commit, lsns } = behind();
    commit(0x10n);
    marks.ended(taker);
    marks.rowsRead('public.t');
    marks.ended(taker);
    assert.deepEqual(lsns(), ['0/10']);
    commit(0x20n);
    marks.ended(taker);
    assert.deepEqual(lsns(), ['0/10', '0/20']);
  });

  it('marks nothing for runs before it while it does not know whether more is to come', () => {
    const { marks, taker, lsns } = deciding({ flush: 0n });
    marks.settle(taker, BEGUN);
    assert.deepEqual([lsns(), marks.isOwing], [[], true]);
  });

  it('owes all tables at a newer position, where its last marks told them at the one of others that could not', () => {
    const { marks, taker, commit, written, warmState } = behind();
    commit(0x10n);
    marks.ended(taker);
    marks.readTo(0x100n);
    marks.ended(taker);
    marks.acknowledged(acknowledgement(1, taker.marked));
    assert.deepEqual([marks.isOwing, warmState.marks?.tablesAbove], [true, 0x10n]);
    marks.settle(taker, 0x100n);
    assert.deepEqual(
      written.map(({ commitLsn, partial }) => [commitLsn, partial]),
      [
        ['0/10', true],
        ['0/10', undefined],
        ['0/100', undefined],
      ],
    );
    assert.equal(marks.isOwing, false);
  });

  it('leaves it to the next run to tell the tables', () => {
    const first = behind();
    first.marks.settle(first.taker, BEGUN);
    first.marks.acknowledged(acknowledgement(0, first.taker.marked));
    first.marks.end(BEGUN);
    const left = first.warmState.marks;
    assert.deepEqual([left?.isOwed, left?.tablesAbove, left?.knowsTables], [false, BEGUN, false]);
    const next = deciding({ ...(left && { warm: left }) });
    assert.deepEqual([next.marks.mustOpen, next.marks.isOwing], [false, true]);
  });

  it('leaves it to the next one to tell them, though it has marked nothing itself', () => {
    // The run before requested a snapshot anew further on.
    const first = deciding({ warm: { ...WARM, knowsTables: false } });
    assert.equal(first.marks.mustOpen, false);
    first.marks.end(BEGUN);
    const left = first.warmState.marks;
    assert.deepEqual([left?.isOwed, left?.knowsTables], [false, true]);
    const next = deciding({ ...(left && { warm: left }) });
    assert.deepEqual([next.marks.mustOpen, next.marks.isOwing], [false, true]);
    next.marks.settle(next.taker, BEGUN);
    assert.deepEqual([next.lsns(), next.marks.isOwing], [['0/8'], false]);
  });

  it('tells the tables though it opened with marks, after an hour: those tell none', async () => {
    const { marks, taker, lsns } = deciding({ ms: 3_600_000, warm: { ...WARM, knowsTables: false } });
    await marks.open(taker, BEGUN);
    assert.equal(marks.isOwing, true);
    marks.settle(taker, BEGUN);
    assert.deepEqual([lsns(), marks.isOwing], [['0/7', '0/8'], false]);
  });
});
