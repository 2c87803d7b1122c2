/** How a slot is moved on each version, and what is said where it does not go as asked. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type pg from 'pg';
import { confirmPosition } from '../../../lambda/postgres/confirm-position.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { pgoutput, TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { PostgresSlot, supportsSafeAdvance } from '../../../lambda/postgres/slot.ts';
import { TestClock } from '../../support/run-kit.ts';
import { refusal, scriptedServer } from './scripted-server.ts';

const IDENTITY = { systemIdentifier: '7', startedAt: 'then', inRecovery: false, timeline: 1, walEnd: undefined };
type Answers = Parameters<typeof scriptedServer>[0];

/** What a client for replication was sent, which answers as the test says. */
function replicationClient(then: 'ready' | Error) {
  const sent: string[] = [];
  const packet: Buffer[] = [];
  let ended = 0;
  const wire = {
    stream: { cork: () => sent.push('cork'), uncork: () => sent.push('uncork') },
    query: (text: string) => sent.push(text),
    sendCopyFromChunk: (chunk: Buffer) => {
      sent.push('data');
      packet.push(chunk);
    },
    endCopyFrom: () => sent.push('end'),
  };
  const client = {
    query: (asked: { submit(wire: object): void; handleError(error: unknown): void; handleReadyForQuery(): void }) => {
      asked.submit(wire);
      if (then instanceof Error) asked.handleError(then);
      asked.handleReadyForQuery();
    },
    end: () => {
      ended++;
      return Promise.resolve();
    },
  } as unknown as pg.Client;
  return { client, sent, packet, ended: () => ended };
}

/** A slot on a server of that version. */
function slotOn(
  versionNum: number,
  answers: Answers,
  over: { replication?: ReturnType<typeof replicationClient> } = {},
) {
  const script = scriptedServer(answers);
  const control = {
    ...script.client,
    versionNum,
    plugin: TEST_DECODING,
    identity: IDENTITY,
    context: { host: 'db', port: 5432, database: 'app', user: 'cdc', auth: 'password' },
  } as unknown as Connection;
  const slot = new PostgresSlot({
    main: control,
    control,
    slotName: 's',
    decoder: undefined as never,
    clock: new TestClock(),
    standbySlots: [],
    failover: false,
    openReplication: () => Promise.resolve(over.replication?.client ?? assert.fail('no such connection is needed')),
  });
  return { slot, ...script };
}

const at = (lsn: string) =>
  ['SELECT confirmed_flush_lsn::text, restart_lsn', [{ confirmed_flush_lsn: lsn, restart_lsn: '0/10' }]] as const;

describe('an advance', () => {
  for (const [versionNum, isSafe] of [
    [100023, false],
    [120022, false],
    [130020, false],
    [130021, true],
    [140017, false],
    [140018, true],
    [150012, false],
    [150013, true],
    [160008, false],
    [160009, true],
    [170004, false],
    [170005, true],
    [180000, true],
  ] as const)
    it(`is ${isSafe ? 'by the server’s function' : 'by reading'} on ${versionNum}`, async () => {
      assert.equal(supportsSafeAdvance(versionNum), isSafe);
      const { slot, valuesOf, sent } = slotOn(versionNum, [['end_lsn', [{ lsn: '0/40' }]], at('0/40')]);
      assert.equal(await slot.advance(0x40n), 0x40n);
      assert.deepEqual(valuesOf('pg_replication_slot_advance($1, $2)'), isSafe ? [['s', '0/40']] : []);
      assert.deepEqual(valuesOf('pg_logical_slot_get_binary_changes'), isSafe ? [] : [['s', '0/40']]);
      assert.ok(isSafe || sent.some(({ text }) => text.includes(`$2, NULL, ${TEST_DECODING.options})`)));
    });

  it('fails with SLOT_BUSY where another client has moved the slot further', async () => {
    const message =
      'Slot "s" was to be advanced to 0/40 and is at 0/50 already: another client consumes it, and what it took is not published here. The slot was not advanced.';
    await assert.rejects(slotOn(120000, [at('0/50')]).slot.advance(0x40n), { code: 'SLOT_BUSY', what: message });
    const state = ['to_jsonb(s)', [{ slot: { plugin: 'test_decoding', confirmed_flush_lsn: '0/50' } }]] as const;
    const error = refusal('22023');
    await assert.rejects(slotOn(180000, [['end_lsn', error], state]).slot.advance(0x40n), {
      code: 'SLOT_BUSY',
      what: message,
    });
    await assert.rejects(slotOn(180000, [['end_lsn', error], state]).slot.advance(0x50n), error);
    await assert.rejects(
      slotOn(180000, [
        ['end_lsn', error],
        ['to_jsonb(s)', []],
      ]).slot.advance(0x40n),
      error,
    );
  });

  it('needs an answer that says where the slot is', async () => {
    await assert.rejects(slotOn(180000, []).slot.advance(0x40n), /the server gave no lsn/);
  });
});

describe('the position of a slot', () => {
  it('is what the server says', async () => {
    assert.deepEqual(await slotOn(180000, [at('0/40')]).slot.position(), { confirmedFlush: 0x40n, restart: 0x10n });
    const { slot } = slotOn(180000, [['pg_last_wal_receive_lsn', [{ lsn: '0/99' }]]]);
    assert.equal(await slot.flushLsn(), 0x99n);
  });

  it('fails with SLOT_MISSING where there is none any more', async () => {
    const none = ['AS level', [{ level: 'logical', recovery: false, num: 180000, slot: null }]] as const;
    for (const rows of [
      [],
      [{ confirmed_flush_lsn: null, restart_lsn: '0/10' }],
      [{ confirmed_flush_lsn: '0/10', restart_lsn: null }],
    ])
      await assert.rejects(slotOn(180000, [['SELECT confirmed_flush_lsn::text', rows], none]).slot.position(), {
        code: 'SLOT_MISSING',
      });
  });

  it('keeps so much WAL, never less than none', async () => {
    for (const [rows, bytes] of [
      [[{ bytes: 70 }], 70],
      [[{ bytes: -5 }], 0],
      [[{ bytes: null }], 0],
      [[], 0],
    ] as const)
      assert.equal(await slotOn(180000, [['AS bytes', rows]]).slot.retainedWalBytes(), bytes);
  });

  it('has statistics that show who has read it, from 15 on', async () => {
    const stats = ['pg_stat_replication_slots', [{ started: 'then', counters: '{"a":1}' }]] as const;
    assert.equal(await slotOn(150000, [stats]).slot.slotStatsFingerprint(), 'then {"a":1}');
    assert.equal(await slotOn(150000, []).slot.slotStatsFingerprint(), undefined);
    const old = slotOn(149999, [stats]);
    assert.deepEqual([await old.slot.slotStatsFingerprint(), old.sent], [undefined, []]);
  });

  it('is held back by a transaction that is named', async () => {
    const open = { pid: 7, user: 'app', application: 'psql', age: 3, state: 'active' };
    assert.equal(
      await slotOn(180000, [['backend_xid', [open]]]).slot.oldestTransaction(),
      'backend 7 (user app, application psql, open for 3 s, active)',
    );
    assert.equal(await slotOn(180000, []).slot.oldestTransaction(), undefined);
  });
});

describe('a transaction that cannot be decoded', () => {
  it('is skipped by an advance where that prints nothing', async () => {
    const { slot, valuesOf } = slotOn(180000, [['end_lsn', [{ lsn: '0/40' }]]]);
    assert.equal(await slot.skip(0x40n), 0x40n);
    assert.deepEqual(valuesOf('end_lsn'), [['s', '0/40']]);
  });

  it('is skipped by a client’s word on servers where an advance would decode it', async () => {
    const replication = replicationClient('ready');
    const { slot } = slotOn(120000, [at('0/40')], { replication });
    assert.equal(await slot.skip(0x40n), 0x40n);
    assert.deepEqual(replication.sent, ['cork', 'START_REPLICATION SLOT "s" LOGICAL 0/40 ', 'data', 'end', 'uncork']);
    assert.equal(replication.ended(), 1);
  });

  it('is skipped though the server fails behind it, as long as the slot has moved', async () => {
    const failed = refusal('XX000');
    assert.equal(
      await slotOn(120000, [at('0/40')], { replication: replicationClient(failed) }).slot.skip(0x40n),
      0x40n,
    );
    await assert.rejects(
      slotOn(120000, [at('0/3F')], { replication: replicationClient(failed) }).slot.skip(0x40n),
      failed,
    );
  });
});

describe('a position that is confirmed', () => {
  it('is written, flushed and applied up to there, in one packet, with what the plugin wants', async () => {
    const { client, sent, packet } = replicationClient('ready');
    const { replicationOptions } = pgoutput(['cdc']);
    await confirmPosition(client, 'a"b', 0x1_0000_0002n, replicationOptions);
    assert.equal(sent[1], `START_REPLICATION SLOT "a""b" LOGICAL 1/2 (proto_version '1', publication_names '"cdc"')`);
    const expected = Buffer.alloc(34);
    expected.write('r');
    for (const offset of [1, 9, 17]) expected.writeBigUInt64BE(0x1_0000_0002n, offset);
    assert.deepEqual(packet, [expected]);
  });

  it('fails with what the server says, or that the connection is gone', async () => {
    const failed = refusal('55006');
    await assert.rejects(confirmPosition(replicationClient(failed).client, 's', 1n), failed);
    const client = {
      query: (asked: { handleError(error: unknown): void }) => asked.handleError(undefined),
    } as unknown as pg.Client;
    await assert.rejects(confirmPosition(client, 's', 1n), /the connection was lost/);
  });
});
