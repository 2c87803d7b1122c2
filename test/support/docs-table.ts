/** A table of a page that a test computes: compared with what the page has, or written into it where that is asked for. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Compares. With UPDATE_TABLES=1 in the environment it writes instead.
 *
 * @param page - for example `docs/operations.md`
 * @param mark - the table stands between `<!-- mark -->` and `<!-- /mark -->`
 * @param rows - its rows, the head first
 */
export function assertTable(page: string, mark: string, rows: readonly (readonly string[])[]): void {
  const file = new URL(`../../${page}`, import.meta.url);
  const [head = [], ...body] = rows;
  const lines = [head, head.map(() => '---'), ...body].map((cells) => `| ${cells.join(' | ')} |`);
  const table = lines.join('\n').replaceAll('| --- ', '|---').replaceAll('--- |', '---|');
  const text = readFileSync(file, 'utf8');
  const [before, rest] = text.split(`<!-- ${mark} -->\n`);
  const [found, after] = (rest ?? '').split(`\n<!-- /${mark} -->`);
  assert.ok(before !== undefined && found !== undefined && after !== undefined, `${page} has no part ${mark}`);
  if (process.env['UPDATE_TABLES'] === '1')
    writeFileSync(file, `${before}<!-- ${mark} -->\n${table}\n<!-- /${mark} -->${after}`);
  else assert.equal(found, table, `${page}, ${mark}: run this test again with UPDATE_TABLES=1`);
}
