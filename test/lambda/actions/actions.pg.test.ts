/**
 * Every action through the real handler, against a real server and an emulated stream, as a user meets them: a cold and
 * warm invocations of one container, each answer, each error by its code, and no password anywhere.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readUnfitTables } from '../../../lambda/postgres/row-order.ts';
import { deaggregate } from '../../support/deaggregate.ts';
import { type EmbeddedKinesis, startKinesis } from '../../support/kinesis.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { type HandlerProcess, type Outcome, startHandler } from '../handler-process.ts';

const PASSWORD = 's3cret-pass';

/** A node of a plan, as EXPLAIN gives it. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Loops': number;
  readonly Plans?: readonly PlanNode[];
}

/** @returns a node and all below it */
function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

describe('actions', () => {
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;
  let container: HandlerProcess;
  const containers: HandlerProcess[] = [];

  const environment = (over: Record<string, string> = {}): Record<string, string> => ({
    PGHOST: '127.0.0.1',
    PGPORT: String(server.port),
    PGDATABASE: 'postgres',
    PGUSER: 'cdc',
    PGPASSWORD: PASSWORD,
    PGSSLMODE: 'disable',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'x',
    AWS_SECRET_ACCESS_KEY: 'y',
    AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
    POWERTOOLS_SERVICE_NAME: 'orders',
    FORMAT: 'csv',
    ...over,
  });
  const start = async (over: Record<string, string> = {}): Promise<HandlerProcess> => {
    const started = await startHandler(environment(over));
    containers.push(started);
    return started;
  };
  const answer = ({ answer: given, error }: Outcome): Record<string, unknown> => {
    assert.equal(error, undefined);
    return given as Record<string, unknown>;
  };
  const invoke = async (event: unknown): Promise<Record<string, unknown>> => answer(await container.invoke(event));
  const published = async (): Promise<string[]> =>
    (await kinesis.readAll('pg2kinesis')).flatMap(deaggregate).map(({ data }) => data.toString());
  const refused = async (from: HandlerProcess, event: unknown, code: string, said: RegExp): Promise<void> => {
    const { error } = await from.invoke(event);
    assert.equal(error?.name, code, error?.message);
    assert.match(error.message, said);
    assert.ok(!JSON.stringify(error).includes(PASSWORD));
  };

  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startKinesis()]);
    await kinesis.createStream('pg2kinesis', 2);
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
    await server.sql('CREATE TABLE users (id int PRIMARY KEY, name text)');
    await server.sql('CREATE TABLE notes (note text)');
    container = await start();
  });
  after(async () => {
    await Promise.all(containers.map((each) => each.stop()));
    await Promise.all([server.stop(), kinesis.stop()]);
    for (const each of containers) assert.ok(!each.output().includes(PASSWORD), 'I10');
  });

  it('fails with SLOT_MISSING before there is a slot', () =>
    refused(container, { action: 'run' }, 'SLOT_MISSING', /no replication slot "pg2kinesis"/));

  it('checks: the slot is missing, the rest is told', async () => {
    const { ok, findings } = (await invoke({ action: 'check' })) as {
      ok: boolean;
      findings: { check: string; state: string }[];
    };
    const states = Object.fromEntries(findings.map(({ check, state }) => [check, state]));
    assert.equal(ok, false);
    assert.deepEqual(states, {
      database: 'ok',
      'server version': 'ok',
      wal_level: 'ok',
      role: 'ok',
      encoding: 'ok',
      plugin: 'unknown',
      slot: 'missing',
      max_replication_slots: 'ok',
      max_slot_wal_keep_size: 'warning',
      'server role': 'ok',
      failover: 'unknown',
      standbys: 'ok',
      'primary keys': 'warning',
      'REPLICA IDENTITY': 'ok',
      filters: 'ok',
      stream: 'ok',
    });
  });

  it('reports the status of a slot that is missing', async () => {
    const { slotState, walStatus, lockHolder } = await invoke({ action: 'status' });
    assert.deepEqual(
      { slotState, walStatus, lockHolder },
      { slotState: 'missing', walStatus: 'missing', lockHolder: null },
    );
  });

  it('creates the slot, once', async () => {
    const first = await invoke({ action: 'create-slot' });
    assert.equal(first['created'], true);
    assert.match(String(first['confirmedFlushLsn']), /^[0-9A-F]+\/[0-9A-F]+$/);
    assert.equal((await invoke({ action: 'create-slot' }))['created'], false);
  });

  it('publishes what was committed, and answers as documented', async () => {
    await server.sql(`INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob'); INSERT INTO notes VALUES ('x')`);
    const { durationMs, bytes, advancedTo, kinesisRecords, server: answering, ...rest } = await invoke({});
    assert.ok(Number(durationMs) >= 0 && Number(bytes) > 0 && Number(kinesisRecords) > 0);
    assert.match(String(advancedTo), /^[0-9A-F]+\/[0-9A-F]+$/);
    assert.deepEqual(Object.keys(answering as object), ['systemIdentifier', 'timeline', 'role']);
    assert.deepEqual(rest, {
      action: 'run',
      slot: 'pg2kinesis',
      caughtUp: true,
      stopped: 'caught-up',
      batches: 1,
      transactions: 1,
      changes: 3,
      published: 2,
      records: 2,
      messages: 0,
      messagesSkipped: 0,
      skipped: {
        noPrimaryKey: 1,
        keyUnknown: 0,
        noReplicaIdentity: 0,
        keyTooLarge: 0,
        droppedTable: 0,
        notTable: 0,
        filtered: 0,
        formatter: 0,
      },
      truncated: 0,
      lagBytes: 0,
      lagSeconds: 0,
      throttledEntries: 0,
    });
    const data = await published();
    assert.deepEqual(data.map((text) => text.replace(/^0,CDC,\d+,/, '')).sort(), [
      'public.users,INSERT,1',
      'public.users,INSERT,2',
    ]);
  });

  it('emits every metric with one dimension set, of service alone', () => {
    const emitted = container.lines().filter((line) => '_aws' in line) as {
      _aws: { CloudWatchMetrics: { Namespace: string; Dimensions: string[][]; Metrics: { Name: string }[] }[] };
      service: string;
    }[];
    assert.ok(emitted.length > 0);
    for (const { _aws: aws, service } of emitted) {
      assert.equal(service, 'orders');
      assert.deepEqual(
        aws.CloudWatchMetrics.map(({ Namespace, Dimensions }) => ({ Namespace, Dimensions })),
        [{ Namespace: 'pg2kinesis', Dimensions: [['service']] }],
      );
    }
    const run = emitted
      .at(-1)
      ?._aws.CloudWatchMetrics[0]?.Metrics.map(({ Name }) => Name)
      .sort();
    assert.deepEqual(run, [
      'BytesPublished',
      'ChangesPublished',
      'KinesisRecords',
      'LagBytes',
      'LagSeconds',
      'RetainedWalBytes',
      'RunDurationMs',
      'RunHealthy',
      'SkippedDroppedTable',
      'SkippedFiltered',
      'SkippedKeyTooLarge',
      'SkippedKeyUnknown',
      'SkippedNoPrimaryKey',
      'SkippedNoReplicaIdentity',
      'SkippedNotTable',
      'Stalled',
      'ThrottledEntries',
      'TransactionsPublished',
    ]);
  });

  it('drains', async () => {
    await server.sql(`INSERT INTO users SELECT g, 'x' FROM generate_series(10, 19) g`);
    const { action, caughtUp, published } = await invoke({ action: 'drain' });
    assert.deepEqual({ action, caughtUp, published }, { action: 'drain', caughtUp: true, published: 10 });
  });

  it('reads the primary keys again', async () => {
    const { tables } = await invoke({ action: 'refresh-keys' });
    assert.ok(Number(tables) >= 1);
  });

  it('I6: a run that finds the lock held succeeds with nothing done', async () => {
    const { lockKey } = await import('../../../lambda/postgres/slot-lock.ts');
    const holder = await server.client({ application_name: 'holder' });
    try {
      await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey('pg2kinesis'))]);
      const { stopped, caughtUp } = await invoke({ action: 'run' });
      assert.deepEqual({ stopped, caughtUp }, { stopped: 'locked', caughtUp: false });
      const { lockHolder } = (await invoke({ action: 'status' })) as { lockHolder: { application: string } };
      assert.equal(lockHolder.application, 'holder');
      assert.ok(
        !JSON.stringify(
          container
            .lines()
            .filter((line) => '_aws' in line)
            .at(-1),
        ).includes('RunHealthy'),
      );
    } finally {
      await holder.end();
    }
  });

  it('I2: skips exactly the first unconsumed transaction, and refuses any other', async () => {
    await server.sql(`SELECT pg_logical_emit_message(false, 'noise', 'x')`);
    await server.sql(`INSERT INTO users VALUES (100, 'bad')`);
    await server.sql(`INSERT INTO users VALUES (101, 'good')`);
    const commits = await server.sql<{ lsn: string }>(
      `SELECT lsn::text FROM pg_logical_slot_peek_changes('pg2kinesis', NULL, NULL, 'skip-empty-xacts', '1') WHERE data LIKE 'COMMIT%'`,
    );
    const [first, second] = commits.map(({ lsn }) => lsn);
    assert.ok(first !== undefined && second !== undefined);
    for (const other of [second, '0/1']) {
      await refused(
        container,
        { action: 'skip-transaction', commitLsn: other },
        'EVENT_INVALID',
        new RegExp(`first unconsumed transaction is ${first} `),
      );
    }
    const { advancedTo, skipped } = (await invoke({ action: 'skip-transaction', commitLsn: first })) as {
      advancedTo: string;
      skipped: { commitLsn: string };
    };
    assert.deepEqual([advancedTo, skipped.commitLsn], [first, first]);
    assert.equal((await invoke({ action: 'run' }))['published'], 1);
    const data = await published();
    assert.ok(data.some((text) => text.endsWith(',101')) && !data.some((text) => text.endsWith(',100')));
    await refused(
      container,
      { action: 'skip-transaction', commitLsn: second },
      'EVENT_INVALID',
      /no transaction with changes/,
    );
  });

  it('checks REPLICA IDENTITY, filters and lists what to do', async () => {
    await server.sql(`CREATE TABLE hidden (id int PRIMARY KEY); ALTER TABLE hidden REPLICA IDENTITY NOTHING;
      CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE); CREATE TABLE indexed (id int PRIMARY KEY, a int NOT NULL UNIQUE);
      ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_a_key; CREATE TABLE whole (id int PRIMARY KEY DEFERRABLE); ALTER TABLE whole REPLICA IDENTITY FULL`);
    // The key's column is in the index, but is only included: it is not sent.
    const included = TESTED_MAJOR >= 11;
    if (included)
      await server.sql(`CREATE TABLE includes (id int PRIMARY KEY, a int NOT NULL); CREATE UNIQUE INDEX includes_a ON includes (a) INCLUDE (id);
        ALTER TABLE includes REPLICA IDENTITY USING INDEX includes_a`);
    const bad = await start({ TABLE_INCLUDE_LIST: 'public\\..*,typo\\..*' });
    const found = async (from: HandlerProcess): Promise<Map<string, { state: string; found: string }>> => {
      const { findings } = answer(await from.invoke({ action: 'check' })) as {
        findings: { check: string; state: string; found: string }[];
      };
      return new Map(findings.map((finding) => [finding.check, finding]));
    };
    const first = await found(bad);
    assert.equal(first.get('REPLICA IDENTITY')?.state, 'fault');
    const byIndex = ['indexed', ...(included ? ['includes'] : [])].sort();
    const listed = `public.deferred (deferrable key), public.hidden (NOTHING), ${byIndex.map((name) => `public.${name} (USING INDEX that is not the key)`).join(', ')}`;
    const identities = String(first.get('REPLICA IDENTITY')?.found);
    assert.ok(identities.endsWith(listed), identities);
    assert.match(String(first.get('filters')?.found), /TABLE_INCLUDE_LIST typo\\\.\.\*$/);
    assert.match(String(first.get('primary keys')?.found), /public\.whole \(a deferrable key/);
    const excluded = await found(await start({ TABLE_EXCLUDE_LIST: 'public\\.(hidden|deferred|indexed|includes)' }));
    assert.equal(excluded.get('REPLICA IDENTITY')?.state, 'ok');
    await server.sql('DROP TABLE IF EXISTS hidden, deferred, indexed, whole, includes');
  });

  it('I12: writes marks where something was published, or another container has moved the slot, and else none', async () => {
    const settings = { FORMAT: 'json', MARKS: 'on', LANES: '4' };
    const [one, other] = [await start(settings), await start(settings)];
    const records = async (from: HandlerProcess): Promise<unknown> =>
      answer(await from.invoke({ action: 'run' }))['kinesisRecords'];
    const insert = (id: number) => server.sql(`INSERT INTO users VALUES (${id}, 'x')`);
    await insert(9_001);
    // Those that open, and those of the batch.
    assert.equal(await records(one), 8);
    assert.equal(await records(one), 0);
    await insert(9_002);
    assert.equal(await records(one), 4);
    await server.sql('CHECKPOINT');
    assert.equal(await records(one), 0, 'the slot moved over nothing');
    assert.equal(await records(one), 0);
    await insert(9_003);
    assert.equal(await records(other), 8);
    // What another container publishes last may be without marks.
    assert.equal(await records(one), 8);
    assert.equal(await records(one), 0);
    await server.sql('DELETE FROM users WHERE id > 9000');
    await other.invoke({ action: 'run' });
  });

  it('checks which tables a copy by --fast refuses, where marks are on', async () => {
    await server.sql(`CREATE SCHEMA "fast Copy"; CREATE DOMAIN "fast Copy".amount AS numeric(10, 2);
      CREATE TABLE "fast Copy".fit (id int, code char(3), PRIMARY KEY (id, code));
      CREATE TABLE "fast Copy".twice (id int PRIMARY KEY, mail text CONSTRAINT one_mail UNIQUE);
      CREATE TABLE "fast Copy".money (id "fast Copy".amount, at interval, PRIMARY KEY (id, at));
      CREATE TABLE "fast Copy".parent (id int PRIMARY KEY);
      CREATE TABLE "fast Copy".child (id int PRIMARY KEY, parent int REFERENCES "fast Copy".parent ON DELETE CASCADE)`);
    const finding = async (over: Readonly<Record<string, string>>): Promise<string | undefined> => {
      const container = await start({ FORMAT: 'json', TABLE_INCLUDE_LIST: 'fast Copy\\..*', ...over });
      const { findings } = answer(await container.invoke({ action: 'check' })) as {
        findings: { check: string; state: string; found: string }[];
      };
      const one = findings.find(({ check }) => check === 'replica by --fast or StreamReplica');
      return one === undefined ? undefined : `${one.state}: ${one.found}`;
    };
    assert.equal(
      await finding({ MARKS: 'on' }),
      'ok: refuses, if they are the same at the copy: ' +
        'fast Copy.money (equal keys can differ as text: at interval, id "fast Copy".amount), fast Copy.twice (unique besides the key: one_mail). ' +
        'Its user needs the right to set session_replication_role, or the copy no foreign keys and triggers, for: fast Copy.child, fast Copy.parent',
    );
    assert.equal(await finding({}), undefined);
    await server.sql('DROP SCHEMA "fast Copy" CASCADE');
  });

  it('asks which tables a copy by --fast refuses once, not for each table', async () => {
    const client = await server.client();
    const asked: { readonly text: string; readonly values: unknown[] | undefined }[] = [];
    const query = (text: string, values?: unknown[]) => {
      asked.push({ text, values });
      return Promise.resolve({ rows: [] });
    };
    await readUnfitTables({ query });
    assert.equal(asked.length, 3);
    await client.query(`CREATE SCHEMA many; CREATE TABLE many.hub (id int PRIMARY KEY);
      DO $$ BEGIN FOR i IN 1..150 LOOP EXECUTE format('CREATE TABLE many.t%s (id int PRIMARY KEY, hub int UNIQUE REFERENCES many.hub)', i); END LOOP; END $$;
      ANALYZE pg_class; ANALYZE pg_constraint; ANALYZE pg_index; ANALYZE pg_attribute; ANALYZE pg_trigger; SET search_path = pg_catalog`);
    for (const { text, values } of asked) {
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
        `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
        values,
      );
      const plan = rows[0]?.['QUERY PLAN'][0].Plan;
      assert.ok(plan !== undefined);
      // A table that is read whole again and again is what makes it quadratic.
      const again = nodesOf(plan).filter((node) => node['Node Type'] === 'Seq Scan' && node['Actual Loops'] > 10);
      assert.deepEqual(
        again.map((node) => [node['Relation Name'], node['Actual Loops']]).filter(([name]) => name !== 'pg_inherits'),
        [],
        text,
      );
    }
    await server.sql('DROP SCHEMA many CASCADE');
    await client.end();
  });

  it('checks the source though the server does not tell what a copy by --fast refuses', async () => {
    await server.sql('REVOKE SELECT ON pg_trigger FROM PUBLIC');
    const container = await start({ FORMAT: 'json', MARKS: 'on' });
    const { findings } = answer(await container.invoke({ action: 'check' })) as {
      findings: { check: string; state: string; found: string }[];
    };
    await server.sql('GRANT SELECT ON pg_trigger TO PUBLIC');
    const found = new Map(findings.map((finding) => [finding.check, finding]));
    assert.equal(found.get('database')?.state, 'ok');
    assert.equal(found.get('slot')?.state, 'ok');
    assert.equal(found.get('replica by --fast or StreamReplica')?.state, 'warning');
    assert.match(String(found.get('replica by --fast or StreamReplica')?.found), /SQLSTATE 42501/);
  });

  it('checks a stream that is missing, and a database that refuses', async () => {
    const elsewhere = await start({ STREAM_NAME: 'nowhere', PGPASSWORD: 'wrong' });
    const { ok, findings } = answer(await elsewhere.invoke({ action: 'check' })) as {
      ok: boolean;
      findings: { check: string; state: string; found: string }[];
    };
    assert.equal(ok, false);
    assert.deepEqual(
      findings.map(({ check, state }) => [check, state]),
      [
        ['database', 'fault'],
        ['stream', 'missing'],
      ],
    );
    assert.match(String(findings[0]?.found), /^DATABASE_AUTH_FAILED: /);
  });

  it('fails with DATABASE_AUTH_FAILED for a wrong password', async () => {
    await refused(
      await start({ PGPASSWORD: 'wrong' }),
      { action: 'status' },
      'DATABASE_AUTH_FAILED',
      /refused the password of user "cdc"/,
    );
  });

  it('fails with STREAM_MISSING, and the slot stays', async () => {
    await server.sql(`INSERT INTO users VALUES (200, 'kept')`);
    await refused(
      await start({ STREAM_NAME: 'nowhere' }),
      { action: 'run', maxSeconds: 10 },
      'STREAM_MISSING',
      /nowhere/,
    );
    assert.equal((await invoke({ action: 'run' }))['published'], 1);
  });

  it('names what holds WAL', async () => {
    const writer = await server.client({ application_name: 'slow writer' });
    try {
      await writer.query(`BEGIN; INSERT INTO users VALUES (300, 'open')`);
      await server.sql(`INSERT INTO users VALUES (301, 'x')`);
      await server.sql('CHECKPOINT');
      await invoke({ action: 'run' });
      const { retainedBy } = (await invoke({ action: 'status' })) as { retainedBy: { what: string; detail: string }[] };
      assert.ok(
        retainedBy.some(({ what, detail }) => what === 'open transaction' && detail.includes('slow writer')),
        JSON.stringify(retainedBy),
      );
    } finally {
      await writer.end();
    }
  });

  it('drops no slot with unread changes unless it is told to, and says what it held', async () => {
    await invoke({ action: 'run' });
    await server.sql(`INSERT INTO users VALUES (400, 'unread')`);
    const said =
      /holds changes that were not published: \d+ bytes of WAL, committed since \d{4}-.*\. The slot was not dropped\. Publish them first, with drain\./;
    await refused(container, { action: 'drop-slot' }, 'SLOT_UNREAD', said);
    await refused(container, { action: 'drop-slot', discardUnread: 'yes' }, 'EVENT_INVALID', /true or false/);
    assert.equal((await invoke({ action: 'run' }))['published'], 1);
    // WAL alone is nothing unread: here a checkpoint's.
    await server.sql('CHECKPOINT');
    assert.equal((await invoke({ action: 'drop-slot' }))['dropped'], true);
    await invoke({ action: 'create-slot' });
    await server.sql(`INSERT INTO users VALUES (401, 'unread')`);
    const { dropped, discarded } = await invoke({ action: 'drop-slot', discardUnread: true });
    assert.equal(dropped, true);
    assert.ok((discarded as { walBytes: number }).walBytes > 0);
    await invoke({ action: 'create-slot' });
  });

  it('drops the slot, once', async () => {
    assert.equal((await invoke({ action: 'drop-slot' }))['dropped'], true);
    assert.equal((await invoke({ action: 'drop-slot' }))['dropped'], false);
  });

  it('fails with WRONG_PLUGIN for another’s slot, which it neither reads nor drops', async () => {
    await server.createSlot('pg2kinesis', 'pgoutput');
    for (const action of ['run', 'create-slot', 'drop-slot'])
      await refused(container, { action }, 'WRONG_PLUGIN', /pgoutput/);
    await server.sql(`SELECT pg_drop_replication_slot('pg2kinesis')`);
  });
});
