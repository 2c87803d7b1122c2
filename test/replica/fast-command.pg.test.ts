/** `pg2kinesis replicate --fast` in this process, from a stream made by hand to a real target. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ReplicateOptions } from '../../bin/replicate/options.ts';
import { replicate } from '../../bin/replicate/replicate.ts';
import { ReplicaError } from '../../replica/errors.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { insertOf, markOf } from './support/function-rig.ts';
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

  it('goes on where nothing has come of a shard for longer than the stream keeps records, and stops where it stood still for so long', async () => {
    const stream = await begin();
    const old = Date.now() - 25 * 3_600_000;
    stream.add('a', 'lane-0-of-2', [insertOf('s', 1), markOf(0, 2, 0x1001)], old);
    stream.add('b', 'lane-1-of-2', [insertOf('s', 2)]);
    await catchUp(stream);
    stream.trim('a');
    stream.add('b', 'lane-1-of-2', [insertOf('s', 3)]);
    await catchUp(stream);
    stream.add('a', 'lane-0-of-2', [insertOf('s', 4)]);
    await catchUp(stream);
    assert.deepEqual(await ids(), [1, 2, 3, 4]);
    await target.sql(`UPDATE pg2kinesis.replica_shard SET arrived = arrived - interval '25 hours', at_tip = at_tip - interval '25 hours'
      WHERE shard = 'a'`);
    await assert.rejects(catchUp(stream), /POSITION_TRIMMED: The position in shard a is 25 hours old/);
  });

  it('leaves out with --skip-truncated what was too large for a record, and counts it', async () => {
    const stream = await begin();
    stream.add('a', 'lane-0-of-2', [insertOf('s', 1), { ...insertOf('s', 2), row: undefined, truncated: true }]);
    stream.add('b', 'lane-1-of-2', [insertOf('s', 3)]);
    await assert.rejects(catchUp(stream), /RECORD_UNUSABLE: .* too large .* start with --skip-truncated/);
    const end = await catchUp(stream, { skipTruncated: true });
    assert.equal(end['truncated'], 1);
    assert.deepEqual(await ids(), [1, 3]);
  });

  it('says of a record that cannot be unpacked that it is one, also without --fast', async () => {
    const broken = Buffer.from('1f8b', 'hex');
    for (const fast of [true, false]) {
      const stream = await begin();
      stream.add('a', 'lane-0-of-2', [insertOf('s', 1), markOf(0, 2, 0x1001)]);
      stream.add('b', 'lane-1-of-2', broken);
      const failed = await catchUp(stream, { fast }).catch((error: unknown) => error);
      assert.match(String(failed), /RECORD_UNUSABLE: The stream holds a record that cannot be unpacked: .* applied\./);
      assert.equal(failed instanceof ReplicaError && failed.exit, 3);
    }
  });
});
