/** IAM tokens: which region they are signed for, and which host names RDS takes none for. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { regionOfEndpoint, signIamToken } from '../../lambda/aws-credentials.ts';
import { withEnvironment } from '../support/scripted-endpoint.ts';

const regions: [host: string, region: string | undefined][] = [
  ['db.abc.eu-west-1.rds.amazonaws.com', 'eu-west-1'],
  ['app.cluster-ro-abc.ap-southeast-2.rds.amazonaws.com', 'ap-southeast-2'],
  ['proxy.proxy-abc.us-east-1.rds.amazonaws.com', 'us-east-1'],
  ['DB.ABC.EU-West-1.RDS.Amazonaws.com', 'eu-west-1'],
  ['db.abc.eu-west-1.rds.amazonaws.com.', 'eu-west-1'],
  ['db.abc.rds.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
  ['db.abc.cn-northwest-1.rds.amazonaws.com.cn', 'cn-northwest-1'],
  ['db.abc.us-gov-west-1.rds.amazonaws.com', 'us-gov-west-1'],
  ['db.abc.rds.us-gov-east-1.amazonaws.com', 'us-gov-east-1'],
  ['db.abc.us-iso-east-1.rds.c2s.ic.gov', 'us-iso-east-1'],
  ['db.abc.us-isob-east-1.rds.sc2s.sgov.gov', 'us-isob-east-1'],
  ['db.abc.eusc-de-east-1.rds.amazonaws.eu', 'eusc-de-east-1'],
  ['rds.eu-west-1.rds.amazonaws.com', 'eu-west-1'],
  ['app.global-abc.global.rds.amazonaws.com', undefined],
  ['db.abc.eu-west-1.rds.example.com', undefined],
  ['db.example.com', undefined],
  ['localhost', undefined],
  ['10.0.0.1', undefined],
];

describe('the region of a host name', () => {
  for (const [host, region] of regions) {
    it(`${host}: ${region ?? 'none'}`, () => assert.equal(regionOfEndpoint(host), region));
  }
});

describe('an IAM token', () => {
  const names: Readonly<Record<string, string>> = {
    'app.global-abc.global.rds.amazonaws.com': 'app.cluster-abc.us-east-2.rds.amazonaws.com.',
    'db.example.com': 'alias.example.com',
    'alias.example.com': 'db.abc.eu-west-1.rds.amazonaws.com',
    'a.example.com': 'a.example.com',
  };
  const resolve = (name: string): Promise<string[]> => {
    const found = names[name];
    return found === undefined ? Promise.reject(new Error('ENODATA')) : Promise.resolve([found]);
  };
  const token = (host: string): Promise<string> =>
    withEnvironment({ AWS_ACCESS_KEY_ID: 'K', AWS_SECRET_ACCESS_KEY: 's' }, () =>
      signIamToken({ host, port: 5432, user: 'u', region: 'eu-central-1' }, resolve),
    );

  for (const [host, signedFor] of [
    ['DB.abc.eu-west-1.rds.amazonaws.com.', /^db\.abc\.eu-west-1\.rds\.amazonaws\.com:5432.*%2Feu-west-1%2Frds-db/],
    ['app.global-abc.global.rds.amazonaws.com', /^app\.global-abc\.global\.rds.*%2Fus-east-2%2Frds-db/],
    ['elsewhere.example.com', /^elsewhere.*%2Feu-central-1%2Frds-db/],
    ['a.example.com', /%2Feu-central-1%2Frds-db/],
  ] as const) {
    it(`is signed for ${host} as RDS expects`, async () => assert.match(await token(host), signedFor));
  }

  it('is signed with the credentials that their file holds now', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pg2kinesis-iam-'));
    const file = join(directory, 'credentials');
    const signedWith = async (key: string): Promise<string> => {
      await writeFile(file, `[default]\naws_access_key_id=${key}\naws_secret_access_key=s\n`);
      const request = { host: 'db.abc.eu-west-1.rds.amazonaws.com', port: 5432, user: 'u', region: undefined };
      return await withEnvironment({ AWS_SHARED_CREDENTIALS_FILE: file }, () => signIamToken(request, resolve));
    };
    assert.match(await signedWith('OLD'), /Credential=OLD%2F/);
    assert.match(await signedWith('NEW'), /Credential=NEW%2F/);
    await rm(directory, { recursive: true });
  });

  it('fails for a name that only stands for an RDS endpoint, and names that', async () => {
    await assert.rejects(token('db.example.com'), {
      name: 'CONFIG_INVALID',
      message: /is an alias of the RDS endpoint db\.abc\.eu-west-1\.rds\.amazonaws\.com.*Give db\.abc/,
    });
  });
});
