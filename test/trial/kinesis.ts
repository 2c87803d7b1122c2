/** Steps E, F3, G and I of the trial: the stream, credentials, filters, changes that are left out. */
import { refusal, startScripted } from '../support/scripted-endpoint.ts';
import type { Environment } from './environment.ts';

type It = (name: string, step: () => Promise<void>) => unknown;

const TOO_LONG =
  "1 validation error detected: Value at 'records.1.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576";

/** Registers the steps. */
export function kinesisSteps(it: It, environment: () => Environment): void {
  const fails = async (type: string, said: RegExp, never: RegExp, message?: string): Promise<void> => {
    environment().faulty.always(() => ({
      kind: 'error',
      status: 400,
      type,
      ...(message === undefined ? {} : { message }),
    }));
    await environment().expect('run --max-seconds 10', {}, { status: 1, said, never });
    environment().faulty.always(() => ({ kind: 'pass' }));
  };

  it('E0 a slot, a change, a check that is ok and says what it cannot know', async () => {
    await environment().expect('create-slot', {}, { status: 0 });
    await environment().sql('CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1)');
    await environment().expect(
      'check',
      {},
      {
        status: 0,
        said: [
          /\d+ ok\.\nSlot pg2kinesis can be published\./,
          /PutRecords is allowed is not known/,
          /PGHOST +localhost\n/,
        ],
      },
    );
  });
  it('E1 no such stream', async () => {
    await environment().expect(
      'check',
      { STREAM_NAME: 'none' },
      { status: 1, said: /none in us-east-1 .* does not exist/ },
    );
    await environment().expect(
      'run',
      { STREAM_NAME: 'none' },
      { status: 1, said: /STREAM_MISSING.*"none" in us-east-1/ },
    );
  });
  it('E2 no region', async () => {
    await environment().expect('check', { AWS_REGION: '' }, { status: 1, said: /no AWS region/ });
    await environment().expect('run', { AWS_REGION: '' }, { status: 2, said: /AWS_REGION/ });
  });
  it('E3 an endpoint that refuses', async () => {
    const over = { AWS_ENDPOINT_URL_KINESIS: 'http://127.0.0.1:1' };
    await environment().expect('check', over, { status: 1, said: /\(127\.0\.0\.1:1\) is not reached.*ECONNREFUSED/ });
    await environment().expect('run --max-seconds 5', over, {
      status: 1,
      said: /NO_PROGRESS.*ECONNREFUSED.*"changes" in us-east-1 \(127\.0\.0\.1:1\).*correct the region or the endpoint/,
      never: /drain by hand/,
    });
  });
  it('E4 an expired token, wrong keys', async () => {
    const expired = await startScripted(() => refusal('ExpiredTokenException'));
    await environment().expect(
      'check',
      { AWS_ENDPOINT_URL_KINESIS: expired.endpoint },
      { status: 1, said: /ExpiredToken.*sign in/s },
    );
    await expired.stop();
    await fails('ExpiredTokenException', /STREAM_ACCESS_DENIED.*sign in again/, /Grant kinesis/);
    await fails('InvalidSignatureException', /belong together/, /Grant kinesis/);
  });
  it('E5 a right that is missing, a key that is disabled, a stream that may not be described', async () => {
    await fails('AccessDeniedException', /Grant kinesis:PutRecords/, /sign in/, 'User x may not do y');
    await fails('KMSDisabledException', /Enable the KMS key/, /Grant/);
    const denied = await startScripted(() => refusal('AccessDeniedException'));
    await environment().expect(
      'check',
      { AWS_ENDPOINT_URL_KINESIS: denied.endpoint },
      { status: 3, said: /may not be described/ },
    );
    await denied.stop();
  });
  it('E8 an endpoint and a database that never answer: told while it waits, and a fault', async () => {
    const over = {
      AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${environment().silentPort}`,
      PGPORT: String(environment().silentPort),
    };
    await environment().expect('check', over, {
      status: 1,
      said: [
        /Waiting for Kinesis to describe "changes", up to 10 s; 3 s so far/,
        /Waiting for a connection to PostgreSQL at localhost:\d+, up to 10 s; 3 s so far/,
        /did not answer within 10 s/,
        /did not answer in time/,
      ],
    });
  });
  it('F3 no credentials', async () => {
    const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
    await environment().expect('check', none, { status: 1, said: /CredentialsProviderError.*Set AWS_PROFILE/s });
    await environment().expect('run --max-seconds 10', none, {
      status: 1,
      said: /No AWS credentials.*Set AWS_PROFILE/,
      never: /Grant/,
    });
    await environment().expect('tail --seconds 5', none, { status: 1, said: /STREAM_ACCESS_DENIED.*Set AWS_PROFILE/ });
  });

  it('G4 an include list that matches nothing', () =>
    environment()
      .expect('check', { TABLE_INCLUDE_LIST: 'users' }, { status: 1, said: /no table is left/ })
      .then(() => undefined));
  it('H3 a key column that is to be left out', async () => {
    const over = { COLUMN_EXCLUDE_LIST: 'public\\.users\\.id', FORMAT: 'json' };
    await environment().expect('check', over, { status: 1, said: /primary keys: public\.users\.id/ });
    await environment().expect('run', over, {
      status: 2,
      said: /COLUMN_EXCLUDE_LIST names the column public\.users\.id/,
    });
  });
  it('B8 a run that publishes', () =>
    environment()
      .expect('drain', {}, { status: 0, said: /drain +Caught up\./ })
      .then(() => undefined));

  it('G5 a DELETE that cannot be published is told', async () => {
    await environment().sql(
      `CREATE TABLE hidden (id int PRIMARY KEY); ALTER TABLE hidden REPLICA IDENTITY NOTHING; INSERT INTO hidden VALUES (1); DELETE FROM hidden`,
    );
    await environment().expect(
      'run',
      {},
      {
        status: 0,
        said: [
          /left out +1 change: the server did not send their key/,
          /WARN The table public\.hidden has changes whose key/,
        ],
      },
    );
    await environment().sql('DROP TABLE hidden');
  });
  it('I5 I6 tables without a key, and dropped ones, are told by name', async () => {
    await environment().sql('CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (1)');
    await environment().sql('CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO gone VALUES (1); DROP TABLE gone');
    await environment().expect('run', {}, { status: 0, said: [/WARN .*public\.keyless/, /WARN .*public\.gone/] });
  });
  it('I1 I4 a row that is too large', async () => {
    await environment().sql(
      `CREATE TABLE docs (id int PRIMARY KEY, doc text); INSERT INTO docs VALUES (1, repeat('x', 1600000))`,
    );
    await environment().expect(
      'run',
      { FORMAT: 'json', OVERSIZE: 'fail' },
      { status: 1, said: /RECORD_TOO_LARGE.*public\.docs.*commit LSN/ },
    );
    environment().faulty.always(() => ({ kind: 'error', status: 400, type: 'ValidationException', message: TOO_LONG }));
    await environment().expect(
      'run --max-seconds 10',
      { FORMAT: 'json', MAX_RECORD_KIB: '2048' },
      {
        status: 1,
        said: /RECORD_TOO_LARGE.*MAX_RECORD_KIB is above.*1048576 bytes.*public\.docs.*commit LSN [0-9A-F]+\/[0-9A-F]+.*Lower MAX_RECORD_KIB/,
      },
    );
    environment().faulty.always(() => ({ kind: 'pass' }));
    await environment().expect(
      'run',
      { FORMAT: 'json' },
      {
        status: 0,
        said: [
          /truncated +1 record went without/,
          /without their row, of public\.docs \(key: id; first in the transaction with commit LSN/,
        ],
      },
    );
  });
  it('and the slot goes', () =>
    environment()
      .expect('drop-slot', {}, { status: 0 })
      .then(() => undefined));
}
