/** What the demo prints: at a terminal, into a file, and when there is much of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Screen } from '../../../bin/demo/screen.ts';

/** Prints to memory. */
const printed = (use: (screen: Screen) => void, terminal: { isTTY?: boolean; columns?: number } = {}): string => {
  let text = '';
  const screen = new Screen({ write: (chunk) => (text += chunk), ...terminal });
  use(screen);
  return text;
};

describe('Screen', () => {
  it('prints all records where they are few, then the status', () => {
    const text = printed((screen) => {
      for (const record of ['a', 'b', 'c']) screen.record(record);
      screen.flush('status');
      screen.flush('status');
    });
    assert.equal(text, 'a\nb\nc\nstatus\nstatus\n');
  });

  for (const count of [8, 9, 17, 1000]) {
    it(`shows an even sample of ${count}, and counts the rest`, () => {
      const lines = printed((screen) => {
        for (let i = 0; i < count; i++) screen.record(String(i));
        screen.flush('status');
      }).split('\n');
      const shown = lines.filter((line) => /^\d+$/.test(line)).map(Number);
      const more = Number(/and (\d+) more/.exec(lines.join('\n'))?.[1] ?? 0);
      assert.equal(shown.length + more, count);
      assert.ok(shown.length >= 4 && shown.length <= 8);
      const gaps = new Set(shown.slice(1).map((n, i) => n - (shown[i] ?? 0)));
      assert.equal(gaps.size, 1);
    });
  }

  it('keeps a record on one line, and tells how long it is when it is cut', () => {
    const text = printed((screen) => {
      screen.record(`1\r\n2${'🐘'.repeat(500)}`);
      screen.flush('status');
    });
    assert.match(text, /^1\\r\\n2🐘+ \.\.\. \(506 characters\)\nstatus\n$/u);
    assert.equal(Array.from(text.split('\n')[0] ?? '').length, 240);
  });

  it('writes no escape code where there is no terminal', () => {
    assert.doesNotMatch(
      printed((screen) => (screen.line('x'), screen.flush('status'), screen.end())),
      // eslint-disable-next-line no-control-regex -- it is what must not be there
      /[\x1b\r]/,
    );
  });

  it('prints nothing more behind its last words, whoever is still at work', () => {
    const text = printed(
      (screen) => {
        screen.flush('status');
        screen.leave('over');
        screen.line('late');
        screen.record('late');
        screen.flush('late');
        screen.leave('and out');
      },
      { isTTY: true, columns: 80 },
    );
    assert.equal(text, '\r\x1b[Kstatus\r\x1b[Kover\nand out\n');
  });

  it('takes 80 characters where a terminal does not know its width', () => {
    const text = printed((screen) => screen.flush('x'.repeat(100)), { isTTY: true, columns: 0 });
    assert.match(text, /\x1b\[Kx{40,} \.\.\. \(100 characters\)$/); // eslint-disable-line no-control-regex -- as it is written
  });

  it("keeps the status at a terminal's last line", () => {
    const text = printed(
      (screen) => {
        screen.flush('one');
        screen.line('above');
        screen.flush('two is longer than it is wide');
        screen.end();
        screen.line('last');
      },
      { isTTY: true, columns: 21 },
    );
    const clear = '\r\x1b[K';
    const cut = ' ... (29 characters)';
    assert.equal(text, `${clear}one${clear}above\none${clear}${cut}${clear}${clear}last\n`);
  });
});
