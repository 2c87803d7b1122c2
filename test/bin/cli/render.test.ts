/** Answers as people read them: what is said, in which colour, within which width. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderAnswer } from '../../../bin/cli/render/answer.ts';
import { columns } from '../../../bin/cli/render/layout.ts';
import { count, duration, size } from '../../../bin/cli/render/units.ts';
import { coloursFor } from '../../../bin/cli/style.ts';
import type { Terminal } from '../../../bin/cli/terminal.ts';
import type { Answer } from '../../../lambda/actions/actions.ts';
import type { StatusAnswer } from '../../../lambda/actions/status.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');

function rendered(answer: Answer, stdout: Partial<Terminal['stdout']> = {}, env: Terminal['env'] = {}): string {
  return renderAnswer(answer, { stdout: { write: () => undefined, ...stdout }, env }, NOW);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const CHECK: Answer = {
  action: 'check',
  slot: 'orders',
  ok: false,
  findings: [
    { check: 'wal_level', state: 'fault', found: 'replica', todo: 'Set wal_level=logical, and restart the server.' },
    { check: 'database', state: 'ok', found: 'reached' },
    { check: 'settings', state: 'warning', found: 'STREAMNAME is set' },
    { check: 'slot', state: 'missing', found: 'orders does not exist', todo: 'Create it.' },
    { check: 'stream', state: 'unknown', found: 'may not be described' },
  ],
  settings: [
    { name: 'PGHOST', value: 'db', from: 'environment' },
    { name: 'PGUSER', value: 'cdc', from: 'secret' },
    { name: 'FORMAT', value: 'csv-payload', from: 'default' },
  ],
};

const STATUS: Mutable<StatusAnswer> = {
  action: 'status',
  slot: 'orders',
  database: 'app',
  slotState: 'ok',
  slotDetail: 'orders: at 0/100',
  confirmedFlushLsn: '0/100',
  restartLsn: '0/80',
  flushLsn: '0/200',
  lagBytes: 256,
  lagSeconds: 125,
  retainedWalBytes: 384,
  retainedBy: [
    { what: 'unread changes', bytes: 256, detail: 'WAL that no run has consumed yet; runs, or drain, do.' },
    { what: 'open transaction', bytes: 128, detail: 'backend 7 (user app, open for 12 s)' },
  ],
  walStatus: 'reserved',
  safeWalBytes: 3 * 1024 * 1024,
  serverVersion: '16.4',
  server: { role: 'primary', timeline: 3 },
  lastAdvanceAt: '2026-01-02T03:03:05.000Z',
  lockHolder: null,
};

const RUN: Answer = {
  action: 'drain',
  slot: 'orders',
  caughtUp: false,
  stopped: 'throttled',
  batches: 1,
  ...noCounts(),
  transactions: 2,
  changes: 1500,
  published: 1498,
  kinesisRecords: 3,
  bytes: 2048,
  skipped: { ...noCounts().skipped, noPrimaryKey: 2 },
  advancedTo: '0/100',
  lagBytes: 1024,
  lagSeconds: 61,
  throttledEntries: 1,
  durationMs: 500,
};

describe('an answer for people', () => {
  it('lists what check found, the worst last, each fault with what to do', () => {
    const text = rendered(CHECK);
    const states = [...text.matchAll(/^(ok|warning|fault|missing|unknown) /gm)].map(([, state]) => state);
    assert.deepEqual(states, ['ok', 'unknown', 'warning', 'missing', 'fault']);
    assert.match(text, /^fault +wal_level +replica\n +To do: Set wal_level=logical, and restart the server\.$/m);
    assert.match(text, /\n1 fault, 1 missing, 1 warning, 1 unknown, 1 ok\.\nRuns fail/);
    assert.match(text, /^PGHOST +db$/m);
    assert.match(text, /^PGUSER +cdc +from the secret$/m);
    assert.match(text, /^Defaults: FORMAT=csv-payload$/m);
  });

  it('says of a status how far behind, what holds WAL, the last advance and the lock', () => {
    const text = rendered(STATUS);
    assert.match(text, /^slot +orders: at 0\/100$/m);
    assert.match(text, /^lag +256 bytes, the first unread commit is 2 min 5 s old; at 0\/100 of 0\/200$/m);
    assert.match(text, /^retained WAL +384 bytes; the slot is lost after 3\.0 MiB more$/m);
    assert.match(text, /^ +128 bytes by open transaction: backend 7 \(user app, open for 12 s\)$/m);
    assert.match(text, /^last advance +1 min ago \(2026-01-02T03:03:05Z\)$/m);
    assert.match(text, /^lock +free: no run is under way$/m);
  });

  it('says of a status what is not known, and what to do about a slot that no run reads', () => {
    const unknown = { ...STATUS };
    delete unknown.lastAdvanceAt;
    delete unknown.lagSeconds;
    assert.match(rendered(unknown), /lag +256 bytes, how old the first unread commit is could not be found out/);
    assert.match(rendered(unknown), /last advance +not known: the server says it from PostgreSQL 17 on/);
    assert.match(
      rendered({ ...unknown, serverVersion: '11.22' }),
      /can be asked from PostgreSQL 12 on; the answer of a run/,
    );
    const read = { ...unknown, serverVersion: '17.1', inactiveSince: '2026-01-02 03:04:00+00' };
    assert.match(rendered(read), /last read +5 s ago/);
    const lost = { ...unknown, slotState: 'lost' as const, slotDetail: 'orders: lost', todo: 'Make it anew.' };
    assert.match(rendered(lost), /slot +orders: lost\n +To do: Make it anew\./);
    const holder = { pid: 9, user: 'cdc', application: 'pg2kinesis', ageSeconds: 3, state: 'active' };
    assert.match(rendered({ ...STATUS, lockHolder: holder }), /lock +held by backend 9 \(user cdc/);
  });

  it('says of a drain why it ended, what was published and left out, and what is left', () => {
    const text = rendered(RUN);
    assert.match(text, /^drain +Stopped: the stream has not enough capacity\./m);
    assert.match(
      text,
      /^published +1,498 changes of 2 transactions in 3 Kinesis records \(2\.0 KiB\), in 0\.5 s, 2,996 a/m,
    );
    assert.match(text, /^left out +2 changes: their table has no primary key$/m);
    assert.match(text, /^throttled +1 entry that the stream refused$/m);
    assert.match(text, /^slot +orders at 0\/100, 1\.0 KiB left, the first commit in it 1 min 1 s old$/m);
  });

  const sentences: [Answer, RegExp][] = [
    [
      { action: 'create-slot', slot: 's', created: true, confirmedFlushLsn: '0/1', server: { role: 'primary' } },
      /^The slot s was made at 0\/1\./,
    ],
    [
      { action: 'create-slot', slot: 's', created: false, server: { role: 'primary' } },
      /^The slot s was there already\./,
    ],
    [{ action: 'drop-slot', slot: 's', dropped: false }, /^There was no slot s\./],
    [
      { action: 'drop-slot', slot: 's', dropped: true, discarded: { walBytes: 1, since: undefined } },
      /dropped, with changes in it/,
    ],
    [
      { action: 'copy-slot', slot: 's', from: 'o', plugin: 'pgoutput' },
      /^The slot s \(pgoutput\) was made at the position of o\./,
    ],
    [{ action: 'refresh-keys', tables: 1 }, /read again: 1 table with a primary key/],
    [
      { action: 'skip-transaction', slot: 's', skipped: { commitLsn: '0/1', xid: 7 }, advancedTo: '0/1' },
      /commit LSN 0\/1 \(xid 7\) was skipped: consumers lack its changes/,
    ],
  ];
  for (const [answer, said] of sentences) {
    it(`is a sentence: ${said.source}`, () => assert.match(rendered(answer), said));
  }

  it('is coloured on a terminal only, and NO_COLOR and FORCE_COLOR win', () => {
    const red = '\u001b[31mfault';
    assert.ok(!rendered(CHECK).includes('\u001b'));
    assert.ok(rendered(CHECK, { isTTY: true }).includes(red));
    assert.ok(!rendered(CHECK, { isTTY: true }, { NO_COLOR: '1' }).includes('\u001b'));
    assert.ok(!rendered(CHECK, { isTTY: true }, { TERM: 'dumb' }).includes('\u001b'));
    assert.ok(rendered(CHECK, {}, { FORCE_COLOR: '1' }).includes(red));
  });

  it('is wrapped to a terminal, and not where nobody looks', () => {
    const todo = 'Do it now. '.repeat(20).trim();
    const long: Answer = { ...CHECK, findings: [{ check: 'slot', state: 'fault', found: 'bad', todo }] };
    assert.ok(
      rendered(long)
        .split('\n')
        .some((line) => line.includes(todo)),
    );
    const wrapped = rendered(long, { isTTY: true, columns: 60 }, { NO_COLOR: '1' });
    assert.ok(
      wrapped.split('\n').every((line) => line.length <= 60),
      wrapped,
    );
    assert.ok(wrapped.replaceAll(/\s+/g, ' ').includes(todo));
    // A terminal that does not know its width.
    assert.ok(rendered(long, { isTTY: true, columns: 0 }, { NO_COLOR: '1' }).includes(todo));
  });

  it('leaves a name whole that is longer than the terminal has room for, so that it can be copied', () => {
    const arn = 'arn:aws:kinesis:eu-central-1:123456789012:stream/app-changes-of-production-data';
    const found = `No stream ${arn} in eu-central-1.`;
    const long: Answer = { ...CHECK, findings: [{ check: 'stream', state: 'fault', found, todo: `Make ${arn}.` }] };
    const wrapped = rendered(long, { isTTY: true, columns: 80 }, { NO_COLOR: '1' }).replaceAll(/\s+/g, ' ');
    assert.ok(wrapped.includes(found), wrapped);
    assert.ok(wrapped.includes(`Make ${arn}.`), wrapped);
  });

  it('shows no control character of a name', () => {
    const name = 'evil\u001b[2J\nfault';
    const text = columns([['slot', name]], { colours: coloursFor({ write: () => undefined }, {}), width: undefined });
    assert.ok(!text.includes('\u001b'));
    assert.equal(text.split('\n').length, 2);
  });
});

describe('numbers for people', () => {
  it('shows bytes by the unit that fits', () => {
    const sizes: [number, string][] = [
      [0, '0 bytes'],
      [1023, '1023 bytes'],
      [1536, '1.5 KiB'],
      [150 * 1024, '150 KiB'],
      [5 * 1024 ** 3, '5.0 GiB'],
    ];
    for (const [bytes, text] of sizes) assert.equal(size(bytes), text);
  });
  it('shows seconds by the unit that fits', () => {
    const durations: [number, string][] = [
      [0, '0 s'],
      [0.04, '0 s'],
      [9.96, '10 s'],
      [60, '1 min'],
      [3725, '1 h 2 min'],
      [90_000, '1 d 1 h'],
      [86_405, '1 d'],
    ];
    for (const [seconds, text] of durations) assert.equal(duration(seconds), text);
  });
  it('groups the digits of counts', () => assert.equal(count(1234567), '1,234,567'));
});
