/**
 * Refused connections: the code, and a remedy that fits the cause. A line of a trial by a new user stands behind each.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isUntrustedCode } from '../../../lambda/postgres/connect-errors.ts';
import type { ErrorContext } from '../../../lambda/postgres/error-context.ts';
import { translate } from '../../../lambda/postgres/sql-errors.ts';

const CONTEXT: ErrorContext = {
  host: 'db.example',
  port: 5432,
  database: 'app',
  user: 'cdc',
  auth: 'password',
  connecting: true,
};
const WORDS = 'as the server says it, in its own language';
const coded = (code: string, fields: object = {}) => Object.assign(new Error(WORDS), { code }, fields);

interface Case {
  readonly error: Error;
  readonly over?: Partial<ErrorContext>;
  readonly code: string;
  readonly said: RegExp;
  readonly remedy: RegExp;
}

const cases: Readonly<Record<string, Case>> = {
  'no CONNECT right': {
    error: coded('42501', { routine: 'CheckMyDatabase' }),
    code: 'DATABASE_AUTH_FAILED',
    said: /may not connect to database "app".*as the server says it/,
    remedy: /GRANT CONNECT ON DATABASE "app" TO "cdc";$/,
  },
  'a database that takes no connections': {
    error: coded('55000', { routine: 'InitPostgres' }),
    code: 'CONFIG_INVALID',
    said: /db\.example:5432 takes no connection to database "app".*as the server says it.*55000/,
    remedy: /ALTER DATABASE "app" ALLOW_CONNECTIONS true/,
  },
  'no line in pg_hba.conf': {
    error: coded('28000', { file: 'auth.c', routine: 'ClientAuthentication' }),
    code: 'DATABASE_AUTH_FAILED',
    said: /does not admit user "cdc".*as the server says it/,
    remedy: /^Add a line to pg_hba\.conf.*"no encryption", set PGSSLMODE/,
  },
  'a role that may not log in': {
    error: coded('28000', { file: 'miscinit.c', routine: 'InitializeSessionUserId' }),
    code: 'DATABASE_AUTH_FAILED',
    said: /as the server says it/,
    remedy: /ALTER ROLE "cdc" LOGIN;$/,
  },
  'IAM authentication that is refused': {
    error: coded('28000', { file: 'auth.c', routine: 'auth_failed' }),
    over: { auth: 'iam' },
    code: 'DATABASE_AUTH_FAILED',
    said: /as the server says it/,
    remedy: /rds-db:connect.*GRANT rds_iam/,
  },
  'a wrong PGPASSWORD': {
    error: coded('28P01'),
    code: 'DATABASE_AUTH_FAILED',
    said: /refused the password of user "cdc" \(PGPASSWORD\)/,
    remedy: /^Correct PGUSER or PGPASSWORD\.$/,
  },
  'no PGPASSWORD, where the server asks for it in the clear': {
    error: coded('28P01'),
    over: { hasPassword: false },
    code: 'DATABASE_AUTH_FAILED',
    said: /PGPASSWORD is not set/,
    remedy: /^Set PGPASSWORD/,
  },
  'no PGPASSWORD': {
    error: new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string'),
    over: { hasPassword: false },
    code: 'DATABASE_AUTH_FAILED',
    said: /asks user "cdc" for a password, and there is none: PGPASSWORD is not set/,
    remedy: /^Set PGPASSWORD/,
  },
  'a password that is hashed for too long': {
    error: new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: iteration count 5000000 exceeds scramMaxIterations of 4000000'),
    code: 'DATABASE_AUTH_FAILED',
    said: /wants the password of user "cdc" hashed 5000000 times/,
    remedy: /^Set scram_iterations lower/,
  },
  'a password of a secret': {
    error: coded('28P01'),
    over: { auth: 'secret', userFrom: 'secret' },
    code: 'DATABASE_AUTH_FAILED',
    said: /read from the secret anew/,
    remedy: /rotation/,
  },
  'PGUSER beside the secret of another': {
    error: coded('28P01'),
    over: { auth: 'secret', userFrom: 'PGUSER' },
    code: 'DATABASE_AUTH_FAILED',
    said: /read from the secret anew/,
    remedy: /^PGUSER is set and wins over the secret's username/,
  },
  'an expired certificate': {
    error: coded('CERT_HAS_EXPIRED'),
    code: 'DATABASE_UNREACHABLE',
    said: /has expired/,
    remedy: /^Renew the server's certificate/,
  },
  'a certificate of an unknown authority': {
    error: coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    code: 'DATABASE_UNREACHABLE',
    said: /no authority known here/,
    remedy: /PGSSLROOTCERT/,
  },
  'a certificate for another name, which is told': {
    error: coded('ERR_TLS_CERT_ALTNAME_INVALID', { cert: { subjectaltname: 'DNS:db.internal' } }),
    code: 'DATABASE_UNREACHABLE',
    said: /another host name: DNS:db\.internal\./,
    remedy: /verify-ca/,
  },
  'no TLS': {
    error: new Error('The server does not support SSL connections'),
    code: 'DATABASE_UNREACHABLE',
    said: /offers no TLS/,
    remedy: /PGSSLMODE=disable/,
  },
  'another service': {
    error: new Error('Connection terminated unexpectedly'),
    code: 'DATABASE_UNREACHABLE',
    said: /closed the connection before anybody was logged in/,
    remedy: /those of a PostgreSQL server/,
  },
  'a closed port': {
    error: coded('ECONNREFUSED'),
    code: 'DATABASE_UNREACHABLE',
    said: /ECONNREFUSED/,
    remedy: /^Start the database, or correct its host and port/,
  },
  'a name that is not found': {
    error: coded('ENOTFOUND'),
    code: 'DATABASE_UNREACHABLE',
    said: /ENOTFOUND/,
    remedy: /^Correct the host's name/,
  },
  'silence, of which a security group may be the cause': {
    error: new Error('timeout expired'),
    code: 'DATABASE_UNREACHABLE',
    said: /did not answer in time/,
    remedy: /security group/,
  },
  'no connection left': {
    error: coded('53300'),
    code: 'DATABASE_UNREACHABLE',
    said: /no connection left.*2 are needed.*as the server says it/,
    remedy: /max_connections/,
  },
  'a server that starts': {
    error: coded('57P03'),
    code: 'DATABASE_UNREACHABLE',
    said: /starting up/,
    remedy: /^Wait until it is up/,
  },
  'no such database': {
    error: coded('3D000'),
    code: 'CONFIG_INVALID',
    said: /PGDATABASE \(or the secret's dbname\): there is no database "app"/,
    remedy: /Correct the settings/,
  },
  'what nobody has thought of': {
    error: coded('XX999'),
    code: 'DATABASE_UNREACHABLE',
    said: /refused the connection of user "cdc" to database "app".*as the server says it.*XX999/,
    remedy: /^Fix what the server says/,
  },
};

describe('a connection that is refused', () => {
  for (const [what, { error, over = {}, code, said, remedy }] of Object.entries(cases)) {
    it(`for ${what}: ${code}`, () => {
      const told = translate(error, { ...CONTEXT, ...over });
      assert.equal(told?.code, code);
      assert.match(told.what, said);
      assert.match(told.what, /Nothing was read and the slot was not advanced\.$/);
      assert.match(told.remedy, remedy);
      assert.equal(told.cause, error);
      // Each of these remedies fits one cause only.
      if (!/secret/.test(what)) assert.doesNotMatch(told.remedy, /rotation/);
      if (!what.startsWith('silence')) assert.doesNotMatch(told.remedy, /security group/);
    });
  }

  for (const code of [
    'ECONNREFUSED',
    'ECONNRESET',
    'ENOTFOUND',
    'EAI_AGAIN',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'EHOSTDOWN',
    'EPIPE',
    'ECONNABORTED',
    'EADDRNOTAVAIL',
    'ENOENT',
    'EACCES',
  ])
    it(`by the network says so, whether it is new or was lost: ${code}`, () => {
      for (const connecting of [true, false]) {
        const told = translate(coded(code), { ...CONTEXT, connecting });
        assert.equal(told?.code, 'DATABASE_UNREACHABLE');
        assert.match(told.what, new RegExp(`^No connection to PostgreSQL at db\\.example:5432 \\(${code}\\)\\. `));
      }
    });

  for (const [code, remedy] of [
    ['EAI_AGAIN', /^Correct the host's name \(PGHOST, or the secret's host\), and see/],
    ['ENOENT', /^Correct PGHOST: it is the directory of a socket/],
    ['EACCES', /^Correct PGHOST: it is the directory of a socket/],
    ['ETIMEDOUT', /security group/],
  ] as const)
    it(`has a remedy that fits ${code}`, () => assert.match(translate(coded(code), CONTEXT)?.remedy ?? '', remedy));

  for (const code of [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_GET_ISSUER_CERT',
    'CERT_SIGNATURE_FAILURE',
    'CERT_UNTRUSTED',
    'INVALID_CA',
    'CERT_CHAIN_TOO_LONG',
  ])
    it(`for an authority that is not known: ${code}`, () => {
      assert.equal(isUntrustedCode(code), true);
      assert.match(
        translate(coded(code), CONTEXT)?.what ?? '',
        /signed by no authority known here \([A-Z_]+\)\. Nothing/,
      );
    });

  it('for other faults of TLS names the code', () => {
    for (const code of ['CERT_REVOKED', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_TLS_HANDSHAKE_TIMEOUT']) {
      assert.equal(isUntrustedCode(code), false);
      const told = translate(coded(code), CONTEXT);
      assert.equal(told?.code, 'DATABASE_UNREACHABLE');
      assert.ok(told.what.startsWith(`TLS with PostgreSQL at db.example:5432 failed (${code}). `));
      assert.match(told.remedy, /^PGSSLMODE and PGSSLROOTCERT decide what is accepted/);
    }
    const early = translate(coded('CERT_NOT_YET_VALID'), CONTEXT);
    assert.match(
      early?.what ?? '',
      /^The certificate of PostgreSQL at db\.example:5432 is not valid yet \(CERT_NOT_YET/,
    );
  });

  it('shows the names of a certificate as far as they are there and short', () => {
    const what = (cert: unknown) => translate(coded('ERR_TLS_CERT_ALTNAME_INVALID', { cert }), CONTEXT)?.what ?? '';
    const plain = 'The certificate of PostgreSQL at db.example:5432 is for another host name. Nothing was read';
    for (const cert of [undefined, null, 'x', {}, { subjectaltname: '' }, { subjectaltname: 7 }])
      assert.ok(what(cert).startsWith(plain), JSON.stringify(cert));
    assert.ok(what({ subjectaltname: 'x'.repeat(400) }).includes(`: ${'x'.repeat(300)}. Nothing`));
  });

  it('quotes names in SQL', () => {
    const names = { ...CONTEXT, database: 'a"b', user: 'c"d' };
    assert.match(translate(coded('42501'), names)?.remedy ?? '', /GRANT CONNECT ON DATABASE "a""b" TO "c""d";$/);
    assert.match(
      translate(coded('55000'), names)?.remedy ?? '',
      /^Run: ALTER DATABASE "a""b" ALLOW_CONNECTIONS true; or/,
    );
    assert.match(translate(coded('28000', { file: 'miscinit.c' }), names)?.remedy ?? '', /ALTER ROLE "c""d" LOGIN;$/);
  });

  for (const [what, over, said, remedy] of [
    [
      'from a secret',
      { auth: 'secret', userFrom: 'secret' },
      /of user "cdc", read from the secret anew\. Nothing/,
      /./,
    ],
    [
      'that is an IAM token',
      { auth: 'iam' },
      /of user "cdc", an IAM token\. Nothing/,
      /^Grant rds-db:connect for this user/,
    ],
    ['from PGPASSWORD', {}, /of user "cdc" \(PGPASSWORD\)\. Nothing/, /^Correct PGUSER or PGPASSWORD\.$/],
  ] as const)
    it(`names where a password comes from: ${what}`, () => {
      const told = translate(coded('28P01'), { ...CONTEXT, ...over });
      assert.match(told?.what ?? '', said);
      assert.match(told?.remedy ?? '', remedy);
      const exchange = translate(new Error('SASL: wrong'), { ...CONTEXT, ...over });
      assert.equal(exchange?.code, 'DATABASE_AUTH_FAILED');
      assert.match(exchange.what, /asks user "cdc" for a password, and the exchange failed/);
    });

  it('says what node-postgres says without a code', () => {
    for (const [text, connecting, said, remedy] of [
      [
        'Connection terminated unexpectedly',
        false,
        /^The connection to PostgreSQL at db\.example:5432 was lost\./,
        /failed over/,
      ],
      ['Client was closed and is not queryable', false, /was lost/, /failed over/],
      ['Client has encountered a connection error and is not queryable', false, /was lost/, /failed over/],
      [
        'Client was closed and is not queryable',
        true,
        /closed the connection before anybody/,
        /of a PostgreSQL server/,
      ],
      ['There was an error establishing an SSL connection', true, /did not begin TLS/, /^Check that host and port/],
      ['The server does not support SSL connections', false, /offers no TLS/, /^Turn it on there/],
    ] as const) {
      const told = translate(new Error(text), { ...CONTEXT, connecting });
      assert.equal(told?.code, 'DATABASE_UNREACHABLE');
      assert.match(told.what, said);
      assert.match(told.remedy, remedy);
    }
    assert.equal(translate(new Error('something else'), CONTEXT), undefined);
  });

  it('is not taken for one where the server ended a session', () => {
    for (const code of ['57P01', '57P02', '57014']) {
      const told = translate(coded(code), CONTEXT);
      assert.doesNotMatch(told?.what ?? '', /refused the connection/);
    }
  });

  it('shows no words of the server once somebody is logged in: they may hold a row', () => {
    assert.equal(translate(coded('XX999'), { ...CONTEXT, connecting: false }), undefined);
  });
});
