/**
 * `snapshot` and `snapshot-stop` through the real handler: a role that may read and nothing else, every refusal by name, a
 * scheduled run that goes on with what is left, what status, answer and metrics say.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { deaggregate } from '../../support/deaggregate.ts';
import { type EmbeddedKinesis, startKinesis } from '../../support/kinesis.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { type HandlerProcess, startHandler } from '../handler-process.ts';

interface Told {
  readonly action: string;
  readonly stopped: string;
  readonly asked?: boolean;
  readonly snapshot?: {
    readonly done: boolean;
    readonly tablesLeft: number;
    readonly rowsRead: number;
    readonly rowsPublished: number;
    readonly table?: string;
    readonly waitsFor?: string;
  };
}

describe('snapshot', () => {
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;
  let container: HandlerProcess;
  const containers: HandlerProcess[] = [];

  const start = async (over: Record<string, string> = {}): Promise<HandlerProcess> => {
    const started = await startHandler({
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGDATABASE: 'postgres',
      PGUSER: 'cdc',
      PGPASSWORD: 'pass',
      PGSSLMODE: 'disable',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
      AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
      FORMAT: 'json',
      ...over,
    });
    containers.push(started);
    return started;
  };
  const invoke = async (event: object, from = container): Promise<Told> => {
    const { answer, error } = await from.invoke(event);
    assert.equal(error, undefined, error?.message);
    return answer as Told;
  };
  const refused = async (event: object, said: RegExp, from = container): Promise<void> => {
    const { error } = await from.invoke(event);
    assert.equal(error?.name, 'SNAPSHOT_REFUSED', error?.message);
    assert.match(error.message, said);
  };
  const reads = async (): Promise<string[]> =>
    (await kinesis.readAll('pg2kinesis'))
      .flatMap(deaggregate)
      .map(({ data }) => JSON.parse(data.toString()) as { op: string; table: string; key: { id: number } })
      .filter(({ op }) => op === 'READ')
      .map(({ table, key }) => `${table} ${key.id}`);

  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startKinesis()]);
    await kinesis.createStream('pg2kinesis', 1);
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'pass'; CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT g, 'n' FROM generate_series(1, 300) g;
      CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2); CREATE TABLE secret (id int PRIMARY KEY); CREATE TABLE hidden (id int PRIMARY KEY); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
      CREATE SCHEMA closed; CREATE TABLE closed.t (id int PRIMARY KEY); CREATE TABLE no_key (id int); CREATE TABLE left_out (id int PRIMARY KEY); GRANT SELECT ON users, orders, hidden, no_key, left_out TO cdc`);
    container = await start({ TABLE_EXCLUDE_LIST: 'public.left_out' });
    await invoke({ action: 'create-slot' });
  });
  after(async () => {
    await Promise.all(containers.map((each) => each.stop()));
    await Promise.all([server.stop(), kinesis.stop()]);
  });

  it('refuses by name what cannot be read, all at once', async () => {
    const tables = ['none', 'no_key', 'secret', 'hidden', 'left_out', 'users'].map((name) => `public.${name}`);
    tables.push('closed.t');
    for (const said of [
      /There is no table "public.none"/,
      /no_key: it has no primary key/,
      /secret: this role may not read it \(.*GRANT SELECT ON "public"."secret" TO "cdc";\)/,
      /closed.t: this role may not read it \(GRANT USAGE ON SCHEMA "closed" TO "cdc"; /,
      /hidden: row-level security may hide/,
      /left_out is left out by TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST.*No snapshot was asked for/,
    ])
      await refused({ action: 'snapshot', tables }, said);
    assert.deepEqual(await reads(), []);
  });

  it('asks for nothing, and ends nothing, where there is no slot that would hold it', async () => {
    const without = await start({ SLOT_NAME: 'not_there' });
    for (const event of [{ action: 'snapshot', tables: ['public.users'] }, { action: 'snapshot-stop' }]) {
      const { error } = await without.invoke(event);
      assert.equal(error?.name, 'SLOT_MISSING', error?.message);
    }
    assert.doesNotMatch(without.output(), /A snapshot was asked for/);
  });

  it('publishes every row, and says so', async () => {
    const { action, snapshot } = await invoke({ action: 'snapshot', tables: ['public.users', 'public.orders'] });
    assert.equal(action, 'snapshot');
    assert.deepEqual(snapshot && { ...snapshot, id: '' }, {
      id: '',
      done: true,
      tablesLeft: 0,
      rowsRead: 302,
      rowsPublished: 302,
    });
    assert.equal(new Set(await reads()).size, 302);
    assert.equal((await invoke({ action: 'run' })).snapshot, undefined);
    assert.match(container.output(), /"SnapshotRowsPublished":302/);
  });

  it('waits for a transaction that was open, is not asked for twice, and ends when it is stopped', async () => {
    const writer = await server.client();
    await writer.query('BEGIN; INSERT INTO users VALUES (1000)');
    const before = (await reads()).length;
    let { snapshot } = await invoke({ action: 'snapshot', tables: ['public.users'], maxSeconds: 4 });
    // A slow machine may not have come to the table.
    for (let maxSeconds = 8; snapshot?.waitsFor === undefined && maxSeconds < 60; maxSeconds *= 2)
      ({ snapshot } = await invoke({ action: 'snapshot', maxSeconds }));
    assert.equal(snapshot?.done, false);
    assert.match(snapshot.waitsFor ?? '', /^transaction \d+/);
    await refused(
      { action: 'snapshot', tables: ['public.users'] },
      /public.users is being read already: snapshot without tables goes on with it/,
    );
    if (TESTED_MAJOR >= 12) {
      const { snapshot: state } = await invoke({ action: 'status' });
      assert.equal(state?.tablesLeft, 1);
    }
    await refused(
      { action: 'snapshot-stop', tables: ['public.none'] },
      /no table "public.none".*No snapshot was ended/,
    );
    assert.equal((await invoke({ action: 'snapshot-stop' })).asked, true);
    assert.equal((await invoke({ action: 'run' })).snapshot?.done, true);
    await writer.query('ROLLBACK');
    await writer.end();
    assert.equal((await invoke({ action: 'run' })).snapshot, undefined);
    assert.equal((await reads()).length, before);
  });

  it('is asked for by whoever makes the slot, with SNAPSHOT=initial, and taken by the runs of the schedule', async () => {
    const initial = await start({ SNAPSHOT: 'initial', SLOT_NAME: 'second', TABLE_EXCLUDE_LIST: 'closed\\..*' });
    await invoke({ action: 'create-slot' }, initial);
    // Each with its reason, but for what is not published anyway.
    const said = initial.output();
    assert.match(said, /leaves out tables whose changes are published/);
    assert.match(said, /public.secret: this role may not read it \(GRANT USAGE/);
    assert.match(said, /public.hidden: row-level security may hide/);
    assert.doesNotMatch(said, /closed.t|no_key/);
    const before = (await reads()).length;
    const { snapshot } = await invoke({ action: 'run', maxSeconds: 20 }, initial);
    assert.equal(snapshot?.done, true);
    // What cannot be read is left out, and named.
    assert.equal((await reads()).length - before, 302);
  });

  it('leaves no slot behind of which not all tables fit into one request', async () => {
    // What is not ASCII takes six bytes of a message.
    const name = (number: number | string): string => `${number}${'ä'.repeat(29)}`;
    await server.sql('CREATE DATABASE crowded');
    const owner = await server.client({ database: 'crowded' });
    await owner.query(`CREATE SCHEMA "${name('s')}"; GRANT USAGE ON SCHEMA "${name('s')}" TO cdc`);
    await owner.query(
      `DO $$ BEGIN FOR n IN 100..749 LOOP EXECUTE format('CREATE TABLE %I.%I (id int PRIMARY KEY)', '${name('s')}', n || '${name('')}'); END LOOP; END $$`,
    );
    await owner.query(`GRANT SELECT ON ALL TABLES IN SCHEMA "${name('s')}" TO cdc`);
    await owner.end();
    const over = { SNAPSHOT: 'initial', SLOT_NAME: 'crowded', PGDATABASE: 'crowded' };
    const all = await start(over);
    await refused({ action: 'create-slot' }, /650 tables are too many.*No snapshot was asked for.*SNAPSHOT=none/, all);
    assert.match(all.output(), /The slot was dropped again/);
    assert.deepEqual(await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = 'crowded'`), []);
    const some = await start({ ...over, TABLE_EXCLUDE_LIST: '.*\\.[5-7]\\d\\d.*' });
    await invoke({ action: 'create-slot' }, some);
    assert.match(some.output(), /A snapshot was asked for/);
  });

  it('is refused where the plugin sends no messages', async () => {
    const json = await start({ PLUGIN: 'wal2json', SLOT_NAME: 'third' });
    await refused(
      { action: 'snapshot', tables: ['public.users'] },
      /plugin wal2json is not read with logical messages/,
      json,
    );
    if (TESTED_MAJOR >= 11 && TESTED_MAJOR < 14) {
      const old = await start({ PLUGIN: 'pgoutput', SLOT_NAME: 'third' });
      await refused(
        { action: 'snapshot', tables: ['public.users'] },
        /pgoutput of PostgreSQL \d+ sends no logical messages/,
        old,
      );
    }
  });
});
