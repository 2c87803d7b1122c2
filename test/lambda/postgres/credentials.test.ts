/** Where logins come from. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCredentials, type DatabaseSettings } from '../../../lambda/postgres/credentials.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf';
const SECRET = { username: 'u', password: 'p', host: 'h', port: 5433, dbname: 'd' };

function credentialsOf(settings: Partial<DatabaseSettings>, ...secrets: unknown[]) {
  let reads = 0;
  const credentials = createCredentials({
    settings: { auth: 'secret', sslMode: 'verify-full', ...settings },
    secrets: () => {
      const secret = secrets[Math.min(reads++, secrets.length - 1)];
      return Promise.resolve(typeof secret === 'string' ? secret : JSON.stringify(secret));
    },
    iamToken: ({ host, port, user, region }) => Promise.resolve(`token for ${user}@${host}:${port} in ${region ?? ''}`),
  });
  return { credentials, reads: () => reads };
}

describe('credentials', () => {
  for (const [what, settings, secret, login] of [
    ['a secret alone', { secretArn: ARN }, SECRET, { host: 'h', port: 5433, database: 'd', user: 'u', password: 'p' }],
    [
      'settings win over the secret',
      { secretArn: ARN, host: 'H', port: 1, database: 'D', user: 'U', password: 'P' },
      SECRET,
      { host: 'H', port: 1, database: 'D', user: 'U', password: 'P' },
    ],
    [
      "RDS's own secret, user and password only",
      { secretArn: ARN, host: 'H', database: 'D' },
      { username: 'u', password: 'p' },
      { host: 'H', port: 5432, database: 'D', user: 'u', password: 'p' },
    ],
    [
      'a port as text, empty fields as none',
      { secretArn: ARN, host: 'H' },
      { ...SECRET, port: '5434', host: '' },
      { host: 'H', port: 5434, database: 'd', user: 'u', password: 'p' },
    ],
    [
      'fields that are null, or empty, as none',
      { secretArn: ARN, host: 'H', database: 'D' },
      { ...SECRET, host: null, dbname: '', port: '' },
      { host: 'H', port: 5432, database: 'D', user: 'u', password: 'p' },
    ],
    [
      'a port that is null as none',
      { secretArn: ARN },
      { ...SECRET, port: null },
      { host: 'h', port: 5432, database: 'd', user: 'u', password: 'p' },
    ],
    [
      'variables alone',
      { auth: 'password', host: 'H', database: 'D', user: 'U', password: 'P' },
      'unread',
      { host: 'H', port: 5432, database: 'D', user: 'U', password: 'P' },
    ],
    [
      'an IAM token',
      { auth: 'iam', host: 'H', database: 'D', user: 'U', region: 'r' },
      'unread',
      { host: 'H', port: 5432, database: 'D', user: 'U', password: 'token for U@H:5432 in r' },
    ],
  ] as const) {
    it(what, async () => {
      assert.deepEqual(await credentialsOf(settings, secret).credentials.get(), login);
    });
  }

  for (const [what, settings, secret, message] of [
    [
      'without a database, told both ways to give it',
      { secretArn: ARN },
      { ...SECRET, dbname: undefined },
      /PGDATABASE \(the secret has no "dbname"\).*not guessed/,
    ],
    [
      'without all that the secret lacks, each by its field',
      { secretArn: ARN },
      { password: 'p' },
      /^CONFIG_INVALID: Not set: PGHOST \(the secret has no "host"\), PGDATABASE \(the secret has no "dbname"\), PGUSER \(the secret has no "username"\)\. A slot/,
    ],
    [
      'without a host only, and no word of databases',
      { secretArn: ARN },
      { ...SECRET, host: undefined },
      /Not set: PGHOST \(the secret has no "host"\)\. Nothing was read\./,
    ],
    ['without anything, naming all', { auth: 'password' }, '', /PGHOST, PGDATABASE, PGUSER/],
    ['on a secret that is not JSON', { secretArn: ARN }, 'hunter2', /db-AbCdEf is not JSON/],
    ['on a secret that is no object', { secretArn: ARN }, '["hunter2"]', /no JSON object/],
    [
      'on a secret whose password is a number',
      { secretArn: ARN },
      { ...SECRET, password: 42 },
      /"password" that is no text/,
    ],
    ['on a secret whose port is none', { secretArn: ARN }, { ...SECRET, port: 'hunter2' }, /"port" that is none/],
    ['on a secret whose port is true', { secretArn: ARN }, { ...SECRET, port: true }, /"port" that is none/],
    ...[0, 65_536, 1.5].map(
      (port) =>
        [`on a secret whose port is ${port}`, { secretArn: ARN }, { ...SECRET, port }, /"port" that is none/] as const,
    ),
    [
      'on a secret without a password',
      { secretArn: ARN },
      { ...SECRET, password: undefined },
      /^CONFIG_INVALID: The secret arn:aws:secretsmanager:[^ ]*:secret:db-AbCdEf has no "password"[.]/,
    ],
  ] as const) {
    it(`I10: fails with CONFIG_INVALID ${what}`, async () => {
      await assert.rejects(credentialsOf(settings, secret).credentials.get(), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID');
        assert.match(error.message, message);
        assert.ok(!error.message.includes('hunter2') && error.cause === undefined);
        return true;
      });
    });
  }

  it('reads the secret once, and again after a refusal only', async () => {
    const { credentials, reads } = credentialsOf(
      { secretArn: ARN },
      SECRET,
      { ...SECRET, password: 'new' },
      { ...SECRET, password: 'new' },
    );
    const first = await credentials.get();
    await credentials.get();
    assert.equal(reads(), 1);
    const second = await credentials.after(first);
    assert.equal(second?.password, 'new');
    assert.equal((await credentials.after(first))?.password, 'new', 'known already');
    assert.equal(reads(), 2);
    assert.ok(second);
    assert.equal(await credentials.after(second), undefined, 'nothing newer');
    assert.equal(reads(), 3);
  });

  for (const [field, value] of [
    ['host', 'h2'],
    ['port', 5434],
    ['username', 'u2'],
    ['password', 'p2'],
  ] as const) {
    it(`tries a secret again that has another ${field}`, async () => {
      const { credentials } = credentialsOf({ secretArn: ARN }, SECRET, { ...SECRET, [field]: value });
      const first = await credentials.get();
      const again = await credentials.after(first);
      assert.deepEqual(again, await credentials.get());
      assert.notDeepEqual(again, first);
    });
  }

  it('tries no secret again whose database alone is another: the server refused the user', async () => {
    const { credentials } = credentialsOf({ secretArn: ARN }, SECRET, { ...SECRET, dbname: 'd2' });
    assert.equal(await credentials.after(await credentials.get()), undefined);
  });

  it('reads no secret again for an IAM token, which is made anew each time', async () => {
    const { credentials, reads } = credentialsOf({ secretArn: ARN, auth: 'iam' }, SECRET, {
      ...SECRET,
      username: 'u2',
    });
    assert.equal(await credentials.after(await credentials.get()), undefined);
    assert.equal(reads(), 1);
  });

  it('has nothing else to try where there is no secret', async () => {
    const { credentials, reads } = credentialsOf(
      { auth: 'password', host: 'H', database: 'D', user: 'U', password: 'P' },
      'unread',
    );
    const login = await credentials.get();
    assert.equal(await credentials.after(login), undefined);
    assert.equal(await credentials.after({ ...login, user: 'other' }), undefined);
    assert.equal(reads(), 0);
  });

  it('reads again after a reading that failed', async () => {
    const { credentials } = credentialsOf({ secretArn: ARN }, 'broken', SECRET);
    await assert.rejects(credentials.get());
    assert.equal((await credentials.get()).user, 'u');
  });

  it('reads a secret behind a byte order mark', async () => {
    const { credentials } = credentialsOf({ secretArn: ARN }, `\uFEFF${JSON.stringify(SECRET)}`);
    assert.equal((await credentials.get()).password, 'p');
  });

  for (const [field, value, says] of [
    ['password', 'hush\n', /"password" that ends in a line break/],
    ['password', 'hush\r\n', /"password" that ends in a line break/],
    ['username', 'hush ', /"username" that has spaces around it/],
    ['host', 'hush:5433', /"host" that has the port in it/],
    ['host', 'postgres://hush/x', /"host" that is no host name/],
    ['host', 'hush x', /"host" that is no host name/],
    ['engine', 'mysql', /is of another engine than PostgreSQL/],
    ['engine', 'aurora-mysql', /is of another engine than PostgreSQL/],
  ] as const) {
    it(`fails on ${field} ${JSON.stringify(value)} in a secret, and shows none of it`, async () => {
      const { credentials } = credentialsOf({ secretArn: ARN }, { ...SECRET, [field]: value });
      await assert.rejects(credentials.get(), (error: Error) => {
        assert.equal(error.name, 'CONFIG_INVALID');
        assert.match(error.message, says);
        assert.doesNotMatch(error.message, /hush/);
        return true;
      });
    });
  }

  it('takes an address of IPv6, a password with spaces, and the engines of PostgreSQL', async () => {
    for (const more of [
      { host: '::1' },
      { password: ' p ' },
      { engine: 'postgres' },
      { engine: 'aurora-postgresql' },
    ]) {
      await credentialsOf({ secretArn: ARN }, { ...SECRET, ...more }).credentials.get();
    }
  });

  it('fails on a PGPASSWORD that ends in a line break', async () => {
    const { credentials } = credentialsOf(
      { auth: 'password', host: 'h', database: 'd', user: 'u', password: 'hush\n' },
      'unread',
    );
    await assert.rejects(credentials.get(), /PGPASSWORD ends in a line break/);
  });
});
