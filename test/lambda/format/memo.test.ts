/** What is remembered of tables and transactions: made once each, by identity, and never another one's. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byOperation, memoise, memoiseLast } from '../../../lambda/format/memo.ts';

interface Named {
  readonly name: string;
}

function counting(remember: (make: (key: Named) => string) => (key: Named) => string) {
  const made: string[] = [];
  const ask = remember(({ name }) => {
    made.push(name);
    return `of ${name}`;
  });
  return { ask, made };
}

describe('what is remembered of each object', () => {
  it('is made once, in whatever order they come', () => {
    const { ask, made } = counting(memoise);
    const [a, b] = [{ name: 'a' }, { name: 'b' }];
    for (const key of [a, a, b, a, b, b, a]) assert.equal(ask(key), `of ${key.name}`);
    assert.deepEqual(made, ['a', 'b']);
  });

  it('is of that object, not of one that looks the same', () => {
    const { ask, made } = counting(memoise);
    assert.equal(ask({ name: 'a' }), 'of a');
    assert.equal(ask({ name: 'a' }), 'of a');
    assert.deepEqual(made, ['a', 'a']);
  });
});

describe('what is remembered of the last object', () => {
  it('is made anew after each other one', () => {
    const { ask, made } = counting(memoiseLast);
    const [a, b] = [{ name: 'a' }, { name: 'b' }];
    for (const key of [a, a, b, b, a, { name: 'a' }]) assert.equal(ask(key), `of ${key.name}`);
    assert.deepEqual(made, ['a', 'b', 'a', 'a']);
  });
});

describe('what is made for each operation', () => {
  it('is under its own name', () => {
    const made = byOperation((operation) => operation.toLowerCase());
    assert.deepEqual(made, {
      INSERT: 'insert',
      UPDATE: 'update',
      DELETE: 'delete',
      TRUNCATE: 'truncate',
      READ: 'read',
    });
  });
});
