/** `pg2kinesis tail` against the emulated Kinesis: what it prints, when it ends, what it says when it cannot read. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Writable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { KinesisClient, PutRecordCommand } from '@aws-sdk/client-kinesis';
import { tail, type TailOptions } from '../../bin/tail.ts';
import { type EmbeddedKinesis, EMULATOR, startKinesis } from '../support/kinesis.ts';

/** The package has it; its types do not. */
const { RecordAggregator } = createRequire(import.meta.url)('aws-kinesis-agg') as {
  RecordAggregator: new () => {
    addUserRecord(record: { partitionKey: string; data: Buffer }): void;
    build(): { data: Buffer };
  };
};

/** Keeps what is written. */
class Kept extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

describe('tail', () => {
  let kinesis: EmbeddedKinesis;
  const stream = 'tailed';
  const put = (data: string | Buffer, partitionKey = 'k'): Promise<unknown> =>
    kinesis.client.send(
      new PutRecordCommand({ StreamName: stream, PartitionKey: partitionKey, Data: Buffer.from(data) }),
    );
  /** Runs a tail to its end. */
  const run = async (options: Partial<TailOptions>, signal = new AbortController().signal) => {
    const [out, notes] = [new Kept(), new Kept()];
    const status = await tail({ stream, ...options }, { client: kinesis.client, signal, out, notes });
    return { status, text: out.text, notes: notes.text };
  };

  before(async () => {
    kinesis = await startKinesis();
    await kinesis.createStream(stream, 1);
    const aggregator = new RecordAggregator();
    for (const data of ['first', 'sécond'])
      aggregator.addUserRecord({ partitionKey: `key of ${data}`, data: Buffer.from(data) });
    await put(aggregator.build().data, 'lane');
    await put('0,CDC,{"xid": "1"}\n0,CDC,{"xid": "2"}\n');
    await put('0,CDC,1,public.t,INSERT,"a\nb"');
  });
  after(() => kinesis.stop());

  const all = ['first', 'sécond', '0,CDC,{"xid": "1"}', '0,CDC,{"xid": "2"}', '0,CDC,1,public.t,INSERT,"a\nb"'];

  it('prints aggregated records, lines and plain records, each as it is', async () => {
    const { status, text, notes } = await run({ from: 'trim-horizon', count: 5 });
    assert.equal(text, all.map((line) => `${line}\n`).join(''));
    assert.equal(status, 0);
    assert.match(notes, /tailed from trim-horizon/);
  });

  it('prints the lines of compressed records', async () => {
    await kinesis.createStream('compressed', 1);
    for (const frame of [gzipSync('0,CDC,{"xid": "1"}\n{"n":2}\n'), zstdCompressSync('any 3\nany 4\n')]) {
      await kinesis.client.send(new PutRecordCommand({ StreamName: 'compressed', PartitionKey: 'k', Data: frame }));
    }
    const { text } = await run({ stream: 'compressed', from: 'trim-horizon', count: 4 });
    assert.equal(text, '0,CDC,{"xid": "1"}\n{"n":2}\nany 3\nany 4\n');
  });

  it('fails at a record that cannot be unpacked, and says which and why', async () => {
    await kinesis.createStream('broken', 1);
    const frame = gzipSync('{"n":1}\n').subarray(0, 12);
    await kinesis.client.send(new PutRecordCommand({ StreamName: 'broken', PartitionKey: 'k', Data: frame }));
    await assert.rejects(run({ stream: 'broken', from: 'trim-horizon', count: 1 }), {
      name: 'RECORD_UNUSABLE',
      message:
        /^The record \d+ of shardId-000000000000 cannot be unpacked: unexpected end of file\. Nothing more was read\.$/,
    });
  });

  it('ends after so many records, also within an aggregate', async () => {
    assert.equal((await run({ from: 'trim-horizon', count: 1 })).text, 'first\n');
  });

  it('ends after so many seconds', async () => {
    const { text } = await run({ from: 'trim-horizon', seconds: 3 });
    assert.equal(text.split('\n').length, all.join('\n').split('\n').length + 1);
  });

  it('tells all there is of a record as JSON, one line each', async () => {
    const { text } = await run({ from: 'trim-horizon', count: 5, json: true });
    const told = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      told.map((each) => each['data']),
      all,
    );
    const [first, , , , last] = told;
    assert.equal(first?.['partitionKey'], 'key of first');
    assert.equal(first['subSequenceNumber'], 0);
    assert.equal(first['shardId'], 'shardId-000000000000');
    assert.match(String(first['sequenceNumber']), /^\d+$/);
    assert.match(String(first['approximateArrival']), /^\d{4}-.*Z$/);
    assert.equal(last?.['partitionKey'], 'k');
    assert.ok(!('subSequenceNumber' in last));
  });

  it('begins with what comes after it, unless told otherwise', async () => {
    const out = new Kept();
    const notes = new Kept();
    const tailing = tail(
      { stream, count: 1 },
      { client: kinesis.client, signal: new AbortController().signal, out, notes },
    );
    while (notes.text === '') await new Promise((resolve) => setImmediate(resolve));
    await put('new');
    await tailing;
    assert.equal(out.text, 'new\n');
  });

  it('fails when there is no such stream', async () => {
    await assert.rejects(run({ stream: 'missing' }), {
      code: 'STREAM_MISSING',
      message: /"missing" in us-east-1\. Nothing more was read\. Create the stream, or correct --stream/,
    });
  });

  it('fails when Kinesis cannot be reached, and says what to check', async () => {
    const client = new KinesisClient({ ...EMULATOR, endpoint: 'http://127.0.0.1:1', maxAttempts: 1 });
    const failing = tail(
      { stream },
      { client, signal: new AbortController().signal, out: new Kept(), notes: new Kept() },
    );
    await assert.rejects(failing, {
      name: 'STREAM_UNREADABLE',
      message:
        /"tailed" in us-east-1 failed: .*ECONNREFUSED.*\. Nothing more was read\. Check the region, the endpoint/,
    });
    client.destroy();
  });

  const command = fileURLToPath(new URL('../../bin/pg2kinesis.ts', import.meta.url));
  const env = () => ({
    PATH: process.env['PATH'],
    AWS_ENDPOINT_URL: kinesis.endpoint,
    AWS_REGION: EMULATOR.region,
    AWS_ACCESS_KEY_ID: EMULATOR.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: EMULATOR.credentials.secretAccessKey,
  });

  it('is a command, which Ctrl-C ends', async () => {
    const child = spawn(process.execPath, [command, 'tail', '--stream', stream, '--from', 'trim-horizon'], {
      env: env(),
    });
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      text += String(chunk);
      // Once: a second one, while the first is obeyed, ends it as any program.
      if (text.includes('INSERT') && !child.killed) child.kill('SIGINT');
    }
    const status = child.exitCode ?? ((await once(child, 'close')) as [number])[0];
    assert.equal(status, 0);
    assert.ok(text.startsWith('first\nsécond\n'), text);
  });

  it('ends when nobody reads it any more', async () => {
    const child = spawn(process.execPath, [command, 'tail', '--stream', stream, '--from', 'latest'], { env: env() });
    await once(child.stderr, 'data');
    child.stdout.destroy();
    const closed = once(child, 'close') as Promise<[number]>;
    while (child.exitCode === null) {
      await put('into the void');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal((await closed)[0], 0);
  });
});
