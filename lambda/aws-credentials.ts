/**
 * The two services that give a database password: Secrets Manager and the signer of RDS IAM tokens.
 * Each client is loaded only when it is needed, since loading one costs a cold start its time. Knows no PostgreSQL.
 */
import dns from 'node:dns/promises';
import { loadSharedConfigFiles } from '@smithy/core/config';
import { PipelineError } from './errors.ts';
import { refusalKind, remedyOf } from './kinesis/access-refusals.ts';

/** How long a request may take to connect, and to be answered; then it is tried again. */
const CONNECT_MS = 2_000;
const REQUEST_MS = 5_000;
/** How long all attempts may take. */
const OVERALL_MS = 15_000;

/**
 * Reads a secret as it is now.
 *
 * @param arn - the secret's full ARN, whose region is used
 * @returns its text
 * @throws {PipelineError} CONFIG_INVALID when there is none; DATABASE_AUTH_FAILED when it may not or cannot be read
 */
export async function readSecretText(arn: string): Promise<string> {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  await forgetSharedFiles();
  const region = arn.split(':')[3];
  const client = new SecretsManagerClient({
    ...(region === undefined ? {} : { region }),
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: REQUEST_MS, throwOnRequestTimeout: true },
  });
  try {
    const { SecretString: text } = await client.send(new GetSecretValueCommand({ SecretId: arn }), {
      abortSignal: AbortSignal.timeout(OVERALL_MS),
    });
    if (text === undefined)
      throw new PipelineError(
        'CONFIG_INVALID',
        `DATABASE_SECRET_ARN: the secret ${arn} is binary, not text. Nothing was read.`,
      );
    return text;
  } catch (error) {
    throw secretError(error, arn);
  } finally {
    client.destroy();
  }
}

/**
 * The SDK reads the files of credentials and profiles once a process, and in a long-running one they are written anew.
 * What is asked for here is asked for seldom, so the files are read each time.
 */
async function forgetSharedFiles(): Promise<void> {
  await loadSharedConfigFiles({ ignoreCache: true });
}

/** Puts a refusal of Secrets Manager in the operator's words. */
function secretError(error: unknown, arn: string): unknown {
  if (error instanceof PipelineError || !(error instanceof Error)) return error;
  const failed = (code: 'CONFIG_INVALID' | 'DATABASE_AUTH_FAILED', what: string, remedy?: string) =>
    new PipelineError(code, `${what} Nothing was read and the slot was not advanced.`, {
      cause: error,
      ...(remedy === undefined ? {} : { remedy }),
    });
  const region = arn.split(':')[3] ?? '';
  switch (error.name) {
    case 'ResourceNotFoundException':
      return failed('CONFIG_INVALID', `DATABASE_SECRET_ARN: the secret ${arn} does not exist.`);
    case 'InvalidRequestException':
      return failed(
        'CONFIG_INVALID',
        `DATABASE_SECRET_ARN: the secret ${arn} cannot be read; it may be marked for deletion.`,
      );
    case 'DecryptionFailure':
      return failed(
        'DATABASE_AUTH_FAILED',
        `The secret ${arn} could not be decrypted (${error.name}).`,
        'Grant kms:Decrypt on its key, and see that the key is enabled.',
      );
    default:
  }
  const refusal = refusalKind(error.name);
  if (refusal === 'rights') {
    return failed(
      'DATABASE_AUTH_FAILED',
      `The secret ${arn} may not be read (${error.name}).`,
      'Grant secretsmanager:GetSecretValue on it, and kms:Decrypt on its key if it has one.',
    );
  }
  if (refusal !== undefined) {
    return failed(
      'DATABASE_AUTH_FAILED',
      `The secret ${arn} could not be read: the AWS credentials were not accepted, or there are none (${error.name}).`,
      remedyOf(refusal),
    );
  }
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  const late = error.name === 'AbortError' || error.name === 'TimeoutError';
  return failed(
    'DATABASE_AUTH_FAILED',
    `The secret ${arn} could not be read: Secrets Manager in ${region} ${late ? `did not answer within ${OVERALL_MS / 1000} s` : 'was not reached'}: ${error.name}${code}.`,
    'Open the way to Secrets Manager (NAT or an interface endpoint, and its security group), or correct AWS_ENDPOINT_URL_SECRETS_MANAGER. The next run tries again.',
  );
}

/** What an IAM token is for. */
export interface TokenRequest {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string | undefined;
}

/**
 * Signs an RDS IAM token. Beside DNS no request is made but for the credentials it is signed with.
 *
 * @param request - host, port, user; the region is the host name's where that has one
 * @param resolveCname - asks DNS for the name that a name is an alias of
 * @returns a password for 15 minutes
 * @throws {PipelineError} CONFIG_INVALID when the host is only another name of an RDS endpoint, which RDS refuses;
 *   DATABASE_AUTH_FAILED when there are no credentials to sign with
 */
export async function signIamToken(
  { host, port, user, region }: TokenRequest,
  resolveCname: (name: string) => Promise<string[]> = dns.resolveCname,
): Promise<string> {
  const { Signer } = await import('@aws-sdk/rds-signer');
  await forgetSharedFiles();
  const hostname = host.toLowerCase().replace(/\.$/, '');
  let own = regionOfEndpoint(hostname);
  if (own === undefined && /[a-z]/.test(hostname)) {
    const target = await endpointBehind(hostname, resolveCname);
    own = target === undefined ? undefined : regionOfEndpoint(target);
    // The writer endpoint of an Aurora global database is a name of RDS's own that has no region in it.
    if (target !== undefined && !AURORA_GLOBAL.test(hostname)) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `PGHOST (or the secret's host) "${host}" is an alias of the RDS endpoint ${target}, and with DATABASE_AUTH=iam RDS admits its own names only. Nothing was read and the slot was not advanced.`,
        { remedy: `Give ${target} as the host.` },
      );
    }
  }
  const signingRegion = own ?? region;
  try {
    return await new Signer({
      hostname,
      port,
      username: user,
      ...(signingRegion === undefined ? {} : { region: signingRegion }),
    }).getAuthToken();
  } catch (error) {
    throw new PipelineError(
      'DATABASE_AUTH_FAILED',
      `No IAM token for user "${user}" could be signed: there are no AWS credentials, or no region. Nothing was read and the slot was not advanced.`,
      {
        cause: error,
        remedy: 'Set AWS_REGION where there is none, and AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
      },
    );
  }
}

const REGION = /^[a-z]{2,}(-[a-z]+)+-\d+$/;
/** How the names of AWS's services end, partition by partition. */
const SUFFIX =
  /^(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$/;
const AURORA_GLOBAL = /\.global-[^.]+\.global\.rds\./;

/**
 * Reads the region out of an RDS endpoint's name: before `rds`, or behind it as in China.
 *
 * @param host - for example `db.abc.eu-west-1.rds.amazonaws.com` or `db.abc.rds.cn-north-1.amazonaws.com.cn`
 * @returns undefined for any other host
 */
export function regionOfEndpoint(host: string): string | undefined {
  const labels = host.toLowerCase().replace(/\.$/, '').split('.');
  const rds = labels.lastIndexOf('rds');
  if (rds < 1) return undefined;
  const before = labels[rds - 1] ?? '';
  const behind = labels[rds + 1] ?? '';
  if (REGION.test(before) && SUFFIX.test(labels.slice(rds + 1).join('.'))) return before;
  return REGION.test(behind) && SUFFIX.test(labels.slice(rds + 2).join('.')) ? behind : undefined;
}

/** How many aliases may follow one another before an address comes. */
const MAX_ALIASES = 5;

/** The regional RDS endpoint that a name is an alias of; undefined where DNS knows of none. */
async function endpointBehind(
  host: string,
  resolveCname: (name: string) => Promise<string[]>,
): Promise<string | undefined> {
  let name = host;
  for (let i = 0; i < MAX_ALIASES; i++) {
    const [next] = await resolveCname(name).catch((): string[] => []);
    if (next === undefined) return undefined;
    name = next.toLowerCase().replace(/\.$/, '');
    if (regionOfEndpoint(name) !== undefined) return name;
  }
  return undefined;
}
