/** Errors of the database's side as a user meets them: through the handler, on real servers, and how one gets on. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createBrokenType } from '../support/broken-type.ts';
import { TESTED_MAJOR } from '../support/postgres.ts';
import { type Container, PASSWORD, ROW_MARKER } from './container.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { withoutRepeats } from './record-assertions.ts';

const RUN = { action: 'run', maxSeconds: 20 };
/** The commit LSN that a message names for skip-transaction. */
function named(message: string): string {
  const [, lsn] = /commit LSN (?:is )?([0-9A-F]+\/[0-9A-F]+)/.exec(message) ?? [];
  assert.ok(lsn !== undefined, `no commit LSN is named: ${message}`);
  return lsn;
}

describe('errors of the database', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  after(() => environment.stop());

  /** A slot and a stream of one's own. */
  async function prepare(name: string): Promise<Record<string, string>> {
    await Promise.all([environment.server.createSlot(name), environment.kinesis.createStream(name, 1)]);
    return { SLOT_NAME: name, STREAM_NAME: name };
  }
  /** Runs into an error, leaves its transaction out, and runs to the end. @returns what was published */
  async function skipped(container: Container, code: string, said: RegExp): Promise<number> {
    const refusal = await container.refusal(RUN);
    assert.equal(refusal.code, code, refusal.message);
    assert.match(refusal.message, said);
    assert.match(refusal.message, /not advanced/);
    const again = await container.refusal(RUN);
    assert.equal(again.message, refusal.message, 'what failed is the first thing left');
    const commitLsn = named(refusal.message);
    const ending = await container.invoke({ action: 'skip-transaction', commitLsn });
    assert.ok(ending !== 'killed' && ending.error === undefined, JSON.stringify(ending));
    assert.equal((ending.answer as { advancedTo: string }).advancedTo, commitLsn);
    const answer = await container.run(RUN);
    assert.equal(answer.caughtUp, true);
    return answer.published;
  }

  it('fails with KEY_UNRESOLVED where ON_UNKNOWN_KEY says so and the change does not show the key; skip-transaction gets past it', async () => {
    const settings = await prepare('unresolved');
    const { server } = environment;
    await server.sql('CREATE TABLE rekeyed (id int PRIMARY KEY, note text)');
    await server.sql('INSERT INTO t VALUES (1)');
    await server.sql(`INSERT INTO rekeyed VALUES (1, '${ROW_MARKER}')`);
    await server.sql(
      'ALTER TABLE rekeyed DROP CONSTRAINT rekeyed_pkey, ADD number int NOT NULL DEFAULT 7, ADD PRIMARY KEY (number)',
    );
    await server.sql('INSERT INTO t VALUES (2)');
    const container = await environment.container({ ...settings, ON_UNKNOWN_KEY: 'fail' });
    const published = await skipped(
      container,
      'KEY_UNRESOLVED',
      /INSERT of a row of public\.rekeyed does not show.*\(number\)/,
    );
    assert.equal(published, 1);
    const records = await environment.arrived('unresolved');
    assert.deepEqual(
      records.map(({ key }) => key),
      [{ id: 1 }, { id: 2 }],
    );
    await server.sql('DROP TABLE rekeyed');
  });

  it('fails with RECORD_TOO_LARGE where OVERSIZE is fail; skip-transaction gets past it, and key-only needs no skipping', async () => {
    const settings = await prepare('oversize');
    const { server } = environment;
    await server.createSlot('oversize_2');
    await server.sql('INSERT INTO t VALUES (10)');
    await server.sql(`INSERT INTO t VALUES (11, repeat('${ROW_MARKER}', 100000))`);
    await server.sql('INSERT INTO t VALUES (12)');
    const container = await environment.container({ ...settings, OVERSIZE: 'fail' });
    assert.equal(await skipped(container, 'RECORD_TOO_LARGE', /has \d{7} bytes/), 1);
    assert.deepEqual(
      (await environment.arrived('oversize')).map(({ key }) => key),
      [{ id: 10 }, { id: 12 }],
    );
    const other = await environment.container({ ...settings, SLOT_NAME: 'oversize_2' });
    const { published, truncated } = await other.run(RUN);
    assert.deepEqual({ published, truncated }, { published: 3, truncated: 1 });
    assert.ok(
      other.lines.some(
        ({ message, records }) =>
          records === 1 &&
          /without their row, of public\.t \(key: id; first in the transaction with commit LSN [0-9A-F]+\/[0-9A-F]+\)/.test(
            String(message),
          ),
      ),
      'the log tells of it, by table, key columns and LSN',
    );
  });

  /** A database of another encoding, with a row that cannot be read between two that can. */
  async function prepareUnreadable(encoding: string, text: string): Promise<Container> {
    const name = encoding.toLowerCase();
    const { server, kinesis } = environment;
    await server.sql(`CREATE DATABASE ${name} ENCODING '${encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`);
    const client = await server.client({ database: name });
    await client.query(`SET client_encoding = '${encoding}'; CREATE TABLE t (id int PRIMARY KEY, note text)`);
    await Promise.all([
      client.query(`SELECT pg_create_logical_replication_slot('${name}', 'test_decoding')`),
      kinesis.createStream(name, 1),
    ]);
    for (const row of [`1, 'a'`, `2, ${text}`, `3, 'c'`]) await client.query(`INSERT INTO t VALUES (${row})`);
    await client.end();
    return await environment.container({ PGDATABASE: name, SLOT_NAME: name, STREAM_NAME: name });
  }

  it('fails with DECODE_FAILED on text of no encoding in a SQL_ASCII database; skip-transaction gets past it', async () => {
    const container = await prepareUnreadable('SQL_ASCII', `E'${ROW_MARKER}\\xff'`);
    assert.equal(await skipped(container, 'DECODE_FAILED', /UTF-8/), 1);
    assert.deepEqual(
      (await environment.arrived('sql_ascii')).map(({ key }) => key),
      [{ id: 1 }, { id: 3 }],
    );
  });

  it('fails with DECODE_FAILED on text that has no equivalent in UTF-8; skip-transaction gets past it', async () => {
    // 0x81 is no character of WIN1252, and the server stores it all the same.
    const container = await prepareUnreadable('WIN1252', `E'${ROW_MARKER}\\x81'`);
    assert.equal(await skipped(container, 'DECODE_FAILED', /UTF-8/), 1);
    assert.deepEqual(
      (await environment.arrived('win1252')).map(({ key }) => key),
      [{ id: 1 }, { id: 3 }],
    );
  });

  it('fails with TRANSACTION_UNDECODABLE where the server cannot print a row; skip-transaction gets past it', async () => {
    const settings = await prepare('undecodable');
    const { server } = environment;
    await createBrokenType(server);
    await server.sql('CREATE TABLE broken_rows (id int PRIMARY KEY, v broken)');
    await server.sql('INSERT INTO broken_rows VALUES (1, NULL)');
    await server.sql(`INSERT INTO broken_rows VALUES (2, '${ROW_MARKER}')`);
    await server.sql('INSERT INTO broken_rows VALUES (3, NULL)');
    const container = await environment.container(settings);
    assert.equal(await skipped(container, 'TRANSACTION_UNDECODABLE', /SQLSTATE 0A000.*lack every change/), 1);
    assert.deepEqual(
      (await environment.arrived('undecodable')).map(({ key }) => key),
      [{ id: 1 }, { id: 3 }],
    );
  });

  it('fails with SLOT_BUSY while another client streams from the slot, and by hand while a run has it', async () => {
    const settings = await prepare('busy');
    const receiver = await environment.server.client({
      replication: 'database',
      application_name: 'debezium',
    } as object);
    receiver.query('START_REPLICATION SLOT busy LOGICAL 0/0').catch(() => undefined);
    await eventually(
      async () =>
        (await environment.server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = 'busy' AND active`))
          .length > 0,
      'the slot is in use',
    );
    const container = await environment.container(settings);
    const { code, message } = await container.refusal(RUN);
    assert.equal(code, 'SLOT_BUSY');
    assert.match(message, /application debezium/);
    await receiver.end().catch(() => undefined);
  });

  it('fails with DATABASE_UNREACHABLE when the server goes in mid-run; the next run publishes what is left', async () => {
    const settings = { ...(await prepare('gone')), AGGREGATION: 'none', PARTITION_BY: 'stream' };
    for (let id = 100; id < 130; id++) await environment.server.sql('INSERT INTO t VALUES ($1, $2)', [id, ROW_MARKER]);
    environment.proxy.always(() => ({ kind: 'delay', ms: 100 }));
    const from = environment.proxy.seen.length;
    const container = await environment.container(settings);
    const refusing = container.refusal(RUN);
    await eventually(() => environment.proxy.seen.length > from + 5, 'it sends');
    await environment.server.halt('immediate');
    const { code, message } = await refusing;
    assert.equal(code, 'DATABASE_UNREACHABLE', message);
    assert.equal(environment.proxy.inFlight, 0, 'it answered with a request in flight');
    assert.equal((await container.refusal(RUN)).code, 'DATABASE_UNREACHABLE');
    environment.proxy.always(() => ({ kind: 'pass' }));
    await environment.server.start();
    assert.equal((await container.run(RUN)).caughtUp, true);
    assert.equal(withoutRepeats(await environment.arrived('gone')).length, 30);
  });

  it('fails with DATABASE_AUTH_FAILED until the secret is right again; a rotation is noticed by itself', async (t) => {
    const settings = await prepare('rotated');
    let password = 'MARKER-wrong';
    const secrets: Server = createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
        response.end(JSON.stringify({ SecretString: JSON.stringify({ username: 'cdc', password }) }));
      });
    }).listen(0, '127.0.0.1');
    t.after(() => secrets.close());
    await new Promise((resolve) => secrets.once('listening', resolve));
    const container = await environment.container({
      ...settings,
      PGUSER: '',
      PGPASSWORD: '',
      DATABASE_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(secrets.address() as AddressInfo).port}`,
    });
    const { code, message } = await container.refusal(RUN);
    assert.equal(code, 'DATABASE_AUTH_FAILED');
    assert.match(message, /rotation/);
    password = PASSWORD;
    assert.equal((await container.run(RUN)).caughtUp, true);
    password = 'MARKER-password-rotated';
    await environment.server.sql(`ALTER ROLE cdc PASSWORD '${password}'`);
    assert.equal((await container.run(RUN)).caughtUp, true, 'the secret was read anew');
    await environment.server.sql(`ALTER ROLE cdc PASSWORD '${PASSWORD}'`);
  });
});

describe('errors of a server in another state', () => {
  if (TESTED_MAJOR >= 13)
    it('fails with SLOT_LOST once max_slot_wal_keep_size has taken its WAL, and makes no new slot', async () => {
      const environment = await startEnvironment({
        settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB', wal_keep_size: '0' },
      });
      try {
        const { server } = environment;
        await server.createSlot('pg2kinesis');
        const container = await environment.container();
        assert.equal((await container.run(RUN)).caughtUp, true);
        for (let i = 0; i < 5; i++) {
          await server.sql('CREATE TABLE w (); DROP TABLE w; SELECT pg_switch_wal()');
          await server.sql('CHECKPOINT');
        }
        for (let i = 0; i < 2; i++) {
          const { code, message } = await container.refusal(RUN);
          assert.equal(code, 'SLOT_LOST');
          assert.match(message, /drop-slot.*create-slot/s);
        }
        const [slot] = await server.sql<{ status: string }>('SELECT wal_status AS status FROM pg_replication_slots');
        assert.equal(slot?.status, 'lost');
        const status = await container.invoke({ action: 'status' });
        assert.ok(
          status !== 'killed' && (status.answer as { walStatus: string }).walStatus === 'lost',
          JSON.stringify(status),
        );
      } finally {
        await environment.stop();
      }
    });

  it('fails with CONFIG_INVALID while wal_level is replica', async () => {
    const environment = await startEnvironment({ settings: { wal_level: 'replica' } });
    try {
      const container = await environment.container();
      for (const action of ['run', 'create-slot']) {
        const { code, message } = await container.refusal({ action });
        assert.equal(code, 'CONFIG_INVALID', message);
        assert.match(message, /wal_level is .*rds\.logical_replication/);
      }
    } finally {
      await environment.stop();
    }
  });
});
