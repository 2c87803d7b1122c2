/** `pg2kinesis replicate --fast` in this process, from a stream made by hand to a real target. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ReplicateOptions } from '../../bin/replicate/options.ts';
import { replicate } from '../../bin/replicate/replicate.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { insertOf } from './support/function-rig.ts';
import { MadeStream } from './support/made-stream.ts';

let target: PostgresServer;
let copies = 0;

/** A stream of its own, and an empty table. */
async function begin(): Promise<MadeStream> {
  await target.sql('TRUNCATE public.places');
  if (copies > 0) await target.sql('DELETE FROM pg2kinesis.replica');
  return new MadeStream(`made-${++copies}`, ['a', 'b']);
}

/** Applies what is in a stream. @returns the last line of progress */
async function catchUp(stream: MadeStream, over: Partial<ReplicateOptions> = {}): Promise<Record<string, unknown>> {
  const { user, password, host, port } = target.connection;
  let out = '';
  const terminal = {
    env: { REPLICATE_PASSWORD: password },
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: () => true },
    ...{ on: () => undefined, off: () => undefined, exit: () => undefined },
  };
  const to = `postgres://${user}@${host}:${port}/postgres?sslmode=disable`;
  const options = { to, stream: stream.arn, fast: true, once: true, json: true, ...over };
  await replicate(options, terminal, { client: stream.client, patienceMs: 500 });
  return JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
}

async function ids(): Promise<number[]> {
  const rows = await target.sql<{ id: number }>('SELECT id FROM public.places ORDER BY id');
  return rows.map(({ id }) => id);
}

describe('pg2kinesis replicate --fast', () => {
  before(async () => {
    target = await startPostgres();
    await target.sql('CREATE TABLE public.places (id int PRIMARY KEY, body text, big text)');
  });
  after(() => target.stop());

  it('leaves out with --skip-truncated what was too large for a record, and counts it', async () => {
    const stream = await begin();
    stream.add('a', 'lane-0-of-2', [insertOf('s', 1), { ...insertOf('s', 2), row: undefined, truncated: true }]);
    stream.add('b', 'lane-1-of-2', [insertOf('s', 3)]);
    await assert.rejects(catchUp(stream), /RECORD_UNUSABLE: .* too large .* start with --skip-truncated/);
    const end = await catchUp(stream, { skipTruncated: true });
    assert.equal(end['truncated'], 1);
    assert.deepEqual(await ids(), [1, 3]);
  });
});
