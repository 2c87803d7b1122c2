/**
 * ARCHITECTURE.md against the tree: the invariants' tests that it names are there, and so are its files. And no file
 * imports itself by way of others.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';

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
      Array.from({ length: 12 }, (_, i) => `I${i + 1}`),
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

describe('imports', () => {
  it('are held by a row of the linter for every file of lambda/, replica/ and lib/', async () => {
    const eslint = new ESLint({ cwd: fileURLToPath(root) });
    for (const file of globSync('{lambda,lib,replica}/**/*.ts', { cwd: fileURLToPath(root) })) {
      const { rules } = (await eslint.calculateConfigForFile(file)) as { rules: Record<string, unknown> };
      const isRoot = ['lambda/handler.ts', 'replica/function/handler.ts'].includes(file);
      assert.ok(isRoot || rules['no-restricted-imports'] !== undefined, file);
    }
  });

  it('form no circle, those of types included', () => {
    const files = globSync('{bin,lambda,lib,replica,scripts}/**/*.ts', { cwd: fileURLToPath(root) });
    const imports = new Map(
      files.map((file) => [
        file,
        [...readFileSync(new URL(file, root), 'utf8').matchAll(/^(?:import|export|\}) .*from '(\..*)';$/gm)].map(
          ([, path = '']) => normalize(join(file, '..', path)),
        ),
      ]),
    );
    assert.ok(imports.get('lambda/handler.ts')?.includes('lambda/container.ts'));
    // Takes away, again and again, what imports nothing that is left or is imported by nothing that is left.
    let left = files;
    for (let before = Infinity; left.length < before;) {
      before = left.length;
      const imported = new Set(left.flatMap((file) => imports.get(file)));
      left = left.filter((file) => imported.has(file) && imports.get(file)?.some((path) => left.includes(path)));
    }
    assert.deepEqual(left, []);
  });
});
