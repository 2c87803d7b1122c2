// How a copy begins, is compared, and takes over: --create-tables, --verify and --finish, end to end.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { eventually } from '../chaos/environment.ts';
import { beginCli, runCli } from '../support/cli.ts';
import { randomOf } from './rules/model/random.ts';
import { BANK, Bank, BANK_TABLES, FILL } from './support/bank.ts';
import { fakeDump, SOURCE } from './support/dumped.ts';
import { hashes, kill, ReplicaRig } from './support/replica-rig.ts';

let rig: ReplicaRig;
let dir: string;
let program: string;
let later: string;

const replicate = (...flags: string[]) => runCli(['replicate', ...flags], rig.env());

describe('a copy that begins with nothing', () => {
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-test-'));
    later = join(dir, 'later.sql');
    program = fakeDump(dir, 99);
    rig = await ReplicaRig.start();
    await rig.source.sql(SOURCE);
    await rig.source.sql(`${FILL}; INSERT INTO public.fixed VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
    await rig.source.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc');
    await rig.createSlot();
  });
  after(async () => {
    await rig.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('refuses to make tables without the source, or with a pg_dump that is missing or too old', async () => {
    const cases: readonly (readonly [flags: readonly string[], message: RegExp])[] = [
      [[], /REPLICA_USAGE: --create-tables needs the source's address/],
      [
        ['--from', rig.from, '--pg-dump', join(dir, 'none')],
        /REPLICA_USAGE: .*cannot be run\. Nothing was made\. The source is PostgreSQL \d+/,
      ],
      [
        ['--from', rig.from, '--pg-dump', fakeDump(dir, 9)],
        /REPLICA_USAGE: .* is of PostgreSQL 9, and the source is PostgreSQL \d+/,
      ],
      [['--from', 'postgres://me:secret@127.0.0.1:1/x?sslmode=disable', '--pg-dump', program], /SOURCE_UNREACHABLE/],
    ];
    for (const [flags, message] of cases) {
      const { status, err } = await replicate('--create-tables', later, ...flags);
      assert.notEqual(status, 0);
      assert.match(err, message);
      assert.doesNotMatch(err, /secret/);
    }
    assert.ok(!existsSync(later));
  });

  it('makes tables and keys in one transaction, and leaves indexes and foreign keys for later', async () => {
    const none = await replicate('--verify', '--from', rig.from);
    assert.match(none.err, /REPLICA_USAGE: There is no copy "pg2kinesis" in this database/);
    await rig.target.sql('CREATE TABLE public.left_accounts (id integer)');
    const flags = ['--once', '--create-tables', later, '--from', rig.from, '--pg-dump', program];
    const refused = await replicate(...flags);
    assert.equal(refused.status, 3);
    assert.match(refused.err, /DEFINITIONS_REFUSED: .*already exists.* Use an empty database/);
    assert.ok(!existsSync(later));
    await rig.target.sql('DROP TABLE public.left_accounts');
    await rig.drain();
    const { status, err } = await replicate(...flags);
    assert.equal(status, 0, err);
    assert.match(err, /Made the tables of "postgres", with their keys\./);
    assert.match(err, /Not taken over: 1 TRIGGER\./);
    assert.match(
      err,
      /pg2kinesis snapshot --tables 'public\.fixed,public\.left_accounts,public\.orders,public\.right_accounts'/,
    );
    const script = readFileSync(later, 'utf8');
    assert.match(script, /CREATE INDEX orders_day/);
    assert.match(script, /FOREIGN KEY/);
    assert.doesNotMatch(script, /TRIGGER|PRIMARY KEY/);
    // A service's command line stays as it is.
    const again = await replicate(...flags);
    assert.equal(again.status, 0, again.err);
    assert.match(again.err, /The copy has begun: --create-tables makes nothing\./);
  });

  it('refuses an update of a row that it does not have, unless a snapshot is awaited', async () => {
    await rig.target.sql('CREATE DATABASE rowless');
    const client = await rig.target.client({ database: 'rowless' });
    await client.query(BANK);
    // Not all of its columns are sent.
    await rig.source.sql('UPDATE public.left_accounts SET amount = amount WHERE id = 1');
    await rig.drain();
    const refused = await rig.catchUp([], 'rowless');
    assert.equal(refused.status, 3, refused.err);
    assert.match(refused.err, /MISSING_ROW: .* with --await-snapshot \(/);
    await client.query('DELETE FROM pg2kinesis.replica');
    await client.end();
    const { status, err, out } = await rig.catchUp(['--await-snapshot'], 'rowless');
    assert.equal(status, 0, err);
    const end = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    assert.equal(end['copying'], 'awaited');
    assert.ok(Number(end['awaitingRead']) > 0);
  });

  it('is found equal under load, and different where it is, by key', async () => {
    const snapshot = await rig.environment.container({ MARKS: 'on' });
    await snapshot.run({ action: 'snapshot', tables: ['public.fixed', ...BANK_TABLES] });
    await snapshot.kill();
    const early = await replicate('--verify', '--from', rig.from);
    assert.equal(early.status, 1);
    assert.match(early.err, /VERIFY_IMPOSSIBLE: A snapshot is still to bring rows/);
    assert.equal((await rig.catchUp()).status, 0);
    await rig.target.sql(readFileSync(later, 'utf8'));
    const bank = new Bank(await rig.source.client(), 7);
    const { int } = randomOf(7);
    const over = new AbortController();
    const container = await rig.environment.container({ MARKS: 'on' });
    const write = async (): Promise<void> => {
      for (; !over.signal.aborted; await wait(int(20))) await bank.write();
    };
    const run = async (): Promise<void> => {
      while (!over.signal.aborted) await container.invoke({ action: 'run', maxSeconds: 5 });
    };
    const replica = rig.begin();
    const others = [write(), run()];
    try {
      for (let i = 0; i < 2; i++) {
        const { status, out, err } = await replicate('--verify', '--json', '--from', rig.from);
        assert.equal(status, 0, `${err}${out}`);
        assert.match(err, /Equal: 4 tables, \d+ rows, at /);
        assert.match(out, /"table":"public\.left_accounts","equal":true,"rows":10\}/);
      }
      await rig.source
        .sql(`CREATE TABLE public.lacking (id integer PRIMARY KEY); CREATE TABLE public."key\nless" (id integer);
        ALTER TABLE public.fixed ADD more text`);
      const lacks = await replicate('--verify', '--from', rig.from);
      assert.equal(lacks.status, 3, lacks.err);
      assert.match(
        lacks.err,
        /^public\.lacking is not at the copy, and was not compared\.\nThe column public\.fixed\.more is not at the copy, and was not compared\.\npublic\."key\\nless" has no primary key, and was not compared\.$/m,
      );
      assert.match(lacks.err, /COPY_DIFFERS: 4 tables are equal to .*; 3 tables or columns of it were not compared\./);
      const skipped = await replicate('--verify', '--skip-lacking', '--from', rig.from);
      assert.equal(skipped.status, 0, skipped.err);
      assert.match(skipped.err, /^public\.lacking is not[^]*Equal: 4 tables/m);
      await rig.source.sql('DROP TABLE public.lacking, public."key\nless"; ALTER TABLE public.fixed DROP more');
      await rig.target.sql(`UPDATE public.fixed SET v = 'secret' WHERE id = 3;
        INSERT INTO public.fixed VALUES (77, 'secret'); DELETE FROM public.fixed WHERE id = 2`);
      const { status, out, err } = await replicate('--verify', '--from', rig.from);
      assert.equal(status, 3, err);
      assert.match(err, /COPY_DIFFERS: 1 of 4 tables differ/);
      assert.match(out, /^public\.fixed: missing: \(2\); extra: \(77\); different: \(3\)$/m);
      assert.doesNotMatch(out + err, /secret/);
    } finally {
      over.abort();
      await Promise.all(others);
      await kill(replica);
      await container.kill();
    }
  });

  it('is not compared with itself, with another server, or with one that is behind it, and takes over from none', async () => {
    const { user, password, host, port } = rig.target.connection;
    const itself = `postgres://${user}:${password}@${host}:${port}/postgres?sslmode=disable`;
    const [saved] = await rig.target.sql<Record<'cut' | 'system' | 'timelines', string>>(
      'SELECT cut::text, system, lane_timelines::text AS timelines FROM pg2kinesis.replica',
    );
    const save = ({ cut = saved?.cut, system = saved?.system, timelines = saved?.timelines } = {}) =>
      rig.target.sql(
        `UPDATE pg2kinesis.replica SET cut = '${cut}', system = '${system}', lane_timelines = '${timelines}'`,
      );
    for (const [over, from, said] of [
      [{}, itself, /REPLICA_USAGE: --from leads to the database of the copy itself\./],
      [{ system: '77' }, rig.from, /REPLICA_USAGE: --from leads to another server \(system identifier \d+\) .*\(77\)/],
      [{ timelines: '{1,9}' }, rig.from, /REPLICA_USAGE: .* before a failover: it is on timeline 1, .* timeline 9\./],
      [{ cut: 'FF/0' }, rig.from, /(VERIFY_IMPOSSIBLE|SOURCE_UNREACHABLE): .*, and the copy at FF\/0 already/],
    ] as const)
      for (const flag of ['--verify', '--finish']) {
        await save(over);
        const { status, out, err } = await replicate(flag, '--from', from);
        assert.equal(status, 'cut' in over ? 1 : 2, err);
        assert.match(err, said);
        assert.equal(out, '');
      }
    await save();
    await rig.source.sql('CREATE DATABASE empty');
    await rig.target.sql(`UPDATE pg2kinesis.replica SET cut = '0/0', stop_at = NULL`);
    const nothing = replicate('--verify', '--from', rig.from.replace('/postgres?', '/empty?'));
    await eventually(async () => {
      const waits = await rig.target.sql('SELECT FROM pg2kinesis.replica WHERE stop_at > cut');
      return waits.length > 0;
    }, 'it is at work');
    await rig.target.sql('UPDATE pg2kinesis.replica SET cut = stop_at');
    const { status, err } = await nothing;
    assert.equal(status, 1, err);
    assert.match(err, /VERIFY_IMPOSSIBLE: There is no table that both have/);
    await save();
  });

  it('says so where --verify or --finish is ended before it was done, and exits with 1', async () => {
    for (const [flag, said] of [
      ['--verify', /^Ended before all tables were compared\. Start it again\.$/m],
      ['--finish', /^Ended before the copy had come to [0-9A-F/]+: no sequence was looked at\. Start it again\.$/m],
    ] as const) {
      // Nothing of it is published, so the copy does not come so far.
      await rig.source.sql('UPDATE public.left_accounts SET amount = amount WHERE id = 1');
      const running = beginCli(['replicate', flag, '--from', rig.from], rig.env());
      // The one has told a replica where to stop, which nobody is at work to do; the other holds a connection to the source.
      const isAtWork =
        flag === '--verify'
          ? () => rig.target.sql('SELECT 1 FROM pg2kinesis.replica WHERE stop_at > cut')
          : () => rig.source.sql(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg2kinesis replicate'`);
      await eventually(async () => (await isAtWork()).length > 0, 'it is at work');
      running.interrupt();
      const { status, out, err } = await running.ended;
      assert.equal(status, 1, err);
      assert.match(err, said);
      assert.doesNotMatch(out, /setval/);
    }
    await rig.drain();
    assert.equal((await rig.catchUp()).status, 0);
  });

  it('comes to the source’s end, and has its sequences set', async () => {
    await rig.source.sql(
      `SELECT nextval('public.numbers'), nextval('public.numbers'); CREATE SEQUENCE public."la\nter"`,
    );
    const { status, out, err } = await rig.drainDuring(replicate('--finish', '--from', rig.from));
    assert.equal(status, 0, err);
    assert.match(out, /^SELECT pg_catalog\.setval\('public\.numbers', 2, true\);$/m);
    assert.match(err, /^The sequence public\."la\\nter" is not at the copy\.$/m);
    const set = await rig.drainDuring(replicate('--finish', '--yes', '--from', rig.from));
    assert.equal(set.status, 0, set.err);
    assert.deepEqual(await rig.target.sql('SELECT last_value::int, is_called FROM public.numbers'), [
      { last_value: 2, is_called: true },
    ]);
    assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(rig.source, BANK_TABLES));
  });
});
