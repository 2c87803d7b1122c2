/** The publisher against a made-up endpoint and clock: what is sent again, how long it waits, when it gives up. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { createPublisher } from '../../../lambda/kinesis/publisher.ts';
import type { Round } from '../../../lambda/pack/round.ts';
import type { Published } from '../../../lambda/ports/publisher.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import { type Fault, type FaultyEndpoint, startFaultyEndpoint } from '../../support/faulty-endpoint.ts';
import { type EmbeddedKinesis, startKinesis } from '../../support/kinesis.ts';
import { clientOf, fakeClock, hurried, memoryLog, round, until } from './publisher-fixtures.ts';

let kinesis: EmbeddedKinesis;
let proxy: FaultyEndpoint;
let streams = 0;

before(async () => {
  kinesis = await startKinesis();
  proxy = await startFaultyEndpoint(kinesis.endpoint);
});
after(async () => {
  await proxy.stop();
  await kinesis.stop();
});

/** How long a round may take that is expected to pass: so that a loop without end shows as a failure. */
const LONG_MS = 60_000;
const NEVER = new AbortController().signal;
const throttled = (...indexes: number[]): Fault => ({ kind: 'refuse', entries: (index) => indexes.includes(index) });

/** A publisher to a new stream of one shard, through the proxy. */
async function setUp(options: { clock?: Clock; requestTimeoutMs?: number; byArn?: boolean } = {}) {
  const { clock = hurried, requestTimeoutMs = 20_000, byArn = false } = options;
  const name = `publisher-${streams++}`;
  const arn = await kinesis.createStream(name, 1);
  const client = clientOf(proxy.endpoint, requestTimeoutMs);
  const log = memoryLog();
  const publisher = createPublisher({ client, stream: byArn ? arn : name, clock, log, requestTimeoutMs });
  const from = proxy.seen.length;
  proxy.always(() => ({ kind: 'pass' }));
  return {
    log,
    publish: (one: Round, deadline = clock.now() + LONG_MS, signal = NEVER): Promise<Published> =>
      publisher.publish(one, deadline, signal),
    /** What each request held. */
    requests: () =>
      proxy.seen.slice(from).map(({ body }) => body.Records.map(({ Data }) => Buffer.from(Data, 'base64').toString())),
    stored: async () => (await kinesis.readAll(name)).map(({ data }) => data.toString()),
    name,
    arn,
    client,
    end: () => client.destroy(),
  };
}

const abc = () => round({ text: 'a' }, { text: 'b' }, { text: 'c' });

describe('publisher', () => {
  for (const byArn of [false, true]) {
    it(`stores a round in a stream known by its ${byArn ? 'ARN' : 'name'}`, async () => {
      const { publish, stored, requests, arn, name, end } = await setUp({ byArn });
      assert.deepEqual(await publish(abc()), { complete: true, throttledEntries: 0 });
      assert.deepEqual(await stored(), ['a', 'b', 'c']);
      assert.deepEqual(requests(), [['a', 'b', 'c']]);
      const { StreamName, StreamARN } = proxy.seen.at(-1)?.body ?? {};
      assert.deepEqual([StreamName, StreamARN], byArn ? [undefined, arn] : [name, undefined]);
      end();
    });
  }

  it('sends again only the entries that failed, in their order, until all are stored', async () => {
    const { publish, stored, requests, end } = await setUp();
    proxy.next(throttled(0, 2), throttled(1), { kind: 'refuse', entries: () => true, code: 'InternalFailure' });
    const published = await publish(round({ text: 'a' }, { text: 'b' }, { text: 'c' }, { text: 'd' }));
    assert.deepEqual(published, { complete: true, throttledEntries: 3, lastFailure: 'InternalFailure' });
    assert.deepEqual(requests(), [['a', 'b', 'c', 'd'], ['a', 'c'], ['c'], ['c']]);
    assert.deepEqual(await stored(), ['b', 'd', 'a', 'c']);
    end();
  });

  it('sends an entry again that was refused for an unknown reason, and says so', async () => {
    const { publish, requests, log, end } = await setUp();
    proxy.next({ kind: 'refuse', entries: (index) => index === 1, code: 'SomethingNew' });
    assert.deepEqual(await publish(abc()), { complete: true, throttledEntries: 0, lastFailure: 'SomethingNew' });
    assert.deepEqual(requests(), [['a', 'b', 'c'], ['b']]);
    assert.ok(log.lines.some((line) => line.startsWith('warn') && line.includes('SomethingNew')));
    end();
  });

  const results = (...entries: object[]) => JSON.stringify({ FailedRecordCount: 0, Records: entries });
  const ok = { SequenceNumber: '1', ShardId: 'shardId-000000000000' };
  const whole: [what: string, fault: Fault, throttledEntries: number, storedTwice: boolean][] = [
    ['an internal failure', { kind: 'error', status: 500, type: 'InternalFailureException' }, 0, false],
    ['an error page', { kind: 'error', status: 503, type: 'ServiceUnavailable' }, 0, false],
    ['throttling', { kind: 'error', status: 400, type: 'ProvisionedThroughputExceededException' }, 3, false],
    ['throttling of the key', { kind: 'error', status: 400, type: 'KMSThrottlingException' }, 3, false],
    ['a connection that breaks before the request is stored', { kind: 'drop', when: 'before' }, 0, false],
    ['a connection that breaks after it', { kind: 'drop', when: 'after' }, 0, true],
    ['an answer that is no JSON', { kind: 'garbage', body: '<html>' }, 0, true],
    ['an answer about fewer entries', { kind: 'garbage', body: results(ok, ok) }, 0, true],
    ['an answer about more entries', { kind: 'garbage', body: results(ok, ok, ok, ok) }, 0, true],
    ['an answer about no entries', { kind: 'garbage', body: '{}' }, 0, true],
    ['an answer without sequence numbers', { kind: 'garbage', body: results({}, {}, {}) }, 0, true],
    ['no answer', { kind: 'stall', part: 'all' }, 0, true],
    ['an answer that does not end', { kind: 'stall', part: 'body' }, 0, true],
  ];
  for (const [what, fault, throttledEntries, storedTwice] of whole) {
    it(`sends the round again after ${what}`, async () => {
      const { publish, stored, requests, end } = await setUp({
        requestTimeoutMs: fault.kind === 'stall' ? 700 : 20_000,
      });
      proxy.next(fault);
      const published = await publish(abc());
      assert.deepEqual([published.complete, published.throttledEntries], [true, throttledEntries]);
      assert.ok(published.lastFailure !== undefined && published.lastFailure !== '');
      assert.deepEqual(requests(), [
        ['a', 'b', 'c'],
        ['a', 'b', 'c'],
      ]);
      assert.deepEqual(await stored(), storedTwice ? ['a', 'b', 'c', 'a', 'b', 'c'] : ['a', 'b', 'c']);
      end();
    });
  }

  it('waits with full jitter, twice as long each time, up to 5 s; less again while entries pass', async () => {
    const clock = fakeClock(0.5);
    const { publish, end } = await setUp({ clock });
    proxy.next(...Array.from({ length: 9 }, () => throttled(0, 1, 2)), throttled(0, 1), throttled(0));
    assert.equal((await publish(abc())).complete, true);
    assert.deepEqual(clock.sleeps, [25, 50, 100, 200, 400, 800, 1600, 2500, 2500, 1250, 625]);
    end();
  });

  it('answers without having sent all when the deadline comes', async () => {
    const clock = fakeClock(0.5);
    const { publish, requests, end } = await setUp({ clock, requestTimeoutMs: 10_000 });
    proxy.always(() => throttled(0));
    const start = clock.now();
    const published = await publish(abc(), start + 30_000);
    assert.equal(published.complete, false);
    assert.equal(published.lastFailure, 'ProvisionedThroughputExceededException');
    assert.equal(published.throttledEntries, requests().length);
    assert.ok(clock.now() <= start + 29_000, 'a request was begun that had less than its shortest time-out');
    assert.deepEqual(requests().slice(0, 3), [['a', 'b', 'c'], ['a'], ['a']]);
    end();
  });

  it('begins no request that could end after the deadline: its time-out is what is left', async () => {
    const { publish, log, end } = await setUp({ requestTimeoutMs: 600_000 });
    proxy.always(() => ({ kind: 'stall', part: 'all' }));
    const published = await publish(abc(), Date.now() + 1_500);
    assert.equal(published.complete, false);
    const timeouts = log.lines.flatMap((line) => /"timeoutMs":(\d+)/.exec(line)?.[1] ?? []);
    assert.equal(timeouts.length, 1);
    assert.ok(Number(timeouts[0]) <= 1_500);
    await until(() => proxy.inFlight === 0);
    end();
  });

  it('begins nothing when the deadline is past, or too near', async () => {
    const { publish, requests, end } = await setUp();
    assert.deepEqual(await publish(abc(), Date.now() - 1), { complete: false, throttledEntries: 0 });
    assert.deepEqual(await publish(abc(), Date.now() + 900), { complete: false, throttledEntries: 0 });
    assert.deepEqual(requests(), []);
    end();
  });

  it('begins nothing when the signal has aborted', async () => {
    const { publish, requests, end } = await setUp();
    assert.deepEqual(await publish(abc(), Date.now() + LONG_MS, AbortSignal.abort()), {
      complete: false,
      throttledEntries: 0,
    });
    assert.deepEqual(requests(), []);
    end();
  });

  it('I6: when the signal aborts, waits for the request in flight, counts it, and sends no other', async () => {
    const { publish, requests, stored, end } = await setUp();
    const controller = new AbortController();
    const before = proxy.seen.length;
    const second = new AbortController();
    const refusing = (index: number): boolean => {
      second.abort();
      return index === 0;
    };
    proxy.next({ kind: 'delay', ms: 300 }, { kind: 'refuse', entries: refusing });
    const running = publish(abc(), Date.now() + LONG_MS, controller.signal);
    await until(() => proxy.seen.length > before);
    controller.abort();
    assert.deepEqual(await running, { complete: true, throttledEntries: 0 });
    assert.equal(proxy.inFlight, 0);

    assert.equal((await publish(abc(), Date.now() + LONG_MS, second.signal)).complete, false);
    assert.deepEqual(requests(), [
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ]);
    assert.deepEqual(await stored(), ['a', 'b', 'c', 'b', 'c']);
    end();
  });

  it('I6: a signal that aborts during a wait ends it', async () => {
    const controller = new AbortController();
    // It would wait for an hour.
    const clock: Clock = {
      ...hurried,
      random: () => 0.999,
      sleep: (_ms, signal) => {
        controller.abort();
        return hurried.sleep(3_600_000, signal);
      },
    };
    const { publish, requests, end } = await setUp({ clock });
    proxy.next(throttled(0));
    assert.deepEqual(await publish(abc(), Date.now() + LONG_MS, controller.signal), {
      complete: false,
      throttledEntries: 1,
      lastFailure: 'ProvisionedThroughputExceededException',
    });
    assert.equal(requests().length, 1);
    end();
  });

  it('I6: has closed the connection of a request that timed out', async () => {
    const { publish, end } = await setUp({ requestTimeoutMs: 400 });
    proxy.next({ kind: 'stall', part: 'all' });
    await publish(abc());
    await until(() => proxy.inFlight === 0);
    end();
  });

  it('I6: does not write to the buffer of a request that failed: its connection may still read it', async () => {
    const { publish, stored, client, end } = await setUp();
    const buffers: ArrayBufferLike[] = [];
    client.middlewareStack.add(
      (next) => (args) => {
        buffers.push((args.request as { body: Buffer }).body.buffer);
        return next(args);
      },
      { step: 'finalizeRequest' },
    );
    proxy.next({ kind: 'drop', when: 'before' });
    await publish(abc());
    await publish(abc());
    assert.equal(buffers.length, 3);
    assert.notEqual(buffers[1], buffers[0]);
    // What was answered is used again.
    assert.equal(buffers[2], buffers[1]);
    assert.deepEqual(await stored(), ['a', 'b', 'c', 'a', 'b', 'c']);
    end();
  });

  it('publishes an empty round without a request', async () => {
    const { publish, requests, end } = await setUp();
    assert.deepEqual(await publish(round()), { complete: true, throttledEntries: 0 });
    assert.deepEqual(requests(), []);
    end();
  });

  it('fails when the stream does not exist: STREAM_MISSING', async () => {
    const client = clientOf(kinesis.endpoint);
    const publisher = createPublisher({
      client,
      stream: 'absent',
      clock: hurried,
      log: memoryLog(),
      requestTimeoutMs: 20_000,
    });
    await assert.rejects(publisher.publish(abc(), Date.now() + LONG_MS, NEVER), {
      name: 'STREAM_MISSING',
      message: /"absent"/,
    });
    client.destroy();
  });

  it('fails on a record that is larger than the stream allows: RECORD_TOO_LARGE', async () => {
    const { publish, end } = await setUp();
    await assert.rejects(publish(round({ text: 'x'.repeat(1024 * 1024 + 1), partitionKey: 'k' })), {
      name: 'RECORD_TOO_LARGE',
    });
    end();
  });

  it('fails without credentials: STREAM_ACCESS_DENIED', async () => {
    const client = new KinesisClient({
      region: 'us-east-1',
      endpoint: kinesis.endpoint,
      maxAttempts: 1,
      credentials: () =>
        Promise.reject(Object.assign(new Error('Could not load any'), { name: 'CredentialsProviderError' })),
    });
    const publisher = createPublisher({
      client,
      stream: 'any',
      clock: hurried,
      log: memoryLog(),
      requestTimeoutMs: 20_000,
    });
    await assert.rejects(publisher.publish(abc(), Date.now() + LONG_MS, NEVER), {
      name: 'STREAM_ACCESS_DENIED',
      message: /No AWS credentials/,
    });
    client.destroy();
  });

  it('I10: no log line and no message holds data or a partition key', async () => {
    const { publish, log, end } = await setUp({ requestTimeoutMs: 1_500 });
    const secret = round({ text: 'geheim-data', partitionKey: 'geheim-key' });
    const message = "Value 'geheim-key' at 'records.1.member.partitionKey'";
    proxy.next(
      { kind: 'error', status: 500, type: 'InternalFailureException', message },
      { kind: 'garbage', body: 'geheim' },
      { kind: 'stall', part: 'all' },
      { kind: 'drop', when: 'after' },
      throttled(0),
      { kind: 'error', status: 400, type: 'ValidationException', message },
    );
    const error = await publish(secret).then(
      () => assert.fail('it should have failed'),
      (thrown: unknown) => thrown as Error,
    );
    assert.equal(error.name, 'CONFIG_INVALID');
    assert.ok(log.lines.length >= 5);
    const encoded = Buffer.from('geheim-data').toString('base64').slice(0, 8);
    for (const line of [...log.lines, error.message]) {
      assert.ok(!line.includes('geheim') && !line.includes(encoded), line);
    }
    end();
  });
});
