/**
 * Further certificate authorities for the function: a file of this machine, deployed beside it as a layer.
 * Knows nothing of databases.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { fileLayer } from './file-layer.ts';
import { SettingsError } from './settings.ts';

const FILE = 'pg2kinesis-authorities.pem';
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/**
 * @param scope - where the layer is placed
 * @param id - its id in that scope; a changed one replaces what was deployed
 * @param path - the file, with one certificate or several as PEM
 * @returns the props that make a publisher trust them
 * @throws {SettingsError} where the file cannot be read, or holds no certificate
 */
export function rootCertificates(
  scope: Construct,
  id: string,
  path: string,
): { readonly layers: lambda.ILayerVersion[]; readonly databaseSslRootCert: string } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SettingsError([
      `databaseSslRootCert cannot be ${JSON.stringify(path)}: the file cannot be read (${error instanceof Error ? error.message : String(error)}).`,
    ]);
  }
  if (!holdsCertificates(text) || text.includes('PRIVATE KEY-----'))
    throw new SettingsError([
      `databaseSslRootCert cannot be ${JSON.stringify(path)}: it must be a PEM file with whole certificates (-----BEGIN CERTIFICATE-----) and no private key.`,
    ]);
  const description = 'certificate authorities that the function trusts';
  return { layers: [fileLayer(scope, id, { name: FILE, text, description })], databaseSslRootCert: `/opt/${FILE}` };
}

/** Whether each certificate that begins is whole and can be read, and there is one. */
function holdsCertificates(text: string): boolean {
  const whole = text.match(CERTIFICATE) ?? [];
  try {
    for (const each of whole) new X509Certificate(each);
  } catch {
    return false;
  }
  return whole.length > 0 && whole.length === text.split('-----BEGIN CERTIFICATE-----').length - 1;
}
