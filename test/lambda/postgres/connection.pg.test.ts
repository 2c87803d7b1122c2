/** Connecting, and each refusal as a user meets it. No password in any text (I10). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { rootCertificates } from 'node:tls';
import type { PipelineError } from '../../../lambda/errors.ts';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { databaseOf, endableClock, openOn, soon } from './fixtures.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf';

describe('a connection', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.sql(`CREATE ROLE app LOGIN PASSWORD 'first-password'`);
    await server.sql(
      `ALTER ROLE app SET bytea_output = 'escape'; ALTER ROLE app SET "TimeZone" = 'Asia/Tokyo'; ALTER ROLE app SET search_path = public`,
    );
  });
  after(() => server.stop());

  /** The error of a refused connection: its code, and no password in its text or its causes. */
  const refused =
    (code: string, message: RegExp, ...secrets: string[]) =>
    (error: PipelineError) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      for (const secret of [...secrets, 'first-password'])
        assert.ok(!JSON.stringify([error.message, String(error.cause)]).includes(secret));
      return true;
    };

  it('signs in by any password, also by one that is hashed more often than node-postgres does by itself', async () => {
    const password = `e\u0301's "p@ss":/?#%41 \\ `;
    const literal = password.replaceAll("'", "''");
    const iterations = server.versionNum >= 160000 ? 'SET scram_iterations = 200000;' : '';
    await server.sql(`${iterations} CREATE ROLE strict LOGIN PASSWORD '${literal}'; RESET ALL`);
    const connection = await open(databaseOf(server, { user: 'strict', password }), { deadline: soon() });
    await connection.client.end();
  });

  it('pins what value texts depend on, whatever the role is set to', async () => {
    const connection = await open(databaseOf(server, { user: 'app', password: 'first-password' }), {
      deadline: soon(),
    });
    const { client, versionNum, pid, encoding } = connection;
    const setting = async (name: string) =>
      String((await connection.query('SELECT current_setting($1) AS value', [name])).rows[0]?.['value']);
    const pinned = [
      'search_path',
      'quote_all_identifiers',
      'TimeZone',
      'DateStyle',
      'IntervalStyle',
      'bytea_output',
      'extra_float_digits',
      'lc_monetary',
      'client_encoding',
    ];
    assert.deepEqual(await Promise.all(pinned.map(setting)), [
      'pg_catalog',
      'off',
      'UTC',
      'ISO, MDY',
      'iso_8601',
      'hex',
      '3',
      'C',
      'UTF8',
    ]);
    assert.match(await setting('application_name'), /^pg2kinesis until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.notEqual(await setting('statement_timeout'), '0');
    if (versionNum >= 140000) assert.equal(await setting('client_connection_check_interval'), '2s');
    const patience = await connection.query(
      `SELECT setting::int AS ms FROM pg_settings WHERE name = 'tcp_user_timeout'`,
    );
    if (versionNum >= 120000)
      assert.ok(
        Number(patience.rows[0]?.['ms']) > 60_000,
        'a stream held back all the time of a run is no lost connection',
      );
    assert.equal(versionNum, server.versionNum);
    assert.equal(encoding, 'UTF8');
    assert.equal((await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid, pid);
    await client.end();
  });

  it('closes by itself when its time is over, though the server does not answer', async () => {
    const { clock, end } = endableClock();
    const connection = await open({ ...databaseOf(server), clock }, { deadline: soon() });
    // Not the server's time-out, which would end it as well, much later.
    const asked = assert.rejects(connection.query('SELECT pg_sleep(60)'), { message: /^Connection terminated/ });
    end();
    await asked;
    await connection.client.end();
  });

  it('keeps the order of statements asked for at once', async () => {
    const connection = await openOn(server);
    const results = await Promise.all([1, 2, 3, 4].map((n) => connection.query(`SELECT ${n} AS n`)));
    assert.deepEqual(
      results.map(({ rows }) => rows[0]?.['n']),
      [1, 2, 3, 4],
    );
    await connection.client.end();
  });

  it('reads the secret again, once, when a rotation has changed the password', async () => {
    let reads = 0;
    const secrets = () =>
      Promise.resolve(JSON.stringify({ username: 'app', password: reads++ === 0 ? 'old' : 'first-password' }));
    const database = databaseOf(
      server,
      { auth: 'secret', secretArn: ARN, user: undefined, password: undefined },
      { secrets },
    );
    const both = await Promise.all([open(database, { deadline: soon() }), open(database, { deadline: soon() })]);
    assert.equal(reads, 2, 'two refused at once read it once');
    const third = await open(database, { deadline: soon() });
    assert.equal(reads, 2, 'kept');
    await Promise.all([...both, third].map(({ client }) => client.end()));
  });

  it('I10: fails with DATABASE_AUTH_FAILED on a wrong password, read anew or not', async () => {
    await assert.rejects(
      open(databaseOf(server, { user: 'app', password: 'wrong-one' }), { deadline: soon() }),
      refused('DATABASE_AUTH_FAILED', /user "app" \(PGPASSWORD\).*Correct PGUSER or PGPASSWORD/s, 'wrong-one'),
    );
    let reads = 0;
    const secrets = () => Promise.resolve(JSON.stringify({ username: 'app', password: `wrong-${++reads}` }));
    const database = databaseOf(
      server,
      { auth: 'secret', secretArn: ARN, user: undefined, password: undefined },
      { secrets },
    );
    await assert.rejects(
      open(database, { deadline: soon() }),
      refused('DATABASE_AUTH_FAILED', /read from the secret anew/, 'wrong-1', 'wrong-2'),
    );
    assert.equal(reads, 2);
  });

  it('fails with DATABASE_AUTH_FAILED without any password', async () => {
    await assert.rejects(
      open(databaseOf(server, { user: 'app', password: undefined }), { deadline: soon() }),
      refused('DATABASE_AUTH_FAILED', /there is none: PGPASSWORD is not set/),
    );
  });

  it('fails with DATABASE_AUTH_FAILED for a role that may not log in', async () => {
    await server.sql(`CREATE ROLE nologin PASSWORD 'p'`);
    await assert.rejects(
      open(databaseOf(server, { user: 'nologin', password: 'p' }), { deadline: soon() }),
      refused('DATABASE_AUTH_FAILED', /role "nologin" is not permitted to log in.*ALTER ROLE "nologin" LOGIN;$/),
    );
  });

  it('shows the server’s words and the remedy for a missing right, and a database that takes nobody', async () => {
    await server.sql('CREATE DATABASE closed ALLOW_CONNECTIONS false');
    await server.sql('CREATE DATABASE reserved');
    await server.sql('REVOKE CONNECT ON DATABASE reserved FROM PUBLIC');
    await assert.rejects(
      open(databaseOf(server, { user: 'app', password: 'first-password', database: 'reserved' }), { deadline: soon() }),
      refused('DATABASE_AUTH_FAILED', /permission denied.*GRANT CONNECT ON DATABASE "reserved" TO "app";$/),
    );
    await assert.rejects(
      open(databaseOf(server, { user: 'app', password: 'first-password', database: 'closed' }), { deadline: soon() }),
      refused('CONFIG_INVALID', /not currently accepting connections.*ALTER DATABASE "closed" ALLOW_CONNECTIONS true/),
    );
  });

  it('fails with CONFIG_INVALID on a database that does not exist', async () => {
    await assert.rejects(
      open(databaseOf(server, { database: 'nowhere' }), { deadline: soon() }),
      refused('CONFIG_INVALID', /PGDATABASE.*"nowhere"/),
    );
  });

  it('fails with DATABASE_UNREACHABLE on a port where nobody listens, and on a name nobody has', async () => {
    await assert.rejects(
      open(databaseOf(server, { port: 1 }), { deadline: soon() }),
      refused('DATABASE_UNREACHABLE', /127\.0\.0\.1:1 \(ECONNREFUSED\).*Start the database/s),
    );
    await assert.rejects(
      open(databaseOf(server, { host: 'nowhere.invalid' }), { deadline: soon() }),
      refused('DATABASE_UNREACHABLE', /nowhere\.invalid/),
    );
  });

  it('fails with DATABASE_UNREACHABLE when the server has no connection left', async () => {
    await server.sql('ALTER ROLE app CONNECTION LIMIT 0');
    await assert.rejects(
      open(databaseOf(server, { user: 'app', password: 'first-password' }), { deadline: soon() }),
      refused('DATABASE_UNREACHABLE', /no connection left/),
    );
    await server.sql('ALTER ROLE app CONNECTION LIMIT -1');
  });

  it('fails with DATABASE_UNREACHABLE and names PGSSLMODE where the server has no TLS', async () => {
    await assert.rejects(
      open(databaseOf(server, { sslMode: 'verify-full' }), { deadline: soon() }),
      refused('DATABASE_UNREACHABLE', /no TLS.*PGSSLMODE=disable/),
    );
  });
});

describe('a connection by TLS', () => {
  let server: PostgresServer;
  let dir: string;
  const ca = () => readFileSync(join(dir, 'ca.crt'), 'utf8');
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-tls-'));
    const openssl = (...args: string[]) => {
      try {
        execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
      } catch (error) {
        throw new Error('the TLS tests need the openssl command', { cause: error });
      }
    };
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test authority',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
    );
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-keyout',
      'server.key',
      '-out',
      'server.csr',
    );
    openssl(
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-copy_extensions',
      'copyall',
      '-out',
      'server.crt',
    );
    server = await startPostgres({
      settings: {
        ssl: 'on',
        ssl_cert_file: '../server.crt',
        ssl_key_file: '../server.key',
        listen_addresses: 'localhost,127.0.0.1',
      },
      files: {
        'server.crt': readFileSync(join(dir, 'server.crt'), 'utf8'),
        'server.key': readFileSync(join(dir, 'server.key'), 'utf8'),
      },
      hba: ['hostssl all all all scram-sha-256', 'hostnossl all postgres all reject'],
      clientSsl: { rejectUnauthorized: false },
    });
  });
  after(async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const outcome = async (over: Parameters<typeof databaseOf>[1]) => {
    const { client } = await open(databaseOf(server, over), { deadline: soon() });
    const { rows } = await client.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    await client.end();
    return rows[0]?.ssl;
  };

  it('verify-full trusts the authority given, as a file or as text, for the name in the certificate', async () => {
    assert.equal(await outcome({ host: 'localhost', sslMode: 'verify-full', sslRootCert: join(dir, 'ca.crt') }), true);
    assert.equal(await outcome({ host: 'localhost', sslMode: 'verify-full', sslRootCert: ca() }), true);
  });

  it('reads a file of authorities again that was written anew', async () => {
    const file = join(dir, 'trusted.pem');
    writeFileSync(file, rootCertificates[0] ?? '');
    const database = databaseOf(server, { host: 'localhost', sslMode: 'verify-full', sslRootCert: file });
    await assert.rejects(open(database, { deadline: soon() }), { code: 'DATABASE_UNREACHABLE' });
    writeFileSync(file, ca());
    const { client } = await open(database, { deadline: soon() });
    await client.end();
  });

  it('fails with DATABASE_UNREACHABLE on an authority nobody vouches for', async () => {
    for (const sslMode of ['verify-full', 'verify-ca'] as const) {
      await assert.rejects(outcome({ host: 'localhost', sslMode }), {
        code: 'DATABASE_UNREACHABLE',
        message: /signed by no authority known.*PGSSLROOTCERT/,
      });
    }
  });

  it('fails with DATABASE_UNREACHABLE under verify-full by another name, which verify-ca takes', async () => {
    await assert.rejects(outcome({ sslMode: 'verify-full', sslRootCert: ca() }), {
      code: 'DATABASE_UNREACHABLE',
      message: /another host name/,
    });
    assert.equal(await outcome({ sslMode: 'verify-ca', sslRootCert: ca() }), true);
  });

  it('require encrypts and checks nothing', async () => {
    assert.equal(await outcome({ sslMode: 'require' }), true);
  });

  it('fails with DATABASE_AUTH_FAILED without TLS where pg_hba.conf wants it', async () => {
    await assert.rejects(outcome({ sslMode: 'disable' }), { code: 'DATABASE_AUTH_FAILED', message: /PGSSLMODE/ });
  });

  it('fails with CONFIG_INVALID on a PGSSLROOTCERT that is none', async () => {
    await assert.rejects(outcome({ sslMode: 'verify-full', sslRootCert: '/nowhere/ca.pem' }), {
      code: 'CONFIG_INVALID',
      message: /\/nowhere\/ca\.pem/,
    });
    await assert.rejects(outcome({ sslMode: 'verify-full', sslRootCert: join(dir, 'server.csr') }), {
      code: 'CONFIG_INVALID',
      message: /no PEM certificate/,
    });
  });
});
