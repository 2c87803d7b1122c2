/**
 * What a failed PutRecords means: whether to send again, and else what to tell the operator. Pure, beside the loop that
 * retries (publisher.ts). No message holds data or a partition key (I10): Kinesis quotes the offending value in a
 * validation error, so only the texts of errors that speak of the stream, its key or the caller are passed on.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
 */
import { PipelineError } from '../errors.ts';

/** What to do after a failure: send again, send again and count it as throttled, or give up with this error. */
export type Verdict = 'retry' | 'throttled' | PipelineError;

const NOT_DONE = 'What Kinesis has not acknowledged is not published, and the slot is not advanced over it.';

/** Want of capacity, of the stream or of the key that encrypts it. */
const THROTTLED = new Set([
  'ProvisionedThroughputExceededException',
  'KMSThrottlingException',
  'LimitExceededException',
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
  'TooManyRequestsException',
]);

/** Who we are, or what we may do, is not as it should be; their texts name principal, action and resource. */
const DENIED = new Set([
  'AccessDeniedException',
  'AccessDenied',
  'NotAuthorized',
  'OptInRequired',
  'KMSAccessDeniedException',
  'KMSDisabledException',
  'KMSInvalidStateException',
  'KMSNotFoundException',
  'KMSOptInRequired',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'ExpiredTokenException',
  'ExpiredToken',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'IncompleteSignature',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
]);

/** No credentials were found, before anything was sent. */
const NO_CREDENTIALS = new Set(['CredentialsProviderError', 'TokenProviderError', 'CredentialsError']);

/** Names of refusals whose texts may quote what was sent. */
const INVALID = new Set(['ValidationException', 'InvalidArgumentException', 'SerializationException']);

/** How Kinesis and its emulators say that a record or a request is too large. */
const TOO_LARGE = /length less than or equal to|exceed|too (large|long|big)|larger than|greater than/i;

/** What is read of an error, whoever threw it. */
interface Facts {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly status: number | undefined;
  readonly clockSkewCorrected: boolean;
}

function read(error: unknown): Facts {
  const fields = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly name?: unknown;
    readonly code?: unknown;
    readonly message?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: unknown; readonly clockSkewCorrected?: unknown };
  };
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const status = fields.$metadata?.httpStatusCode;
  return {
    name: text(fields.name) ?? 'Error',
    code: text(fields.code),
    message: text(fields.message) ?? '',
    status: typeof status === 'number' ? status : undefined,
    clockSkewCorrected: fields.$metadata?.clockSkewCorrected === true,
  };
}

/**
 * Names a failure for logs: what kind, and how Kinesis answered.
 *
 * @param error - what a request threw
 * @returns for example `InternalFailureException (HTTP 500)` or `Error (ECONNRESET)`; never its text
 */
export function describe(error: unknown): string {
  const { name, code, status } = read(error);
  const details = [code, status === undefined ? undefined : `HTTP ${status}`].filter((detail) => detail !== undefined);
  return details.length === 0 ? name : `${name} (${details.join(', ')})`;
}

/**
 * Judges a request that failed as a whole.
 *
 * @param error - what the SDK threw
 * @param stream - the stream's name or ARN, for the message
 * @returns what to do; unknown failures without an answer of Kinesis (a connection's) are sent again
 */
export function classify(error: unknown, stream: string): Verdict {
  const facts = read(error);
  const { name, message, status } = facts;
  const fail = (
    code: 'STREAM_MISSING' | 'STREAM_ACCESS_DENIED' | 'RECORD_TOO_LARGE' | 'CONFIG_INVALID',
    what: string,
  ) => new PipelineError(code, `${what} ${NOT_DONE}`, { cause: error });

  if (THROTTLED.has(name) || status === 429) return 'throttled';
  // The SDK has taken the server's time over: signed anew, the request passes.
  if (facts.clockSkewCorrected) return 'retry';
  if (name === 'ResourceNotFoundException') {
    return fail('STREAM_MISSING', `Kinesis has no stream "${stream}": ${sentence(message)}`);
  }
  if (DENIED.has(name)) {
    return fail(
      'STREAM_ACCESS_DENIED',
      `Kinesis refused to take records for "${stream}": ${name}: ${sentence(message)}`,
    );
  }
  if (NO_CREDENTIALS.has(name)) {
    return fail(
      'STREAM_ACCESS_DENIED',
      `No AWS credentials were found to publish to "${stream}": ${sentence(message)} Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the function's role the right.`,
    );
  }
  if (status === undefined || status < 400 || status >= 500 || status === 408) return 'retry';
  if (status === 413 || (INVALID.has(name) && TOO_LARGE.test(message))) {
    return fail(
      'RECORD_TOO_LARGE',
      `Kinesis refused a record or request for "${stream}" as too large (${describe(error)}).`,
    );
  }
  if (status === 401 || status === 403) {
    return fail('STREAM_ACCESS_DENIED', `Kinesis refused to take records for "${stream}": ${describe(error)}.`);
  }
  return fail(
    'CONFIG_INVALID',
    `Kinesis refused the request for STREAM_NAME "${stream}" as invalid (${describe(error)}): the name or ARN, its region, or an endpoint that is not Kinesis.`,
  );
}

/**
 * Judges one entry that was refused while others may have been stored.
 *
 * @param code - the entry's ErrorCode; undefined where it has neither that nor a sequence number
 * @param message - its ErrorMessage
 * @param stream - the stream's name or ARN, for the message
 * @returns what to do; an unknown code is sent again
 */
export function classifyEntry(code: string | undefined, message: string | undefined, stream: string): Verdict {
  if (code === undefined) return 'retry';
  if (THROTTLED.has(code)) return 'throttled';
  // Sent again, it would be refused again: for example a record that is larger than this stream allows.
  if (!INVALID.has(code) && !DENIED.has(code)) return 'retry';
  return classify({ name: code, message, $metadata: { httpStatusCode: 400 } }, stream);
}

/** A text as a sentence. */
function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
