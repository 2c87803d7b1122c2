/**
 * An embedded Kinesis, for tests and the demo: the emulator kinesis-local as a child process, on a free port of the
 * loopback interface, in memory only. Knows nothing of what is published.
 *
 * The child never outlives its parent: it ends when the IPC channel closes, which the operating system sees to even
 * when the parent is killed.
 *
 * @see https://github.com/etspaceman/kinesis-mock
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  type Shard,
} from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** A record as a consumer gets it. Kinesis does not tell consumers the explicit hash key: the shard shows it. */
export interface StoredRecord {
  readonly shardId: string;
  readonly partitionKey: string;
  readonly data: Buffer;
  readonly sequenceNumber: string;
}

/** A running emulator. */
export interface EmbeddedKinesis {
  /** Plain HTTP, for example `http://127.0.0.1:40123`. */
  readonly endpoint: string;
  /** A client of it. */
  readonly client: KinesisClient;
  /**
   * Makes a stream and waits until it is active.
   *
   * @param name - the stream's name
   * @param shards - how many, 1 or more
   * @returns its ARN
   */
  createStream(name: string, shards: number): Promise<string>;
  /** @returns the shards of a stream, closed ones too */
  shards(name: string): Promise<Shard[]>;
  /** @returns all records of a stream, shard by shard, each shard's in the order of its sequence numbers */
  readAll(name: string): Promise<StoredRecord[]>;
  /** Ends the emulator, and resolves when its process is gone. Safe to call twice. */
  stop(): Promise<void>;
}

/** The region and credentials that clients of the emulator use; it accepts any. */
export const EMULATOR = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'emulator', secretAccessKey: 'emulator' },
} as const;

/** The ports that the child is told; names for its two servers, never bound. */
const NOMINAL = { tls: '1', plain: '2' } as const;

/**
 * What the child runs. Whatever port kinesis-local asks for, its servers get a free one from the operating system, on
 * the loopback interface only; the port of the plain one is sent to the parent. So no port is chosen before it is bound,
 * and two test files never race for one.
 */
const CHILD = `
const net = require('node:net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  if (args[0] === ${NOMINAL.plain}) this.once('listening', () => process.send({ port: this.address().port }));
  return listen.call(this, 0, '127.0.0.1', args.at(-1));
};
process.on('disconnect', () => process.exit(0));
require(process.env.PG2KINESIS_EMULATOR);
`;

const STREAM_CHANGE = '0ms';

/** How much of the child's output is kept for an error's text, in characters. */
const TAIL = 2000;

/**
 * Starts an emulator.
 *
 * @param options - `timeoutMs`: how long it may take to listen
 * @returns the running emulator; end it with `stop`
 * @throws {Error} when it ended or did not listen in time; nothing is left running
 */
export async function startKinesis(options: { readonly timeoutMs?: number } = {}): Promise<EmbeddedKinesis> {
  const main = createRequire(import.meta.url).resolve('kinesis-local');
  const child = spawn(process.execPath, ['-e', CHILD], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A process group of its own: Ctrl-C in the demo is the parent's to handle, which still reads the stream after it.
    detached: true,
    windowsHide: true,
    env: {
      PATH: process.env.PATH,
      PG2KINESIS_EMULATOR: main,
      KINESIS_MOCK_CERT_PATH: join(dirname(main), 'server.json'),
      KINESIS_MOCK_TLS_PORT: NOMINAL.tls,
      KINESIS_MOCK_PLAIN_PORT: NOMINAL.plain,
      LOG_LEVEL: 'ERROR',
      SHARD_LIMIT: '10000',
      SHOULD_PERSIST_DATA: 'false',
      CREATE_STREAM_DURATION: STREAM_CHANGE,
      DELETE_STREAM_DURATION: STREAM_CHANGE,
      SPLIT_SHARD_DURATION: STREAM_CHANGE,
      MERGE_SHARDS_DURATION: STREAM_CHANGE,
      UPDATE_SHARD_COUNT_DURATION: STREAM_CHANGE,
    },
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const end = async () => {
    process.off('exit', kill);
    child.ref();
    kill();
    await exited;
  };

  let port: number;
  try {
    port = await listening(child, options.timeoutMs ?? 60_000);
  } catch (error) {
    await end();
    throw error;
  }
  // A test that forgot to stop it can still end.
  child.unref();
  child.channel?.unref();

  const endpoint = `http://127.0.0.1:${port}`;
  const client = new KinesisClient({
    ...EMULATOR,
    endpoint,
    requestHandler: new NodeHttpHandler({ connectionTimeout: 10_000, requestTimeout: 60_000 }),
  });
  let stopped: Promise<void> | undefined;
  return {
    endpoint,
    client,
    createStream: (name, shards) => createStream(client, name, shards),
    shards: (name) => listShards(client, name),
    readAll: (name) => readAll(client, name),
    stop: () => {
      client.destroy();
      return (stopped ??= end());
    },
  };
}

/** Resolves with the child's port once it listens; rejects when it ends first or takes too long. */
function listening(child: ChildProcess, timeoutMs: number): Promise<number> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-TAIL)));
    // The pipes are read to the end, so that the child never blocks, but do not keep this process alive.
    if (stream !== null && 'unref' in stream) (stream as unknown as { unref(): void }).unref();
  }
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      clearTimeout(timer);
      reject(new Error(`The embedded Kinesis (kinesis-local) ${what}. It said: ${output.trim() || 'nothing'}`));
    };
    const timer = setTimeout(() => fail(`did not listen within ${timeoutMs} ms`), timeoutMs);
    child.once('error', (error) => fail(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => fail(`ended at its start with ${signal ?? `status ${code}`}`));
    child.on('message', (message) => {
      clearTimeout(timer);
      resolve((message as { port: number }).port);
    });
  });
}

async function createStream(client: KinesisClient, name: string, shards: number): Promise<string> {
  await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }));
  // The demo and slow machines: as long as it takes, up to half a minute.
  for (let attempt = 0; attempt < 600; attempt++) {
    const { StreamDescriptionSummary: summary } = await client.send(
      new DescribeStreamSummaryCommand({ StreamName: name }),
    );
    if (summary?.StreamStatus === 'ACTIVE' && summary.StreamARN !== undefined) return summary.StreamARN;
    await sleep(50);
  }
  throw new Error(`The embedded Kinesis did not make the stream "${name}" active within 30 s.`);
}

async function listShards(client: KinesisClient, name: string): Promise<Shard[]> {
  const shards: Shard[] = [];
  let next: string | undefined;
  do {
    const page = await client.send(
      new ListShardsCommand(next === undefined ? { StreamName: name } : { NextToken: next }),
    );
    shards.push(...(page.Shards ?? []));
    next = page.NextToken;
  } while (next !== undefined);
  return shards;
}

async function readAll(client: KinesisClient, name: string): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for (const { ShardId: shardId = '' } of await listShards(client, name)) {
    const { ShardIterator: first } = await client.send(
      new GetShardIteratorCommand({ StreamName: name, ShardId: shardId, ShardIteratorType: 'TRIM_HORIZON' }),
    );
    let iterator = first;
    while (iterator !== undefined) {
      const page = await client.send(new GetRecordsCommand({ ShardIterator: iterator }));
      for (const { PartitionKey, Data, SequenceNumber } of page.Records ?? []) {
        records.push({
          shardId,
          partitionKey: PartitionKey ?? '',
          data: Buffer.from(Data ?? []),
          sequenceNumber: SequenceNumber ?? '',
        });
      }
      const caughtUp = page.MillisBehindLatest === 0 && (page.Records ?? []).length === 0;
      iterator = caughtUp ? undefined : page.NextShardIterator;
    }
  }
  return records;
}
