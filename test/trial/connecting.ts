/** Steps A to C, F and G of the trial: arguments, log-in, TLS, secrets, settings. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { refusal, startScripted } from '../support/scripted-endpoint.ts';
import type { Environment } from './environment.ts';

type It = (name: string, step: () => Promise<void>) => unknown;

/** Remedies that fit none of these causes. */
const NOT_THESE = /rotation|security group/;
const SECRET = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf';

/** Registers the steps. */
export function connecting(it: It, environment: () => Environment): void {
  const step = (
    name: string,
    line: string,
    over: Readonly<Record<string, string>>,
    expected: Parameters<Environment['expect']>[2],
  ): void => {
    it(name, async () => {
      await environment().expect(line, over, expected);
    });
  };
  const nothing = { PGHOST: '', PGDATABASE: '', PGUSER: '', PGPASSWORD: '' };
  step('A2 no environment', 'check', nothing, {
    status: 2,
    said: /3 settings are missing or not valid.*PGHOST.*PGDATABASE.*PGUSER/s,
  });
  step(
    'A3 tail without a region',
    'tail',
    { AWS_REGION: '' },
    { status: 2, said: /CONFIG_INVALID: .*no AWS region.*AWS_REGION/ },
  );
  it('A4 no password: at once, not after the server’s 60 s', async () => {
    await environment().expect(
      'status',
      { PGPASSWORD: '' },
      {
        status: 1,
        said: /PGPASSWORD is not set.*Set PGPASSWORD/,
        never: NOT_THESE,
      },
    );
    if (/canceling authentication due to timeout/.test(await environment().server.log())) throw new Error('it hung');
  });
  step('A6 too long a time', 'run --max-seconds 901', {}, { status: 2, said: /3 to 900/, never: /\{"action"/ });
  step(
    'A6 a resume that is none',
    'run --resume {"a":1}',
    {},
    { status: 2, said: /--resume cannot be/, never: /\{"action"/ },
  );
  step('A6 a commit LSN that is none', 'skip-transaction foo', {}, { status: 2, never: /\{"action"/ });
  step('A7 a time that cannot be enough', 'run --max-seconds 1.5', {}, { status: 2, said: /3 to 900/ });
  step('A8 no pause', 'run --every 0', {}, { status: 2, said: /0\.1 or more/ });

  step(
    'B1 a wrong password',
    'run',
    { PGPASSWORD: 'wrong' },
    { status: 1, said: /Correct PGUSER or PGPASSWORD/, never: NOT_THESE },
  );
  step('B2 no such database', 'run', { PGDATABASE: 'none' }, { status: 2, said: /there is no database "none"/ });
  it('B3 no CONNECT right', async () => {
    await environment().server.sql('REVOKE CONNECT ON DATABASE app FROM PUBLIC');
    await environment().expect(
      'run',
      {},
      {
        status: 1,
        said: /GRANT CONNECT ON DATABASE "app" TO "cdc";/,
        never: NOT_THESE,
      },
    );
    await environment().server.sql('GRANT CONNECT ON DATABASE app TO cdc');
  });
  it('B4 no REPLICATION', async () => {
    await environment().server.sql('ALTER ROLE cdc NOREPLICATION');
    await environment().expect('check', {}, { status: 1, said: /To do: .*ALTER ROLE "cdc" REPLICATION/ });
    await environment().expect('create-slot', {}, { status: 1, said: /may not use replication slots/ });
    await environment().server.sql('ALTER ROLE cdc REPLICATION');
  });
  step(
    'B7 no slot',
    'status',
    {},
    { status: 1, said: /slot +pg2kinesis: does not exist\n +To do: Create it with create-slot/ },
  );
  step('B7 no slot, run', 'run', {}, { status: 1, said: /SLOT_MISSING/ });
  step(
    'B9 no such stream',
    'tail --stream nosuch',
    {},
    { status: 1, said: /no stream "nosuch" in us-east-1.*--stream/ },
  );

  step(
    'C1 a closed port',
    'run',
    { PGPORT: '1' },
    { status: 1, said: /ECONNREFUSED.*Start the database/, never: NOT_THESE },
  );
  step('C1 no such host', 'run', { PGHOST: 'nowhere.invalid' }, { status: 1, said: /Correct the host's name/ });
  it('C2 another service', async () => {
    const web = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    await environment().expect(
      'run',
      { PGHOST: '127.0.0.1', PGPORT: String(port) },
      {
        status: 1,
        said: /PostgreSQL server/,
        never: /was lost/,
      },
    );
    web.close();
  });
  step('C3 an unknown authority', 'run', { PGSSLROOTCERT: '' }, { status: 1, said: /PGSSLROOTCERT/, never: NOT_THESE });
  step(
    'C3 another host name',
    'run',
    { PGHOST: '127.0.0.1' },
    {
      status: 1,
      said: /another host name: DNS:localhost.*verify-ca/,
      never: NOT_THESE,
    },
  );
  step('C4 no such file', 'run', { PGSSLROOTCERT: '/nowhere' }, { status: 2, said: /PGSSLROOTCERT: the file/ });
  step(
    'C5 no TLS where it is wanted',
    'run',
    { PGSSLMODE: 'disable' },
    {
      status: 1,
      said: /no pg_hba\.conf entry.*Add a line to pg_hba\.conf.*PGSSLMODE/,
      never: NOT_THESE,
    },
  );
  it('C5 a role that may not log in, and one that pg_hba.conf rejects', async () => {
    await environment().server.sql(`CREATE ROLE shut PASSWORD 'x'; CREATE ROLE unlisted LOGIN PASSWORD 'x'`);
    const as = (user: string) => ({ PGUSER: user, PGPASSWORD: 'x' });
    await environment().expect('run', as('shut'), { status: 1, said: /ALTER ROLE "shut" LOGIN;/, never: NOT_THESE });
    await environment().expect('run', as('unlisted'), {
      status: 1,
      said: /Add a line to pg_hba\.conf/,
      never: NOT_THESE,
    });
  });
  it('C6 a database that takes no connections', async () => {
    await environment().server.sql('CREATE DATABASE closed ALLOW_CONNECTIONS false');
    await environment().expect(
      'run',
      { PGDATABASE: 'closed' },
      {
        status: 2,
        said: /not currently accepting connections.*ALLOW_CONNECTIONS true/,
        never: /please report/,
      },
    );
  });
  it('C7 no connection left for the role', async () => {
    await environment().server.sql('ALTER ROLE cdc CONNECTION LIMIT 1');
    await environment().expect('run', {}, { status: 1, said: /2 are needed.*CONNECTION LIMIT/, never: NOT_THESE });
    await environment().server.sql('ALTER ROLE cdc CONNECTION LIMIT -1');
  });
  step(
    'C8 --log-json, the database down',
    '--log-json run',
    { PGPORT: '1' },
    {
      status: 1,
      said: /^\{"level":"ERROR","timestamp":"[^"]*","code":"DATABASE_UNREACHABLE"/,
    },
  );

  const secret = { DATABASE_SECRET_ARN: SECRET, PGUSER: '', PGPASSWORD: '' };
  it('F2 an expired token, where the secret is asked for', async () => {
    const expired = await startScripted(() => refusal('ExpiredTokenException'));
    await environment().expect(
      'run',
      { ...secret, AWS_ENDPOINT_URL_SECRETS_MANAGER: expired.endpoint },
      {
        status: 1,
        said: /credentials were not accepted.*sign in again/,
        never: /NAT|rotation/,
      },
    );
    await expired.stop();
  });
  step(
    'F2 no way to the secret',
    'run',
    { ...secret, AWS_ENDPOINT_URL_SECRETS_MANAGER: 'http://127.0.0.1:1' },
    {
      status: 1,
      said: /was not reached: .*ECONNREFUSED.*Open the way to Secrets Manager/,
    },
  );
  it('F4 the secret’s password, whatever DATABASE_AUTH says, and PGUSER beside it', async () => {
    const text = JSON.stringify({ username: 'cdc', password: 'not-it' });
    const vault = await startScripted(() => ({ body: JSON.stringify({ SecretString: text }) }));
    const over = { ...secret, AWS_ENDPOINT_URL_SECRETS_MANAGER: vault.endpoint };
    await environment().expect(
      'run',
      { ...over, DATABASE_AUTH: 'password' },
      {
        status: 1,
        said: /read from the secret anew/,
        never: /PGPASSWORD|not-it/,
      },
    );
    await environment().expect('run', { ...over, PGUSER: 'postgres' }, { status: 1, said: /PGUSER is set and wins/ });
    await vault.stop();
  });
  step('G1 a bad setting', 'run', { LANES: '3' }, { status: 2, said: /LANES has a value that is not allowed/ });
  step(
    'G2 misspelt names',
    'check',
    { STREAMNAME: 'x', TABLES_EXCLUDE_LIST: 'y' },
    {
      status: 1,
      said: [/is STREAM_NAME meant/, /is TABLE_EXCLUDE_LIST meant/, /STREAM_NAME +changes\n/],
    },
  );
  step(
    'G3 a URL as the host',
    'run',
    { PGHOST: 'http://x' },
    { status: 2, said: /PGHOST has a value that is not allowed/ },
  );
  step(
    'G3 the port in the host',
    'run',
    { PGHOST: 'localhost:5432' },
    { status: 2, said: /PGHOST has a value that is not allowed/ },
  );
}
