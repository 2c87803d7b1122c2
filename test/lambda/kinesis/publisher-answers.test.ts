/** The publisher against answers that the test writes: how often it asks, what it says, and to the millisecond when it gives up. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createPublisher } from '../../../lambda/kinesis/publisher.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import {
  refusal,
  type ScriptedAnswer,
  type ScriptedEndpoint,
  startScripted,
  stored,
} from '../../support/scripted-endpoint.ts';
import { clientOf, fakeClock, memoryLog, round, until } from './publisher-fixtures.ts';

const NEVER = new AbortController().signal;

describe('a publisher', () => {
  let endpoint: ScriptedEndpoint;
  let answers: ((body: string) => ScriptedAnswer)[] = [];
  before(async () => {
    endpoint = await startScripted(({ body }) => (answers.shift() ?? stored)(body));
  });
  after(() => endpoint.stop());

  /** Publishes two entries; the requests are answered so, and stored after that. */
  async function publish(
    given: typeof answers,
    options: { readonly clock?: Clock; readonly leftMs?: number; readonly requestTimeoutMs?: number } = {},
  ) {
    const { clock = fakeClock(), leftMs = 60_000, requestTimeoutMs = 20_000 } = options;
    answers = [...given];
    const from = endpoint.seen.length;
    const client = clientOf(endpoint.endpoint, requestTimeoutMs);
    const log = memoryLog();
    const publisher = createPublisher({ client, stream: 'changes', clock, log, requestTimeoutMs });
    const result = await publisher
      .publish(round({ text: 'a' }, { text: 'b' }), clock.now() + leftMs, NEVER)
      .catch((error: unknown) => error as Error & { code: string });
    client.destroy();
    return { result, log: log.lines, requests: endpoint.seen.length - from };
  }
  const entries =
    (...all: object[]) =>
    (): ScriptedAnswer => ({
      body: JSON.stringify({ FailedRecordCount: 0, Records: all }),
    });
  const done = { SequenceNumber: '1', ShardId: 's' };

  it('fails at the first refusal that no new credentials mend', async () => {
    const { result, requests } = await publish([() => refusal('ResourceNotFoundException')]);
    assert.equal('code' in result && result.code, 'STREAM_MISSING');
    assert.equal(requests, 1);
  });

  it('reads credentials anew once, says so, and fails when it is refused again', async () => {
    const denied = (): ScriptedAnswer => refusal('AccessDeniedException');
    const { result, requests, log } = await publish([denied, denied]);
    assert.equal('code' in result && result.code, 'STREAM_ACCESS_DENIED');
    assert.equal(requests, 2);
    assert.deepEqual(
      log.filter((line) => line.startsWith('info')),
      [
        'info AWS credentials and the connections to Kinesis are renewed, as they may be old. {"failure":"AccessDeniedException (HTTP 400)"}',
      ],
    );
  });

  it('renews once only, however many requests have no answer', async () => {
    const broken = (): ScriptedAnswer => refusal('InternalFailure', 500);
    const { result, log, requests } = await publish([broken, broken, broken]);
    assert.equal('complete' in result && result.complete, true);
    assert.equal(requests, 4);
    assert.equal(log.filter((line) => line.startsWith('info')).length, 1);
    const warnings = log.filter((line) => line.startsWith('warn'));
    assert.equal(warnings.length, 3);
    assert.match(
      warnings[0] ?? '',
      /^warn A request to Kinesis failed and is to be sent again\. \{"failure":"InternalFailure \(HTTP 500\) for \\"changes\\" in us-east-1 \(127\.0\.0\.1:\d+\)","entries":2,"timeoutMs":20000\}$/,
    );
    const debug = log.filter((line) => line.startsWith('debug Entries are to be sent again.'));
    assert.match(debug[0] ?? '', /"entries":2,"failure":"InternalFailure/);
  });

  it('sends all again where the answer is about another number of entries, and says so', async () => {
    const { result, log, requests } = await publish([entries(done)]);
    assert.deepEqual(
      [requests, 'lastFailure' in result && result.lastFailure],
      [2, 'an answer about 1 entries to a request of 2'],
    );
    assert.deepEqual(
      log.filter((line) => line.startsWith('warn')),
      [
        'warn Kinesis answered about another number of entries than were sent; all are to be sent again. {"failure":"an answer about 1 entries to a request of 2"}',
      ],
    );
  });

  for (const [what, entry, failure, warned] of [
    ['no sequence number', { ShardId: 's' }, 'no sequence number', '{}'],
    ['an empty sequence number', { SequenceNumber: '' }, 'no sequence number', '{}'],
    ['an empty code and no number', { ErrorCode: '', SequenceNumber: '' }, 'no sequence number', '{"code":""}'],
    ['an unknown code', { ErrorCode: 'SomethingNew' }, 'SomethingNew', '{"code":"SomethingNew"}'],
    ['InternalFailure', { ErrorCode: 'InternalFailure' }, 'InternalFailure', undefined],
    [
      'want of capacity',
      { ErrorCode: 'ProvisionedThroughputExceededException' },
      'ProvisionedThroughputExceededException',
      undefined,
    ],
  ] as const) {
    it(`sends an entry again that has ${what}`, async () => {
      const { result, log, requests } = await publish([entries(done, entry)]);
      assert.deepEqual([requests, 'lastFailure' in result && result.lastFailure], [2, failure]);
      assert.deepEqual(
        log.filter((line) => line.startsWith('warn')),
        warned === undefined
          ? []
          : [`warn Kinesis refused an entry for a reason not known; it is sent again. ${warned}`],
      );
      assert.deepEqual(
        (JSON.parse(endpoint.seen.at(-1)?.body ?? '') as { Records: { Data: string }[] }).Records.map(({ Data }) =>
          Buffer.from(Data, 'base64').toString(),
        ),
        ['b'],
      );
    });
  }

  it('names each reason once', async () => {
    const { result } = await publish([entries({ ErrorCode: 'A' }, { ErrorCode: 'B' })]);
    assert.equal('lastFailure' in result && result.lastFailure, 'A, B');
  });

  it('takes a success with an empty code', async () => {
    const { requests } = await publish([entries({ ...done, ErrorCode: '' }, done)]);
    assert.equal(requests, 1);
  });

  it('I7: begins a request with exactly a second left, and none with less', async () => {
    assert.equal((await publish([], { leftMs: 1_000 })).requests, 1);
    assert.equal((await publish([], { leftMs: 999 })).requests, 0);
  });

  it('I7: waits where exactly a second would be left after it, and not where less would be', async () => {
    // The first wait is half of 50 ms.
    const refused = [entries({ ErrorCode: 'InternalFailure' }, { ErrorCode: 'InternalFailure' })];
    const first = await publish(refused);
    assert.equal(first.requests, 2);
    const clock = fakeClock();
    await publish(refused, { clock });
    const [wait = 0] = clock.sleeps;
    assert.ok(wait > 0);
    assert.equal((await publish(refused, { leftMs: 1_000 + wait })).requests, 2);
    assert.equal((await publish(refused, { leftMs: 999 + wait })).requests, 1);
  });

  it('I6: a request that the deadline cuts short is told as such, and its connection is closed', async () => {
    let open = 0;
    const silent = createServer((socket) => {
      open++;
      socket.on('error', () => undefined).on('close', () => open--);
      // Unread data would hide the end.
      socket.resume();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const client = clientOf(`http://127.0.0.1:${port}`, 600_000);
    const clock: Clock = { now: () => Date.now(), sleep: () => Promise.resolve(), random: () => 0 };
    const log = memoryLog();
    const publisher = createPublisher({ client, stream: 'changes', clock, log, requestTimeoutMs: 600_000 });
    const result = await publisher.publish(round({ text: 'a' }), Date.now() + 1_500, NEVER);
    assert.deepEqual([result.complete, result.lastFailure?.startsWith('TimeoutError for "changes"')], [false, true]);
    while (open > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    client.destroy();
    silent.close();
  });

  it('I6: closes the connection of each request that takes too long, also where all were renewed before, and leaves no timer', async () => {
    let connections = 0;
    let open = 0;
    const silent = createServer((socket) => {
      open++;
      socket.on('error', () => undefined).on('close', () => open--);
      // The first is closed, after which the connections are renewed.
      if (connections++ === 0) socket.destroy();
      else socket.resume();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const client = clientOf(`http://127.0.0.1:${port}`, 600_000);
    const requestTimeoutMs = 456;
    const log = memoryLog();
    const failures = () => log.lines.filter((line) => line.startsWith('warn')).length;
    // The deadline comes with the second failure.
    const clock: Clock = { now: () => (failures() < 2 ? 0 : 60_000), sleep: () => Promise.resolve(), random: () => 0 };
    const publisher = createPublisher({ client, stream: 'changes', clock, log, requestTimeoutMs });
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const timers = new Map<unknown, 'runs' | 'cleared'>();
    globalThis.setTimeout = ((work: () => void, ms?: number) => {
      const timer = set(work, ms);
      if (ms === requestTimeoutMs) timers.set(timer, 'runs');
      return timer;
    }) as typeof setTimeout;
    globalThis.clearTimeout = (timer) => {
      if (timers.has(timer)) timers.set(timer, 'cleared');
      clear(timer);
    };
    const result = await publisher.publish(round({ text: 'a' }), 1_000, NEVER).finally(() => {
      globalThis.setTimeout = set;
      globalThis.clearTimeout = clear;
    });
    assert.deepEqual([result.complete, result.lastFailure?.startsWith('TimeoutError for "changes"')], [false, true]);
    await until(() => open === 0);
    client.destroy();
    silent.close();
    // Of both requests, and of the renewal.
    assert.ok(timers.size >= 3);
    assert.ok([...timers.values()].every((state) => state === 'cleared'));
  });
});
