/** The handler without a database: what a bad setting, a bad event and an unreachable server look like from outside. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Stack } from '../support/cloudformation.ts';
import { type HandlerProcess, OWN_ARN, startHandler } from './handler-process.ts';

const LOGIN = {
  PGHOST: '127.0.0.1',
  PGDATABASE: 'app',
  PGUSER: 'cdc',
  PGPASSWORD: 's3cret-pass',
  PGSSLMODE: 'disable',
  AWS_REGION: 'us-east-1',
};

/** A port at which nobody listens: no system gives it to whoever asks for any. */
const NOBODYS_PORT = 1;

describe('handler', () => {
  const started: HandlerProcess[] = [];
  const start = async (env: Record<string, string>): Promise<HandlerProcess> => {
    const process = await startHandler(env);
    started.push(process);
    return process;
  };
  after(() => Promise.all(started.map((process) => process.stop())));

  it('fails with CONFIG_INVALID as the invocation’s error, every time, and not while loading', async () => {
    const container = await start({ ...LOGIN, LANES: '63', FORMAT: 'xml' });
    for (let i = 0; i < 2; i++) {
      const { error } = await container.invoke({ action: 'run' });
      assert.equal(error?.name, 'CONFIG_INVALID');
      assert.match(
        error.message,
        /FORMAT has a value that is not allowed, of 3 characters \(.*LANES has a value that is not allowed, of 2 characters \(/,
      );
    }
    const [line] = container.lines().filter(({ level }) => level === 'ERROR');
    assert.equal(line?.['code'], 'CONFIG_INVALID');
    assert.equal(line['function_request_id'], 'request-1');
  });

  it('fails with EVENT_INVALID for an unknown event', async () => {
    const container = await start(LOGIN);
    const { error } = await container.invoke({ action: 'explode' });
    assert.equal(error?.name, 'EVENT_INVALID');
    assert.deepEqual(Object.keys(error.fields).sort(), ['code', 'name']);
  });

  it('fails with EVENT_INVALID for an event straight from CloudFormation', async () => {
    const container = await start(LOGIN);
    const { error } = await container.invoke({ RequestType: 'Delete', ServiceToken: OWN_ARN, PhysicalResourceId: 'x' });
    assert.equal(error?.name, 'EVENT_INVALID');
    assert.match(error.message, /straight from CloudFormation/);
  });

  it('fails an event of CloudFormation by the reason alone: no stack, the real log group, and no run that will try again', async () => {
    const AWS_LAMBDA_LOG_GROUP_NAME = 'mine-Publisher-Log-1A2B';
    const slot = { logicalId: 'Slot', type: 'Custom::Pg2KinesisSlot', properties: () => ({}) };
    for (const [env, expected] of [
      [{ LANES: '63' }, /^CONFIG_INVALID: .*/],
      [
        {},
        /^DATABASE_UNREACHABLE: No connection to PostgreSQL at .* Start the database, or correct its host and port\. Deploy again\. /,
      ],
      [{ PGHOST: 'no-such-host.invalid' }, /^DATABASE_UNREACHABLE: .* Deploy again\. /],
    ] as const) {
      const container = await start({ ...LOGIN, PGPORT: String(NOBODYS_PORT), AWS_LAMBDA_LOG_GROUP_NAME, ...env });
      const stack = new Stack(async (event) => {
        const { answer, error } = await container.invoke(event);
        if (error === undefined) return answer;
        const thrown = new Error(error.message);
        thrown.name = error.name;
        thrown.stack = error.trace.join('\n');
        throw thrown;
      });
      assert.equal(await stack.deploy({ configure: () => undefined, resources: [slot] }), false);
      const [, reason = ''] = /^Create Slot: FAILED (.*)$/s.exec(stack.events[0] ?? '') ?? [];
      // The last two lines are the framework's own.
      const [first = '', ...rest] = reason.split('\n');
      assert.deepEqual(rest, ['', 'Logs: /aws/lambda/own', '']);
      assert.match(first, expected);
      assert.match(first, / The log of this function is the log group mine-Publisher-Log-1A2B\.$/);
      assert.doesNotMatch(reason, /next run/i);
    }
  });

  it('fails with ADMIN_ONLY for what only the alias may do, before it looks at the database', async () => {
    const container = await start({ ...LOGIN, ADMIN_ONLY: 'lifecycle,drop-slot' });
    for (const event of [{ action: 'drop-slot' }, { RequestType: 'Delete', PhysicalResourceId: 'created:a/b/c' }]) {
      const { error } = await container.invoke(event);
      assert.equal(error?.name, 'ADMIN_ONLY');
    }
  });

  it('reads long lists from the file that the stack deploys beside it', async () => {
    const container = await start({ ...LOGIN, SETTINGS_FILE: '/nowhere/settings.json' });
    const { error } = await container.invoke({ action: 'status' });
    assert.equal(error?.name, 'CONFIG_INVALID');
    assert.match(error.message, /The file of SETTINGS_FILE cannot be read/);
  });

  it('fails with DATABASE_UNREACHABLE where nobody listens, and I10: shows no password', async () => {
    const container = await start({ ...LOGIN, PGPORT: String(NOBODYS_PORT) });
    const { error } = await container.invoke({ action: 'run', maxSeconds: 5 });
    assert.equal(error?.name, 'DATABASE_UNREACHABLE');
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${NOBODYS_PORT}\\b`));
    assert.ok(!container.output().includes('s3cret-pass'));
    assert.ok(!JSON.stringify(error).includes('s3cret-pass'));
  });

  it('tells a deadline that was overrun', async () => {
    const container = await start(LOGIN);
    // Its margin is larger than all the time it has.
    await container.invoke({ action: 'status' }, 1);
    const metric = container.lines().find((line) => '_aws' in line);
    assert.ok(Number(metric?.['DeadlineOverrunMs']) > 0);
  });
});
