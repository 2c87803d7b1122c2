/** Options of `replicate` that other tests do not come by: how the stream is named, how often progress is told, a standby with --finish. */
import assert from 'node:assert/strict';
import { after, before, describe, it, mock } from 'node:test';
import { DescribeStreamSummaryCommand } from '@aws-sdk/client-kinesis';
import { replicate } from '../../bin/replicate/replicate.ts';
import { eventually, NAME } from '../chaos/environment.ts';
import { beginCli, runCli } from '../support/cli.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { BANK, BANK_TABLES, FILL } from './support/bank.ts';
import { emptying } from './support/by-version.ts';
import { hashes, kill, ReplicaRig } from './support/replica-rig.ts';

let rig: ReplicaRig;
let standby: PostgresServer | undefined;

const assertEqual = async (): Promise<void> =>
  assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(rig.source, BANK_TABLES));

describe('options of a replica', () => {
  before(async () => {
    rig = await ReplicaRig.start();
    await rig.createSlot();
    await Promise.all([
      rig.source.sql(`${BANK}; CREATE SEQUENCE public.numbers`),
      rig.target.sql(`${BANK}; CREATE SEQUENCE public.numbers`),
    ]);
    await rig.source.sql(FILL);
  });
  after(async () => {
    await standby?.stop();
    await rig.stop();
  });

  it('name the stream by its ARN, or by STREAM_NAME', async () => {
    const { kinesis } = rig.environment;
    await kinesis.createStream('named', 2);
    await rig.drain({ STREAM_NAME: 'named' });
    const { StreamDescriptionSummary: described } = await kinesis.client.send(
      new DescribeStreamSummaryCommand({ StreamName: 'named' }),
    );
    const byArn = await rig.catchUp(['--stream', described?.StreamARN ?? '']);
    assert.equal(byArn.status, 0, byArn.err);
    await assertEqual();
    // It goes on with the copy that is of this stream.
    const byName = await runCli(['replicate', '--once'], { ...rig.env(), STREAM_NAME: 'named' });
    assert.equal(byName.status, 0, byName.err);
    await rig.target.sql(`DELETE FROM pg2kinesis.replica; TRUNCATE ${BANK_TABLES.join()}`);
  });

  it('have progress told every ten seconds', async () => {
    const lines: string[] = [];
    let interrupt: () => void = () => undefined;
    const terminal = {
      env: rig.env(),
      stdout: { write: (text: string) => lines.push(text) },
      stderr: { write: () => true },
      on: (_: string, listener: () => void) => (interrupt = listener),
      off: () => undefined,
      exit: () => undefined,
    };
    await rig.source.sql('UPDATE public.left_accounts SET amount = amount');
    await rig.drain();
    const options = { stream: NAME, to: rig.env()['REPLICATE_TO'] ?? '', json: true, skipMissing: true };
    mock.timers.enable({ apis: ['setInterval'] });
    const running = replicate(options, terminal, { client: rig.environment.kinesis.client });
    try {
      await eventually(
        async () => (await rig.target.sql(`SELECT FROM pg2kinesis.replica WHERE cut > '0/0'`)).length > 0,
        'something is applied',
      );
      mock.timers.tick(9_999);
      assert.deepEqual(lines, []);
      mock.timers.tick(1);
      mock.timers.tick(10_000);
    } finally {
      interrupt();
      assert.equal(await running, 0);
      mock.timers.reset();
    }
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
    assert.deepEqual(events, ['progress', 'progress', 'end']);
  });

  it('compare a source at which nothing is written, once its drain has marked the state that is held', async () => {
    await rig.source.sql(emptying('public.orders', 'public.right_accounts', 'public.left_accounts'));
    await rig.source.sql(FILL);
    await rig.drain();
    const replica = rig.begin(['--skip-missing']);
    const verified = beginCli(['replicate', '--verify', '--from', rig.from], rig.env());
    try {
      await eventually(
        async () => (await rig.target.sql('SELECT FROM pg2kinesis.replica WHERE stop_at > cut')).length > 0,
        'a state of the source is held that nothing in the stream tells of',
      );
      await rig.drain();
      const { status, err } = await verified.ended;
      assert.equal(status, 0, err);
      assert.match(err, /Equal: 3 tables, 50 rows, at /);
    } finally {
      verified.interrupt();
      await kill(replica);
    }
  });

  it('take over from a standby of the source, whose sequences its user has to be allowed to read', async () => {
    standby = await rig.source.standby();
    const { host, user, password } = rig.source.connection;
    const from = (login: string) => `postgres://${login}@${host}:${standby?.port ?? 0}/postgres?sslmode=disable`;
    const finish = (login: string) =>
      rig.drainDuring(runCli(['replicate', '--finish', '--from', from(login)], rig.env()));
    await rig.source.sql(`CREATE ROLE blind LOGIN PASSWORD 'blind'; SELECT nextval('public.numbers')`);
    await eventually(async () => {
      const [row] =
        (await standby?.sql<{ n: string }>(`SELECT count(*) AS n FROM pg_roles WHERE rolname = 'blind'`)) ?? [];
      return row?.n === '1';
    }, 'the standby has the role');
    const blind = await finish('blind:blind');
    assert.equal(blind.status, 1);
    assert.match(
      blind.err,
      /SOURCE_UNREACHABLE: The sequence public\.numbers of the source cannot be read\..* GRANT SELECT ON SEQUENCE public\.numbers/,
    );
    const { status, out, err } = await finish(`${user}:${password}`);
    assert.equal(status, 0, err);
    // What a standby knows of a sequence is ahead.
    assert.match(out, /^SELECT pg_catalog\.setval\('public\.numbers', \d+, true\);$/m);
  });

  it('await a snapshot until it is over: what it gives up is missing then', async () => {
    const tables =
      'CREATE TABLE public.fits (id integer PRIMARY KEY, n integer, big text); CREATE TABLE public.oversized (LIKE public.fits INCLUDING ALL)';
    await rig.source.sql(`${tables}; INSERT INTO public.fits VALUES (1, 1, 'b');
      INSERT INTO public.oversized VALUES (1, 1, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 50000) AS i)), (2, 1, 'b');
      GRANT SELECT ON public.fits, public.oversized TO cdc`);
    await rig.drain({ TABLE_EXCLUDE_LIST: 'public\\.(fits|oversized)' });
    await rig.target.sql('CREATE DATABASE awaiting');
    const client = await rig.target.client({ database: 'awaiting' });
    await client.query(`${BANK}; ${tables}`);
    const replicating = () => rig.catchUp(['--await-snapshot', '--skip-missing'], 'awaiting');
    const copying = async () =>
      (await client.query<{ copying: unknown }>('SELECT copying FROM pg2kinesis.replica')).rows[0]?.copying;
    assert.equal((await replicating()).status, 0);
    assert.equal(await copying(), 'awaited');
    const container = await rig.environment.container({ OVERSIZE: 'fail' });
    const { snapshot } = await container.run({ action: 'snapshot', tables: ['public.fits', 'public.oversized'] });
    await container.kill();
    assert.equal(snapshot?.givenUp?.[0]?.table, 'public.oversized');
    assert.equal((await replicating()).status, 0);
    assert.equal(await copying(), null);
    const rowsOf = async (table: string) => (await client.query(`SELECT id FROM public.${table}`)).rows as unknown[];
    assert.deepEqual([await rowsOf('fits'), await rowsOf('oversized')], [[{ id: 1 }], []]);
    await client.end();
  });
});
