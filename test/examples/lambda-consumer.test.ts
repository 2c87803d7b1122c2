/** The consumer of the docs, as a reader copies it, on the stream's real bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { describe, it } from 'node:test';
import { type Change, changesOfEvent, compareLsn, messagesOfEvent } from '../../lib/consumer/consumer.ts';
import { CHANGES, eventOf } from './event.ts';

// What the package exports by that name is built from this file.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier === 'pg2kinesis/consumer' ? new URL('../../lib/consumer/consumer.ts', import.meta.url).href : specifier,
      context,
    ),
});
const { consumer } = await import('../../examples/lambda-consumer.ts');

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** A store that takes its time, and may fail. */
function store(failAt = Infinity) {
  const applied = new Map<string, Change>();
  return {
    applied,
    has: (identity: string) => Promise.resolve(applied.has(identity)),
    apply: async (change: Change, identity: string) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (applied.size >= failAt) throw new Error('the store failed');
      applied.set(identity, change);
    },
  };
}

describe('the Lambda consumer', () => {
  for (const [aggregation, compression] of [
    ['kpl', 'none'],
    ['lines', 'none'],
    ['lines', 'gzip'],
    ['lines', 'zstd'],
    ['none', 'none'],
  ] as const) {
    it(`applies each change once with AGGREGATION=${aggregation}, COMPRESSION=${compression}, also when the event comes twice`, async () => {
      const { event, ids } = eventOf(aggregation, compression);
      const kept = store();
      await consumer(kept)(event);
      await consumer(kept)(event);
      assert.equal(kept.applied.size, CHANGES);
      assert.deepEqual(new Set([...kept.applied.values()].map(({ id }) => id)), ids);
      assert.ok(
        [...kept.applied.values()].every(({ key, row }) => row?.['name'] === `Zoë "${JSON.stringify(key?.['id'])}"\n`),
      );
    });
  }

  it('fails the invocation when its store fails, and goes on where it was when Lambda sends the batch again', async () => {
    const { event } = eventOf('kpl');
    const kept = store(7);
    await assert.rejects(consumer(kept)(event), /the store failed/);
    assert.equal(kept.applied.size, 7);
    const whole = store();
    for (const [identity, change] of kept.applied) whole.applied.set(identity, change);
    await consumer(whole)(event);
    assert.equal(whole.applied.size, CHANGES);
  });

  it('is what the docs show', () => {
    assert.ok(read('docs/records.md').includes(read('examples/lambda-consumer.ts')));
  });
});

describe('pg2kinesis/consumer', () => {
  it('returns a change once that comes twice in an event', () => {
    assert.equal(changesOfEvent(eventOf('kpl').event).length, CHANGES);
  });

  it('fails on a record of another format, and shows none of it', () => {
    for (const text of ['0,CDC,{"pkey": "hush"}', '{"hush":1}', '']) {
      const kinesis = { partitionKey: 'k', sequenceNumber: '0', data: Buffer.from(text).toString('base64') };
      const read = () => changesOfEvent({ Records: [{ kinesis }] });
      if (text === '') assert.deepEqual(read(), []);
      else assert.throws(read, (error: Error) => !error.message.includes('hush'));
    }
  });

  it('gives logical messages apart from changes, each once', () => {
    const change = eventOf('none', 'none', 1).event.Records[0]?.kinesis.data ?? '';
    const message =
      /\{"id":"[^"]*","source":"[^"]*","op":"MESSAGE"[^]*?\}(?=\n```)/.exec(read('docs/records.md'))?.[0] ?? '';
    const outside =
      '{"id":"0/1#m","source":"s","op":"MESSAGE","prefix":"p","content":"x","transactional":false,"lsn":"0/1"}';
    const data = [message.replaceAll('\n', ''), outside, '{"op":"MARK","source":"s"}'];
    const encoded = [change, ...data.map((text) => Buffer.from(text).toString('base64'))];
    const Records = [...encoded, ...encoded].map((text) => ({
      kinesis: { partitionKey: 'k', sequenceNumber: '0', data: text },
    }));
    assert.deepEqual(
      changesOfEvent({ Records }).map(({ op }) => op),
      ['INSERT'],
    );
    assert.deepEqual(
      messagesOfEvent({ Records }).map(({ prefix, content, commitLsn }) => [prefix, content, commitLsn]),
      [
        ['orders/42', '{"paid":true}', '0/16B3748'],
        ['p', 'x', undefined],
      ],
    );
  });

  it('compares LSNs as numbers', () => {
    const sorted = ['0/9', '0/10', '0/FFFFFFFF', '1/0', 'A/0', '10/0'];
    assert.deepEqual(sorted.toReversed().sort(compareLsn), sorted);
    assert.equal(compareLsn('16/B374D848', '16/b374d848'), 0);
    assert.throws(() => compareLsn('0', '0/1'), /is no LSN/);
  });
});
