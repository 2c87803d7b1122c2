/** Reading ahead on a real server: what copies of the slot show, what they leave behind, and what becomes of those that fail. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Lsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import { pluginParts } from '../../../lambda/plugin-parts.ts';
import type { AheadSource } from '../../../lambda/ports/read-ahead.ts';
import type { Session } from '../../../lambda/ports/session.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
import { APPLICATION_NAME_PREFIX } from '../../../lambda/postgres/session-settings.ts';
import { supportsSlotCopies } from '../../../lambda/postgres/slot-copies.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { databaseOf, eventually, memoryLog, sessionOn, told } from './fixtures.ts';

const IDENTITY = { systemIdentifier: '1', startedAt: '', inRecovery: false, timeline: 1, walEnd: 0n };

describe('copies of a slot', () => {
  it('are made where a server can, and moves them safely', () => {
    const supports = (versionNum: number, inRecovery = false) =>
      supportsSlotCopies({ versionNum, identity: { ...IDENTITY, inRecovery } });
    assert.deepEqual(
      [110022, 120022, 130020].map((version) => supports(version)),
      [false, false, false],
    );
    assert.deepEqual(
      [130021, 170004, 170005, 180000].map((version) => supports(version)),
      [true, false, true, true],
    );
    assert.equal(supports(180000, true), false);
  });

  describe('on a server with four slots', () => {
    let server: PostgresServer;
    before(async () => {
      server = await startPostgres({ settings: { max_replication_slots: '4' } });
      await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
      await server.sql('CREATE PUBLICATION published FOR TABLE t');
    });
    after(() => server.stop());

    /** Two transactions, on a slot of its own, a session on that, and what reads ahead. Undefined: the server is too old. */
    async function prepared(
      name: string,
      plugin: 'test_decoding' | 'pgoutput' = 'test_decoding',
      others: readonly string[] = [],
    ) {
      await server.sql('TRUNCATE t');
      for (const other of others) await server.createSlot(other);
      await server.createSlot(name, plugin);
      const log = memoryLog();
      const parts = pluginParts(plugin, plugin === 'pgoutput' ? ['published'] : [], undefined, false);
      const database = databaseOf(server, {}, {}, parts.plugin);
      const session = await sessionOn(server, name, { log, database, decoder: parts.decoder });
      for (const id of [1, 2, 3]) await server.sql('INSERT INTO t VALUES ($1)', [id]);
      const commits = await commitsOf(session);
      const upto = await session.slot.flushLsn();
      const end = async () => {
        await session.close();
        await server.sql('SELECT pg_drop_replication_slot($1)', [name]);
      };
      return { session, ahead: session.ahead, log, commits, upto, end };
    }

    async function commitsOf(session: Session): Promise<Lsn[]> {
      const lsns: Lsn[] = [];
      const peek = session.slot.peek(await session.slot.flushLsn(), undefined, 30_000);
      for await (const block of peek)
        for (let message = block.next(); message !== undefined; message = block.next())
          if (message.kind === 'commit') lsns.push(message.transaction.commitLsn);
      await peek.close();
      return lsns;
    }

    const flushed = async (): Promise<Lsn> => {
      const [row] = await server.sql<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
      return parseLsn(row?.lsn ?? '') ?? 0n;
    };
    const slots = async (): Promise<number> =>
      Number((await server.sql<{ n: string }>('SELECT count(*) AS n FROM pg_replication_slots'))[0]?.n);
    const backends = async (): Promise<number> =>
      Number(
        (
          await server.sql<{ n: string }>('SELECT count(*) AS n FROM pg_stat_activity WHERE application_name LIKE $1', [
            `${APPLICATION_NAME_PREFIX}%`,
          ])
        )[0]?.n,
      );
    const linesOf = async (peek: Peek | undefined): Promise<string[]> =>
      peek === undefined ? assert.fail('it could not be had') : await told(peek);
    const begin = (ahead: AheadSource, from: Lsn | undefined, upto: Lsn, limit = 1_000) =>
      ahead.begin(from ?? assert.fail('no commit'), upto, limit, 30_000);

    it('I2: show what lies behind a commit, up to the limits, in turn, while the slot stays', async () => {
      const { session, ahead, commits, upto, end } = await prepared('shown');
      if (ahead === undefined) return await end();
      const position = await session.slot.position();
      const first = await begin(ahead, commits[0], upto, 1);
      // While one is not read yet, the next is asked for.
      const second = begin(ahead, commits[1], upto);
      assert.equal(first?.lastCommit, undefined, 'nothing of it is taken');
      assert.deepEqual(await linesOf(first), ['B', 'INSERT public.t 2', 'C']);
      const whole = await second;
      assert.deepEqual(await linesOf(whole), ['B', 'INSERT public.t 3', 'C']);
      assert.equal(whole?.lastCommit, commits[2]);
      assert.deepEqual(await linesOf(await begin(ahead, commits[1], commits[1] ?? 0n)), []);
      assert.deepEqual(await session.slot.position(), position);
      assert.equal(await slots(), 3);
      await ahead.close();
      await eventually(async () => (await slots()) === 1, 'the copies are gone');
      assert.equal(ahead.isOver, true);
      assert.deepEqual(await told(session.slot.peek(upto, 1, 30_000)), ['B', 'INSERT public.t 1', 'C']);
      await end();
      await eventually(async () => (await backends()) === 0, 'nothing is left');
    });

    it('tell of their tables each time by pgoutput, which says it once in a peek', async () => {
      if (server.version < 11) return;
      const { ahead, commits, upto, end } = await prepared('tables', 'pgoutput');
      if (ahead === undefined) return await end();
      for (const [from, id] of [
        [commits[0], 2],
        [commits[1], 3],
        [commits[0], 2],
        [commits[1], 3],
      ] as const)
        assert.deepEqual(await linesOf(await begin(ahead, from, upto, 1)), [
          'B',
          'ignored',
          `INSERT public.t ${id}`,
          'C',
        ]);
      await end();
    });

    it('are given up where fewer than three slots are free, before any is read, and the log says so', async () => {
      const { ahead, log, commits, upto, end } = await prepared('crowded', 'test_decoding', ['another']);
      if (ahead !== undefined) {
        assert.equal(await begin(ahead, commits[0], upto), undefined);
        assert.equal(ahead.isOver, true);
        await eventually(async () => (await slots()) === 2, 'the copy that was made is gone');
        assert.match(log.lines.join('\n'), /Reading ahead is over for this run.*"slot":"crowded","reason":"53400"/);
      }
      await server.sql(`SELECT pg_drop_replication_slot('another')`);
      await end();
    });

    it('are streamed to the end, whatever becomes of the next', async () => {
      const rows = 40_000;
      for (const next of ['beyond', 'late', 'closed'] as const) {
        const { ahead, commits, end } = await prepared(`streamed_${next}`);
        if (ahead === undefined) return await end();
        await server.sql(`INSERT INTO t SELECT s FROM generate_series(10, ${rows + 9}) s`);
        const upto = await flushed();
        const peek = await begin(ahead, commits[2], upto, rows * 2);
        assert.ok(peek);
        let read = 0;
        for await (const block of peek) {
          if (read === 0) {
            const given = ahead.begin(
              next === 'beyond' ? upto + 0x1000000n : upto,
              upto,
              1_000,
              next === 'late' ? 0 : 30_000,
            );
            if (next === 'closed') await ahead.close();
            assert.equal(await given, undefined);
            assert.equal(ahead.isOver, true);
          }
          while (block.next() !== undefined) read++;
        }
        assert.equal(read, rows + 2);
        await eventually(async () => (await slots()) === 2, 'only its copy is there while it is read');
        await peek.close();
        await eventually(async () => (await slots()) === 1, 'its copy goes with it');
        await end();
      }
    });

    it('say that a connection was lost while one was published, and nothing untrue of what was read', async () => {
      const { ahead, commits, end } = await prepared('ended');
      if (ahead === undefined) return await end();
      await server.sql(`INSERT INTO t SELECT s FROM generate_series(10, 200000) s`);
      const peek = await begin(ahead, commits[2], await flushed(), 1_000_000);
      assert.ok(peek);
      const reading = (async () => {
        let isEnded = false;
        for await (const block of peek) {
          if (!isEnded) {
            isEnded = true;
            await server.sql(
              `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE temporary AND active_pid IS NOT NULL`,
            );
          }
          while (block.next() !== undefined);
        }
      })();
      await assert.rejects(reading, {
        name: 'DATABASE_UNREACHABLE',
        message:
          /The connection that read ahead from slot "ended" was lost[.] The slot was not advanced over what was not ack/,
      });
      await peek.close();
      await ahead.close();
      await end();
    });

    it('I2: are given up where a copy is not exactly where the peek before it ended', async () => {
      const { ahead, upto, end } = await prepared('beyond');
      if (ahead === undefined) return await end();
      assert.equal(await begin(ahead, upto + 0x100000n, upto + 0x200000n), undefined);
      assert.equal(ahead.isOver, true);
      await end();
    });

    it('are given up when their time is over, and nothing is left', async () => {
      const { ahead, commits, upto, end } = await prepared('late');
      if (ahead === undefined) return await end();
      assert.equal(await ahead.begin(commits[0] ?? 0n, upto, 1_000, 0), undefined);
      await eventually(async () => (await slots()) === 1, 'the copies are gone');
      await end();
    });

    it('I6: are gone when the lock is lost', async () => {
      const { session, ahead, commits, upto, end } = await prepared('lost');
      if (ahead === undefined) return await end();
      const peek = await begin(ahead, commits[0], upto);
      assert.ok(peek);
      await eventually(async () => (await backends()) === 4, 'both read ahead');
      await server.sql(
        `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND a.application_name LIKE $1`,
        [`${APPLICATION_NAME_PREFIX}%`],
      );
      await eventually(() => Promise.resolve(session.lost.aborted), 'the loss is noticed');
      await eventually(async () => (await backends()) === 0 && (await slots()) === 1, 'the copies are gone');
      assert.equal(await begin(ahead, commits[1], upto), undefined);
      await peek.close();
      await end();
    });

    it('are gone with the session, also where a peek that was read ahead was never taken', async () => {
      const { ahead, commits, upto, end } = await prepared('untaken');
      if (ahead === undefined) return await end();
      assert.ok(await begin(ahead, commits[0], upto));
      await ahead.close();
      await end();
      await eventually(async () => (await backends()) === 0 && (await slots()) === 0, 'nothing is left');
    });

    it('are closed while their connections are still being opened', async () => {
      const { ahead, commits, upto, end } = await prepared('early');
      const given = ahead === undefined ? undefined : begin(ahead, commits[0], upto);
      await ahead?.close();
      assert.equal(await given, undefined);
      await end();
      await eventually(async () => (await backends()) === 0, 'nothing is left');
    });
  });
});
