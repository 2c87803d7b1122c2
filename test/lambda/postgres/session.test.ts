/** How connections are opened and a session is made of them: what is asked, in which order, and what ends it. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Session } from '../../../lambda/ports/session.ts';
import { createDatabase, logIn } from '../../../lambda/postgres/connection.ts';
import { open, openPair, withPair } from '../../../lambda/postgres/connection-pair.ts';
import type { DatabaseSettings } from '../../../lambda/postgres/credentials.ts';
import type { SlotPlugin } from '../../../lambda/postgres/plugins.ts';
import { openSession, type SessionOptions } from '../../../lambda/postgres/session.ts';
import type { TypeCatalog } from '../../../lambda/postgres/type-catalog.ts';
import type { TypeNames } from '../../../lambda/postgres/type-names.ts';
import { type LoginScript, type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { eventually, memoryLog, sessionOptions } from './fixtures.ts';

const NOW = 1_767_400_000_000;
const SLOT = {
  plugin: 'test_decoding',
  slot_type: 'logical',
  database: 'app',
  temporary: false,
  restart_lsn: '0/10',
  confirmed_flush_lsn: '0/20',
};
const MAIN = 101;
const CONTROL = 102;

/** A clock whose time-outs pass when the test says so. */
function heldClock() {
  const waits: { readonly ms: number; readonly signal: AbortSignal | undefined; readonly pass: () => void }[] = [];
  const clock: Clock = {
    now: () => NOW,
    random: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        waits.push({ ms, signal, pass: resolve });
        if (signal?.aborted === true) resolve();
        signal?.addEventListener('abort', () => resolve());
      }),
  };
  return { clock, waits, open: () => waits.filter(({ signal }) => signal?.aborted !== true).map(({ ms }) => ms) };
}

type Replies = readonly (readonly [part: string, reply: Reply])[];

/** A server at which a session can be opened. The first answers win. */
async function serverFor(replies: Replies = [], login: LoginScript = {}) {
  const identity = { started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' };
  const server = await startScriptedPostgres(
    [
      ...replies,
      ['pg_backend_pid() AS pid', ({ pid }) => [{ pid }]],
      ['AS encoding', [{ version: '160004', encoding: 'UTF8' }]],
      ['AS started', [identity]],
      ['pg_try_advisory_lock', [{ held: true }]],
      ['SELECT l.pid, l.granted', [{ pid: MAIN, granted: true }]],
      ['AS level', [{ level: 'logical', recovery: false, num: 160004, slot: SLOT }]],
    ],
    login,
  );
  const held = heldClock();
  const database = (over: Partial<DatabaseSettings> = {}, more: Partial<Parameters<typeof createDatabase>[0]> = {}) =>
    createDatabase({
      settings: {
        host: server.host,
        port: server.port,
        user: 'cdc',
        database: 'app',
        password: 'p',
        auth: 'password',
        sslMode: 'disable',
        ...over,
      },
      secrets: () => Promise.reject(new Error('no secret was to be read')),
      iamToken: () => Promise.reject(new Error('no token was to be made')),
      clock: held.clock,
      ...more,
    });
  const sessions = (over: Partial<SessionOptions> = {}) => {
    const options = sessionOptions({ connection: {} } as Parameters<typeof sessionOptions>[0], 's', {
      database: database(),
      clock: held.clock,
      deadline: NOW + 60_000,
      ...over,
    });
    return openSession(options);
  };
  return { ...server, ...held, database, sessions, allGone: () => server.visitors.every(({ isGone }) => isGone()) };
}

/** Opens one that is not locked. */
async function opened(server: Awaited<ReturnType<typeof serverFor>>, over: Partial<SessionOptions> = {}) {
  const session = await server.sessions(over);
  if ('locked' in session) assert.fail('locked');
  return session;
}

describe('a log-in', () => {
  const UNTIL = { deadline: NOW + 60_000 };

  it('I3: brings its search_path with it, and says in the startup packet who comes', async () => {
    await using server = await serverFor();
    const { client, optionsRefused, context, plugin, options } = await logIn(server.database(), UNTIL);
    assert.deepEqual(server.visitors[0]?.startup, {
      user: 'cdc',
      database: 'app',
      application_name: 'pg2kinesis',
      client_encoding: 'UTF8',
      options: '-c search_path=pg_catalog',
    });
    assert.deepEqual([optionsRefused, plugin.name, options], [false, 'test_decoding', UNTIL]);
    const { host, port } = server;
    assert.deepEqual(context, {
      host,
      port,
      database: 'app',
      user: 'cdc',
      auth: 'password',
      hasPassword: true,
      userFrom: 'PGUSER',
      plugin: 'test_decoding',
      publications: [],
    });
    await client.end();
  });

  it('says where its password and its user are from, for the errors', async () => {
    await using server = await serverFor();
    const secret = (fields: object) => ({ secrets: () => Promise.resolve(JSON.stringify(fields)) });
    const contextOf = async (...parts: Parameters<typeof server.database>) => {
      const { client, context } = await logIn(server.database(...parts), UNTIL);
      await client.end();
      return [context.auth, context.user, context.userFrom, context.hasPassword];
    };
    const iam = { iamToken: () => Promise.resolve('token') };
    assert.deepEqual(await contextOf({ auth: 'iam', secretArn: 'arn' }, { ...iam, ...secret({}) }), [
      'iam',
      'cdc',
      'PGUSER',
      true,
    ]);
    const ofSecret = { password: undefined, user: undefined, secretArn: 'arn' };
    const fields = secret({ username: 'other', password: 'x' });
    assert.deepEqual(await contextOf(ofSecret, fields), ['secret', 'other', 'secret', true]);
    assert.deepEqual(await contextOf({ ...ofSecret, password: 'p' }, fields), ['password', 'other', 'secret', true]);
    assert.deepEqual(await contextOf({ password: undefined }), ['password', 'cdc', 'PGUSER', false]);
  });

  it('for the replication protocol says so', async () => {
    await using server = await serverFor();
    const { client } = await logIn(server.database(), { ...UNTIL, replication: true });
    assert.equal(server.visitors[0]?.startup['replication'], 'database');
    await client.end();
  });

  it('goes without options where they are refused as a pool does, and not where anything else is', async () => {
    for (const code of ['08P01', '0A000', '53300']) {
      const seen: (string | undefined)[] = [];
      const refuses = ({ options }: Readonly<Record<string, string>>) => {
        seen.push(options);
        return options === undefined ? undefined : code;
      };
      await using server = await serverFor([], { refuses });
      const outcome = await logIn(server.database(), UNTIL).then(
        async ({ client, optionsRefused }) => {
          await client.end();
          return optionsRefused;
        },
        (error: unknown) => (error as { code: string }).code,
      );
      if (code === '53300') assert.deepEqual([outcome, seen.length], ['DATABASE_UNREACHABLE', 1]);
      else assert.deepEqual([outcome, seen], [true, ['-c search_path=pg_catalog', undefined]]);
    }
  });

  it('reads the secret again where the password is refused, and tries once more', async () => {
    for (const [code, rotated, expected] of [
      ['28P01', true, 'in'],
      ['28000', true, 'in'],
      ['28P01', false, 'DATABASE_AUTH_FAILED'],
      ['3D000', true, 'CONFIG_INVALID'],
    ] as const) {
      let tries = 0;
      await using server = await serverFor([], { refuses: () => (tries++ === 0 || !rotated ? code : undefined) });
      let reads = 0;
      const secrets = () =>
        Promise.resolve(
          JSON.stringify({ username: 'u', password: rotated ? `p${reads++}` : `p${Math.floor(reads++ / 9)}` }),
        );
      const database = server.database(
        { user: undefined, password: undefined, auth: 'secret', secretArn: 'arn' },
        { secrets },
      );
      const outcome = await logIn(database, UNTIL).then(
        async ({ client }) => {
          await client.end();
          return 'in';
        },
        (error: unknown) => (error as { code: string }).code,
      );
      assert.deepEqual([outcome, tries], [expected, expected === 'in' ? 2 : 1], `${code} ${rotated}`);
    }
  });

  it('that is refused twice says so of the second try', async () => {
    let reads = 0;
    await using server = await serverFor([], { refuses: () => (reads < 2 ? '28P01' : '3D000') });
    const secrets = () => Promise.resolve(JSON.stringify({ username: `u${reads}`, password: `p${reads++}` }));
    const database = server.database(
      { user: undefined, password: undefined, auth: 'secret', secretArn: 'arn' },
      { secrets },
    );
    await assert.rejects(logIn(database, UNTIL), { code: 'CONFIG_INVALID' });
  });

  it('closes by itself when its time is over, at the end of its lease where it has one', async () => {
    for (const [over, ms] of [
      [{}, 65_000],
      [{ leaseExpiresAt: NOW + 61_000 }, 61_000],
      [{ leaseExpiresAt: NOW - 5 }, 0],
    ] as const) {
      await using server = await serverFor();
      const { client } = await logIn(server.database(), { ...UNTIL, ...over });
      client.on('error', () => undefined);
      assert.deepEqual(server.open(), [ms]);
      assert.equal(server.visitors[0]?.isGone(), false);
      server.waits[0]?.pass();
      await eventually(() => server.allGone(), 'the connection is closed');
      assert.ok(server.visitors.every(({ saidFarewell }) => !saidFarewell()));
    }
  });
});

describe('a pair of connections', () => {
  const UNTIL = { deadline: NOW + 60_000 };

  it('is of two backends of one server', async () => {
    await using server = await serverFor();
    const [one, other] = await openPair(server.database(), UNTIL, { ...UNTIL, workMem: true });
    assert.deepEqual([one.pid, other.pid].sort(), [MAIN, CONTROL]);
    const pins = server.sent.filter(({ text }) => text.includes('AS encoding'));
    assert.deepEqual(
      [one, other].map(({ pid }) =>
        pins.find((pin) => pin.pid === pid)?.text.includes("'logical_decoding_work_mem', '64MB'"),
      ),
      [false, true],
    );
    await Promise.all([one.client.end(), other.client.end()]);
  });

  it('of two servers is refused, by name, and closed', async () => {
    const identity = { started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' };
    for (const other of [{ system: '8' }, { started: 'later' }, { system: null, started: 'later', recovery: true }]) {
      await using server = await serverFor([
        ['AS started', ({ pid }) => [pid === MAIN ? identity : { ...identity, ...other }]],
      ]);
      await assert.rejects(openPair(server.database(), UNTIL, UNTIL), {
        code: 'SERVERS_DIFFER',
        what: new RegExp(
          `^Two connections to 127\\.0\\.0\\.1:${server.port} reached two servers: one is system .*started (then|later).*; the other is system .*Nothing was read and no slot was touched\\.$`,
        ),
      });
      await eventually(server.allGone, 'both are closed');
      assert.ok(server.visitors.every(({ saidFarewell }) => saidFarewell()));
    }
  });

  it('that fails leaves neither behind, and says what the first one met', async () => {
    let visits = 0;
    await using server = await serverFor([], { refuses: () => (visits++ === 1 ? '53300' : undefined) });
    await assert.rejects(openPair(server.database(), UNTIL, UNTIL), { code: 'DATABASE_UNREACHABLE' });
    await eventually(server.allGone, 'the other is closed');
    assert.equal(server.visitors.length, 1);
    await using old = await serverFor([['AS encoding', [{ version: '90624', encoding: 'UTF8' }]]]);
    await assert.rejects(openPair(old.database(), UNTIL, UNTIL), { code: 'CONFIG_INVALID' });
    await eventually(old.allGone, 'both are closed');
  });

  it('is one connection where one is wanted', async () => {
    await using server = await serverFor();
    const { client } = await open(server.database(), UNTIL);
    await eventually(() => server.visitors.filter(({ isGone }) => isGone()).length === 1, 'the companion is closed');
    await client.end();
  });

  it('is closed whatever the work comes to, and errors are in the operator’s words', async () => {
    await using server = await serverFor([['broken', '53100']]);
    const about = { slot: 's', notDone: 'It was not made.' };
    const given = await withPair(server.database(), UNTIL, about, async (one, other) => {
      await one.query('SELECT 1');
      await other.query('SELECT 2');
      return 'done';
    });
    assert.equal(given, 'done');
    await eventually(server.allGone, 'both are closed');
    await assert.rejects(
      withPair(server.database(), UNTIL, about, (one) => one.query('broken')),
      { code: 'NO_PROGRESS', what: /It was not made\./ },
    );
    await eventually(server.allGone, 'both are closed');
  });

  it('that takes long is told of, where it can be', async () => {
    await using server = await serverFor();
    const log = memoryLog();
    const opening = openPair(server.database({}, { log }), UNTIL, UNTIL);
    // The notice's own wait is the first.
    await eventually(() => server.waits.length > 0, 'it waits');
    server.waits[0]?.pass();
    const [one, other] = await opening;
    assert.match(
      log.lines.join('\n'),
      new RegExp(`Waiting for a connection to PostgreSQL at 127\\.0\\.0\\.1:${server.port}, up to 10 s`),
    );
    await Promise.all([one.client.end(), other.client.end()]);
  });
});

describe('a session', () => {
  it('I6: is locked, seen to be locked, and locked a second time before the slot is looked at', async () => {
    await using server = await serverFor();
    const session = await opened(server);
    const of = (part: string) => server.sent.findIndex(({ text }) => text.includes(part));
    const locks = server.sent.filter(({ text }) => text.includes('pg_try_advisory_lock'));
    assert.deepEqual(
      locks.map(({ pid }) => pid),
      [MAIN, CONTROL],
    );
    assert.notDeepEqual(locks[0]?.values, locks[1]?.values);
    assert.ok(of('pg_try_advisory_lock') < of('SELECT l.pid, l.granted'));
    assert.ok(of('SELECT l.pid, l.granted') < of('AS level'));
    assert.equal(server.sent[of('SELECT l.pid, l.granted')]?.pid, CONTROL);
    assert.equal(server.sent[of('AS level')]?.pid, CONTROL);
    assert.deepEqual(
      [session.tookOver, session.tookOverAt, session.handedOver, session.lost.aborted, session.isLockAwaited()],
      [false, undefined, undefined, false, false],
    );
    assert.deepEqual([session.server.systemIdentifier, session.connectedAt], ['7', NOW]);
    await session.close();
    await eventually(server.allGone, 'both are closed');
    assert.ok(server.visitors.every(({ saidFarewell }) => saidFarewell()));
    assert.equal(session.lost.aborted, false);
  });

  it('I6: asks for memory on both connections, as long as the lease is', async () => {
    await using server = await serverFor();
    const session = await opened(server, { leaseExpiresAt: NOW + 77_000 });
    const pins = server.sent.filter(({ text }) => text.includes('AS encoding'));
    assert.equal(pins.length, 2);
    for (const { text } of pins) assert.match(text, /'statement_timeout', '60000ms'.*'77000ms'.*'work_mem', '64MB'/s);
    await session.close();
  });

  it('I6: that is locked says by whom, and closes', async () => {
    await using server = await serverFor([
      ['pg_try_advisory_lock', [{ held: false }]],
      [
        'LEFT JOIN pg_stat_activity',
        [{ pid: 9, application: 'psql', user: 'u', state: 'idle', age: 3, ours: false, ends_in_ms: null }],
      ],
    ]);
    const outcome = await server.sessions();
    assert.ok('locked' in outcome);
    assert.deepEqual([outcome.locked?.pid, outcome.locked?.application], [9, 'psql']);
    await eventually(server.allGone, 'both are closed');
    assert.ok(server.visitors.every(({ saidFarewell }) => saidFarewell()));
    assert.equal(server.valuesOf('AS level').length, 0);
  });

  it('I6: whose lock the other connection does not see is of two servers', async () => {
    for (const rows of [[], [{ pid: 9, granted: true }], [{ pid: MAIN, granted: false }]]) {
      await using server = await serverFor([['SELECT l.pid, l.granted', rows]]);
      await assert.rejects(server.sessions(), { code: 'SERVERS_DIFFER' });
      assert.equal(server.valuesOf('AS level').length, 0);
      await eventually(server.allGone, 'both are closed');
    }
  });

  it('I6: whose second lock is still held waits two seconds, goes on, and counts as one that took over', async () => {
    await using server = await serverFor([
      ['pg_try_advisory_lock', ({ pid }) => [{ held: pid === MAIN }]],
      ['SELECT pg_advisory_lock', '55P03'],
    ]);
    let now = NOW;
    const clock: Clock = { ...server.clock, now: () => (now += 400) };
    const session = await opened(server, { clock });
    assert.deepEqual([session.tookOver, session.tookOverAt], [true, undefined]);
    const timeouts = server.sent
      .filter(({ text }) => text.includes("'lock_timeout', $1"))
      .map(({ values, pid }) => [values[0], pid]);
    assert.ok(timeouts.length > 0 && timeouts.every(([, pid]) => pid === CONTROL));
    assert.ok(
      timeouts.every(([ms]) => Number.parseInt(ms as string) <= 2_000),
      JSON.stringify(timeouts),
    );
    // It is tried again at each look of the watch.
    const before = server.valuesOf('pg_try_advisory_lock').length;
    server.waits.find(({ ms }) => ms === 1_000)?.pass();
    await eventually(() => server.valuesOf('pg_try_advisory_lock').length > before, 'the second lock is tried again');
    await session.close();
  });

  it('I6: that ended an orphan inside the slot counts as one that took over', async () => {
    let looks = 0;
    await using server = await serverFor([
      ['AS level', [{ level: 'logical', recovery: false, num: 160004, slot: { ...SLOT, active_pid: 9 } }]],
      ['pg_terminate_backend', [{ ended: true }]],
      [
        'active_pid AS pid',
        () =>
          looks++ < 2
            ? [
                {
                  pid: 9,
                  application: 'pg2kinesis until then',
                  user: 'cdc',
                  state: 'active',
                  age: 3,
                  ours: true,
                  ends_in_ms: null,
                },
              ]
            : [],
      ],
    ]);
    let now = NOW;
    const clock: Clock = {
      ...server.clock,
      now: () => (now += 1_500),
      sleep: (ms, signal) => (ms === 200 ? Promise.resolve() : server.clock.sleep(ms, signal)),
    };
    const session = await opened(server, { clock });
    assert.deepEqual([session.tookOver, session.tookOverAt], [true, undefined]);
    await session.close();
    await using quiet = await serverFor();
    await (await opened(quiet)).close();
    assert.equal(quiet.valuesOf('active_pid AS pid').length, 0);
  });

  it('with a slot that cannot be read fails as it says, and closes', async () => {
    for (const [slot, code] of [
      [null, 'SLOT_MISSING'],
      [{ ...SLOT, plugin: 'pgoutput' }, 'WRONG_PLUGIN'],
    ] as const) {
      await using server = await serverFor([['AS level', [{ level: 'logical', recovery: false, num: 160004, slot }]]]);
      await assert.rejects(server.sessions(), { code });
      await eventually(server.allGone, 'both are closed');
    }
    await using refusing = await serverFor([['AS level', '55006']]);
    await assert.rejects(refusing.sessions(), { code: 'SLOT_BUSY', what: /"s"/ });
  });

  it('lets the plugin prepare itself once the slot is found good', async () => {
    await using server = await serverFor();
    const prepared: [string, number][] = [];
    const plugin = {
      ...server.database().plugin,
      prepare: (_: unknown, slot: string) =>
        Promise.resolve(void prepared.push([slot, server.valuesOf('AS level').length])),
    } as SlotPlugin;
    const session = await opened(server, { database: server.database({}, { plugin }) });
    assert.deepEqual(prepared, [['s', 1]]);
    await session.close();
  });

  it('has snapshots and reads ahead where the server can', async () => {
    const has = async (version: string, recovery: boolean) => {
      await using server = await serverFor([
        ['AS encoding', [{ version, encoding: 'UTF8' }]],
        ['AS started', [{ started: 'then', recovery, system: '7', timeline: '1', wal_end: '0/30' }]],
        ['AS level', [{ level: 'logical', recovery, num: Number(version), slot: SLOT }]],
      ]);
      const session = await opened(server);
      await session.close();
      return [session.ahead !== undefined, session.snapshots !== undefined];
    };
    assert.deepEqual(await has('180000', false), [true, true]);
    assert.deepEqual(await has('180000', true), [false, false]);
    assert.deepEqual(await has('110000', false), [false, true]);
  });

  it('waits for the standbys of the server where its slot is a failover slot, and only there', async () => {
    for (const failover of [undefined, false, true]) {
      const slot = failover === undefined ? SLOT : { ...SLOT, failover };
      await using server = await serverFor([
        ['AS level', [{ level: 'logical', recovery: false, num: 170004, slot }]],
        ['AS readable', [{ readable: '0/30', flush: '0/30', standbys: null }]],
      ]);
      const session = await opened(server);
      await session.slot.standbyBound();
      await session.close();
      assert.equal(server.valuesOf('synchronized_standby_slots').length, failover === true ? 1 : 0);
    }
  });

  it('hands its text to who waits for the lock, keeps it there, and then closes the other connection', async () => {
    const text = 'left off';
    const statement = `SELECT 'pg2kinesis left off at ${Buffer.from(text).toString('base64')}' AS position`;
    for (const isAwaited of [true, false]) {
      await using server = await serverFor([
        ['SELECT l.pid, l.granted', [{ pid: MAIN, granted: true }, ...(isAwaited ? [{ pid: 9, granted: false }] : [])]],
      ]);
      const session = await opened(server);
      server.waits.find(({ ms }) => ms === 1_000)?.pass();
      await eventually(
        () =>
          server.open().filter((ms) => ms === 1_000).length === 2 ||
          server.waits.filter(({ ms }) => ms === 1_000).length === 2,
        'the watch has looked',
      );
      assert.equal(session.isLockAwaited(), isAwaited);
      const closing = session.close(text);
      if (isAwaited) {
        await eventually(() => server.waits.some(({ ms }) => ms === 500), 'it is kept there');
        assert.equal(server.sent.find(({ text: said }) => said === statement)?.pid, CONTROL);
        await eventually(() => server.visitors.find(({ pid }) => pid === MAIN)?.isGone() === true, 'the lock is free');
        assert.equal(server.visitors.find(({ pid }) => pid === CONTROL)?.isGone(), false);
        server.waits.find(({ ms }) => ms === 500)?.pass();
      }
      await closing;
      assert.equal(
        server.sent.some(({ text: said }) => said === statement),
        isAwaited,
      );
      await eventually(server.allGone, 'both are closed');
    }
  });

  it('reads what was handed over, if it follows one that lingers', async () => {
    const text = 'left off';
    const query = `SELECT 'pg2kinesis left off at ${Buffer.from(text).toString('base64')}' AS position`;
    for (const [over, expected] of [
      [{ holderEndsWithinMs: 0 }, text],
      [{}, undefined],
    ] as const) {
      await using server = await serverFor([['SELECT a.query', [{ query }]]]);
      const session = await opened(server, over);
      assert.equal(session.handedOver, expected);
      await session.close();
    }
  });

  it('reads names of types again before keys', async () => {
    await using server = await serverFor();
    const read: unknown[] = [];
    const types = (name: string) => ({
      read: (_connection: unknown, consumed: unknown) => Promise.resolve(read.push([name, consumed])),
    });
    const typeCatalog = types('catalog') as unknown as TypeCatalog;
    const typeNames = types('names') as unknown as TypeNames;
    const session = await opened(server, { typeNames, typeCatalog });
    await session.keys.refreshIfStale(7n).catch(() => undefined);
    await eventually(() => read.length === 2, 'they are read');
    // A name that is not so new is still in the catalog, and not the other way round.
    assert.deepEqual(read, [
      ['names', 7n],
      ['catalog', 7n],
    ]);
    await session.close();
  });

  it('I1: fails with SERVERS_DIFFER where it needs a connection for replication, and that leads to another server', async () => {
    const here = { recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' };
    await using server = await serverFor([
      ['AS encoding', [{ version: '120000', encoding: 'UTF8' }]],
      ['AS started', ({ pid }) => [{ ...here, started: pid > CONTROL ? 'later' : 'then' }]],
      ['START_REPLICATION', '55006'],
    ]);
    const session = await opened(server);
    await assert.rejects(session.slot.skip(0x40n), { code: 'SERVERS_DIFFER', what: /The slot was not advanced\.$/ });
    assert.equal(server.valuesOf('START_REPLICATION').length, 0);
    await session.close();
    await eventually(server.allGone, 'all are closed');
  });

  for (const [what, part, code, act] of [
    ['the slot’s position', 'confirmed_flush_lsn::text, restart_lsn::text', '57P01', ({ slot }) => slot.position()],
    ['the end of the WAL', 'AS readable', '08006', ({ slot }) => slot.standbyBound()],
    ['an advance', 'AS lsn FROM pg_replication_slot_advance', '57014', ({ slot }) => slot.advance(1n)],
    ['a slot that is lost', 'confirmed_flush_lsn::text, restart_lsn::text', '55000', ({ slot }) => slot.position()],
    ['keys', 'AS print', '57P01', ({ keys }) => keys.refreshIfStale(0n)],
    ['a snapshot’s message', 'pg_logical_emit_message', '57P01', ({ snapshots }) => snapshots?.write('x')],
  ] as const satisfies [string, string, string, (session: Session) => Promise<unknown> | undefined][])
    it(`says nothing untrue of what was read before where this fails in a run: ${what}`, async () => {
      let isRunning = false;
      const level = { level: 'logical', recovery: false, num: 160004 };
      await using server = await serverFor([
        [part, code],
        [
          'AS level',
          () => [{ ...level, slot: isRunning && code === '55000' ? { ...SLOT, wal_status: 'lost' } : SLOT }],
        ],
      ]);
      const session = await opened(server);
      isRunning = true;
      const failure = await Promise.resolve(act(session)).then(
        () => assert.fail('it did not fail'),
        (error: unknown) => error,
      );
      assert.ok(failure instanceof PipelineError);
      assert.match(failure.what, / The slot was not advanced over what was not acknowledged\.$/);
      await session.close();
    });

  it('I6: that loses its connection says so', async () => {
    await using server = await serverFor();
    const session = await opened(server);
    server.cut();
    await eventually(() => session.lost.aborted, 'it is lost');
    assert.equal((session.lost.reason as { code: string }).code, 'DATABASE_UNREACHABLE');
    await session.close();
  });
});
