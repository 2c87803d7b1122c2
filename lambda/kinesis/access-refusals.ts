/**
 * Refusals that concern who we are and what we may do: which of the causes it is, and the remedy for each. A grant does not
 * help an expired token, nor new credentials a disabled key. Pure.
 */

/** Whose fault a refusal is. `missing`: no credentials were found. */
export type RefusalKind = 'rights' | 'expired' | 'credentials' | 'missing' | 'key' | 'account';

/** By the names of AWS's errors and of the SDK's. */
const KINDS: Readonly<Record<RefusalKind, ReadonlySet<string>>> = {
  rights: new Set(['AccessDeniedException', 'AccessDenied', 'NotAuthorized', 'KMSAccessDeniedException']),
  expired: new Set(['ExpiredTokenException', 'ExpiredToken']),
  credentials: new Set([
    'UnrecognizedClientException',
    'InvalidClientTokenId',
    'InvalidSignatureException',
    'SignatureDoesNotMatch',
    'IncompleteSignature',
    'MissingAuthenticationToken',
    'MissingAuthenticationTokenException',
  ]),
  missing: new Set(['CredentialsProviderError', 'TokenProviderError', 'CredentialsError']),
  key: new Set(['KMSDisabledException', 'KMSInvalidStateException', 'KMSNotFoundException']),
  account: new Set(['OptInRequired', 'KMSOptInRequired']),
};

/** The remedy for each; of `rights` the error code's own. */
const REMEDIES: Readonly<Record<RefusalKind, string | undefined>> = {
  rights: undefined,
  expired:
    "The AWS credentials have expired: sign in again, or set new ones (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE). In Lambda they are the function's role's, which are renewed by themselves.",
  credentials:
    'Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN that belong together and are active, or AWS_PROFILE; and see that the endpoint is of the same AWS partition.',
  missing:
    "Set AWS_PROFILE to a profile that has some, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; in Lambda the credentials are the function's role's.",
  key: 'Enable the KMS key that encrypts the stream, or give the stream another key.',
  account: 'Sign the AWS account up for the service that the message names.',
};

/**
 * Tells which kind of refusal an error is.
 *
 * @param name - the error's name
 * @returns undefined where it is none
 */
export function refusalKind(name: string): RefusalKind | undefined {
  return (Object.keys(KINDS) as RefusalKind[]).find((kind) => KINDS[kind].has(name));
}

/**
 * @param kind - what sort of refusal it is
 * @returns what to do; undefined: what the error code says
 */
export function remedyOf(kind: RefusalKind): string | undefined {
  return REMEDIES[kind];
}
