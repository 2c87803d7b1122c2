/**
 * The command line against the stack that the CDK has deployed: its outputs are asked of the emulated CloudFormation, and its
 * function is the uploaded zip under AWS's runtime client. Lambda's Invoke is the one thing between them that is ours: the
 * emulation would need Docker for it.
 */
import assert from 'node:assert/strict';
import { runCli } from '../support/cli.ts';
import { startLambdaEndpoint } from '../support/lambda-endpoint.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { type Moto, REGION } from './moto.ts';
import type { Container } from './runtime.ts';

/** What was deployed. */
export interface DeployedStack {
  readonly moto: Moto;
  readonly server: PostgresServer;
  readonly stack: string;
  readonly functionName: string;
  /** Starts another container of the function: Lambda does so where all are at work. */
  readonly start: () => Promise<Container>;
}

/**
 * Does each action by the stack's name, as the engineer on call does. The table `users` has a key of int.
 *
 * @param deployed - what was deployed, with its slot
 */
export async function tryCommands({ moto, server, stack, functionName, start }: DeployedStack): Promise<void> {
  const containers: { readonly container: Container; busy: boolean }[] = [];
  /** A container that is free; a new one where there is none. */
  const take = async () => {
    const free = containers.find(({ busy }) => !busy);
    if (free !== undefined) return free;
    const made = { container: await start(), busy: true };
    containers.push(made);
    return made;
  };
  const lambda = await startLambdaEndpoint(async ({ name, payload, region }) => {
    if (name !== functionName || region !== REGION)
      return { kind: 'refused', status: 404, type: 'ResourceNotFoundException' };
    const taken = await take();
    taken.busy = true;
    const { answer, error } = await taken.container.invoke(payload);
    taken.busy = false;
    return error === undefined
      ? { kind: 'answer', payload: answer }
      : { kind: 'failure', type: error.errorType, message: error.errorMessage };
  });
  const env = {
    ...lambda.env,
    AWS_REGION: REGION,
    AWS_ENDPOINT_URL_CLOUDFORMATION: moto.environment['AWS_ENDPOINT_URL'] ?? '',
  };
  const cli = async (expected: number, ...args: string[]) => {
    const { status, out, err } = await runCli([...args, '--stack', stack], env);
    assert.equal(status, expected, `${args.join(' ')}: ${out}${err}`);
    return { out, err };
  };
  try {
    const check = await cli(0, 'check');
    assert.match(check.out, /^ok +slot /m);
    await server.sql("INSERT INTO users VALUES (500, 'by the stack')");
    assert.match((await cli(0, 'status')).out, /^lag +.* the first unread commit is [\d.]+ s old/m);
    assert.match((await cli(0, 'run', '--max-seconds', '30')).out, /^published +1 change of 1 transaction/m);
    await server.sql("INSERT INTO users SELECT i, 'x' FROM generate_series(1001, 4000) i");
    const drained = await cli(0, 'drain');
    assert.match(drained.out, /^drain +Caught up\.$/m);
    assert.match(drained.out, /^published +3,000 changes of 1 transaction/m);
    assert.match((await cli(0, 'status')).out, /^last (?:advance|read) +[\d.]+ s ago/m);
    assert.match((await cli(0, 'refresh-keys')).out, /1 table with a primary key\.$/m);
    assert.match((await cli(0, 'tables')).out, /^public\.users +id +DEFAULT +published$/m);
    await server.sql("INSERT INTO users VALUES (501, 'left out')");
    const wrong = await cli(2, 'skip-transaction', '0/1');
    const [, lsn = ''] = /the first unconsumed transaction is (\S+) /.exec(wrong.err) ?? [];
    assert.match((await cli(0, 'skip-transaction', lsn)).out, /was skipped: consumers lack its changes/);
    const unknown = await runCli(['status', '--stack', 'nosuch'], env);
    assert.match(unknown.err, /^STACK_UNKNOWN: There is no stack nosuch in us-east-1\. Nothing was invoked\./);
  } finally {
    await lambda.stop();
    await Promise.all(containers.map(({ container }) => container.stop()));
  }
}
