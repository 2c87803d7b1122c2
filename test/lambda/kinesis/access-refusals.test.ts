/** Every name of a refusal, one by one: which cause it is, whether it passes, and how messages tell it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { PipelineError } from '../../../lambda/errors.ts';
import { refusalKind, remedyOf } from '../../../lambda/kinesis/access-refusals.ts';
import {
  classify,
  classifyEntry,
  describe as describeError,
  hasNoAnswer,
  transientKind,
} from '../../../lambda/kinesis/classify.ts';
import { addressOf, describeEndpoint } from '../../../lambda/kinesis/endpoint.ts';

/** An error as the SDK throws it. */
function answered(name: string, status?: number, message = 'told by Kinesis'): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

/** What an error comes to: its code, or what is done. */
function told(error: unknown): string {
  const decision = classify(error, 'changes');
  return decision instanceof PipelineError ? decision.code : decision;
}

/** What the operator reads. */
function what(error: unknown, where?: string): string {
  const decision = classify(error, 'changes', where);
  assert.ok(decision instanceof PipelineError, String(decision));
  return decision.what;
}

describe('the kinds of refusals', () => {
  for (const [kind, names] of [
    ['rights', ['AccessDeniedException', 'AccessDenied', 'NotAuthorized', 'KMSAccessDeniedException']],
    ['expired', ['ExpiredTokenException', 'ExpiredToken']],
    [
      'credentials',
      [
        'UnrecognizedClientException',
        'InvalidClientTokenId',
        'InvalidSignatureException',
        'SignatureDoesNotMatch',
        'IncompleteSignature',
        'MissingAuthenticationToken',
        'MissingAuthenticationTokenException',
      ],
    ],
    ['missing', ['CredentialsProviderError', 'TokenProviderError', 'CredentialsError']],
    ['key', ['KMSDisabledException', 'KMSInvalidStateException', 'KMSNotFoundException']],
    ['account', ['OptInRequired', 'KMSOptInRequired']],
  ] as const) {
    for (const name of names) {
      it(`fails on ${name}, which is of ${kind}`, () => {
        assert.equal(refusalKind(name), kind);
        assert.equal(told(answered(name, 400)), 'STREAM_ACCESS_DENIED');
        assert.equal(remedyOf(kind) === undefined, kind === 'rights');
      });
    }
  }

  it('passes over a name that is of no kind', () => assert.equal(refusalKind('InternalFailure'), undefined));
});

describe('what passes by itself', () => {
  for (const name of [
    'InternalFailure',
    'InternalFailureException',
    'InternalServerError',
    'InternalServerException',
    'ServiceUnavailable',
    'ServiceUnavailableException',
    'RequestAborted',
    'RequestAbortedException',
    'RequestExpired',
    'ResourceInUseException',
    'SyntaxError',
    'Unknown',
    'UnknownError',
  ]) {
    it(`${name}, also with HTTP 400`, () => assert.equal(transientKind(answered(name, 400)), 'retry'));
  }

  for (const [status, decision] of [
    [undefined, 'retry'],
    [200, 'retry'],
    [399, 'retry'],
    [400, undefined],
    [404, undefined],
    [408, 'retry'],
    [413, undefined],
    [499, undefined],
    [500, 'retry'],
    [501, 'retry'],
    [503, 'retry'],
  ] as const) {
    it(`a name not known with HTTP ${status ?? 'no answer'}: ${decision ?? 'does not'}`, () => {
      assert.equal(transientKind(answered('SomethingNew', status)), decision);
    });
  }

  it('does not pass by itself where nothing was sent, or credentials are missing', () => {
    assert.equal(transientKind(answered('EndpointError')), undefined);
    assert.equal(transientKind(answered('CredentialsProviderError')), undefined);
    assert.equal(transientKind(Object.assign(new Error('x'), { code: 'ERR_INVALID_URL' })), undefined);
    assert.equal(transientKind(Object.assign(new Error('x'), { code: 'ERR_INVALID_CHAR' })), undefined);
  });
});

describe('a request that only other settings can mend', () => {
  for (const name of [
    'UnknownOperationException',
    'UnknownOperation',
    'InvalidAction',
    'MissingAction',
    'MissingParameter',
    'MalformedHttpRequestException',
    'MalformedQueryString',
    'UnsupportedOperation',
    'ValidationError',
    'ValidationException',
    'InvalidArgumentException',
    'SerializationException',
  ]) {
    it(`fails on ${name}`, () => {
      assert.equal(told(answered(name, 400)), 'CONFIG_INVALID');
      assert.match(what(answered(name, 400)), new RegExp(`as invalid \\(${name} \\(HTTP 400\\)\\): the name or ARN`));
    });
  }

  it('fails with STREAM_ACCESS_DENIED on 401 and 403 of any name', () => {
    for (const status of [401, 403]) {
      assert.equal(told(answered('Forbidden', status)), 'STREAM_ACCESS_DENIED');
      assert.match(what(answered('Forbidden', status)), new RegExp(`for "changes": Forbidden \\(HTTP ${status}\\)\\.`));
    }
  });

  it('fails with the way out where credentials cannot be sent', () => {
    const decision = classify(Object.assign(new Error('x'), { code: 'ERR_INVALID_CHAR' }), 'changes');
    assert.match(decision instanceof PipelineError ? decision.remedy : '', /without line breaks or spaces around them/);
  });
});

describe('whether Kinesis answered', () => {
  for (const [error, none] of [
    [answered('TimeoutError'), true],
    [answered('InternalFailure', 500), true],
    [answered('InternalFailure', 503), true],
    [answered('SyntaxError', 407), true],
    [answered('InternalFailure', 400), false],
    [answered('ThrottlingException', 499), false],
  ] as const) {
    it(`${describeError(error)}: ${none ? 'no' : 'yes'}`, () => assert.equal(hasNoAnswer(error), none));
  }
});

describe('how a failure is told', () => {
  for (const [error, text] of [
    [answered('Unknown', 403), 'an answer that is not of Kinesis (HTTP 403)'],
    [answered('UnknownError', 403), 'an answer that is not of Kinesis (HTTP 403)'],
    [answered('SyntaxError'), 'SyntaxError'],
    [Object.assign(answered('TimeoutError', 502), { code: 'ECONNRESET' }), 'TimeoutError (ECONNRESET, HTTP 502)'],
    [Object.assign(new Error('x'), { name: '', code: '' }), 'Error'],
    [null, 'Error'],
  ] as const) {
    it(text, () => assert.equal(describeError(error), text));
  }

  it('with the text of Kinesis as a sentence', () => {
    const missing = (message: string): string => what(answered('ResourceNotFoundException', 400, message));
    assert.match(missing(' Stream x.y not found\n'), /stream "changes": Stream x\.y not found\. What Kinesis/);
    for (const end of ['.', '!', '?']) {
      assert.ok(missing(`Not found${end}`).includes(`: Not found${end} What`), missing(`Not found${end}`));
    }
    assert.match(missing(''), /stream "changes": {2}What Kinesis/);
  });

  it('with where the request went', () => {
    assert.match(what(answered('Forbidden', 403), ' in eu-west-1'), /for "changes" in eu-west-1: Forbidden/);
    const entry = classifyEntry('AccessDeniedException', 'no', 'changes');
    assert.match(entry instanceof PipelineError ? entry.what : '', /for "changes": AccessDeniedException: no\./);
  });

  for (const [message, limit] of [
    ['Member must have length less than or equal to 1048576', ', which is 1048576 bytes'],
    ["size 2 exceeds the stream's max record size of 2097152 bytes", ', which is 2097152 bytes'],
    ['it exceeds the maximum record size of 1048576 bytes', ', which is 1048576 bytes'],
    ['it exceeds the maximum size of 10485760', ', which is 10485760 bytes'],
    ['it exceeds the limit', ''],
  ] as const) {
    it(`fails with RECORD_TOO_LARGE where Kinesis says "${message}"`, () => {
      const text = what(answered('InvalidArgumentException', 400, message));
      assert.ok(text.includes(`MAX_RECORD_KIB is above what the stream takes${limit}. What`), text);
    });
  }
});

describe('where requests go', () => {
  const client = (region: () => Promise<string>) => ({ config: { region } }) as unknown as KinesisClient;
  const none = (): Promise<string> => Promise.reject(new Error('Region is missing'));

  it('is told by region and address, as far as they are known', async () => {
    const here = client(() => Promise.resolve('eu-west-1'));
    assert.equal(await describeEndpoint(here, 'localhost:4567'), ' in eu-west-1 (localhost:4567)');
    assert.equal(await describeEndpoint(here, undefined), ' in eu-west-1');
    assert.equal(await describeEndpoint(client(none), 'localhost:4567'), ' (localhost:4567)');
    assert.equal(await describeEndpoint(client(none), undefined), '');
  });

  it('is an address with the port where that is not the usual one', () => {
    assert.equal(addressOf({ hostname: 'localhost', port: 4567 }), 'localhost:4567');
    assert.equal(addressOf({ hostname: 'kinesis.eu-west-1.amazonaws.com' }), 'kinesis.eu-west-1.amazonaws.com');
    assert.equal(addressOf({ port: 4567 }), undefined);
    assert.equal(addressOf({}), undefined);
  });
});
