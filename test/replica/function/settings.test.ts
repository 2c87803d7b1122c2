/** The function's settings: the table of docs/replica.md against what the function reads. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readSettings } from '../../../replica/function/settings.ts';

/** The rows of the table: the first variable of each and its default, where it has one. */
function documented(): (readonly [variable: string, value: string])[] {
  const page = readFileSync(new URL('../../../docs/replica.md', import.meta.url), 'utf8');
  const [, rows = ''] = page.split('| variable of the function |');
  return [...rows.matchAll(/^\| `(\w+)`.* \| `([\w-]+)` \|$/gm)].map(([, variable = '', value = '']) => [
    variable,
    value,
  ]);
}

describe("the settings of a StreamReplica's function", () => {
  it('have the defaults that docs/replica.md says', () => {
    const defaults = documented();
    assert.deepEqual(
      defaults.map(([variable]) => variable),
      ['DATABASE_AUTH', 'PGSSLMODE', 'REPLICA_NAME', 'AWAIT_SNAPSHOT', 'SKIP_MISSING', 'SKIP_TRUNCATED', 'TRIGGERS'],
    );
    const arn = { DATABASE_SECRET_ARN: 'arn:x' };
    assert.deepEqual(readSettings(arn), readSettings({ ...arn, ...Object.fromEntries(defaults) }));
  });
});
