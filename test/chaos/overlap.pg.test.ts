/** I6: containers that overlap, and one that was stopped for so long that it has to be ended. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { REQUEST_TIMEOUT_MS } from '../../lambda/container.ts';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { startFaultyEndpoint } from '../support/faulty-endpoint.ts';
import { DRAIN_MS, ROW_MARKER } from './container.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { assertAllArrived, assertLanesInOrder, withoutRepeats } from './record-assertions.ts';
import { Book, seeded, TABLES, Writer } from './workload.ts';

describe('overlapping runs', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql(TABLES);
  });
  after(() => environment.stop());

  it('I6, I9: never publish at the same time; a run that finds the slot held succeeds; nothing is sent twice, everything is counted', async (t) => {
    const { server, proxy } = environment;
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    const random = seeded(seed);
    await server.createSlot('pg2kinesis');
    // Late answers: whoever is not held back has ample time to send something in between.
    proxy.always(() => ({ kind: 'delay', ms: 20 + random() * 60 }));
    const book = new Book();
    const quiet = new AbortController();
    const writing = new Writer({ owner: 1, random, book, connect: () => server.client() }).write(quiet.signal, 10);
    const settings = { LANES: '4' };
    const containers = await Promise.all([1, 2, 3].map(() => environment.container(settings)));
    const answers: RunAnswer[] = [];
    try {
      await Promise.all(
        containers.map(async (container) => {
          for (let i = 0; i < 10; i++) answers.push(await container.run({ action: 'run', maxSeconds: 20 }));
        }),
      );
    } finally {
      quiet.abort();
      await writing;
    }
    const [container] = containers;
    const last = await container?.run({ action: 'drain' }, DRAIN_MS);
    assert.equal(last?.caughtUp, true);
    answers.push(last);
    assert.equal(proxy.seen.filter(({ overlapped }) => overlapped).length, 0, 'two published at the same time');
    assert.ok(
      answers.some(({ stopped }) => stopped === 'locked') && answers.some(({ published }) => published > 0),
      'they did not overlap',
    );
    for (const { stopped, published, advancedTo } of answers) {
      if (stopped === 'locked') assert.deepEqual({ published, advancedTo }, { published: 0, advancedTo: undefined });
    }
    const sum = (count: (answer: RunAnswer) => number) => answers.reduce((total, answer) => total + count(answer), 0);
    assert.equal(
      sum(({ skipped }) => skipped.noPrimaryKey),
      book.keyless,
      'I9: changes without a key are counted, each once',
    );
    assert.equal(
      sum(({ changes }) => changes),
      sum(({ published, skipped }) => published + skipped.noPrimaryKey),
      'I9',
    );
    const all = await environment.arrived();
    assert.equal(
      sum(({ records }) => records),
      all.length,
      'I9: every record is counted',
    );
    assert.equal(assertAllArrived(all, book).length, all.length, 'nothing failed, and something was sent twice');
  });

  it('I6: one that outlives its time without answering is ended; its last request is waited out, and it sends nothing more', async (t) => {
    const { server, kinesis } = environment;
    await kinesis.createStream('frozen', 1);
    await server.createSlot('frozen');
    await server.sql('CREATE TABLE frozen (id int PRIMARY KEY, note text)');
    for (let i = 0; i < 5; i++)
      await server.sql(`INSERT INTO frozen SELECT s, '${ROW_MARKER}' FROM generate_series($1::int, $2::int) s`, [
        i * 40 + 1,
        i * 40 + 40,
      ]);
    // One record a request, so that it has much left to send wherever it is stopped.
    const settings = { SLOT_NAME: 'frozen', STREAM_NAME: 'frozen', AGGREGATION: 'none', PARTITION_BY: 'stream' };
    const own = await startFaultyEndpoint(kinesis.endpoint);
    t.after(() => own.stop());
    own.always(() => ({ kind: 'delay', ms: 50 }));
    const frozen = await environment.container({ ...settings, AWS_ENDPOINT_URL_KINESIS: own.endpoint });
    const next = await environment.container(settings);
    const ending = frozen.invoke({ action: 'run' }, 9_000);
    await eventually(() => own.seen.length >= 5, 'it sends');
    frozen.child.kill('SIGSTOP');

    let answer = await next.run({ action: 'run' });
    assert.equal(answer.stopped, 'locked');
    await eventually(async () => (answer = await next.run({ action: 'run' })).stopped !== 'locked', 'its time is over');
    assert.equal(answer.caughtUp, true);
    assert.ok(
      answer.durationMs >= REQUEST_TIMEOUT_MS,
      `its request could still have been in flight after ${answer.durationMs} ms`,
    );
    assert.match(next.output, /Ended a backend that an earlier run left behind/);

    const sent = own.seen.length;
    frozen.child.kill('SIGCONT');
    await Promise.race([ending, wait(20_000, undefined, { ref: false })]);
    assert.equal(own.seen.length, sent, 'it went on sending');
    const records = withoutRepeats(await environment.arrived('frozen'));
    assertLanesInOrder(records);
    assert.equal(records.length, 200);
  });
});
