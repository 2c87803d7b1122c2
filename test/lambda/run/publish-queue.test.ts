/** One round after the other, and what is learned from each. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import type { Round } from '../../../lambda/pack/round.ts';
import type { Published } from '../../../lambda/ports/publisher.ts';
import { PublishQueue } from '../../../lambda/run/publish-queue.ts';
import type { AckPosition } from '../../../lambda/transform/ack-position.ts';
import { TestClock } from '../../support/run-kit.ts';

const round = { entries: [] } as unknown as Round;
const position = {} as AckPosition;

describe('the publish queue', () => {
  function laidOut(results: readonly (Published & { ms: number })[]) {
    const clock = new TestClock();
    const left = [...results];
    let acknowledged = 0;
    const queue = new PublishQueue({
      publisher: {
        publish: () => {
          const { ms, ...result } = left.shift() ?? { ms: 0, complete: true, throttledEntries: 0 };
          clock.time += ms;
          return Promise.resolve(result);
        },
      },
      clock,
      signal: new AbortController().signal,
      deadline: () => clock.time + 1_000_000,
      acknowledged: () => acknowledged++,
    });
    return { queue, acknowledged: () => acknowledged, unsent: left };
  }

  it('remembers the slowest round, not the newest: the run reserves time for two like it', async () => {
    const { queue } = laidOut([100, 5_000, 20].map((ms) => ({ ms, complete: true, throttledEntries: 0 })));
    for (let i = 0; i < 3; i++) await queue.send(round, position);
    await queue.waitForAcknowledgement();
    assert.equal(queue.slowestMs, 5_000);
  });

  it('forgets a refusal once a round was taken whole: the run did not fail by it', async () => {
    const { queue, acknowledged } = laidOut([
      { ms: 1, complete: true, throttledEntries: 2, lastFailure: 'HTTP 500' },
      { ms: 1, complete: false, throttledEntries: 1, lastFailure: 'HTTP 503' },
    ]);
    await queue.send(round, position);
    await queue.waitForAcknowledgement();
    assert.deepEqual([queue.lastFailure, queue.throttledEntries, acknowledged()], [undefined, 2, 1]);
    await queue.send(round, position);
    await queue.waitForAcknowledgement();
    assert.deepEqual([queue.lastFailure, queue.throttledEntries, acknowledged()], ['HTTP 503', 3, 1]);
  });

  it('can send no more once a round has failed', async () => {
    const failure = new Error('refused');
    const queue = new PublishQueue({
      publisher: { publish: () => Promise.reject(failure) },
      clock: new TestClock(),
      signal: new AbortController().signal,
      deadline: () => 0,
      acknowledged: () => assert.fail('nothing is acknowledged'),
    });
    assert.equal(queue.canSend, true);
    await queue.send(round, position);
    await queue.waitUntilIdle();
    assert.equal(queue.canSend, false);
    await assert.rejects(queue.send(round, position), failure);
  });

  it('sends nothing behind a round that was not acknowledged whole', async () => {
    const { queue, unsent, acknowledged } = laidOut([
      { ms: 1, complete: false, throttledEntries: 1 },
      { ms: 1, complete: true, throttledEntries: 0 },
    ]);
    await queue.send(round, position);
    await queue.send(round, position);
    await queue.waitForAcknowledgement();
    assert.deepEqual([queue.stopped, queue.canSend, unsent.length, acknowledged()], ['throttled', false, 1, 0]);
  });

  it('says of a record that Kinesis finds too large that it is a logical message outside a transaction', async () => {
    const queue = new PublishQueue({
      publisher: { publish: () => Promise.reject(new PipelineError('RECORD_TOO_LARGE', 'Too large.')) },
      clock: new TestClock(),
      signal: new AbortController().signal,
      deadline: () => 1_000_000,
      acknowledged: () => undefined,
    });
    await queue.send(round, { ...position, largest: { bytes: 2_000_000, table: undefined, commitLsn: undefined } });
    await assert.rejects(queue.waitForAcknowledgement(), {
      message: /The largest record sent has 2000000 bytes: of a logical message, outside a transaction\./,
    });
  });

  it('says of a record that Kinesis finds too large which change it is of', async () => {
    const queue = new PublishQueue({
      publisher: {
        publish: () => Promise.reject(new PipelineError('RECORD_TOO_LARGE', 'Too large.', { remedy: 'Less.' })),
      },
      clock: new TestClock(),
      signal: new AbortController().signal,
      deadline: () => 1_000_000,
      acknowledged: () => undefined,
    });
    await queue.send(round, { ...position, largest: { bytes: 1_600_239, table: 'shop.docs', commitLsn: 0x171c6978n } });
    await assert.rejects(queue.waitForAcknowledgement(), {
      code: 'RECORD_TOO_LARGE',
      message:
        'RECORD_TOO_LARGE: Too large. The largest record sent has 1600239 bytes: of a change of shop.docs, in the transaction with commit LSN 0/171C6978. Less.',
    });
  });
});
