/** How much a reader asks of a shard: answers stay small, whatever the records' sizes, and nothing is lost at the tip. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PageSize } from '../../bin/page-size.ts';

const KIB = 1024;

/** Reads a backlog of records. @param sizes - of the records @returns the sizes of the answers, in bytes, and how many there were */
function read(sizes: readonly number[]): number[] {
  const size = new PageSize();
  const answers: number[] = [];
  for (let at = 0; at < sizes.length;) {
    const page = sizes.slice(at, at + size.limit(0));
    const bytes = page.reduce((a, b) => a + b, 0);
    at += page.length;
    size.take({ records: page.length, bytes, behindMs: at < sizes.length ? 1 : 0, nowMs: 0 });
    answers.push(bytes);
  }
  return answers;
}

describe('how much is asked of a shard', () => {
  it('is about 1 MiB of aggregates, and at most 2 MiB at the beginning', () => {
    const answers = read(Array.from({ length: 400 }, () => 256 * KIB));
    assert.equal(answers[0], 2048 * KIB);
    assert.ok(answers.slice(1).every((bytes) => bytes <= 1024 * KIB));
  });

  it('grows with small records, so that a backlog of them takes few calls', () => {
    assert.ok(read(Array.from({ length: 50_000 }, () => 200)).length < 20);
  });

  it('is one record at least, however large it is', () => {
    const answers = read(Array.from({ length: 10 }, () => 10 * 1024 * KIB));
    assert.equal(answers.length, 3);
  });

  it('is everything at the tip, and little again after a wait', () => {
    const size = new PageSize();
    size.take({ records: 3, bytes: 300, behindMs: 0, nowMs: 1000 });
    assert.equal(size.limit(1500), 10_000);
    assert.equal(size.limit(60_000), 8);
  });
});
