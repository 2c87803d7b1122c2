/**
 * What is asked on a connection of the replication protocol: who answers, a timeline's history, and that a slot becomes a failover
 * slot. Over a server that a test writes down.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { makeFailoverSlot } from '../../../lambda/postgres/failover-slot.ts';
import { TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { readUnderWay } from '../../../lambda/postgres/snapshot-request.ts';
import { readTimelineHistory } from '../../../lambda/postgres/timeline-history.ts';
import { encodeSnapshotMessage, SNAPSHOT_MESSAGE_PREFIX } from '../../../lambda/snapshot/snapshot-message.ts';
import { type LoginScript, type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { clock, databaseAt, eventually } from './fixtures.ts';
import { scriptedServer } from './scripted-server.ts';

const SERVER = { systemIdentifier: '7', startedAt: 'then', inRecovery: false, timeline: 2, walEnd: undefined };
const OTHERS = [
  { ...SERVER, systemIdentifier: '8' },
  { ...SERVER, startedAt: 'later' },
];

async function serverFor(replies: readonly (readonly [string, Reply])[], login: LoginScript = {}) {
  const row = { started: 'then', recovery: false, system: '7', timeline: '00000002', wal_end: '0/30' };
  const server = await startScriptedPostgres([...replies, ['AS started', [row]]], login);
  const database = databaseAt(server, {
    ...clock,
    // Nothing ends by itself.
    sleep: () => new Promise(() => undefined),
  });
  const ended = () =>
    eventually(() => server.visitors.length > 0 && server.visitors.every(({ isGone }) => isGone()), 'it is closed');
  /** @returns what was asked besides who answers */
  const asked = () => server.sent.map(({ text }) => text).filter((text) => !text.includes(' AS started'));
  return { ...server, database, ended, asked };
}

describe('a timeline’s history', () => {
  const until = () => ({ deadline: Date.now() + 60_000 });

  it('is asked for by the replication protocol', async () => {
    await using server = await serverFor([['TIMELINE_HISTORY', [{ filename: 'f', content: '1\t0/20\tpromoted\n' }]]]);
    assert.deepEqual(await readTimelineHistory(server.database, until(), SERVER), [{ timeline: 1, end: 0x20n }]);
    assert.deepEqual(server.asked(), ['TIMELINE_HISTORY 2']);
    assert.equal(server.visitors[0]?.startup['replication'], 'database');
    await server.ended();
    assert.equal(server.visitors.filter(({ saidFarewell }) => saidFarewell()).length, 1);
  });

  it('of the first one is none, and nobody is asked', async () => {
    await using server = await serverFor([]);
    assert.deepEqual(await readTimelineHistory(server.database, until(), { ...SERVER, timeline: 1 }), []);
    assert.deepEqual(await readTimelineHistory(server.database, until(), { ...SERVER, timeline: undefined }), []);
    assert.equal(server.visitors.length, 0);
  });

  it('is not known where the server does not tell, or let us in', async () => {
    await using silent = await serverFor([['TIMELINE_HISTORY', '58P01']]);
    assert.equal(await readTimelineHistory(silent.database, until(), SERVER), undefined);
    await silent.ended();
    await using closed = await serverFor([], { refuses: () => '28000' });
    assert.equal(await readTimelineHistory(closed.database, until(), SERVER), undefined);
    await using empty = await serverFor([['TIMELINE_HISTORY', []]]);
    assert.deepEqual(await readTimelineHistory(empty.database, until(), SERVER), []);
  });

  it('is not known where another server answers, which is asked for none', async () => {
    for (const other of OTHERS) {
      await using server = await serverFor([['TIMELINE_HISTORY', [{ content: '1\t0/20\tpromoted\n' }]]]);
      assert.equal(await readTimelineHistory(server.database, until(), other), undefined);
      assert.deepEqual(server.asked(), []);
      await server.ended();
    }
  });
});

describe('a failover slot', () => {
  const slot = (failover: boolean) => ({
    plugin: 'test_decoding',
    slot_type: 'logical',
    database: 'd',
    temporary: false,
    failover,
  });
  const connectionTo = (row: object | null, identity = SERVER) =>
    ({
      ...scriptedServer([['SELECT (SELECT to_jsonb', [{ slot: row }]]]).client,
      versionNum: 170000,
      identity,
      context: { host: 'db', port: 5432, database: 'd', user: 'u', auth: 'password' },
    }) as unknown as Connection;
  const until = () => ({ deadline: Date.now() + 60_000 });

  it('is made of one that is none, by the replication protocol', async () => {
    await using server = await serverFor([]);
    assert.equal(await makeFailoverSlot(server.database, until(), connectionTo(slot(false)), 'it"s'), true);
    assert.deepEqual(server.asked(), ['ALTER_REPLICATION_SLOT "it""s" (FAILOVER true)']);
    assert.equal(server.visitors[0]?.startup['replication'], 'database');
    await server.ended();
  });

  it('is not made where it is one, or is not there', async () => {
    await using server = await serverFor([]);
    for (const row of [slot(true), null])
      assert.equal(await makeFailoverSlot(server.database, until(), connectionTo(row), 's'), false);
    assert.equal(server.visitors.length, 0);
  });

  it('is not made at another server, though that has a slot of the name', async () => {
    for (const other of OTHERS) {
      await using server = await serverFor([]);
      await assert.rejects(makeFailoverSlot(server.database, until(), connectionTo(slot(false), other), 's'), {
        code: 'SERVERS_DIFFER',
        what: /^A connection for replication reached another server \(system 7, started then\) than the others \(.*\)\. The slot "s" is there, and is no failover slot yet\./,
      });
      assert.deepEqual(server.asked(), []);
      await server.ended();
    }
  });

  it('says in the operator’s words that its connection was lost before it was proven', async () => {
    await using server = await serverFor([['AS started', '57P01']]);
    await assert.rejects(makeFailoverSlot(server.database, until(), connectionTo(slot(false)), 's'), {
      code: 'DATABASE_UNREACHABLE',
      what: /The slot "s" is there, and is no failover slot yet\./,
    });
    await server.ended();
  });

  it('that the server refuses is there all the same, and the way on is told', async () => {
    await using server = await serverFor([['ALTER_REPLICATION_SLOT', '55006']]);
    await assert.rejects(makeFailoverSlot(server.database, until(), connectionTo(slot(false)), 's'), {
      code: 'SLOT_BUSY',
      what: /"s".*The slot "s" is there, and is no failover slot yet\. To make it one: SLOT_FAILOVER=on and create-slot\./s,
    });
    await server.ended();
  });
});

describe('a snapshot under way', () => {
  const message = (prefix: string, content: string, transactional = 0) => [
    {
      data: Buffer.from(
        `message: transactional: ${transactional} prefix: ${prefix}, sz: ${Buffer.byteLength(content)} content:${content}`,
      ),
    },
  ];
  const read = async (rows: readonly { readonly data: Buffer }[]) => {
    const script = scriptedServer([['pg_logical_slot_peek_binary_changes', rows]]);
    const connection = { client: script.client, plugin: TEST_DECODING } as unknown as Connection;
    return { progress: await readUnderWay(connection, 'copy', 's', new TestDecodingDecoder()), sent: script.sent };
  };
  const begun = encodeSnapshotMessage('s', {
    kind: 'begin',
    id: 'i',
    begunAt: 5,
    tables: ['public.a', 'public.b'],
    anew: false,
  });

  it('is what the first message says that the slot stands before', async () => {
    const { progress, sent } = await read(message(SNAPSHOT_MESSAGE_PREFIX, begun));
    assert.ok(progress);
    assert.deepEqual([progress.id, progress.begunAt, JSON.stringify(progress).includes('public.b')], ['i', 5, true]);
    assert.deepEqual([sent.length, sent[0]?.values], [1, ['copy']]);
    assert.match(sent[0]?.text ?? '', /\(\$1, NULL, 1, 'include-xids'.*\) p LIMIT 1$/s);
    const state = await read(
      message(SNAPSHOT_MESSAGE_PREFIX, encodeSnapshotMessage('s', { kind: 'state', mark: 'm', progress })),
    );
    assert.deepEqual(state.progress, progress);
  });

  it('is none where there is no message, or it is of another', async () => {
    assert.equal((await read([])).progress, undefined);
    assert.equal((await read([{ data: Buffer.from('BEGIN 7') }])).progress, undefined);
    assert.equal((await read(message('somebody', begun))).progress, undefined);
    assert.equal((await read(message(SNAPSHOT_MESSAGE_PREFIX, 'nonsense'))).progress, undefined);
    const others = encodeSnapshotMessage('other', { kind: 'begin', id: 'i', begunAt: 5, tables: ['a'], anew: false });
    assert.equal((await read(message(SNAPSHOT_MESSAGE_PREFIX, others))).progress, undefined);
  });
});
