/** Lists of patterns, held to what the function takes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compilePatterns } from '../../lambda/settings/filters.ts';
import { patterns } from '../../lib/setting-kinds.ts';

/** What the function makes of a list; undefined where it refuses it. */
function compiled(list: string): readonly string[] | undefined {
  try {
    return compilePatterns(list).map(({ source }) => source);
  } catch {
    return undefined;
  }
}

describe('patterns', () => {
  it('takes only what the function takes, and hands it the same expressions', () => {
    const fragment = fc.constantFrom(
      'a',
      '.',
      ',',
      '\\.',
      '\\,',
      '{1,2}',
      '[a,b]',
      '(a|b)',
      '(',
      ']',
      ' ',
      '\\\\',
      'ü',
      '*',
    );
    fc.assert(
      fc.property(
        fc.array(fragment, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('')),
        (list) => {
          const read = patterns('names').read(list);
          if (read === undefined) return;
          const expected = compiled(list);
          assert.notEqual(expected, undefined, list);
          assert.deepEqual(compiled(read.join(',')), expected);
          assert.equal(read.length, expected?.length);
        },
      ),
      { numRuns: 2000 },
    );
  });

  for (const list of ['public\\..*', 'public\\.t_\\d{1,3},audit\\.[a,b]', ' a , b ', 'a\\,b']) {
    it(`takes ${JSON.stringify(list)}`, () => assert.notEqual(patterns('names').read(list), undefined));
  }
  for (const list of ['', ',', 'a,,b', '(', 'a)(b', '*', ['a', 1], ['a,b'], [], 7]) {
    it(`fails on ${JSON.stringify(list)}`, () => assert.equal(patterns('names').read(list), undefined));
  }
});
