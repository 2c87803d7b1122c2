/** How copies of a slot are made, moved and read in turn, and what ends reading ahead. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { openPair } from '../../../lambda/postgres/connection-pair.ts';
import { CANCEL_BACKEND } from '../../../lambda/postgres/signal-backend.ts';
import { SlotCopies, supportsSlotCopies } from '../../../lambda/postgres/slot-copies.ts';
import { type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { databaseAt, eventually, memoryLog, told } from './fixtures.ts';

const MADE = 'pg_copy_logical_replication_slot';
const MOVED = 'pg_replication_slot_advance';
const READ = 'COPY (';
const DROPPED = 'pg_drop_replication_slot';
const IDENTITY = { started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' };

/** A peek's rows: a COMMIT first, then the transaction. */
function rows(): Buffer[] {
  const encoded = [
    [100n, 'COMMIT 700 (at 2026-01-02 03:04:05.678901+00)'],
    [90n, 'BEGIN 700'],
    [95n, 'table public.t: INSERT: id[integer]:1'],
    [100n, 'COMMIT 700 (at 2026-01-02 03:04:05.678901+00)'],
  ].map(([lsn, line]) => {
    const data = Buffer.from(String(line));
    const head = Buffer.alloc(18);
    head.writeInt16BE(2, 0);
    head.writeInt32BE(8, 2);
    head.writeBigUInt64BE(BigInt(lsn ?? 0), 6);
    head.writeInt32BE(data.length, 14);
    return Buffer.concat([head, data]);
  });
  const header = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
  return [header, ...encoded, Buffer.from([0xff, 0xff])];
}

interface Case {
  readonly replies?: readonly (readonly [string, Reply])[];
  /** The server that the slot is on. */
  readonly system?: string;
  /** Whether the lock is lost before anything begins. */
  readonly isLost?: boolean;
}

async function reading({ replies = [], system = '7', isLost = false }: Case = {}) {
  const server = await startScriptedPostgres([
    ...replies,
    ['pg_backend_pid() AS pid', ({ pid }) => [{ pid }]],
    ['AS encoding', [{ version: '160004', encoding: 'UTF8' }]],
    ['AS started', [IDENTITY]],
    [MADE, [{ pg_copy_logical_replication_slot: 'x' }]],
    [MOVED, ({ values }) => [{ lsn: values[1] }]],
    [READ, { copy: rows() }],
  ]);
  const waits: { readonly ms: number; readonly signal: AbortSignal | undefined; readonly pass: () => void }[] = [];
  const clock: Clock = {
    now: () => 0,
    random: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        waits.push({ ms, signal, pass: resolve });
        if (signal?.aborted === true) resolve();
        signal?.addEventListener('abort', () => resolve());
      }),
  };
  const database = databaseAt(server, clock);
  const cancelled: unknown[] = [];
  const control = {
    identity: { systemIdentifier: system, startedAt: 'then', inRecovery: false },
    context: { host: 'h', port: 1, database: 'd', user: 'u', auth: 'password' },
    query: (text: string, values: unknown[]) => {
      cancelled.push([text, values]);
      return Promise.resolve({ rows: [] });
    },
  } as unknown as Connection;
  const lost = new AbortController();
  if (isLost) lost.abort(new PipelineError('DATABASE_UNREACHABLE', 'The lock is lost.'));
  const log = memoryLog();
  let opened = 0;
  const copies = new SlotCopies({
    slotName: 's',
    control,
    clock,
    log,
    lost: lost.signal,
    decoder: new TestDecodingDecoder(),
    translateError: (error) => Promise.resolve(error),
    openPair: (signal) => {
      opened++;
      return openPair(database, { deadline: 60_000, signal }, { deadline: 60_000, signal });
    },
  });
  const begin = (from = 0x1_00000020n) => copies.begin(from, 0x40n, 77, 5_000);
  return {
    ...server,
    copies,
    begin,
    lost,
    cancelled,
    waits,
    lines: log.lines,
    opened: () => opened,
    allGone: () => server.visitors.every(({ isGone }) => isGone()),
  };
}

const PEEK = ['B', 'INSERT public.t 1', 'C'];

describe('copies of a slot', () => {
  it('are made once each, on connections of their own, moved to where the last peek ended, and read in turn', async () => {
    await using server = await reading();
    for (const lsn of [0x20n, 0x28n, 0x30n]) {
      const peek = await server.begin(lsn);
      assert.ok(peek);
      assert.deepEqual(await told(peek), PEEK);
    }
    const made = server.sent.filter(({ text }) => text.includes(MADE)).map(({ values, pid }) => [...values, pid]);
    const [first, second] = made.map(([, , pid]) => Number(pid));
    assert.deepEqual(
      made.map(([slot, name]) => [slot, name]),
      [first, second].map((pid) => ['s', `pg2kinesis_ahead_${pid}`]),
    );
    assert.notEqual(first, second);
    assert.match(server.sent.find(({ text }) => text.includes(MADE))?.text ?? '', /\(\$1, \$2, true\)/);
    assert.deepEqual(server.valuesOf(MOVED), [
      [`pg2kinesis_ahead_${first}`, '0/20'],
      [`pg2kinesis_ahead_${second}`, '0/28'],
      [`pg2kinesis_ahead_${first}`, '0/30'],
    ]);
    assert.deepEqual(
      server.sent.filter(({ text }) => text.startsWith(READ)).map(({ pid }) => pid),
      [first, second, first],
    );
    assert.deepEqual([server.opened(), server.lines, server.copies.isOver], [1, [], false]);
    // None of the time-outs is left.
    assert.ok(server.waits.filter(({ ms }) => ms === 5_000).every(({ signal }) => signal?.aborted));
    await server.copies.close();
    await eventually(server.allGone, 'both are closed');
    assert.deepEqual([server.copies.isOver, server.cancelled], [true, []]);
    // A pool would keep them with the backends.
    assert.deepEqual(
      server.sent.filter(({ text }) => text.includes(DROPPED)).map(({ values, pid }) => [...values, pid]),
      [first, second].map((pid) => [`pg2kinesis_ahead_${pid}`, pid]),
    );
  });

  for (const [what, given, reason] of [
    ['no copy can be made', { replies: [[MADE, '55000']] }, '55000'],
    ['no slot is to spare', { replies: [[MADE, []]] }, '53400'],
    [
      'a copy is not where it is to be',
      { replies: [[MOVED, [{ lsn: '0/18' }]]] },
      'a copy is not where it is to begin',
    ],
    ['nothing says where it is', { replies: [[MOVED, []]] }, 'a copy is not where it is to begin'],
    ['the peek fails before its first row', { replies: [[READ, '53100']] }, '53100'],
    ['the connections are to another server', { system: '8' }, 'SERVERS_DIFFER'],
    ['there is no connection to spare', { replies: [['pg_backend_pid() AS pid', '53300']] }, '53300'],
  ] as const)
    it(`are over where ${what}: it is said once, and they are closed`, async () => {
      await using server = await reading(given);
      assert.equal(await server.begin(), undefined);
      assert.equal(server.copies.isOver, true);
      assert.deepEqual(server.lines, [
        `Reading ahead is over for this run: the slot itself is read, one peek after the other. ${JSON.stringify({ slot: 's', reason })}`,
      ]);
      await eventually(server.allGone, 'both are closed');
      assert.equal(server.visitors.length, 2);
    });

  it('are over where their connection is lost, with a reason, too, where no error has a code', async () => {
    await using server = await reading({ replies: [[MOVED, () => undefined]] });
    const begun = server.begin();
    await eventually(() => server.valuesOf(MOVED).length > 0, 'one moves');
    server.cut();
    assert.equal(await begun, undefined);
    assert.match(server.lines.join('\n'), /^Reading ahead is over for this run[^\n]*"reason":"DATABASE_UNREACHABLE"}$/);
  });

  it('are not even opened where the lock was lost before', async () => {
    await using server = await reading({ isLost: true });
    assert.equal(await server.begin(), undefined);
    assert.match(server.lines.join('\n'), /^Reading ahead is over for this run[^\n]*"reason":"DATABASE_UNREACHABLE"}$/);
    assert.equal(server.visitors.length, 0);
  });

  for (const [what, end, lines] of [
    ['takes as long as a peek may', ({ waits }) => waits.find(({ ms }) => ms === 5_000)?.pass(), ['late']],
    ['takes 10 s', ({ waits }) => waits.find(({ ms }) => ms === 10_000)?.pass(), ['late']],
    ['is no longer of use', ({ copies }) => void copies.close(), []],
    ['comes when the session ends', ({ copies }) => void copies.closeAll(), []],
    ['comes when the lock is lost', ({ lost }) => lost.abort(), ['DATABASE_UNREACHABLE']],
  ] as const satisfies [string, (server: Awaited<ReturnType<typeof reading>>) => void, string[]][])
    it(`are not waited for, as behind a pool without a free backend, where that ${what}`, async () => {
      await using server = await reading({ replies: [['pg_backend_pid() AS pid', () => undefined]] });
      const begun = server.begin();
      await eventually(() => server.sent.length > 0, 'a backend is asked for');
      end(server);
      assert.equal(await begun, undefined);
      assert.equal(server.copies.isOver, true);
      assert.deepEqual(
        server.lines.map((line) => /"reason":"([^"]*)"/.exec(line)?.[1]),
        lines,
      );
      await eventually(server.allGone, 'both are closed');
      assert.equal(server.visitors.length, 2);
      assert.deepEqual(server.cancelled, []);
    });

  it('are closed at once when the lock is lost', async () => {
    await using server = await reading();
    const peek = await server.begin();
    assert.ok(peek);
    await told(peek);
    server.lost.abort();
    await eventually(server.allGone, 'both are closed');
    assert.ok(server.visitors.every(({ saidFarewell }) => !saidFarewell()));
  });

  it('that move when it is over are cancelled, and closed', async () => {
    await using server = await reading({ replies: [[MOVED, () => undefined]] });
    const begun = server.begin();
    await eventually(() => server.valuesOf(MOVED).length > 0, 'one moves');
    const pid = server.sent.find(({ text }) => text.includes(MOVED))?.pid;
    // Its time is over.
    server.waits.find(({ ms }) => ms === 5_000)?.pass();
    await eventually(() => server.cancelled.length > 0, 'it is cancelled');
    assert.deepEqual(server.cancelled, [[CANCEL_BACKEND, [pid]]]);
    // The server does not stop: the connection is dropped, with the copy.
    for (const { ms, pass } of server.waits) if (ms === 1_000) pass();
    assert.equal(await begun, undefined);
    assert.match(server.lines.join('\n'), /^Reading ahead is over for this run[^\n]*"reason":"late"}$/);
    await eventually(server.allGone, 'both are closed');
  });
});

describe('whether a server can', () => {
  for (const [versionNum, inRecovery, can] of [
    [110022, false, false],
    [119999, false, false],
    [160009, false, true],
    [160008, false, false],
    [160009, true, false],
  ] as const)
    it(`copy slots: ${versionNum}${inRecovery ? ', a standby' : ''}: ${can}`, () => {
      assert.equal(supportsSlotCopies({ versionNum, identity: { inRecovery } as Connection['identity'] }), can);
    });

  it('end what is lent only with the session, and then without anybody who closes it', async () => {
    await using server = await reading();
    const peek = await server.begin();
    assert.ok(peek);
    await server.copies.close();
    assert.equal(server.visitors.filter(({ saidFarewell }) => saidFarewell()).length, 1);
    await server.copies.closeAll();
    assert.equal(server.cancelled.length, 1);
    await eventually(server.allGone, 'both are closed');
  });
});
