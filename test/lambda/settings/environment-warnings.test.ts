/** What is said of variables that are set in vain. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { environmentWarnings } from '../../../lambda/settings/environment-warnings.ts';

describe('environmentWarnings', () => {
  for (const [env, pattern] of [
    [{ AWS_DEFAULT_REGION: 'eu-west-1' }, /AWS_DEFAULT_REGION is set/],
    [{ HTTPS_PROXY: 'http://user:secret@proxy' }, /^HTTPS_PROXY is set, but not used/],
    [{ https_proxy: 'http://proxy' }, /^https_proxy is set/],
    [{ AWS_CA_BUNDLE: '/ca.pem' }, /NODE_EXTRA_CA_CERTS/],
  ] as const) {
    it(`names ${Object.keys(env).join()}`, () => {
      const [warning = '', ...others] = environmentWarnings(env);
      assert.match(warning, pattern);
      assert.deepEqual(others, []);
      assert.doesNotMatch(warning, /secret/);
    });
  }
  it('says nothing of what is read', () => {
    assert.deepEqual(environmentWarnings({ AWS_REGION: 'a', AWS_DEFAULT_REGION: 'b', HTTPS_PROXY: '' }), []);
  });
});
