/** The list of named mutants follows the code: `npm run test:mutants -- named` tries them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NAMED_MUTANTS } from './named-mutants.ts';
import { ROOT } from './sandbox.ts';

describe('the named mutants', () => {
  for (const { effect, file, code, wrong, tests, test } of NAMED_MUTANTS) {
    it(effect, async () => {
      const text = await readFile(join(ROOT, file), 'utf8');
      assert.equal(text.split(code).length, 2, `${file} has this code once: ${code}`);
      assert.notEqual(wrong, code);
      const source = await readFile(join(ROOT, tests), 'utf8');
      assert.ok(source.includes(test), `${tests} has the test "${test}"`);
    });
  }
});
