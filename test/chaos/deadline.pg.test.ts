/** I7: runs that have less time than work, and transactions that are larger than a run. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { TESTED_MAJOR } from '../support/postgres.ts';
import { type Container, ROW_MARKER } from './container.ts';
import { type Environment, eventually, startEnvironment } from './environment.ts';
import { assertLanesInOrder, withoutRepeats } from './record-assertions.ts';

/** The time of a run here. */
const SECONDS = 4;
/** How much later a slow machine may answer: three quarters of a second less than a tick of the schedule leaves. */
const TOLERANCE_MS = 5_000;

describe('I7: deadlines', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
  });
  after(() => environment.stop());

  /** A slot and a stream of one's own, and one lane: a round is then at most 256 KiB. */
  async function prepare(name: string, over: Record<string, string> = {}): Promise<Record<string, string>> {
    await Promise.all([environment.server.createSlot(name), environment.kinesis.createStream(name, 1)]);
    return { SLOT_NAME: name, STREAM_NAME: name, LANES: '1', ...over };
  }
  let next = 1;
  async function insert(rows: number): Promise<void> {
    await environment.server.sql(`INSERT INTO t SELECT s, '${ROW_MARKER}' FROM generate_series($1::int, $2::int) s`, [
      next,
      next + rows - 1,
    ]);
    next += rows;
  }
  function assertInTime(container: Container, answers: readonly RunAnswer[]): void {
    for (const { durationMs } of answers)
      assert.ok(durationMs < SECONDS * 1_000 + TOLERANCE_MS, `answered after ${durationMs} ms`);
    for (const { DeadlineOverrunMs: overrun } of container.lines)
      assert.ok(overrun === undefined || Number(overrun) < TOLERANCE_MS, `overrun by ${String(overrun)} ms`);
  }
  /** Runs until caught up. */
  async function runs(container: Container, most = 30): Promise<RunAnswer[]> {
    const answers: RunAnswer[] = [];
    while (answers.at(-1)?.caughtUp !== true) {
      assert.ok(answers.length < most, `not caught up after ${most} runs: ${JSON.stringify(answers.at(-1))}`);
      answers.push(await container.run({ action: 'run', maxSeconds: SECONDS }));
    }
    return answers;
  }

  it('I7: answers in time before a slow stream, keeps what it did, and sends nothing twice', async () => {
    const { server, proxy } = environment;
    const settings = await prepare('slow', { AGGREGATION: 'none', PARTITION_BY: 'stream' });
    const rows = 40;
    for (let i = 0; i < rows; i++) await insert(1);
    proxy.always(() => ({ kind: 'delay', ms: 150 }));
    const container = await environment.container(settings);
    const [first, ...others] = await runs(container);
    proxy.always(() => ({ kind: 'pass' }));
    assert.equal(first?.stopped, 'deadline');
    assert.ok(first.published > 0 && first.published < rows && first.transactions === first.published);
    assert.ok(Number(first.lagBytes) > 0 && Number(first.lagSeconds) >= 0);
    assertInTime(container, [first, ...others]);
    const records = await environment.arrived('slow');
    assert.equal(records.length, rows);
    assert.equal(withoutRepeats(records).length, rows);
    assertLanesInOrder(records);
    await server.sql(`SELECT pg_drop_replication_slot('slow')`);
  });

  // That nobody else has read the slot cannot be told before 15.
  if (TESTED_MAJOR >= 15)
    it('I7: a transaction larger than a run is gone on with inside, by the same container and by another', async () => {
      const settings = await prepare('large');
      const rows = 20_000;
      await insert(rows);
      // Some forty requests: no machine is through with them in two runs.
      let ms = 250;
      environment.proxy.always(() => ({ kind: 'delay', ms }));
      const container = await environment.container(settings);
      const first = await container.run({ action: 'run', maxSeconds: SECONDS });
      const second = await container.run({ action: 'run', maxSeconds: SECONDS });
      for (const { stopped, transactions, resume, published } of [first, second]) {
        assert.deepEqual({ stopped, transactions }, { stopped: 'deadline', transactions: 0 });
        assert.ok(resume !== undefined && published > 0);
      }
      assert.equal(first.resume?.ordinal, first.published);
      assert.equal(second.resume?.ordinal, first.published + second.published);
      assert.equal(second.advancedTo, first.advancedTo);
      // Another container knows nothing of it but what the answer says.
      const other = await environment.container(settings);
      ms = 60;
      const third = await other.run({ action: 'run', maxSeconds: SECONDS, resume: second.resume });
      assert.ok(third.published > 0 && third.published < rows - first.published, 'it began anew');
      const rest = third.caughtUp ? [] : await runs(other);
      environment.proxy.always(() => ({ kind: 'pass' }));
      assertInTime(container, [first, second]);
      assertInTime(other, [third, ...rest]);
      const records = await environment.arrived('large');
      assert.equal(withoutRepeats(records).length, rows);
      assert.equal(records.length, rows, 'nothing failed, and something was sent twice');
      assertLanesInOrder(records);
      await environment.server.sql(`SELECT pg_drop_replication_slot('large')`);
    });

  if (TESTED_MAJOR >= 15)
    it('I7, I1: a transaction is begun anew where another session has read the slot in between', async () => {
      const settings = await prepare('read');
      const rows = 20_000;
      await insert(rows);
      environment.proxy.always(() => ({ kind: 'delay', ms: 400 }));
      const container = await environment.container(settings);
      const first = await container.run({ action: 'run', maxSeconds: SECONDS });
      environment.proxy.always(() => ({ kind: 'pass' }));
      assert.ok(first.resume !== undefined && first.published < rows);
      // A backend that was closed may be inside the slot for a moment.
      const read = `SELECT count(*) FROM pg_logical_slot_peek_changes('read', NULL, 1)`;
      await eventually(
        async () => (await environment.server.sql(read).catch(() => [])).length > 0,
        'another session reads it',
      );
      const second = await container.run({ action: 'drain' });
      assert.deepEqual({ caughtUp: second.caughtUp, published: second.published }, { caughtUp: true, published: rows });
      assert.match(container.output, /The slot may have been read by another run since/);
      const records = await environment.arrived('read');
      assert.equal(records.length, first.published + rows);
      const distinct = withoutRepeats(records);
      assert.equal(distinct.length, rows);
      assertLanesInOrder(distinct);
      await environment.server.sql(`SELECT pg_drop_replication_slot('read')`);
    });

  if (TESTED_MAJOR < 15)
    it('I7: where it cannot be gone on with, a transaction larger than a run takes the time of the function', async () => {
      const settings = await prepare('whole');
      await insert(20_000);
      environment.proxy.always(() => ({ kind: 'delay', ms: 400 }));
      const container = await environment.container(settings);
      const answer = await container.run({ action: 'run', maxSeconds: SECONDS }, 120_000);
      environment.proxy.always(() => ({ kind: 'pass' }));
      assert.equal(answer.published, 20_000);
      assert.equal((await environment.arrived('whole')).length, 20_000);
    });
});
