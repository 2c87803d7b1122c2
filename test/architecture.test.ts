/**
 * ARCHITECTURE.md against the tree: the invariants' tests that it names are there, and so are its files.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const root = new URL('../', import.meta.url);
const text = readFileSync(new URL('ARCHITECTURE.md', root), 'utf8');

describe('ARCHITECTURE.md', () => {
  const rows = [...text.matchAll(/^\| (I\d+) \| .* \| (`.*`) \|$/gm)].map(([, invariant = '', files = '']) => ({
    invariant,
    files: files.split(', ').map((file) => file.slice(1, -1)),
  }));

  it('names every invariant', () => {
    assert.deepEqual(
      rows.map(({ invariant }) => invariant),
      Array.from({ length: 11 }, (_, i) => `I${i + 1}`),
    );
  });

  for (const { invariant, files } of rows) {
    for (const file of files) {
      it(`finds a test of ${invariant} in ${file}`, () => {
        const tests = readFileSync(new URL(`test/${file}`, root), 'utf8');
        // A title such as 'I1: ...' or 'I1, I3, I6: ...'.
        assert.match(tests, new RegExp(`['"\`](I\\d+, )*${invariant}(, I\\d+)*: `));
      });
    }
  }

  it('names only files that are there', () => {
    const named = [...text.matchAll(/`((?:lambda|lib|bin|test|scripts)\/[a-z0-9/.-]+\.ts)`/g)].map(
      ([, file = '']) => file,
    );
    assert.ok(named.length > 0);
    for (const file of named.filter((name) => !name.endsWith('.test.ts')))
      assert.ok(existsSync(new URL(file, root)), file);
  });
});
