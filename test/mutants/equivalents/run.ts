/** Equivalent mutants of lambda/run/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const RUN: readonly EquivalentMutants[] = [
  {
    file: 'lambda/run/advancer.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [
      [
        'return bound !== undefined && bound < target ? bound : target;',
        'return bound !== undefined && bound <= target ? bound : target;',
      ],
    ],
  },
  {
    file: 'lambda/run/batch-reader.ts',
    reason: 'Where no snapshot holds the slot, that has followed the boundary: nothing before it is read again.',
    changes: [
      [
        'this.#done = parts.snapshots?.holdsSlot === true ? parts.boundary : undefined;',
        'this.#done = true ? parts.boundary : undefined;',
      ],
    ],
  },
  {
    file: 'lambda/run/batch-reader.ts',
    reason: 'For no transactions nothing is asked.',
    changes: [
      [
        'if (unknown.length > 0) await waits.askForCommits(unknown, this.#end);',
        'if (true) await waits.askForCommits(unknown, this.#end);',
      ],
      [
        'if (unknown.length > 0) await waits.askForCommits(unknown, this.#end);',
        'if (unknown.length >= 0) await waits.askForCommits(unknown, this.#end);',
      ],
    ],
  },
  {
    file: 'lambda/run/known-tables.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [['if (lsn > this.#readTo) this.#readTo = lsn;', 'if (lsn >= this.#readTo) this.#readTo = lsn;']],
  },
  {
    file: 'lambda/run/marks.ts',
    reason: 'Each is set when the run begins, before anything reads it.',
    changes: [
      ['#mustOpen = false;', '#mustOpen = true;'],
      ['this.#known = new KnownTables(ports, false);', 'this.#known = new KnownTables(ports, true);'],
    ],
  },
  {
    file: 'lambda/run/marks.ts',
    reason: 'It is said of the position, and there is none until the run has ended, which sets both.',
    changes: [
      [
        'warmState.marks = { system, timeline, at: clock.now(), position: undefined, knowsTables: false, ...owed };',
        'warmState.marks = { system, timeline, at: clock.now(), position: undefined, knowsTables: true, ...owed };',
      ],
    ],
  },
  {
    file: 'lambda/run/no-progress-errors.ts',
    reason: 'It is only called with an error that has one.',
    changes: [
      [
        "const { resourceSqlState: sqlState = '', spilling } = error;",
        'const { resourceSqlState: sqlState = "Stryker was here!", spilling } = error;',
      ],
    ],
  },
  {
    file: 'lambda/run/peek-limits.ts',
    reason: 'Grown by a factor of 1 the limits are the same.',
    changes: [['if (factor <= 1) return limits;', 'if (factor < 1) return limits;']],
  },
  {
    file: 'lambda/run/peek-planner.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [
      [
        'upto: this.search?.next ?? (limit < bound ? limit : bound),',
        'upto: this.search?.next ?? (limit <= bound ? limit : bound),',
      ],
    ],
  },
  {
    file: 'lambda/run/read-loop.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [
      [
        'return position > this.#readUpto ? position : this.#readUpto;',
        'return position >= this.#readUpto ? position : this.#readUpto;',
      ],
      [
        'if (done !== undefined && done > this.#readUpto) this.#readUpto = done;',
        'if (done !== undefined && done >= this.#readUpto) this.#readUpto = done;',
      ],
    ],
  },
  {
    file: 'lambda/run/resume-keeper.ts',
    reason: 'The position of an earlier run has evidence: no missing one is equal to it.',
    changes: [
      [
        'if (evidence !== undefined && evidence === position.evidence) return position;',
        'if (true && evidence === position.evidence) return position;',
      ],
    ],
  },
  {
    file: 'lambda/run/run-parts.ts',
    reason: 'Only for the compiler: undefined is the same as not given.',
    changes: [['...(stop === undefined ? {} : { stop }),', '...(false ? {} : { stop }),']],
  },
  {
    file: 'lambda/run/run.ts',
    reason: 'It is set before anything reads it.',
    changes: [['#graceCutShort = false;', '#graceCutShort = true;']],
  },
  {
    file: 'lambda/run/run.ts',
    reason: 'Where the slot has not moved, every boundary of the run lies behind it.',
    changes: [
      [
        'if ((this.#batches.boundary ?? 0n) > this.#advancer.position) await this.#snapshots.restartLater();',
        'if ((this.#batches.boundary ?? 0n) >= this.#advancer.position) await this.#snapshots.restartLater();',
      ],
    ],
  },
  {
    file: 'lambda/run/run.ts',
    reason: 'Where nothing is owed, nothing is written: the condition spares the work.',
    changes: [
      [
        'if (marks === undefined || !(isSealed || marks.isOwing) || !this.#deadline.hasTime()) return true;',
        'if (marks === undefined || !(true) || !this.#deadline.hasTime()) return true;',
      ],
    ],
  },
  {
    file: 'lambda/run/undecodable-search.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [
      ['else if (upto > this.#good) this.#good = upto;', 'else if (upto >= this.#good) this.#good = upto;'],
      [
        'const reached = (near > start ? near : start) + this.#reach;',
        'const reached = (near >= start ? near : start) + this.#reach;',
      ],
      ['return reached < middle ? reached : middle;', 'return reached <= middle ? reached : middle;'],
    ],
  },
  {
    file: 'lambda/run/undecodable-search.ts',
    reason: 'Unknown is equal to no start.',
    changes: [
      [
        'if (known !== undefined && known === start) return start + ALIGNMENT;',
        'if (true && known === start) return start + ALIGNMENT;',
      ],
    ],
  },
  {
    file: 'lambda/run/warm-state.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [
      [
        'if (lsn !== undefined && lsn > (state.reached ?? 0n)) state.reached = lsn;',
        'if (lsn !== undefined && lsn >= (state.reached ?? 0n)) state.reached = lsn;',
      ],
    ],
  },
];
