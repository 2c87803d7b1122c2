// A replica and what can become of its reading: iterators that expire, positions that are trimmed, another replica, Ctrl-C.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../chaos/environment.ts';
import { runCli } from '../support/cli.ts';
import { BANK, Bank, BANK_TABLES, FILL } from './support/bank.ts';
import { type ReadingEndpoint, startReadingEndpoint } from './support/reading-endpoint.ts';
import { hashes, ReplicaRig } from './support/replica-rig.ts';

let rig: ReplicaRig;
let endpoint: ReadingEndpoint;
let bank: Bank;

/** Applies what is in the stream, through the endpoint that refuses. */
const catchUp = () =>
  runCli(['replicate', '--once', '--json'], { ...rig.env(), AWS_ENDPOINT_URL_KINESIS: endpoint.endpoint });

const assertEqual = async (): Promise<void> =>
  assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(rig.source, BANK_TABLES));

async function publish(): Promise<void> {
  for (let i = 0; i < 20; i++) await bank.write();
  await rig.drain();
}

/** A process: how it ended, and what it said. */
async function endOf(child: ChildProcess): Promise<{ readonly code: number; readonly err: string }> {
  let err = '';
  child.stderr?.on('data', (text: Buffer) => (err += text.toString()));
  child.stdout?.resume();
  const [code] = (await once(child, 'close')) as [number];
  return { code, err };
}

describe('reading for a replica', () => {
  before(async () => {
    rig = await ReplicaRig.start();
    endpoint = await startReadingEndpoint(rig.environment.kinesis.endpoint);
    await rig.createSlot();
    await Promise.all([rig.source.sql(BANK), rig.target.sql(BANK)]);
    await rig.source.sql(FILL);
    bank = new Bank(await rig.source.client(), 5);
  });
  after(async () => {
    await endpoint.stop();
    await rig.stop();
  });

  it('goes on at the last record read where iterators expire, at any call', async () => {
    await publish();
    let calls = 0;
    endpoint.refuse = (action) =>
      action === 'GetRecords' && ++calls % 3 === 0 ? 'ExpiredIteratorException' : undefined;
    const first = await catchUp();
    assert.equal(first.status, 0, first.err);
    await assertEqual();
    await publish();
    const second = await catchUp();
    assert.equal(second.status, 0, second.err);
    assert.ok(calls > 6, `${calls} calls`);
    await assertEqual();
  });

  it('ends with 3 where the stream does not know its position any more, and goes on where it does', async () => {
    await publish();
    endpoint.refuse = (action, { ShardIteratorType: type }) =>
      action === 'GetShardIterator' && type === 'AT_SEQUENCE_NUMBER' ? 'InvalidArgumentException' : undefined;
    const { status, err } = await catchUp();
    assert.equal(status, 3);
    assert.match(err, /POSITION_TRIMMED: The stream does not know the position in shard shardId-\d+ any more/);
    endpoint.refuse = () => undefined;
    assert.equal((await catchUp()).status, 0);
    await assertEqual();
  });

  it('leaves the field to another replica that takes over, and ends cleanly on Ctrl-C', async () => {
    await publish();
    const cut = async (): Promise<string | undefined> =>
      (await rig.target.sql<{ cut: string }>('SELECT cut::text FROM pg2kinesis.replica'))[0]?.cut;
    const began = await cut();
    const first = endOf(rig.begin());
    await eventually(async () => (await cut()) !== began, 'the first is at work');
    const refused = await rig.catchUp();
    assert.equal(refused.status, 4, refused.err);
    assert.match(refused.err, /REPLICA_BUSY/);
    const epoch = async (): Promise<string | undefined> =>
      (await rig.target.sql<{ epoch: string }>('SELECT epoch::text FROM pg2kinesis.replica'))[0]?.epoch;
    const held = await epoch();
    const child = rig.begin(['--take-over']);
    const second = endOf(child);
    await eventually(async () => (await epoch()) !== held, 'the second has begun');
    const before = await cut();
    await publish();
    const { code, err } = await first;
    assert.equal(code, 4, err);
    assert.match(err, /TAKEN_OVER/);
    await eventually(async () => (await cut()) !== before, 'the second is at work');
    child.kill('SIGINT');
    const ended = await second;
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.err, /Ending when this batch is applied\. Press Ctrl-C again to end at once\./);
    assert.equal((await catchUp()).status, 0);
    await assertEqual();
  });
});
