/** What `check` says of a COMPRESSION that this Node.js does not have: a run refuses it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { check } from '../../../lambda/actions/check.ts';
import { createContainer } from '../../../lambda/container.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

describe('check with a COMPRESSION', () => {
  for (const [what, library, found] of [
    ['that this Node.js has', { zstdCompressSync: () => undefined }, []],
    ['that it has not', {}, ['fault']],
  ] as const) {
    it(`${what}: ${found.join('') || 'nothing'}`, async () => {
      const login = { PGHOST: 'h', PGDATABASE: 'd', PGUSER: 'u', PGPASSWORD: 'p' };
      const config = readConfig({ ...login, FORMAT: 'json', AGGREGATION: 'lines', COMPRESSION: 'zstd' });
      const recorder = new Recorder();
      const container = {
        ...createContainer(config, { clock: new TestClock(), log: recorder, metrics: recorder, region: 'us-east-1' }),
        describeStream: () => Promise.resolve({ kind: 'no-region' }) as never,
        region: () => Promise.resolve('us-east-1'),
      };
      const answer = await check(container, container.clock.now() + 1_000, () => Promise.resolve([]), library);
      const findings = answer.findings.filter((finding) => finding.check === 'settings');
      assert.deepEqual(
        findings.map(({ state }) => state),
        found,
      );
      for (const finding of findings) assert.match(finding.found, /^CONFIG_INVALID: COMPRESSION cannot be "zstd"/);
    });
  }
});
