/** What `check` says of a formatter of the user's own that no run could use, before any run has tried. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { check } from '../../../lambda/actions/check.ts';
import { createContainer } from '../../../lambda/container.ts';
import type { Finding } from '../../../lambda/health/finding.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';

const SECRET = 'ssn-123-45';

describe('check with a formatter of your own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-check-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The findings on settings, where database and stream are beside the point. */
  const findings = async (file: string, text: string | undefined, messages = ''): Promise<readonly Finding[]> => {
    const path = join(folder, file);
    if (text !== undefined) writeFileSync(path, text);
    const login = { PGHOST: 'h', PGDATABASE: 'd', PGUSER: 'u', PGPASSWORD: 'p' };
    const config = readConfig({ ...login, FORMAT: 'module', FORMATTER: path, MESSAGES: messages });
    const recorder = new Recorder();
    const container = {
      ...createContainer(config, { clock: new TestClock(), log: recorder, metrics: recorder, region: 'us-east-1' }),
      describeStream: () => Promise.resolve({ kind: 'no-region' }) as never,
      region: () => Promise.resolve('us-east-1'),
    };
    const answer = await check(container, container.clock.now() + 1_000, () => Promise.resolve([]));
    return answer.findings.filter((finding) => finding.check === 'settings');
  };

  it('finds nothing where it is one', async () => {
    assert.deepEqual(await findings('good.mjs', 'export default { format: () => undefined };'), []);
    const both = 'export default { format: () => undefined, formatMessage: () => undefined };';
    assert.deepEqual(await findings('both.mjs', both, 'orders/.*'), []);
  });

  for (const [what, file, text, said, messages] of [
    [
      'is missing',
      'missing.mjs',
      undefined,
      /could not be loaded \(the file, or a module that it imports, is not there\)/,
    ],
    ['exports no formatter', 'empty.mjs', 'export default {};', /has no default export with a function "format"/],
    ['does not parse', 'fault.mjs', 'export default {', /could not be loaded \(SyntaxError/],
    [
      'throws while it is loaded',
      'throws.mjs',
      `throw new Error('${SECRET}');`,
      /could not be loaded \(Error at throws\.mjs:1:\d+\)/,
    ],
    [
      'has no function for messages that are wanted',
      'rows.mjs',
      'export default { format: () => undefined };',
      /has no function "formatMessage" beside "format", which MESSAGES needs/,
      'orders/.*',
    ],
  ] as const) {
    it(`finds a fault where it ${what}`, async () => {
      const [finding, ...others] = await findings(file, text, messages);
      assert.deepEqual(others, []);
      assert.equal(finding?.state, 'fault');
      assert.match(finding.found, /^CONFIG_INVALID: The module that FORMATTER names /);
      assert.match(finding.found, said);
      assert.ok(!JSON.stringify(finding).includes(SECRET));
    });
  }
});
