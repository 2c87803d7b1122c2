import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { shellWord } from '../../../bin/cli/shell-word.ts';

describe('a word for a shell', () => {
  it('reaches a command as it is', () => {
    for (const text of ['', 'public.orders', `public."it's"`, `''\\'"$(exit 1)\`exit 1\` !\n*`]) {
      assert.equal(execFileSync('/bin/sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' }), text);
    }
  });
});
