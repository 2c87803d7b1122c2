/** Variables that the SDK reads by itself: refused by name, where the SDK's own error would name nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { environmentFaults } from '../../../lambda/settings/environment-faults.ts';

describe('environmentFaults', () => {
  for (const [name, value] of [
    ['AWS_REGION', 'eu central'],
    ['AWS_REGION', 'Frankfurt'],
    ['AWS_REGION', 'eu-central-1a'],
    ['AWS_ENDPOINT_URL', 's3cret:4566'],
    ['AWS_ENDPOINT_URL_KINESIS', 'localhost:1'],
    ['AWS_ENDPOINT_URL_KINESIS', 'kinesis.eu-central-1.amazonaws.com'],
    ['AWS_ENDPOINT_URL_KINESIS', 'ftp://s3cret@host'],
    ['AWS_ENDPOINT_URL_KINESIS', 'https:'],
    ['AWS_ENDPOINT_URL_SECRETS_MANAGER', '//host'],
    ['AWS_ENDPOINT_URL_STS', 'x'],
  ] as const) {
    it(`refuses ${name}=${value}, and does not show the value`, () => {
      const [fault = '', ...others] = environmentFaults({ [name]: value });
      assert.match(
        fault,
        new RegExp(`^${name} has a value that is not allowed, of ${value.length} characters? \\(allowed: `),
      );
      assert.deepEqual(others, []);
      assert.doesNotMatch(fault, /eu central|Frankfurt|localhost|s3cret|amazonaws/);
    });
  }

  for (const env of [
    {},
    { AWS_REGION: '', AWS_ENDPOINT_URL: '' },
    ...['eu-central-1', 'us-gov-west-1', 'us-iso-east-1', 'us-isob-east-1', 'eusc-de-east-1', 'cn-northwest-1'].map(
      (AWS_REGION) => ({ AWS_REGION }),
    ),
    { AWS_ENDPOINT_URL_KINESIS: 'http://localhost:4568' },
    { AWS_ENDPOINT_URL_KINESIS: 'https://vpce-0a1b-xyz.kinesis.eu-central-1.vpce.amazonaws.com' },
    { AWS_ENDPOINT_URL: 'http://[::1]:4566/' },
  ]) {
    it(`takes ${JSON.stringify(env)}`, () => assert.deepEqual(environmentFaults(env), []));
  }

  it('does without URL.parse, as Node.js 20.12 does', ({ mock }) => {
    mock.method(URL, 'parse', () => assert.fail('It is not there.'));
    assert.deepEqual(environmentFaults({ AWS_ENDPOINT_URL: 'https://host' }), []);
  });

  it('looks at the endpoints of other services where it is asked to', () => {
    const env = { AWS_ENDPOINT_URL_LAMBDA: 'x', AWS_ENDPOINT_URL_KINESIS: 'x' };
    assert.match(environmentFaults(env, ['LAMBDA']).join(), /^AWS_ENDPOINT_URL_LAMBDA has a value [^.]*\.$/);
  });
});
