/** The trimmed source map, against the positions of the whole one. */
import assert from 'node:assert/strict';
import { SourceMap as NodeSourceMap } from 'node:module';
import { describe, it } from 'node:test';
import { transform } from 'esbuild';
import { trimMap } from '../../scripts/trim-map.ts';

/** Two sources, bundled by hand: a dependency's lines before and after ours. */
async function bundled(): Promise<{
  readonly code: string;
  readonly map: { version: number; sources: string[]; names: string[]; mappings: string };
}> {
  const { code, map } = await transform(
    'export function ours(first: number): number {\n  const doubled = first * 2;\n  if (doubled > 9) throw new Error("too large");\n  return doubled;\n}\n',
    {
      loader: 'ts',
      minify: true,
      sourcemap: true,
      sourcefile: 'lambda/ours.ts',
      sourcesContent: false,
    },
  );
  return { code, map: JSON.parse(map) as { version: number; sources: string[]; names: string[]; mappings: string } };
}

describe('trimMap', () => {
  it('keeps the line of every position of what is kept', async () => {
    const { code, map } = await bundled();
    const trimmed = trimMap(map, () => true);
    assert.deepEqual(trimmed.sources, ['lambda/ours.ts']);
    const before = new NodeSourceMap({ file: '', sourceRoot: '', sourcesContent: [], ...map });
    const after = new NodeSourceMap({
      file: '',
      sourceRoot: '',
      sourcesContent: [],
      ...trimmed,
      sources: [...trimmed.sources],
      names: [...trimmed.names],
    });
    const place = (entry: object) => {
      const { originalSource, originalLine } = entry as { originalSource?: string; originalLine?: number };
      return { originalSource, originalLine };
    };
    for (let column = 0; column < code.length; column++)
      assert.deepEqual(place(after.findEntry(0, column)), place(before.findEntry(0, column)));
    assert.ok(trimmed.mappings.length < map.mappings.length / 2, 'one position for a line is enough');
  });

  it('cuts what is not kept, renumbers the rest, and points nowhere between', () => {
    // Columns 0 and 4 of a dependency, 8 of ours with a name, 12 of the dependency, and a line of ours.
    const map = {
      version: 3,
      sources: ['node_modules/a.js', 'lambda/b.ts'],
      names: ['a', 'b'],
      mappings: 'AAAAA,IAAIA,ICAAC,IDAD;AACA,ICCA',
    };
    const trimmed = trimMap(map, (source) => source.startsWith('lambda/'));
    assert.deepEqual(trimmed.sources, ['lambda/b.ts']);
    assert.deepEqual(trimmed.names, ['b']);
    const read = new NodeSourceMap({
      file: '',
      sourceRoot: '',
      sourcesContent: [],
      ...trimmed,
      sources: [...trimmed.sources],
      names: [...trimmed.names],
    });
    const original = new NodeSourceMap({ file: '', sourceRoot: '', sourcesContent: [], ...map });
    assert.deepEqual(read.findEntry(0, 9), original.findEntry(0, 9));
    assert.deepEqual(read.findEntry(1, 6), original.findEntry(1, 6));
    assert.ok(!JSON.stringify(read.findEntry(0, 13)).includes('lambda/b.ts'), 'what follows ours is not taken for it');
    assert.ok(!JSON.stringify(read.findEntry(0, 2)).includes('lambda/b.ts'));
  });

  it('makes nothing of nothing', () => {
    assert.deepEqual(
      trimMap({ version: 3, sources: ['x'], names: ['y'], mappings: ';;AAAAA' }, () => false),
      { version: 3, sources: [], names: [], mappings: ';;' },
    );
  });
});
