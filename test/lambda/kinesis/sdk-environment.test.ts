/**
 * Every variable and profile key that the SDK reads, set: publishing is neither slowed nor changed, or the run says at
 * once which setting is wrong. The tables are held against the SDK's own code, so that an update cannot bring a variable
 * that nobody has looked at.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createKinesisClient } from '../../../lambda/kinesis/client.ts';
import { createPublisher } from '../../../lambda/kinesis/publisher.ts';
import {
  refusal,
  type ScriptedEndpoint,
  type ScriptedRequest,
  startScripted,
  stored,
  withEnvironment,
} from '../../support/scripted-endpoint.ts';
import { fakeClock, memoryLog, round } from './publisher-fixtures.ts';

/** How often each trial is throttled before it may pass: often enough for the SDK's rate limiter to brake. */
const REFUSALS = 3;

let kinesis: ScriptedEndpoint;
let directory: string;
let credentials: string;
let trial: ScriptedRequest[] = [];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pg2kinesis-sdk-'));
  credentials = join(directory, 'credentials');
  await writeFile(credentials, '[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n');
  kinesis = await startScripted((request) => {
    trial.push(request);
    return trial.length <= REFUSALS ? refusal('ProvisionedThroughputExceededException') : stored(request.body);
  });
});
after(async () => {
  await kinesis.stop();
  await rm(directory, { recursive: true });
});

/** Publishes a round under an environment. @returns what Kinesis saw, without what differs from request to request */
async function requests(variables: Readonly<Record<string, string>>) {
  trial = [];
  const base = {
    AWS_ACCESS_KEY_ID: 'KEY',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: 'eu-west-1',
    AWS_CONFIG_FILE: '/nonexistent/config',
    AWS_SHARED_CREDENTIALS_FILE: credentials,
    AWS_ENDPOINT_URL: kinesis.endpoint,
  };
  const slow: number[] = [];
  await withEnvironment({ ...base, ...variables }, async () => {
    const client = createKinesisClient({ requestTimeoutMs: 20_000 });
    const clock = fakeClock();
    const publisher = createPublisher({ client, stream: 's', clock, log: memoryLog(), requestTimeoutMs: 20_000 });
    // Whatever in the SDK waits does so by this timer; time-outs of requests are longer.
    const { setTimeout: real } = globalThis;
    globalThis.setTimeout = ((work: () => void, ms = 0, ...rest: []) => {
      const timer = real(work, ms, ...rest);
      // The SDK's handler leaves timers of requests behind that would keep this process for another 20 seconds.
      if (/node-http-handler/.test(new Error().stack ?? '')) timer.unref();
      else if (ms > 20 && ms < 3_000) slow.push(ms);
      return timer;
    }) as typeof setTimeout;
    try {
      const published = await publisher.publish(
        round({ text: 'a' }),
        clock.now() + 60_000,
        new AbortController().signal,
      );
      assert.equal(published.complete, true);
    } finally {
      globalThis.setTimeout = real;
      client.destroy();
    }
  });
  assert.deepEqual(slow, [], 'the SDK waited');
  return trial.map(({ url, headers, body }) => ({
    url,
    body,
    signed: /Credential=([^/]*)\/\d+\/([^,]*)/.exec(headers.authorization ?? '')?.slice(1),
  }));
}

/** With a profile of one key. */
async function withProfile(key: string, value: string, more: Readonly<Record<string, string>> = {}) {
  const file = join(directory, `config-${key}-${value.replace(/\W/g, '')}`);
  await writeFile(file, `[default]\n${key} = ${value}\n`);
  return requests({ AWS_CONFIG_FILE: file, ...more });
}

/** Values that may be set anywhere, right and wrong, and change nothing. */
const INDIFFERENT: Readonly<Record<string, readonly string[]>> = {
  AWS_RETRY_MODE: ['adaptive', 'standard', 'wrong'],
  AWS_MAX_ATTEMPTS: ['10', 'wrong'],
  AWS_DEFAULTS_MODE: ['auto', 'mobile', 'wrong'],
  AWS_ACCOUNT_ID: ['111122223333'],
  AWS_ACCOUNT_ID_ENDPOINT_MODE: ['required', 'wrong'],
  AWS_AUTH_SCHEME_PREFERENCE: ['httpBearerAuth', 'noAuth,sigv4a'],
  AWS_SIGV4A_SIGNING_REGION_SET: ['*'],
  AWS_CREDENTIAL_SCOPE: ['us-west-2'],
  AWS_CREDENTIAL_EXPIRATION: ['2100-01-01T00:00:00Z', '2001-01-01T00:00:00Z', 'wrong'],
  AWS_DISABLE_CLOCK_SKEW_CORRECTION: ['true', 'wrong'],
  AWS_SDK_UA_APP_ID: ['an app of ours'],
  AWS_EXECUTION_ENV: ['AWS_Lambda_nodejs24.x', 'ü'],
  AWS_LAMBDA_FUNCTION_NAME: ['f'],
  AWS_LAMBDA_MAX_CONCURRENCY: ['10'],
  AWS_LAMBDA_BENCHMARK_MODE: ['1'],
  AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA: ['1'],
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: ['true'],
  AWS_DEFAULT_REGION: ['us-east-2'],
  AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: ['false', 'wrong'],
  AWS_USE_FIPS_ENDPOINT: ['false', 'wrong'],
  AWS_USE_DUALSTACK_ENDPOINT: ['false', 'wrong'],
  // Asked for credentials only where the environment has none.
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: ['/x'],
  AWS_CONTAINER_CREDENTIALS_FULL_URI: ['http://127.0.0.1:1/x'],
  AWS_CONTAINER_AUTHORIZATION_TOKEN: ['t'],
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: ['/nonexistent'],
  AWS_EC2_METADATA_DISABLED: ['true'],
  AWS_EC2_METADATA_SERVICE_ENDPOINT: ['http://127.0.0.1:1'],
  AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: ['IPv6', 'wrong'],
  AWS_EC2_METADATA_V1_DISABLED: ['true'],
  AWS_WEB_IDENTITY_TOKEN_FILE: ['/nonexistent'],
  AWS_ROLE_ARN: ['arn:aws:iam::111122223333:role/r'],
  AWS_ROLE_SESSION_NAME: ['r'],
  AWS_LOGIN_CACHE_DIRECTORY: ['/nonexistent'],
};

/** What says who we are and where Kinesis is: the user's to set, and taken. */
const TAKEN = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_PROFILE',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_REGION',
  'AWS_ENDPOINT_URL',
];

const PROFILE: readonly (readonly [key: string, value: string])[] = [
  ['retry_mode', 'adaptive'],
  ['max_attempts', '9'],
  ['defaults_mode', 'auto'],
  ['defaults_mode', 'wrong'],
  ['account_id_endpoint_mode', 'required'],
  ['aws_account_id', '111122223333'],
  ['auth_scheme_preference', 'noAuth'],
  ['sigv4a_signing_region_set', '*'],
  ['sdk_ua_app_id', 'an app of ours'],
  ['disable_clock_skew_correction', 'true'],
  ['use_fips_endpoint', 'wrong'],
  ['use_dualstack_endpoint', 'wrong'],
  // The environment goes before the profile.
  ['region', 'us-west-1'],
  ['endpoint_url', 'http://127.0.0.1:1'],
];

describe('the environment of the SDK', () => {
  let plain: Awaited<ReturnType<typeof requests>>;
  before(async () => {
    plain = await requests({});
    assert.equal(plain.length, REFUSALS + 1);
    assert.deepEqual(plain[0]?.signed, ['KEY', 'eu-west-1/kinesis/aws4_request']);
  });

  for (const [name, values] of Object.entries(INDIFFERENT)) {
    it(`publishes the same, as fast, with ${name}`, async () => {
      for (const value of values) assert.deepEqual(await requests({ [name]: value }), plain, value);
    });
  }
  for (const [key, value] of PROFILE) {
    it(`publishes the same, as fast, with ${key} = ${value} in the profile`, async () => {
      assert.deepEqual(await withProfile(key, value), plain);
    });
  }

  it('takes key, token, profile, region and endpoint from where the user has set them', async () => {
    const signed = async (variables: Readonly<Record<string, string>>) => (await requests(variables))[0]?.signed?.[0];
    assert.equal(await signed({ AWS_ACCESS_KEY_ID: 'OTHER' }), 'OTHER');
    assert.equal(await signed({ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }), 'FILE');
    const other = join(directory, 'other-credentials');
    await writeFile(other, '[mine]\naws_access_key_id=MINE\naws_secret_access_key=s\n');
    const ofProfile = { AWS_ACCESS_KEY_ID: '', AWS_SHARED_CREDENTIALS_FILE: other, AWS_PROFILE: 'mine' };
    assert.equal(await signed(ofProfile), 'MINE');
    await requests({ AWS_SESSION_TOKEN: 'token' });
    assert.equal(trial[0]?.headers['x-amz-security-token'], 'token');
    assert.match(String((await requests({ AWS_REGION: 'us-gov-west-1' }))[0]?.signed), /us-gov-west-1/);
    const elsewhere = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint };
    assert.equal((await requests(elsewhere)).length, REFUSALS + 1);
    const reached = await withProfile('endpoint_url', kinesis.endpoint, { AWS_ENDPOINT_URL: '' });
    assert.equal(reached.length, REFUSALS + 1);
  });

  const wrong: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [{ AWS_USE_FIPS_ENDPOINT: 'true' }, 'CONFIG_INVALID'],
    [{ AWS_USE_DUALSTACK_ENDPOINT: 'true' }, 'CONFIG_INVALID'],
    [{ AWS_ENDPOINT_URL: 'no url' }, 'CONFIG_INVALID'],
    [{ AWS_ACCESS_KEY_ID: 'KEY\n' }, 'STREAM_ACCESS_DENIED'],
    [{ AWS_SESSION_TOKEN: 'a\nb' }, 'STREAM_ACCESS_DENIED'],
    [{ AWS_ACCESS_KEY_ID: '', AWS_PROFILE: 'missing', AWS_EC2_METADATA_DISABLED: 'true' }, 'STREAM_ACCESS_DENIED'],
  ];
  for (const [variables, code] of wrong) {
    it(`fails at once on ${JSON.stringify(variables)}: ${code}`, async () => {
      await assert.rejects(requests(variables), { name: code });
      assert.equal(trial.length, 0);
    });
  }

  it('knows every variable that the SDK names in its code', () => {
    const packages = ['@smithy/*', '@aws-sdk/*', '@aws/*'].map((scope) => `node_modules/${scope}/dist-cjs/**/*.js`);
    const root = new URL('../../../', import.meta.url).pathname;
    const named = new Set<string>();
    for (const file of globSync(packages, { cwd: root })) {
      // The command line's alone: the function has neither. Their own names are values of fields, not of the environment.
      if (/client-(lambda|cloudformation)\//.test(file)) continue;
      const code = readFileSync(join(root, file), 'utf8');
      for (const [, name = ''] of code.matchAll(/(?:["']|\benv\.)(AWS_[A-Z0-9_]+)\b/g)) named.add(name);
    }
    const known = new Set([...Object.keys(INDIFFERENT), ...TAKEN]);
    assert.ok(named.size > 30);
    assert.deepEqual([...named].filter((name) => !known.has(name)).sort(), []);
  });
});
