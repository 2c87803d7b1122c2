/** I10: what is said of an error that a formatter threw: its class and its place, and nothing that a message can imitate. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeThrown } from '../../../../lambda/format/module/thrown.ts';

/** An error with this stack. */
function withStack(stack: unknown, message = 'of a row', error: Error = new TypeError(message)): Error {
  return Object.assign(error, { message, stack });
}
const AT = '\n    at format (/srv/app/order-events.ts:12:20)\n    at run (node:internal/x:1:1)';

describe('what a formatter threw', () => {
  for (const [what, thrown, told] of [
    ['null', null, 'null'],
    ['undefined', undefined, 'a undefined'],
    ['a text', 'secret', 'a string'],
    ['an object', { message: 'secret' }, 'a object'],
    ['an error with its place', withStack(`TypeError: of a row${AT}`), 'TypeError at order-events.ts:12:20'],
    ['an error without a message', withStack(`TypeError${AT}`, ''), 'TypeError at order-events.ts:12:20'],
    ['a message of two lines', withStack(`TypeError: a\nb${AT}`, 'a\nb'), 'TypeError at order-events.ts:12:20'],
    ['a file on Windows', withStack('TypeError: m\n    at f (C:\\app\\b.mjs:1:2)', 'm'), 'TypeError at b.mjs:1:2'],
    [
      'a frame without a function',
      withStack('TypeError: m\n    at file:///srv/c.cts:3:4', 'm'),
      'TypeError at c.cts:3:4',
    ],
    [
      'the first frame that is a file',
      withStack('TypeError: m\n    at <anonymous>\n    at f (/a/d.js:5:6)', 'm'),
      'TypeError at d.js:5:6',
    ],
    ['a file without a folder', withStack('TypeError: m\n    at a.ts:1:2', 'm'), 'TypeError at a.ts:1:2'],
    ['a line that is no frame', withStack('TypeError: m\n    at native\nsaid at secret.ts:1:2', 'm'), 'TypeError'],
    ['a frame that goes on', withStack('TypeError: m\n    at f (/a/secret.ts:1:2) or so', 'm'), 'TypeError'],
    ['frames without a file', withStack('TypeError: m\n    at native\n    at eval (eval)', 'm'), 'TypeError'],
    ['a file of another kind', withStack('TypeError: m\n    at f (/a/e.py:5:6)', 'm'), 'TypeError'],
    ['a stack that is no text', withStack(42), 'TypeError'],
    ['a message that was changed', withStack(`TypeError: another${AT}`), 'TypeError'],
    ['a message taken away', withStack(`TypeError: x\n    at secret.ts:1:1${AT}`, ''), 'TypeError'],
    ['a message that imitates a frame', withStack(`TypeError: x\n    at secret.ts:1:1`, 'y'), 'TypeError'],
    ['a stack without a name', withStack(`: of a row${AT}`), 'TypeError at order-events.ts:12:20'],
    ['another name in the stack', withStack(`My.Own: of a row${AT}`), 'TypeError at order-events.ts:12:20'],
    ['a name without a colon', withStack(`Own of a row${AT}`), 'TypeError'],
    ['a name far too long for a class', named('N'.repeat(65)), 'Error'],
    ['the longest name of a class', named('N'.repeat(64)), 'N'.repeat(64)],
    ['a name that is none', named('the secret value'), 'Error'],
    ['a name that begins with a number', named('1secret'), 'Error'],
    ['a name with $ and _', named('$My_Error9'), '$My_Error9'],
    ['a class without a name', named(42), 'Error'],
  ] as const) {
    it(what, () => assert.equal(describeThrown(thrown), told));
  }

  it('is described without its class where that throws when it is read', () => {
    const error = new Error('x');
    Object.setPrototypeOf(
      error,
      Object.create(Error.prototype, {
        constructor: {
          get: () => {
            throw new Error('secret');
          },
        },
      }) as object,
    );
    assert.equal(describeThrown(error), 'an error');
  });
});

/** An error of a class of this name, without a place. */
function named(name: unknown): Error {
  class Named extends Error {}
  Object.defineProperty(Named, 'name', { value: name });
  return withStack(undefined, 'm', new Named('m'));
}
