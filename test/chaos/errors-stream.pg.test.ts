/** Errors of the stream's side as a user meets them: through the handler, on the wire, and what is left to do after. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DeleteStreamCommand } from '@aws-sdk/client-kinesis';
import { type Container, ROW_MARKER } from './container.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { withoutRepeats } from './record-assertions.ts';

const RUN = { action: 'run', maxSeconds: 4 };
const ROWS = 30;

describe('errors of the stream', () => {
  let environment: Environment;
  let rows = 0;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  after(() => environment.stop());

  /** A slot with rows committed one by one, a stream of one's own, and a container that sends one record a request. */
  async function prepare(name: string): Promise<Container> {
    await Promise.all([environment.server.createSlot(name), environment.kinesis.createStream(name, 1)]);
    for (let i = 0; i < ROWS; i++) await environment.server.sql('INSERT INTO t VALUES ($1, $2)', [++rows, ROW_MARKER]);
    return await environment.container({
      SLOT_NAME: name,
      STREAM_NAME: name,
      AGGREGATION: 'none',
      PARTITION_BY: 'stream',
    });
  }
  async function position(slot: string): Promise<string | undefined> {
    const [row] = await environment.server.sql<{ lsn: string }>(
      'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
      [slot],
    );
    return row?.lsn;
  }
  /** Runs into an error, with more and more time: a slow machine may not come to the stream in four seconds. @returns it */
  async function refusedBy(container: Container, said: RegExp): Promise<string> {
    for (let { maxSeconds } = RUN; ; maxSeconds *= 3) {
      const { code, message } = await container.refusal({ ...RUN, maxSeconds });
      if (said.test(`${code}: ${message}`) || maxSeconds > 30) return `${code}: ${message}`;
    }
  }
  /** Nothing was advanced over; once all is well everything is published. */
  async function assertAllLeft(container: Container, name: string, before: string | undefined): Promise<void> {
    assert.equal(await position(name), before, 'I1: the slot was advanced over what was not acknowledged');
    environment.proxy.always(() => ({ kind: 'pass' }));
    const answer = await container.run({ ...RUN, maxSeconds: 30 });
    assert.deepEqual({ caughtUp: answer.caughtUp, published: answer.published }, { caughtUp: true, published: ROWS });
    assert.equal(withoutRepeats(await environment.arrived(name)).length, ROWS);
  }

  it('fails with STREAM_THROTTLED when every entry is refused for lack of capacity all the time', async () => {
    const container = await prepare('throttled');
    const before = await position('throttled');
    environment.proxy.always(() => ({ kind: 'refuse', entries: () => true }));
    const said = /^STREAM_THROTTLED: /;
    assert.match(await refusedBy(container, said), said);
    await assertAllLeft(container, 'throttled', before);
  });

  it('a run that is throttled after some records is none that fails: it answers so, and keeps what was acknowledged', async () => {
    const container = await prepare('partly');
    const from = environment.proxy.seen.length;
    environment.proxy.always(() =>
      environment.proxy.seen.length < from + 4 ? { kind: 'pass' } : { kind: 'refuse', entries: () => true },
    );
    const { stopped, published, throttledEntries } = await container.run({ ...RUN, maxSeconds: 8 });
    assert.equal(stopped, 'throttled');
    assert.ok(published > 0 && published < ROWS && throttledEntries > 0);
    environment.proxy.always(() => ({ kind: 'pass' }));
    assert.equal((await container.run({ ...RUN, maxSeconds: 30 })).published, ROWS - published);
    assert.equal((await environment.arrived('partly')).length, ROWS);
  });

  it('fails with NO_PROGRESS when no request is ever answered, naming what the last one met', async () => {
    const container = await prepare('broken');
    const before = await position('broken');
    environment.proxy.always(() => ({ kind: 'error', status: 500, type: 'InternalFailure' }));
    const said =
      /^NO_PROGRESS: .*The last request failed: InternalFailure.* for "broken" in us-east-1 \(.*The next run tries again/s;
    assert.match(await refusedBy(container, said), said);
    await assertAllLeft(container, 'broken', before);
  });

  it('fails with STREAM_ACCESS_DENIED', async () => {
    const container = await prepare('denied');
    const before = await position('denied');
    environment.proxy.always(() => ({
      kind: 'error',
      status: 400,
      type: 'AccessDeniedException',
      message: 'not authorized',
    }));
    const { code, message } = await container.refusal(RUN);
    assert.equal(code, 'STREAM_ACCESS_DENIED', message);
    assert.match(message, /kinesis:PutRecords/);
    await assertAllLeft(container, 'denied', before);
  });

  it('fails with RECORD_TOO_LARGE where MAX_RECORD_KIB is above what the stream takes; a lower one gets past it', async () => {
    const name = 'small_records';
    await Promise.all([environment.server.createSlot(name), environment.kinesis.createStream(name, 1)]);
    await environment.server.sql(`INSERT INTO t VALUES (-1), (-2), (-3)`);
    await environment.server.sql(`INSERT INTO t VALUES (-4, repeat('${ROW_MARKER}', 100000))`);
    await environment.server.sql(`INSERT INTO t VALUES (-5)`);
    const settings = { SLOT_NAME: name, STREAM_NAME: name };
    const { code, message } = await (
      await environment.container({ ...settings, MAX_RECORD_KIB: '10240' })
    ).refusal({ ...RUN, maxSeconds: 30 });
    assert.equal(code, 'RECORD_TOO_LARGE', message);
    assert.match(message, /Lower MAX_RECORD_KIB/);
    const answer = await (await environment.container(settings)).run({ ...RUN, maxSeconds: 30 });
    assert.deepEqual([answer.caughtUp, answer.truncated], [true, 1]);
    const keys = new Set((await environment.arrived(name)).map(({ key }) => key?.['id']));
    assert.deepEqual(
      [-1, -2, -3, -4, -5].filter((id) => !keys.has(id)),
      [],
    );
  });

  it('fails with STREAM_MISSING when the stream is deleted in mid-run; what was acknowledged before is advanced over, no more', async () => {
    const container = await prepare('deleted');
    const from = environment.proxy.seen.length;
    // So slowly from then on that the stream is gone before all is sent.
    environment.proxy.always(() => ({ kind: 'delay', ms: environment.proxy.seen.length > from + 8 ? 1_500 : 10 }));
    const refusing = container.refusal({ ...RUN, maxSeconds: 50 });
    await eventually(() => environment.proxy.seen.length > from + 8, 'it sends');
    const stored = await environment.arrived('deleted');
    await environment.kinesis.client.send(new DeleteStreamCommand({ StreamName: 'deleted' }));
    const { code, message } = await refusing;
    assert.equal(code, 'STREAM_MISSING', message);
    environment.proxy.always(() => ({ kind: 'pass' }));
    await eventually(
      async () => (await environment.kinesis.createStream('deleted', 1).catch(() => '')) !== '',
      'the stream is there again',
    );
    const { published } = await container.run({ ...RUN, maxSeconds: 30 });
    assert.ok(published > 0 && published <= ROWS - stored.length + 1, `${published} after ${stored.length}`);
    const later = await environment.arrived('deleted');
    assert.equal(later.length, published);
    const sent = environment.proxy.seen.slice(from).flatMap(({ body }) => body.Records.map(({ Data }) => Data));
    assert.equal(new Set(sent).size, ROWS, 'a record was never sent');
  });
});
