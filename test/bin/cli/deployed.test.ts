/** Commands that act on a deployed function: what is sent, once, and how what goes wrong is told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lambdaClient } from '../../../bin/cli/targets/deployed.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { beginCli, runCli } from '../../support/cli.ts';
import { type LambdaEndpoint, type Outcome, startLambdaEndpoint } from '../../support/lambda-endpoint.ts';

const STATUS = {
  action: 'status',
  slot: 'orders',
  database: 'app',
  slotState: 'ok',
  slotDetail: 'orders: at 0/100',
  confirmedFlushLsn: '0/100',
  flushLsn: '0/200',
  lagBytes: 256,
  walStatus: 'reserved',
  serverVersion: '16.4',
  server: { role: 'primary' },
  lockHolder: null,
};
const RESUME = { commitLsn: '0/180', xid: 7, commitTimeMicros: '1', ordinal: 3, rows: 3, evidence: 'e' };
const RUN = {
  action: 'drain',
  slot: 'orders',
  batches: 1,
  ...noCounts(),
  published: 5,
  throttledEntries: 0,
  lagBytes: 0,
  durationMs: 1000,
  advancedTo: '0/200',
};
const answer = (payload: unknown): Outcome => ({ kind: 'answer', payload });

/** An endpoint for the length of a test. */
async function endpointFor(
  invoke: Parameters<typeof startLambdaEndpoint>[0],
  work: (endpoint: LambdaEndpoint) => Promise<void>,
): Promise<void> {
  const endpoint = await startLambdaEndpoint(invoke, { orders: { FunctionName: 'orders-fn' }, other: { Url: 'x' } });
  try {
    await work(endpoint);
  } finally {
    await endpoint.stop();
  }
}

describe('--function', () => {
  const payloads: [args: string[], payload: object][] = [
    [['status'], { action: 'status' }],
    [['run', '--max-seconds', '5'], { action: 'run', maxSeconds: 5 }],
    [['check'], { action: 'check' }],
    [['refresh-keys'], { action: 'refresh-keys' }],
    [
      ['snapshot-stop', '--tables', '"A.b"."x,y", public.z'],
      { action: 'snapshot-stop', tables: ['"A.b"."x,y"', 'public.z'] },
    ],
    [['skip-transaction', '0/1'], { action: 'skip-transaction', commitLsn: '0/1' }],
  ];
  for (const [args, payload] of payloads) {
    it(`sends the payload of ${args[0]} once, and needs no settings`, () =>
      endpointFor(
        () => answer({ action: 'refresh-keys', tables: 3 }),
        async ({ seen, env }) => {
          const { status, out, err } = await runCli([...args, '--function', 'orders-fn:admin'], env);
          assert.equal(status, 0, err);
          assert.match(out, /3 tables with a primary key/);
          assert.deepEqual(seen, [{ name: 'orders-fn:admin', payload, region: 'eu-west-1' }]);
        },
      ));
  }

  it('prints the answer as text, and as JSON with --json, with the exit status of a local command', () =>
    endpointFor(
      () => answer({ ...STATUS, slotState: 'at-risk' }),
      async ({ env }) => {
        const text = await runCli(['status', '--function', 'f'], env);
        assert.match(text.out, /^slot +orders: at 0\/100$/m);
        assert.equal(text.status, 3);
        const { out } = await runCli(['status', '--function', 'f', '--json'], env);
        assert.equal((JSON.parse(out) as { slot: string }).slot, 'orders');
      },
    ));

  it('uses the region of an ARN, and --region', () =>
    endpointFor(
      () => answer(STATUS),
      async ({ seen, env }) => {
        await runCli(['status', '--function', 'arn:aws:lambda:ap-south-1:111122223333:function:f'], env);
        await runCli(['status', '--function', 'f', '--region', 'us-west-2'], env);
        assert.deepEqual(
          seen.map(({ region }) => region),
          ['ap-south-1', 'us-west-2'],
        );
      },
    ));

  it('finds the function by the outputs of --stack, and says what a stack lacks', () =>
    endpointFor(
      () => answer(STATUS),
      async ({ seen, env }) => {
        assert.equal((await runCli(['status', '--stack', 'orders'], env)).status, 0);
        assert.equal(seen[0]?.name, 'orders-fn');
        const none = await runCli(['status', '--stack', 'nosuch'], env);
        assert.match(none.err, /^STACK_UNKNOWN: There is no stack nosuch in eu-west-1\. Nothing was invoked\./);
        const other = await runCli(['status', '--stack', 'other'], env);
        assert.match(other.err, /^STACK_UNKNOWN: The stack other has no output FunctionName \(it has Url\)/);
        assert.equal(other.status, 1);
        assert.equal(seen.length, 1);
      },
    ));

  it('fails with 2 for both, for an empty name, for a region of neither, and for a time that no function has', async () => {
    const both = await runCli(['status', '--function', 'f', '--stack', 's']);
    assert.equal(both.status, 2);
    assert.match(both.err, /cannot be used with option/);
    for (const flag of ['--function', '--stack']) {
      const empty = await runCli(['status', flag, '']);
      assert.equal(empty.status, 2);
      assert.match(empty.err, /argument '' is invalid\. It is empty\./);
    }
    const nothing = await runCli(['status', '--region', 'eu-west-1']);
    assert.equal(nothing.status, 2);
    assert.match(
      nothing.err,
      /^EVENT_INVALID: --region .* neither --function nor --stack was given\. Nothing was done\./,
    );
    const long = await runCli(['skip-transaction', '0/1', '--max-seconds', '5000', '--function', 'f']);
    assert.equal(long.status, 2);
    assert.match(long.err, /15 minutes/);
  });

  const failures: [what: string, outcome: Outcome, status: number, said: RegExp][] = [
    [
      'a failure of the table',
      { kind: 'failure', type: 'SLOT_LOST', message: 'SLOT_LOST: It is lost. Drop it.' },
      1,
      /^SLOT_LOST: It is lost\. Drop it\.\n$/,
    ],
    [
      'wrong settings of the function',
      { kind: 'failure', type: 'CONFIG_INVALID', message: 'CONFIG_INVALID: LANES is bad.' },
      2,
      /^CONFIG_INVALID: LANES is bad\.\n$/,
    ],
    [
      'a function that Lambda ended',
      { kind: 'failure', type: 'Sandbox.Timedout', message: 'Task timed out after 900.00 seconds' },
      1,
      /^FUNCTION_FAILED: The function f failed \(Sandbox\.Timedout\): Task timed out after 900\.00 seconds/,
    ],
    [
      'an answer that is lost',
      { kind: 'lost' },
      1,
      /^FUNCTION_ANSWER_LOST: .* was not invoked again: it may be at work/,
    ],
    [
      'no such function',
      { kind: 'refused', status: 404, type: 'ResourceNotFoundException' },
      1,
      /^FUNCTION_MISSING: There is no function f in eu-west-1\./,
    ],
    [
      'no right',
      { kind: 'refused', status: 403, type: 'AccessDeniedException' },
      1,
      /^FUNCTION_ACCESS_DENIED: .*Grant lambda:InvokeFunction/,
    ],
    [
      'an expired token',
      { kind: 'refused', status: 403, type: 'ExpiredTokenException' },
      1,
      /^FUNCTION_ACCESS_DENIED: .*sign in again/,
    ],
    [
      'too many invocations',
      { kind: 'refused', status: 429, type: 'TooManyRequestsException' },
      1,
      /^FUNCTION_THROTTLED: /,
    ],
    [
      'a name that is none',
      { kind: 'refused', status: 400, type: 'ValidationException' },
      1,
      /^FUNCTION_REFUSED: Lambda did not start f in eu-west-1 \(ValidationException: .*\)\. Nothing was invoked\./,
    ],
    [
      'a function that is being updated',
      { kind: 'refused', status: 409, type: 'ResourceConflictException' },
      1,
      /^FUNCTION_REFUSED: .*Nothing was invoked\. .*try again\.$/m,
    ],
    [
      'a key of the environment that may not be used',
      { kind: 'refused', status: 502, type: 'KMSAccessDeniedException' },
      1,
      /^FUNCTION_REFUSED: .*\(KMSAccessDeniedException: .*Nothing was invoked\. .*\(environmentKeyArn\)/,
    ],
    [
      'subnets without an address',
      { kind: 'refused', status: 502, type: 'SubnetIPAddressLimitReachedException' },
      1,
      /^FUNCTION_REFUSED: .*Nothing was invoked\./,
    ],
    [
      'a proxy that answers in the place of Lambda',
      { kind: 'page', status: 403 },
      1,
      /^FUNCTION_REFUSED: Lambda did not start f in eu-west-1 \(HTTP 403, and no answer of Lambda's\)\. Nothing was invoked\./,
    ],
    ['a service that fails', { kind: 'refused', status: 500, type: 'ServiceException' }, 1, /^FUNCTION_ANSWER_LOST: /],
  ];
  for (const [what, outcome, status, said] of failures) {
    it(`tells ${what} in a line, and invokes once`, () =>
      endpointFor(
        () => outcome,
        async ({ seen, env }) => {
          const ended = await runCli(['run', '--function', 'f'], env);
          assert.match(ended.err, said);
          assert.equal(ended.err.trimEnd().split('\n').length, 1);
          assert.equal(ended.status, status);
          assert.equal(ended.out, '');
          assert.equal(seen.length, 1);
        },
      ));
  }

  it('tells an endpoint that is not reached, and no region', () =>
    endpointFor(
      () => answer(STATUS),
      async ({ env }) => {
        const away = await runCli(['status', '--function', 'f'], {
          ...env,
          AWS_ENDPOINT_URL_LAMBDA: 'http://127.0.0.1:1',
        });
        assert.match(
          away.err,
          /^FUNCTION_UNREACHABLE: Lambda was not reached to invoke f in eu-west-1 \(ECONNREFUSED\)/,
        );
        const nowhere = Object.fromEntries(Object.entries(env).filter(([name]) => name !== 'AWS_REGION'));
        assert.match(
          (await runCli(['status', '--function', 'f'], nowhere)).err,
          /^CONFIG_INVALID: There is no AWS region\./,
        );
      },
    ));

  for (const [wrong, said] of [
    [{ AWS_ENDPOINT_URL_LAMBDA: 'localhost:1' }, /^CONFIG_INVALID: AWS_ENDPOINT_URL_LAMBDA has a value/],
    [{ AWS_ENDPOINT_URL: 'proxy' }, /^CONFIG_INVALID: AWS_ENDPOINT_URL has a value/],
    [{ AWS_REGION: 'eu central' }, /^CONFIG_INVALID: AWS_REGION has a value/],
  ] as const) {
    it(`names ${Object.keys(wrong).join('')} where its value is none, and invokes nothing`, () =>
      endpointFor(
        () => answer(STATUS),
        async ({ seen, env }) => {
          const { status, err } = await runCli(['status', '--function', 'f'], { ...env, ...wrong });
          assert.match(err, said);
          assert.match(err, / Nothing was invoked\./);
          assert.equal(status, 2);
          const option = await runCli(['status', '--stack', 'orders', '--region', 'Frankfurt'], env);
          assert.match(option.err, /^CONFIG_INVALID: --region has a value .* Nothing was invoked\./);
          assert.equal(seen.length, 0);
        },
      ));
  }

  it('waits as long as a function may run, and tries once', async () => {
    const client = lambdaClient('eu-west-1');
    assert.equal(await client.config.maxAttempts(), 1);
    // What the handler was given, once it has been used: its options are a promise until then.
    const { config, configProvider } = client.config.requestHandler as unknown as {
      config?: { requestTimeout?: number; throwOnRequestTimeout?: boolean };
      configProvider: Promise<{ requestTimeout?: number; throwOnRequestTimeout?: boolean }>;
    };
    const { requestTimeout = 0, throwOnRequestTimeout } = config ?? (await configProvider);
    // 0 is no limit.
    assert.ok(requestTimeout === 0 || requestTimeout > 900_000);
    assert.equal(throwOnRequestTimeout, true);
  });
});

describe('drain --function', () => {
  it('goes on over several invocations, from where each ended, and adds them up', () => {
    let drains = 0;
    return endpointFor(
      ({ payload }) => {
        if (payload['action'] === 'status') return answer(STATUS);
        return ++drains < 3
          ? answer({ ...RUN, caughtUp: false, stopped: 'deadline', resume: RESUME, lagBytes: 9 })
          : answer({ ...RUN, caughtUp: true, stopped: 'caught-up' });
      },
      async ({ seen, env }) => {
        const { status, out, err } = await runCli(['drain', '--function', 'f'], env);
        assert.equal(status, 0, err);
        assert.match(out, /^drain +Caught up\.$/m);
        assert.match(out, /^published +15 changes/m);
        const sent = seen.filter(({ payload }) => payload['action'] === 'drain').map(({ payload }) => payload);
        assert.deepEqual(sent, [
          { action: 'drain' },
          { action: 'drain', resume: RESUME },
          { action: 'drain', resume: RESUME },
        ]);
        assert.ok(
          seen.some(({ payload }) => payload['action'] === 'status'),
          'it looks at the slot meanwhile',
        );
      },
    );
  });

  for (const stopped of ['locked', 'waiting-for-standby', 'commit-pending']) {
    it(`does not go on after ${stopped}, and exits with 3`, () =>
      endpointFor(
        ({ payload }) => answer(payload['action'] === 'status' ? STATUS : { ...RUN, caughtUp: false, stopped }),
        async ({ seen, env }) => {
          const { status } = await runCli(['drain', '--function', 'f'], env);
          assert.equal(status, 3);
          assert.equal(seen.filter(({ payload }) => payload['action'] === 'drain').length, 1);
        },
      ));
  }

  it('stops waiting at Ctrl-C, and says where it stood and that the function goes on', () => {
    let begun: () => void = () => undefined;
    const under = new Promise<void>((resolve) => (begun = resolve));
    const never = new Promise<Outcome>(() => undefined);
    return endpointFor(
      ({ payload }) => {
        if (payload['action'] === 'status') return answer(STATUS);
        begun();
        return never;
      },
      async ({ env }) => {
        const { ended, interrupt } = beginCli(['drain', '--function', 'f'], env);
        await under;
        interrupt();
        const { status, err } = await ended;
        assert.match(err, /Where the drain was: 0 % of 256 bytes/);
        assert.match(err, /INTERRUPTED: This command waits no longer\. The function f goes on by itself/);
        assert.equal(status, 3);
      },
    );
  });
});
