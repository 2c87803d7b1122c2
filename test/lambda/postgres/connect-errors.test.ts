/**
 * Refused connections: the code, and a remedy that fits the cause. A line of a trial by a new user stands behind each.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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

  it('shows no words of the server once somebody is logged in: they may hold a row', () => {
    assert.equal(translate(coded('XX999'), { ...CONTEXT, connecting: false }), undefined);
  });
});
