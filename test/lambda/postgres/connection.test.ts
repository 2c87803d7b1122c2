/** What a connection is told and asked before anybody uses it, and which servers are refused: over a client that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConnectOptions, type LoggedIn, pinSession } from '../../../lambda/postgres/connection.ts';
import { openPair } from '../../../lambda/postgres/connection-pair.ts';
import { pgoutput, type SlotPlugin, TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { parseHistory } from '../../../lambda/postgres/timeline-history.ts';
import { TestClock } from '../../support/run-kit.ts';
import { startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { clock as realClock, databaseAt, soon } from './fixtures.ts';

/** Pins a session on a server of that version. */
async function pinned(
  version: number,
  plugin: SlotPlugin = TEST_DECODING,
  over: Partial<ConnectOptions> = {},
  refuses: (text: string) => string | undefined = () => undefined,
) {
  const clock = new TestClock();
  const sent: string[] = [];
  let busy = 0;
  const query = async (text: string) => {
    sent.push(text);
    assert.equal(++busy, 1, 'one statement at a time');
    await new Promise(setImmediate);
    busy--;
    if (text.includes('broken')) throw new Error('broken');
    const code = refuses(text);
    if (code !== undefined) throw Object.assign(new Error('refused'), { code });
    if (text.includes('AS started'))
      return { rows: [{ started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/10' }] };
    return { rows: [{ version: String(version), encoding: 'LATIN1' }] };
  };
  const loggedIn = {
    client: { query },
    plugin,
    context: { host: 'db', port: 5432, database: 'app', user: 'cdc', auth: 'password' },
    options: { deadline: clock.time + 60_000, ...over },
    optionsRefused: false,
  };
  return { connection: await pinSession(loggedIn as unknown as LoggedIn, 4711, clock), sent, clock };
}

describe('a session', () => {
  it('says which server it leads to, in which version and encoding', async () => {
    const { connection, clock } = await pinned(180004);
    const { versionNum, pid, encoding, connectedAt, identity } = connection;
    assert.deepEqual([versionNum, pid, encoding, connectedAt], [180004, 4711, 'LATIN1', clock.time]);
    assert.deepEqual(identity, {
      systemIdentifier: '7',
      startedAt: 'then',
      inRecovery: false,
      timeline: 1,
      walEnd: 16n,
    });
  });

  it('lets statements last as long as it is for, and lives five seconds longer, or as long as its process', async () => {
    const [first = ''] = (await pinned(180004)).sent;
    assert.match(first, /60000/);
    assert.match(first, /65000/);
    const { sent } = await pinned(180004, TEST_DECODING, { leaseExpiresAt: new TestClock().time + 80_000 });
    assert.match(sent[0] ?? '', /80000/);
    const late = await pinned(180004, TEST_DECODING, { deadline: 0 });
    assert.match(late.sent[0] ?? '', /1000/);
  });

  it('does without the one setting that not every platform has, and without no other', async () => {
    const check = 'client_connection_check_interval';
    const without = await pinned(140000, TEST_DECODING, {}, (text) => (text.includes(check) ? '22023' : undefined));
    const [whole = '', rest = ''] = without.sent;
    const names = (text: string) => Array.from(text.matchAll(/set_config\('(\w+)'/g), ([, name]) => name);
    assert.deepEqual(
      names(rest),
      names(whole).filter((name) => name !== check),
    );
    assert.equal(without.connection.versionNum, 140000);
    for (const [code, asked] of [
      ['22023', 2],
      ['57014', 1],
    ] as const) {
      const sent: string[] = [];
      const refuses = (text: string) => (sent.push(text), code);
      await assert.rejects(pinned(140000, TEST_DECODING, {}, refuses), { code });
      assert.equal(sent.length, asked);
    }
  });

  it('sends one statement after the other, in the order asked for, also behind one that fails', async () => {
    const { connection, sent } = await pinned(180004);
    sent.length = 0;
    const all = ['one', 'broken', 'three'].map((text) => connection.query(text));
    const outcomes = await Promise.allSettled(all);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(sent, ['one', 'broken', 'three']);
  });

  for (const [what, version, plugin, says] of [
    [
      'before 10',
      90624,
      TEST_DECODING,
      /^The server at db:5432 is PostgreSQL 9\.6, and pg2kinesis reads 10 and later\. Nothing/,
    ],
    [
      '10 with pgoutput',
      100023,
      pgoutput(['cdc']),
      /^PLUGIN cannot be "pgoutput" with the server at db:5432, which is PostgreSQL 10:/,
    ],
    [
      '13 with messages of pgoutput',
      130023,
      pgoutput(['cdc'], true),
      /^MESSAGES cannot be set with PLUGIN "pgoutput" and the server at db:5432, which is PostgreSQL 13:.*Nothing was read/,
    ],
  ] as const)
    it(`fails with CONFIG_INVALID on PostgreSQL ${what}`, () =>
      assert.rejects(pinned(version, plugin), { code: 'CONFIG_INVALID', what: says }));

  it('fails with CONFIG_INVALID where the server lacks what it takes to ask for its version', async () => {
    await using server = await startScriptedPostgres([
      ['pg_backend_pid', ({ pid }) => [{ pid }]],
      ['set_config', '42883'],
    ]);
    const options = { deadline: soon() };
    await assert.rejects(openPair(databaseAt(server, realClock), options, options), {
      code: 'CONFIG_INVALID',
      what: /lacks something that PostgreSQL has from 10 on\. It says: .*\(SQLSTATE 42883\)\. Nothing was read/,
    });
  });

  it('is had on each server that can do what is asked', async () => {
    for (const [version, plugin] of [
      [100000, TEST_DECODING],
      [110000, pgoutput(['cdc'])],
      [140000, pgoutput(['cdc'], true)],
    ] as const)
      assert.equal((await pinned(version, plugin)).connection.versionNum, version);
  });
});

describe('the history of a timeline', () => {
  it('is a line for each fork, without comments and what is no line', () => {
    const text =
      '1\t0/16B3748\tno recovery target specified\n\n# a comment\n 2 A/10 \tbefore 2026\nnonsense\n3\tnone\n';
    assert.deepEqual(parseHistory(text), [
      { timeline: 1, end: 0x16b3748n },
      { timeline: 2, end: (10n << 32n) + 16n },
    ]);
    assert.deepEqual(parseHistory(''), []);
  });
});
