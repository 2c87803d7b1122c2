/**
 * What a warm container warns of when the server is not what it was. On real servers: test/chaos/history.pg.test.ts.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { warnOfChangedHistory } from '../../../lambda/actions/server-history.ts';
import { parseHistory } from '../../../lambda/postgres/timeline-history.ts';
import { coldState } from '../../../lambda/run/warm-state.ts';
import { Recorder } from '../../support/run-kit.ts';

const SERVER = {
  systemIdentifier: '7',
  startedAt: '2026-01-01T00:00:00.000000Z',
  inRecovery: false,
  timeline: 1,
  walEnd: undefined,
};

describe('a warm container and the history of its server', () => {
  const warned = async (over: object, position: bigint, now: Partial<typeof SERVER> = {}, history = '1\t0/C8\tx\n') => {
    const warmState = { ...coldState(), server: SERVER, ...over };
    const log = new Recorder();
    const server = { ...SERVER, ...now };
    const read = () => Promise.resolve(parseHistory(history));
    await warnOfChangedHistory({ warmState, log }, server, position, read);
    await warnOfChangedHistory({ warmState, log }, server, position, read);
    return log.lines;
  };

  it('is quiet where the slot is where it was left, though the stream is ahead of it inside a transaction', async () => {
    assert.deepEqual(await warned({ position: 200n, reached: 300n }, 200n), []);
    assert.deepEqual(await warned({ position: 200n, reached: 300n }, 250n), []);
    assert.deepEqual(await warned({}, 250n), []);
  });

  it('says once from where to where changes come again', async () => {
    const [line = '', ...more] = await warned({ position: 200n, reached: 300n }, 150n);
    assert.deepEqual(more, []);
    assert.match(line, /slot is at 0\/96\. The last run left it at 0\/C8, and changes were published up to 0\/12C\./);
  });

  it('says once that the timeline is another, where the former one ended, and whether anything is beyond that', async () => {
    const line = async (reached: bigint, history?: string) =>
      (await warned({ position: 100n, reached }, 90n, { timeline: 2 }, history)).join('\n');
    assert.match(await line(200n), /^[^\n]*ended at LSN 0\/C8\. Nothing that this function has published is after it/);
    assert.match(await line(201n), /ended at LSN 0\/C8\. Records with a commit LSN above it/);
    assert.match(await line(201n, ''), /does not say where the former timeline ended/);
  });

  it('compares no LSN of two servers', async () => {
    const lines = await warned({ position: 200n, reached: 300n }, 100n, { systemIdentifier: '8' });
    assert.equal(lines.length, 1);
    assert.match(lines.join(), /Another server answers than before/);
  });

  it('reads the timeline history of every version', () => {
    assert.deepEqual(parseHistory('1\t0/179CFA0\tno recovery target specified\n\n# note\n2\t1/0\tafter LSN\n'), [
      { timeline: 1, end: 0x179cfa0n },
      { timeline: 2, end: 0x100000000n },
    ]);
  });
});
