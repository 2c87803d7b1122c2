/**
 * I2 where commits are not waited for: the server answers COMMIT before the commit is in flushed WAL, so positions to
 * which WAL was written, or even only reserved, lie ahead of what a peek can see.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ROW_MARKER } from './container.ts';
import { type Environment, startEnvironment } from './environment.ts';
import { assertLanesInOrder, withoutRepeats } from './record-assertions.ts';

const RUNS = 50;

describe('asynchronous commit', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment({
      // Few buffers: WAL is written to make room long before anybody flushes it.
      settings: {
        synchronous_commit: 'off',
        wal_buffers: '64kB',
        wal_writer_delay: '10s',
        wal_writer_flush_after: '1GB',
      },
    });
    await environment.server.sql('CREATE DATABASE noise');
    await environment.server.sql('CREATE TABLE t (id int PRIMARY KEY, note text)');
    await environment.server.createSlot('pg2kinesis');
  });
  after(() => environment.stop());

  it('I2: rows committed while runs go on and find nothing more are not lost', async () => {
    const container = await environment.container();
    const { server } = environment;
    const [writer, noise, flusher] = await Promise.all([
      server.client(),
      server.client({ database: 'noise' }),
      server.client({ database: 'noise' }),
    ]);
    await flusher.query('CREATE TABLE noise (note text); SET synchronous_commit = on');
    const flush = () => flusher.query(`INSERT INTO noise VALUES ('x')`);
    let committed = 0;
    let over = false;
    const loop = async (pauseMs: number, step: () => Promise<unknown>): Promise<void> => {
      for (; !over; await wait(pauseMs)) await step();
    };
    const writing = Promise.all([
      loop(3, async () => {
        await writer.query(`INSERT INTO t VALUES ($1, '${ROW_MARKER}')`, [committed + 1]);
        committed++;
      }),
      // WAL of another database fills the buffers, which are written then.
      loop(1, () => noise.query(`INSERT INTO noise SELECT repeat('x', 1900) FROM generate_series(1, 20)`)),
      // And somebody who waits for a commit flushes it, at any moment of a run.
      loop(2, flush),
    ]);
    let published = 0;
    try {
      for (let i = 0; i < RUNS; i++) {
        const answer = await container.run({ action: 'run', maxSeconds: 30 });
        assert.equal(answer.caughtUp, true);
        published += answer.published;
      }
    } finally {
      over = true;
      await writing;
    }
    // The last commits are flushed by one that is waited for.
    await flush();
    published += (await container.run({ action: 'drain' })).published;
    const records = await environment.arrived();
    assert.equal(withoutRepeats(records).length, committed, 'committed rows were passed over');
    assert.equal(published, committed);
    assertLanesInOrder(records);
    assert.ok(committed > RUNS, 'too little was committed to prove anything');
  });
});
