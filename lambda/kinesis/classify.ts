/**
 * What a failed PutRecords means: whether to send again, and else what to tell the operator. Pure, beside the loop that
 * retries (publisher.ts). No message holds data or a partition key (I10): Kinesis quotes the offending value in a
 * validation error, so only the texts of errors that speak of the stream, its key or the caller are passed on.
 *
 * @see https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
 */
import { isThrottlingError, isTransientError } from '@smithy/core/retry';
import { PipelineError } from '../errors.ts';
import { refusalKind, remedyOf } from './access-refusals.ts';

/** What to do after a failure: send again, send again and count it as throttled, or give up with this error. */
export type RetryDecision = 'retry' | 'throttled' | PipelineError;

const NOT_DONE = 'What Kinesis has not acknowledged is not published, and the slot is not advanced over it.';

/** What the SDK's functions take. */
type SdkError = Parameters<typeof isTransientError>[0];

/** Want of capacity of the key that encrypts the stream; the stream's own is in the SDK's list. */
const KEY_THROTTLED = 'KMSThrottlingException';

/** Refusals that pass, besides those in the SDK's list. Some come with HTTP 400. */
const TRANSIENT_ERRORS = new Set([
  'InternalFailure',
  'InternalFailureException',
  'InternalServerError',
  'InternalServerException',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'RequestAborted',
  'RequestAbortedException',
  // Signed long ago: a function that was frozen in mid-request. Signed anew, it passes.
  'RequestExpired',
  // The stream is being changed.
  'ResourceInUseException',
]);

/** What the SDK makes of an answer that is not in Kinesis's form: empty, or the page of a proxy. */
const NOT_KINESIS = new Set(['SyntaxError', 'Unknown', 'UnknownError']);

/** Names of refusals whose texts may quote what was sent. */
const INVALID = new Set(['ValidationException', 'InvalidArgumentException', 'SerializationException']);

/** Refusals that only other settings can change, besides those of INVALID. */
const MISDIRECTED = new Set([
  'UnknownOperationException',
  'UnknownOperation',
  'InvalidAction',
  'MissingAction',
  'MissingParameter',
  'MalformedHttpRequestException',
  'MalformedQueryString',
  'UnsupportedOperation',
  'ValidationError',
]);

/** How Kinesis and its emulators say that a record or a request is too large. */
const TOO_LARGE = /length less than or equal to|exceed|too (large|long|big)|larger than|greater than/i;

/** What is read of an error, whoever threw it. */
export interface ErrorFacts {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly status: number | undefined;
}

/**
 * Reads an error as far as it is one.
 *
 * @param error - what a request threw
 * @returns its fields; "Error" for the name of what has none
 */
export function readError(error: unknown): ErrorFacts {
  const fields = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly name?: unknown;
    readonly code?: unknown;
    readonly message?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: unknown };
  };
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const status = fields.$metadata?.httpStatusCode;
  return {
    name: text(fields.name) ?? 'Error',
    code: text(fields.code),
    message: text(fields.message) ?? '',
    status: typeof status === 'number' ? status : undefined,
  };
}

/**
 * Names a failure for logs: what kind, and how Kinesis answered.
 *
 * @param error - what a request threw
 * @returns for example `InternalFailureException (HTTP 500)` or `Error (ECONNRESET)`; never the error's text
 */
export function describe(error: unknown): string {
  const { name, code, status } = readError(error);
  const details = [code, status === undefined ? undefined : `HTTP ${status}`].filter((detail) => detail !== undefined);
  const what = NOT_KINESIS.has(name) && status !== undefined ? 'an answer that is not of Kinesis' : name;
  return `${what}${details.length === 0 ? '' : ` (${details.join(', ')})`}`;
}

/**
 * Tells a failure in which Kinesis itself did not answer: no connection, a time-out, a failing server, or another's answer.
 *
 * @param error - what a request threw
 */
export function hasNoAnswer(error: unknown): boolean {
  const { name, status } = readError(error);
  return status === undefined || status >= 500 || NOT_KINESIS.has(name);
}

/**
 * Tells failures that pass, by the SDK's own lists and ours, whatever their HTTP status.
 *
 * @param error - what a request threw
 * @returns `throttled`, `retry`, or undefined for what does not pass by itself
 */
export function transientKind(error: unknown): 'retry' | 'throttled' | undefined {
  const { name, code, status } = readError(error);
  // The SDK's functions look into the error; they are given one in any case.
  const asError = (typeof error === 'object' && error !== null ? error : new Error()) as SdkError;
  if (isThrottlingError(asError) || name === KEY_THROTTLED) return 'throttled';
  // A record that is too large stays so, and so does a header that cannot be sent.
  if (status === 413 || isUnsendable(name, code)) return undefined;
  if (isTransientError(asError) || TRANSIENT_ERRORS.has(name) || NOT_KINESIS.has(name)) return 'retry';
  if (refusalKind(name) === 'missing') return undefined;
  return status === undefined || status < 400 || status >= 500 || status === 408 ? 'retry' : undefined;
}

/** Nothing was sent, and nothing will be: the SDK found the endpoint or the credentials unusable. */
function isUnsendable(name: string, code: string | undefined): boolean {
  return name === 'EndpointError' || code === 'ERR_INVALID_URL' || code === 'ERR_INVALID_CHAR';
}

/**
 * Classifies a request that failed as a whole.
 *
 * @param error - what the SDK threw
 * @param stream - the stream's name or ARN, for the message
 * @param where - what else tells where it went: region and endpoint
 * @returns what to do; failures that nobody has a name for are sent again
 */
export function classify(error: unknown, stream: string, where = ''): RetryDecision {
  const { name, code, message, status } = readError(error);
  const fail = (
    errorCode: 'STREAM_MISSING' | 'STREAM_ACCESS_DENIED' | 'RECORD_TOO_LARGE' | 'CONFIG_INVALID',
    what: string,
    remedy?: string,
  ) =>
    new PipelineError(errorCode, `${what} ${NOT_DONE}`, { cause: error, ...(remedy === undefined ? {} : { remedy }) });
  const named = `"${stream}"${where}`;

  const passes = transientKind(error);
  if (passes !== undefined) return passes;
  if (code === 'ERR_INVALID_CHAR') {
    return fail(
      'STREAM_ACCESS_DENIED',
      `The AWS credentials for ${named} hold a character that cannot be sent, for example a line break.`,
      'Set the AWS credentials anew, without line breaks or spaces around them.',
    );
  }
  if (name === 'EndpointError' || code === 'ERR_INVALID_URL') {
    return fail(
      'CONFIG_INVALID',
      `There is no endpoint for STREAM_NAME ${named}: ${sentence(message)} It follows from the region, AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT, or the same in the profile.`,
    );
  }
  if (name === 'ResourceNotFoundException') {
    return fail('STREAM_MISSING', `Kinesis has no stream ${named}: ${sentence(message)}`);
  }
  const refusal = refusalKind(name);
  if (refusal === 'missing') {
    return fail(
      'STREAM_ACCESS_DENIED',
      `No AWS credentials were found to publish to ${named}: ${sentence(message)}`,
      remedyOf(refusal),
    );
  }
  if (refusal !== undefined) {
    return fail(
      'STREAM_ACCESS_DENIED',
      `Kinesis refused to take records for ${named}: ${name}: ${sentence(message)}`,
      remedyOf(refusal),
    );
  }
  if (status === 413 || (INVALID.has(name) && TOO_LARGE.test(message))) {
    return tooLarge(error, named, message);
  }
  if (status === 401 || status === 403) {
    return fail('STREAM_ACCESS_DENIED', `Kinesis refused to take records for ${named}: ${describe(error)}.`);
  }
  if (!INVALID.has(name) && !MISDIRECTED.has(name)) return 'retry';
  return fail(
    'CONFIG_INVALID',
    `Kinesis refused the request for STREAM_NAME ${named} as invalid (${describe(error)}): the name or ARN, its region, or an endpoint that is not Kinesis.`,
  );
}

/**
 * Classifies one entry that was refused while others may have been stored.
 *
 * @param code - the entry's ErrorCode; undefined where it has neither that nor a sequence number
 * @param message - its ErrorMessage
 * @param stream - the stream's name or ARN, for the message
 * @param where - what else tells where it went
 * @returns what to do; an entry with an unknown code, or none, is sent again
 */
export function classifyEntry(
  code: string | undefined,
  message: string | undefined,
  stream: string,
  where = '',
): RetryDecision {
  return classify({ name: code, message, $metadata: { httpStatusCode: 400 } }, stream, where);
}

/**
 * Kinesis takes no record as large as one that was sent. The number in its text is its limit, the rest may quote what
 * was sent.
 */
function tooLarge(error: unknown, named: string, message: string): PipelineError {
  const limit =
    /(?:less than or equal to|max record size of|maximum (?:record )?size of) (\d{4,9})/.exec(message)?.[1] ??
    undefined;
  const taken = limit === undefined ? '' : `, which is ${limit} bytes`;
  return new PipelineError(
    'RECORD_TOO_LARGE',
    `Kinesis refused a record or request for ${named} as too large (${describe(error)}): MAX_RECORD_KIB is above what the stream takes${taken}. ${NOT_DONE}`,
    {
      cause: error,
      remedy: 'Lower MAX_RECORD_KIB to what the stream takes (check says it), or raise the limit of the stream.',
    },
  );
}

/** A text as a sentence. */
function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
