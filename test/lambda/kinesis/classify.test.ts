/** The table of Kinesis's refusals: sent again, throttled, or which error. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { classify, classifyEntry, describe as describeError } from '../../../lambda/kinesis/classify.ts';

/** An error as the SDK throws it. */
function answered(name: string, status: number, message = 'told by Kinesis'): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

/** An error as a connection gives it. */
function broken(code: string, name = 'Error'): Error {
  return Object.assign(new Error('of the connection'), { name, code });
}

const TOO_LONG =
  "1 validation error detected: Value 'java.nio.HeapByteBuffer' at 'records.1.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576";

const cases: [what: string, error: unknown, decision: string][] = [
  ['throttling of the shard', answered('ProvisionedThroughputExceededException', 400), 'throttled'],
  ['throttling of the key', answered('KMSThrottlingException', 400), 'throttled'],
  ['a limit', answered('LimitExceededException', 400), 'throttled'],
  ['throttling of the API', answered('ThrottlingException', 400), 'throttled'],
  ['429', answered('UnknownError', 429), 'throttled'],
  ...[
    'RequestThrottled',
    'RequestThrottledException',
    'ThrottledException',
    'SlowDown',
    'PriorRequestNotComplete',
    'BandwidthLimitExceeded',
    'TransactionInProgressException',
    'RequestLimitExceeded',
    'TooManyRequestsException',
    'Throttling',
    'EC2ThrottledException',
  ].map((name): [string, Error, string] => [`${name} with HTTP 400`, answered(name, 400), 'throttled']),
  ...[
    'RequestTimeout',
    'RequestTimeoutException',
    'RequestAbortedException',
    'InternalFailure',
    'InternalFailureException',
    'InternalServerError',
    'ServiceUnavailable',
    'ServiceUnavailableException',
    'RequestExpired',
    'ResourceInUseException',
    'SomethingNew',
  ].map((name): [string, Error, string] => [`${name} with HTTP 400`, answered(name, 400), 'retry']),
  ['an empty 400', answered('Unknown', 400, 'UnknownError'), 'retry'],
  ["a proxy's 404", answered('SyntaxError', 404), 'retry'],
  ["a proxy's 407", answered('SyntaxError', 407), 'retry'],
  ["a proxy's 403", answered('SyntaxError', 403), 'retry'],
  ['an internal failure', answered('InternalFailureException', 500), 'retry'],
  ['503', answered('ServiceUnavailable', 503), 'retry'],
  ['408', answered('RequestTimeout', 408), 'retry'],
  ['a body that cannot be read', answered('SyntaxError', 200), 'retry'],
  ['a reset connection', broken('ECONNRESET', 'TimeoutError'), 'retry'],
  ['a refused connection', broken('ECONNREFUSED'), 'retry'],
  ['a broken pipe', broken('EPIPE'), 'retry'],
  ['a name that is not found', broken('ENOTFOUND'), 'retry'],
  ['a time-out', broken('', 'TimeoutError'), 'retry'],
  ['an abort', broken('ABORT_ERR', 'AbortError'), 'retry'],
  ['anything thrown', 'a text', 'retry'],
  ['nothing thrown', undefined, 'retry'],
  [
    'a clock that the SDK has set right',
    Object.assign(answered('InvalidSignatureException', 400), {
      $metadata: { httpStatusCode: 400, clockSkewCorrected: true },
    }),
    'retry',
  ],
  ['no stream', answered('ResourceNotFoundException', 400), 'STREAM_MISSING'],
  ['a missing right', answered('AccessDeniedException', 400), 'STREAM_ACCESS_DENIED'],
  ['a missing right to the key', answered('KMSAccessDeniedException', 400), 'STREAM_ACCESS_DENIED'],
  ['a disabled key', answered('KMSDisabledException', 400), 'STREAM_ACCESS_DENIED'],
  ['a key in a bad state', answered('KMSInvalidStateException', 400), 'STREAM_ACCESS_DENIED'],
  ['a key that is gone', answered('KMSNotFoundException', 400), 'STREAM_ACCESS_DENIED'],
  ['a key not opted in', answered('KMSOptInRequired', 400), 'STREAM_ACCESS_DENIED'],
  ['an unknown client', answered('UnrecognizedClientException', 400), 'STREAM_ACCESS_DENIED'],
  ['an expired token', answered('ExpiredTokenException', 400), 'STREAM_ACCESS_DENIED'],
  ['a bad signature', answered('InvalidSignatureException', 400), 'STREAM_ACCESS_DENIED'],
  ['no token', answered('MissingAuthenticationTokenException', 400), 'STREAM_ACCESS_DENIED'],
  ['403 of any name', answered('Forbidden', 403), 'STREAM_ACCESS_DENIED'],
  ['no credentials', broken('', 'CredentialsProviderError'), 'STREAM_ACCESS_DENIED'],
  ['a record that is too long', answered('ValidationException', 400, TOO_LONG), 'RECORD_TOO_LARGE'],
  [
    'a request that is too large',
    answered('InvalidArgumentException', 400, 'Records size exceeds 5 MB limit'),
    'RECORD_TOO_LARGE',
  ],
  ['413', answered('UnknownError', 413), 'RECORD_TOO_LARGE'],
  [
    'a bad stream name',
    answered('ValidationException', 400, 'must satisfy regular expression pattern'),
    'CONFIG_INVALID',
  ],
  ['an endpoint that is not Kinesis', answered('UnknownOperationException', 404), 'CONFIG_INVALID'],
  ['an argument that is no argument', answered('InvalidArgumentException', 400), 'CONFIG_INVALID'],
  [
    'FIPS with an endpoint of its own',
    Object.assign(new Error('not supported'), { name: 'EndpointError' }),
    'CONFIG_INVALID',
  ],
  ['an endpoint that is no URL', broken('ERR_INVALID_URL', 'TypeError'), 'CONFIG_INVALID'],
  ['credentials with a line break', broken('ERR_INVALID_CHAR', 'TypeError'), 'STREAM_ACCESS_DENIED'],
];

describe('classify', () => {
  for (const [what, error, expected] of cases) {
    const fails = expected === 'retry' || expected === 'throttled' ? '' : 'fails on ';
    it(`${fails}${what}: ${expected}`, () => {
      const decision = classify(error, 'changes');
      assert.equal(decision instanceof PipelineError ? decision.code : decision, expected);
      if (decision instanceof PipelineError) {
        assert.equal(decision.cause, error);
        assert.match(decision.message, /"changes"/);
        assert.match(decision.message, /the slot is not advanced/);
      }
    });
  }

  for (const [name, remedy] of [
    ['ExpiredTokenException', /have expired: sign in again/],
    ['UnrecognizedClientException', /that belong together and are active/],
    ['InvalidSignatureException', /that belong together and are active/],
    ['KMSDisabledException', /^Enable the KMS key/],
    ['KMSInvalidStateException', /^Enable the KMS key/],
    ['CredentialsProviderError', /^Set AWS_PROFILE to a profile that has some/],
    ['OptInRequired', /^Sign the AWS account up/],
    ['AccessDeniedException', /^Grant kinesis:PutRecords/],
  ] as const) {
    it(`gives the remedy for ${name}, and says which stream it was, where`, () => {
      const decision = classify(answered(name, 400), 'changes', ' in eu-west-1 (localhost:4567)');
      assert.ok(decision instanceof PipelineError);
      assert.match(decision.remedy, remedy);
      assert.match(decision.what, /"changes" in eu-west-1 \(localhost:4567\)/);
      if (name !== 'AccessDeniedException') assert.doesNotMatch(decision.remedy, /PutRecords/);
    });
  }

  it('says how large a record the stream takes, where Kinesis says so', () => {
    const decision = classify(answered('ValidationException', 400, TOO_LONG), 'changes');
    assert.match(
      decision instanceof PipelineError ? decision.what : '',
      /above what the stream takes, which is 1048576 bytes/,
    );
    assert.match(decision instanceof PipelineError ? decision.remedy : '', /^Lower MAX_RECORD_KIB/);
  });

  const entries: [code: string | undefined, message: string, decision: string][] = [
    ['ProvisionedThroughputExceededException', 'Rate exceeded', 'throttled'],
    ['KMSThrottlingException', 'Rate exceeded', 'throttled'],
    ['InternalFailure', 'Internal Service Failure', 'retry'],
    ['SomethingNew', '', 'retry'],
    [undefined, '', 'retry'],
    [
      'InvalidArgumentException',
      "Record data size 2 exceeds the stream's max record size of 1 bytes",
      'RECORD_TOO_LARGE',
    ],
    ['KMSAccessDeniedException', 'no', 'STREAM_ACCESS_DENIED'],
  ];
  for (const [code, message, expected] of entries) {
    it(`${/^[A-Z_]+$/.test(expected) ? 'fails on ' : ''}an entry refused with ${code}: ${expected}`, () => {
      const decision = classifyEntry(code, message, 'changes');
      assert.equal(decision instanceof PipelineError ? decision.code : decision, expected);
    });
  }

  it('passes on what Kinesis says of rights and streams', () => {
    for (const name of ['AccessDeniedException', 'KMSAccessDeniedException', 'ResourceNotFoundException']) {
      const decision = classify(answered(name, 400, 'User x may not do y on z'), 'changes');
      assert.match(decision instanceof PipelineError ? decision.message : '', /User x may not do y on z\./);
    }
  });

  it('I10: quotes no validation error, which may hold a partition key', () => {
    const message =
      "Value 'public.users:4711' at 'records.1.member.partitionKey' failed: length less than or equal to 256";
    for (const name of ['ValidationException', 'InvalidArgumentException', 'SerializationException']) {
      const error = answered(name, 400, message);
      const decision = classify(error, 'changes');
      assert.ok(decision instanceof PipelineError);
      assert.doesNotMatch(decision.message + describeError(error), /4711/);
    }
  });

  it('describes a failure by name, code and status', () => {
    assert.equal(describeError(answered('InternalFailureException', 500)), 'InternalFailureException (HTTP 500)');
    assert.equal(describeError(broken('ECONNRESET', 'TimeoutError')), 'TimeoutError (ECONNRESET)');
    assert.equal(describeError('x'), 'Error');
    assert.equal(describeError(answered('SyntaxError', 407)), 'an answer that is not of Kinesis (HTTP 407)');
  });
});
