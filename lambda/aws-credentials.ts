/**
 * The two services that give a database password: Secrets Manager and the signer of RDS IAM tokens.
 * Each client is loaded only when it is needed, since loading one costs a cold start its time. Knows no PostgreSQL.
 */
import { PipelineError } from './errors.ts';

/** How long a request may take to connect, and to be answered; then it is tried again. */
const CONNECT_MS = 2_000;
const REQUEST_MS = 5_000;
/** How long all attempts may take. */
const OVERALL_MS = 15_000;

/**
 * Reads a secret as it stands now.
 *
 * @param arn - the secret's full ARN, whose region is used
 * @returns its text
 * @throws {PipelineError} CONFIG_INVALID when there is none; DATABASE_AUTH_FAILED when it may not or cannot be read
 */
export async function readSecretText(arn: string): Promise<string> {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
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

/** Puts a refusal of Secrets Manager in the operator's words. */
function secretError(error: unknown, arn: string): unknown {
  if (error instanceof PipelineError || !(error instanceof Error)) return error;
  const failed = (code: 'CONFIG_INVALID' | 'DATABASE_AUTH_FAILED', what: string) =>
    new PipelineError(code, `${what} Nothing was read and the slot was not advanced.`, { cause: error });
  switch (error.name) {
    case 'ResourceNotFoundException':
      return failed('CONFIG_INVALID', `DATABASE_SECRET_ARN: the secret ${arn} does not exist.`);
    case 'InvalidRequestException':
      return failed(
        'CONFIG_INVALID',
        `DATABASE_SECRET_ARN: the secret ${arn} cannot be read; it may be marked for deletion.`,
      );
    case 'AccessDeniedException':
    case 'DecryptionFailure':
      return failed(
        'DATABASE_AUTH_FAILED',
        `The secret ${arn} may not be read (${error.name}): grant secretsmanager:GetSecretValue on it, and kms:Decrypt on its key if it has one.`,
      );
    default:
      return failed(
        'DATABASE_AUTH_FAILED',
        `The secret ${arn} could not be read (${error.name}): Secrets Manager has to be reachable through NAT or an interface endpoint.`,
      );
  }
}

/** What an IAM token is for. */
export interface TokenRequest {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string | undefined;
}

/**
 * Signs an RDS IAM token. No request is made but for the credentials it is signed with.
 *
 * @param request - host, port, user; the region is the host name's where that has one
 * @returns a password for 15 minutes
 * @throws {PipelineError} DATABASE_AUTH_FAILED when there are no credentials to sign with
 */
export async function signIamToken({ host, port, user, region }: TokenRequest): Promise<string> {
  const { Signer } = await import('@aws-sdk/rds-signer');
  const own = regionOfEndpoint(host) ?? region;
  try {
    return await new Signer({
      hostname: host,
      port,
      username: user,
      ...(own === undefined ? {} : { region: own }),
    }).getAuthToken();
  } catch (error) {
    throw new PipelineError(
      'DATABASE_AUTH_FAILED',
      `No IAM token for user "${user}" could be signed: there are no AWS credentials, or no region. Nothing was read and the slot was not advanced.`,
      { cause: error },
    );
  }
}

/**
 * Reads the region out of an endpoint's name.
 *
 * @param host - for example `db.abc.eu-west-1.rds.amazonaws.com`
 * @returns undefined for any other host
 */
export function regionOfEndpoint(host: string): string | undefined {
  return /\.([a-z]{2,}(?:-[a-z]+)+-\d+)\.rds\.amazonaws\.com(?:\.cn)?$/.exec(host)?.[1];
}
