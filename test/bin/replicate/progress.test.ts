/** What `replicate` prints of how far it is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Progress, type ReplicaReading } from '../../../bin/replicate/progress.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const READING: ReplicaReading = {
  cut: 0x16_b374d848n,
  cutMs: NOW - 2_345,
  caughtUp: false,
  tables: new Map([
    ['public.a', 30],
    ['public.b', 12],
  ]),
  waitingBytes: 5_000,
  missing: 0,
  truncated: 0,
  awaitingRead: 0,
  copying: [],
};

/** @returns what is printed ten seconds after 22 changes */
function printed(
  reading: Partial<ReplicaReading>,
  { json = false, event = 'progress' }: { readonly json?: boolean; readonly event?: 'progress' | 'end' } = {},
): string {
  let text = '';
  const progress = new Progress({ write: (more) => (text += more) }, json, NOW - 20_000);
  progress.print({ ...READING, tables: new Map([['public.a', 22]]) }, NOW - 10_000, 'progress');
  text = '';
  progress.print({ ...READING, ...reading }, NOW, event);
  return text;
}

describe('the progress of a replica', () => {
  it('says where it is, how far behind, what was applied and how fast, and what waits', () => {
    const cases: readonly (readonly [reading: Partial<ReplicaReading>, line: string])[] = [
      [{}, 'at 16/B374D848; 2.3 s behind; 42 changes applied (2 a second); 5 KiB waiting; public.a 30, public.b 12\n'],
      // The last commit is old, and there is nothing newer.
      [
        { caughtUp: true, waitingBytes: 0 },
        'at 16/B374D848; caught up; 42 changes applied (2 a second); public.a 30, public.b 12\n',
      ],
      [
        { cutMs: undefined, waitingBytes: 0 },
        'at 16/B374D848; nothing applied yet; 42 changes applied (2 a second); public.a 30, public.b 12\n',
      ],
      [
        { missing: 3, waitingBytes: 0, copying: 'awaited', awaitingRead: 7 },
        'at 16/B374D848; 2.3 s behind; 42 changes applied (2 a second); 3 without their old row left out; a snapshot is awaited, so the copy is not equal yet, 7 changes left out until it has brought their rows; public.a 30, public.b 12\n',
      ],
      [
        { waitingBytes: 0, copying: ['["public","a"]'] },
        'at 16/B374D848; 2.3 s behind; 42 changes applied (2 a second); a snapshot brings the rows of public.a, so the copy is not equal yet; public.a 30, public.b 12\n',
      ],
    ];
    for (const [reading, line] of cases) assert.equal(printed(reading), line);
    assert.match(printed({}, { event: 'end' }), /^Ended at 16\/B374D848; /);
    // Clocks of two machines differ.
    assert.match(printed({ cutMs: NOW + 60_000 }), /; 0 s behind; /);
  });

  it('takes one line whatever a table is called', () => {
    const tables = new Map([['public."a\n\u001b[2J\u009b1A"', 42]]);
    assert.match(printed({ tables }), /; public\."a\\n\\u001b\[2J\\u009b1A" 42\n$/);
    assert.match(printed({ tables }, { json: true }), /^\{.*\\n\\u001b\[2J\\u009b1A.*\}\n$/);
  });

  it('is a line of JSON each time, with the same', () => {
    const read = (reading: Partial<ReplicaReading>): unknown => JSON.parse(printed(reading, { json: true }));
    const common = { event: 'progress', cut: '16/B374D848', changes: 42, changesPerSecond: 2 };
    assert.deepEqual(read({}), {
      ...common,
      cutTime: '2026-01-02T03:04:02.655Z',
      lagSeconds: 2.3,
      caughtUp: false,
      waitingBytes: 5_000,
      tables: { 'public.a': 30, 'public.b': 12 },
    });
    assert.deepEqual(read({ caughtUp: true, waitingBytes: 0, missing: 3, awaitingRead: 7, copying: 'all' }), {
      ...common,
      cutTime: '2026-01-02T03:04:02.655Z',
      lagSeconds: 0,
      caughtUp: true,
      waitingBytes: 0,
      missingRows: 3,
      awaitingRead: 7,
      copying: 'all',
      tables: { 'public.a': 30, 'public.b': 12 },
    });
    const { lagSeconds, cutTime } = read({ cutMs: undefined }) as Record<string, unknown>;
    assert.deepEqual([lagSeconds, cutTime], [undefined, undefined]);
  });
});
