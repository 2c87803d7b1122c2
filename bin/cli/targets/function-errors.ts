/** What goes wrong with a function that is invoked: what Lambda refuses, and what the function itself fails with. */
import { REMEDIES } from '../../../lambda/errors.ts';
import { refusalKind, remedyOf } from '../../../lambda/kinesis/access-refusals.ts';

/** A failure of, or on the way to, a deployed function. Its name is its code. */
export class FunctionError extends Error {
  /**
   * @param code - a code of `lambda/errors.ts` where the function failed with it
   * @param message - what happened and what to do
   * @param options - the error underneath
   */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = code;
  }
}

/** Why Lambda did not start a function, where it says so with the HTTP status of a failure of its own (502). */
const NOT_STARTED =
  /^(EC2|EFS|ENI|InvalidRuntime|InvalidSecurityGroup|InvalidSubnet|InvalidZipFile|KMS|ResourceNotReady|SnapStart|SubnetIPAddress)/;

/** What is known of a call. */
interface Call {
  /** The function's name or ARN. */
  readonly name: string;
  readonly client: { readonly config: { readonly region: () => Promise<string> } };
  /** Whether the caller stopped waiting. */
  readonly stopped: boolean;
}

/**
 * Puts in words why a function could not be called, or its answer not be had.
 *
 * @param error - the SDK's
 * @param call - which call
 */
export async function callFailed(error: unknown, { name, client, stopped }: Call): Promise<FunctionError> {
  const failed = (code: string, message: string): FunctionError => new FunctionError(code, message, { cause: error });
  if (stopped) {
    return failed(
      'INTERRUPTED',
      `This command waits no longer. The function ${name} goes on by itself until it is done or its time is over: status says how far it is.`,
    );
  }
  const region = await client.config.region().catch(() => undefined);
  if (region === undefined)
    return failed(
      'CONFIG_INVALID',
      `There is no AWS region. Nothing was invoked. Set AWS_REGION, or give --region or the function's ARN.`,
    );
  const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
  const where = `${name} in ${region}`;
  if (kind === 'ResourceNotFoundException')
    return failed(
      'FUNCTION_MISSING',
      `There is no function ${where}. Nothing was invoked. Correct the name or the region; the stack's output FunctionName has it.`,
    );
  if (kind === 'TooManyRequestsException')
    return failed(
      'FUNCTION_THROTTLED',
      `Lambda refused to start ${where}: ${message} Nothing was invoked. Try again, or raise the account's or the function's concurrency.`,
    );
  // Of a key it is the one of the function's environment, and nothing that the caller may not do.
  const refusal = kind.startsWith('KMS') ? undefined : refusalKind(kind);
  if (refusal !== undefined)
    return failed(
      'FUNCTION_ACCESS_DENIED',
      `Invoking ${where} was refused (${kind}: ${message}). Nothing was invoked. ${remedyOf(refusal) ?? 'Grant lambda:InvokeFunction on the function (SlotPublisher.grantInvoke).'}`,
    );
  if (isUnsent(error))
    return failed(
      'FUNCTION_UNREACHABLE',
      `Lambda was not reached to invoke ${where} (${codeOf(error)}). Nothing was invoked. Check the region, the endpoint and the network.`,
    );
  const status = httpStatusOf(error);
  if ((status >= 400 && status < 500) || NOT_STARTED.test(kind)) {
    const reason =
      kind === 'SyntaxError' ? `HTTP ${status}, and no answer of Lambda's` : `${kind}: ${withoutStop(message)}`;
    return failed('FUNCTION_REFUSED', `Lambda did not start ${where} (${reason}). Nothing was invoked. ${todo(kind)}`);
  }
  return failed(
    'FUNCTION_ANSWER_LOST',
    `The answer of ${where} was lost (${kind}: ${withoutStop(message)}). It was not invoked again: it may be at work. status says who holds the lock and how far the slot is.`,
  );
}

/** What to do about a function that Lambda does not start. */
function todo(kind: string): string {
  if (kind === 'SyntaxError')
    return 'Check the endpoint, and what is between here and Lambda: a proxy answers in its place.';
  return kind.startsWith('KMS')
    ? "See that the key of the function's environment (environmentKeyArn) is enabled, and that it lets the function's role decrypt."
    : 'Correct what it names. A function that is being created or updated is ready in a minute or two: then try again.';
}

/** Of an answer that is no JSON the SDK keeps the response only. 0: there was none. */
function httpStatusOf(error: unknown): number {
  const { $metadata, $response } = error as {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly $response?: { readonly statusCode?: number };
  };
  return $metadata?.httpStatusCode ?? $response?.statusCode ?? 0;
}

function withoutStop(message: string): string {
  return message.replace(/\.$/, '');
}

/** Whether the request cannot have reached Lambda. */
function isUnsent(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  return typeof code === 'string' ? code : String(name);
}

/**
 * Puts a function's failure as it put it itself.
 *
 * @param name - the function's
 * @param text - the payload that Lambda gave: errorType and errorMessage
 */
export function functionFailed(name: string, text: string): FunctionError {
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch {
    payload = undefined;
  }
  const { errorType, errorMessage } = (payload ?? {}) as {
    readonly errorType?: unknown;
    readonly errorMessage?: unknown;
  };
  const message = typeof errorMessage === 'string' ? errorMessage : 'It gave no reason.';
  // The message of an error of the table begins with its code, and says what to do.
  if (typeof errorType === 'string' && errorType in REMEDIES) return new FunctionError(errorType, message);
  const kind = typeof errorType === 'string' ? errorType : 'Unhandled';
  return new FunctionError(
    'FUNCTION_FAILED',
    `The function ${name} failed (${kind}): ${message} Its log has more. If Lambda ended it (a time-out, or out of memory), the next run goes on; see memoryMib.`,
  );
}
