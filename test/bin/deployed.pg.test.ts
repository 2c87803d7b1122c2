/** Commands against a deployed function: Lambda's protocol over HTTP, and behind it the real handler on a real server. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { InvocationError, type LocalFunction, startFunction } from '../../bin/demo/function.ts';
import { runCli } from '../support/cli.ts';
import { type LambdaEndpoint, type Outcome, startLambdaEndpoint } from '../support/lambda-endpoint.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type ScriptedEndpoint, startScripted, stored } from '../support/scripted-endpoint.ts';

describe('a deployed function', { concurrency: 1 }, () => {
  let server: PostgresServer;
  let kinesis: ScriptedEndpoint;
  let fn: LocalFunction;
  let lambda: LambdaEndpoint;
  const cli = (...args: string[]) => runCli([...args, '--function', 'orders'], lambda.env);

  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startScripted(({ body }) => stored(body))]);
    const { user, password, database } = server.connection;
    fn = startFunction(
      {
        PGHOST: '127.0.0.1',
        PGPORT: String(server.port),
        PGUSER: user,
        PGPASSWORD: password,
        PGDATABASE: database,
        PGSSLMODE: 'disable',
        STREAM_NAME: 'orders',
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'x',
        AWS_SECRET_ACCESS_KEY: 'y',
        AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
      },
      () => undefined,
    );
    const invoke = async (payload: unknown): Promise<Outcome> => {
      try {
        return { kind: 'answer', payload: await fn.invoke(payload) };
      } catch (error) {
        assert.ok(error instanceof InvocationError);
        return { kind: 'failure', type: error.name, message: error.message };
      }
    };
    lambda = await startLambdaEndpoint(({ payload }) => invoke(payload), { pipeline: { FunctionName: 'orders' } });
    await server.sql('CREATE TABLE users (id int PRIMARY KEY, name text); CREATE TABLE logs (line text)');
  });
  after(async () => {
    await fn.stop();
    await Promise.all([server.stop(), kinesis.stop(), lambda.stop()]);
  });

  it('makes its slot, publishes, and tells where it is', async () => {
    const missing = await cli('run');
    assert.equal(missing.status, 1);
    assert.match(missing.err, /^SLOT_MISSING: There is no replication slot "pg2kinesis"/);
    assert.equal((await cli('create-slot')).status, 0);
    await server.sql(`INSERT INTO users SELECT i, 'x' FROM generate_series(1, 500) i`);
    const behind = await cli('status');
    assert.equal(behind.status, 0);
    if (server.version >= 12) assert.match(behind.out, /^lag +.*, the first unread commit is [\d.]+ s old/m);
    const drained = await cli('drain');
    assert.equal(drained.status, 0, drained.err);
    assert.match(drained.out, /^drain +Caught up\.$/m);
    assert.match(drained.out, /^published +500 changes of 1 transaction/m);
    const { out } = await cli('status');
    assert.match(out, /^lag +none: everything up to/m);
    assert.match(out, /^last advance +[\d.]+ s ago/m);
    assert.match((await cli('refresh-keys')).out, /1 table with a primary key\.$/m);
  });

  it('lists its tables', async () => {
    const { status, out } = await cli('tables');
    assert.equal(status, 0);
    assert.match(out, /^public\.users +id +DEFAULT +published$/m);
    assert.match(out, /^public\.logs +- +DEFAULT +not published +it has no primary key$/m);
    assert.match(out, /^1 table published, 1 not\.$/m);
  });

  it('skips a transaction, and is found by its stack', async () => {
    await server.sql('INSERT INTO users VALUES (1001)');
    const wrong = await cli('skip-transaction', '0/1');
    assert.equal(wrong.status, 2);
    const [, lsn = ''] = /the first unconsumed transaction is (\S+) /.exec(wrong.err) ?? [];
    const skipped = await runCli(['skip-transaction', lsn, '--stack', 'pipeline'], lambda.env);
    assert.equal(skipped.status, 0, skipped.err);
    assert.match(skipped.out, /was skipped: consumers lack its changes/);
  });
});
