/** `pg2kinesis explain`: every code and every alarm has its section, as a terminal shows it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { explainCode, sectionsOf } from '../../../bin/cli/explain.ts';
import { coloursFor } from '../../../bin/cli/style.ts';
import { REMEDIES } from '../../../lambda/errors.ts';
import { REPLICA_ERRORS } from '../../../replica/errors.ts';
import { runCli } from '../../support/cli.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const layout = { colours: coloursFor({ write: () => undefined }, {}), width: undefined };
/** The codes that only the command line knows. */
const OWN = [...read('bin/cli/targets/function-errors.ts').matchAll(/'(FUNCTION_[A-Z_]+|INTERRUPTED)'/g)].map(
  ([, code = '']) => code,
);

describe('explain', () => {
  for (const code of [
    ...Object.keys(REMEDIES),
    ...Object.keys(REPLICA_ERRORS),
    ...new Set(OWN),
    'STACK_UNKNOWN',
    'STREAM_UNREADABLE',
    'USAGE',
  ]) {
    it(`explains ${code}`, () => {
      const { found, text } = explainCode(code.toLowerCase(), layout);
      assert.ok(found, text);
      assert.ok(text.length > code.length * 2 + 100, text);
      // Nothing of Markdown is left, and no comment.
      assert.doesNotMatch(text, /<!--|\]\(|`|\*\*/);
    });
  }

  it('explains every alarm that is deployed', () => {
    const named = sectionsOf(read('docs/operations.md')).map(({ name }) => name);
    const alarms = [...read('lib/slot-alarms.ts').matchAll(/this\.add\('(\w+)'/g)].map(([, name = '']) => name);
    assert.ok(alarms.length >= 7, alarms.join());
    const own = [...read('lib/stream-replica.ts').matchAll(/this\.alarm\('(\w+)'/g)].map(
      ([, name]) => `Replica${name ?? ''}`,
    );
    assert.equal(own.length, 3, own.join());
    for (const alarm of [...alarms, ...own]) assert.ok(named.includes(alarm), alarm);
  });

  it('is a command: a section, the list, and 2 for what is not there', async () => {
    const lost = await runCli(['explain', 'slot_lost']);
    assert.equal(lost.status, 0);
    assert.match(lost.out, /^SLOT_LOST\n\nThe server removed WAL that the slot needed/);
    const list = await runCli(['explain']);
    assert.match(list.out, /error codes +CONFIG_INVALID, .*\nalarms +Errors, NotRunning/);
    const none = await runCli(['explain', 'NOPE']);
    assert.equal(none.status, 2);
    assert.match(none.err, /^NOPE is not explained\. There are:\nerror codes/);
  });

  it('wraps paragraphs and items to the terminal, and takes the rows of a table as items', () => {
    const page = `### SLOT_LOST\n\n**Do this.**\n\n1. ${'word '.repeat(30)}\n   goes on ([here](x.md#y))\n\n| a | b |\n|---|---|\n| \`c\` | d |\n\n## Next\nnot this\n`;
    const { text } = explainCode('SLOT_LOST', { ...layout, width: 50 }, page);
    assert.ok(
      text.split('\n').every((line) => line.length <= 50),
      text,
    );
    assert.match(text, /goes on \(here\s+\(docs\/x\.md#y\)\)/);
    assert.match(text, /^- +c: d$/m);
    assert.doesNotMatch(text, /not this/);
  });
});
