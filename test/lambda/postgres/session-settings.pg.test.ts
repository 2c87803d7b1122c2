/** Every setting that a session can have is pinned, or harmless for a reason that is written down. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import { pinnedSettings } from '../../../lambda/postgres/session-settings.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { databaseOf, openOn, sessionOn, soon, told } from './fixtures.ts';
import { HARMLESS } from './harmless-settings.ts';

describe('the settings of a session', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.sql(`CREATE ROLE app LOGIN SUPERUSER PASSWORD 'p'`);
  });
  after(() => server.stop());

  const times = { statementsMs: 45_000, lifeMs: 60_000, workMem: true };
  const pinned = new Map(pinnedSettings(times));
  const harmless = new Set(
    Object.values(HARMLESS)
      .join(' ')
      .split(/\s+/)
      .filter((name) => name !== ''),
  );
  const ofSessions = () =>
    server.sql<{ name: string; vartype: string; setting: string; enumvals: string[] | null; min: string; max: string }>(
      `SELECT name, vartype, setting, enumvals, min_val AS min, max_val AS max FROM pg_settings
        WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') AND name NOT LIKE '%.%'`,
    );

  it('are all pinned, or harmless for a reason', async () => {
    const unknown = (await ofSessions())
      .map(({ name }) => name)
      .filter((name) => !pinned.has(name) && !harmless.has(name));
    assert.deepEqual(unknown, [], 'pin each, or say why it is harmless');
  });

  it('are what was pinned, whatever the role is set to', async () => {
    const settings = await ofSessions();
    const strange: Record<string, string> = {
      search_path: 'public',
      TimeZone: 'Asia/Tokyo',
      DateStyle: 'German',
      IntervalStyle: 'sql_standard',
      lc_monetary: 'C.UTF-8',
      client_encoding: 'LATIN1',
      statement_timeout: '7min',
      lock_timeout: '1ms',
      transaction_timeout: '6min',
      idle_in_transaction_session_timeout: '6min',
      idle_session_timeout: '6min',
      work_mem: '64kB',
      logical_decoding_work_mem: '64kB',
      client_min_messages: 'debug5',
    };
    const other = ({ name, vartype, setting, enumvals, max }: (typeof settings)[number]): string => {
      if (strange[name] !== undefined) return strange[name];
      if (vartype === 'bool') return setting === 'on' ? 'off' : 'on';
      return enumvals?.find((value) => value !== pinned.get(name)) ?? (setting === max ? '1' : max);
    };
    let changed = 0;
    for (const setting of settings.filter(({ name }) => pinned.has(name))) {
      // A platform may refuse some values; none of those that end a session.
      const done = await server.sql(`ALTER ROLE app SET ${setting.name} = '${other(setting)}'`).catch(() => undefined);
      if (done !== undefined) changed++;
    }
    assert.ok(changed > 15);
    const connection = await open(databaseOf(server, { user: 'app', password: 'p' }), {
      deadline: soon(),
      workMem: true,
    });
    const { rows } = await connection.query('SELECT name, current_setting(name) AS value, setting FROM pg_settings');
    const found = new Map(rows.map(({ name, value }) => [String(name), String(value)]));
    for (const [name, value] of pinned) {
      if (!found.has(name) || /^(statement_|idle_in_|tcp_)/.test(name)) continue;
      assert.equal(found.get(name), value, name);
    }
    for (const name of ['transaction_timeout', 'lock_timeout', 'idle_session_timeout'])
      assert.equal(found.get(name) ?? '0', '0', name);
    await connection.client.end();
    await server.sql('ALTER ROLE app RESET ALL');
  });

  it('that are for plans change neither a peek’s rows nor their order', async () => {
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
    await server.createSlot('s');
    for (let i = 0; i < 5; i++)
      await server.sql('INSERT INTO t SELECT generate_series(10 * $1::int, 10 * $1::int + 9)', [i]);
    const read = async () => {
      const session = await sessionOn(server, 's', { database: databaseOf(server, { user: 'app', password: 'p' }) });
      const lines = await told(session.slot.peek(await session.slot.flushLsn(), undefined, 30_000));
      const keys = await session.keys.reload();
      await session.close();
      return { lines, keys };
    };
    const plain = await read();
    assert.equal(plain.lines.length, 60);
    for (const { name, vartype, setting } of await ofSessions()) {
      if (name.startsWith('enable_') && vartype === 'bool')
        await server.sql(`ALTER ROLE app SET ${name} = ${setting === 'on' ? 'off' : 'on'}`);
    }
    await server.sql('ALTER ROLE app SET cpu_operator_cost = 1e6; ALTER ROLE app SET join_collapse_limit = 1');
    await server.sql('ALTER ROLE app SET geqo_threshold = 2; ALTER ROLE app SET parallel_setup_cost = 0');
    assert.deepEqual(await read(), plain);
    await server.sql('ALTER ROLE app RESET ALL');
  });

  it('let a statement wait for a lock, and a transaction last', async () => {
    await server.sql(`ALTER ROLE app SET lock_timeout = '1ms'; ALTER ROLE app SET exit_on_error = on`);
    const holder = await server.client();
    await holder.query('BEGIN; LOCK TABLE pg_catalog.pg_description');
    const connection = await open(databaseOf(server, { user: 'app', password: 'p' }), { deadline: soon() });
    const waiting = connection.query('SELECT count(*) FROM pg_description');
    const released = wait(100).then(() => holder.query('ROLLBACK'));
    await waiting;
    await released;
    await assert.rejects(connection.query('SELECT 1 / 0'), { code: '22012' });
    assert.equal((await connection.query('SELECT 1 AS one')).rows[0]?.['one'], 1, 'an error ends no session');
    await connection.client.end();
    await holder.end();
    await server.sql('ALTER ROLE app RESET ALL');
    await (await openOn(server)).client.end();
  });
});
