/**
 * `pg2kinesis tail`: prints a stream's user records as they arrive, de-aggregated, whatever wrote them.
 * Knows no format and no PostgreSQL.
 */
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type ErrorCode, PipelineError } from '../lambda/errors.ts';
import { refusalKind, remedyOf } from '../lambda/kinesis/refusals.ts';
import { compressionOf, lineRecords, type UserRecord, userRecords } from '../lib/consumer/deaggregate.ts';
import { readStream, type StartAt, type StreamRecord } from './stream-reader.ts';

/** What to print, and until when. */
export interface TailOptions {
  /** The stream's name or ARN. */
  readonly stream: string;
  /** Where to begin. @default 'latest' */
  readonly from?: StartAt;
  /** One JSON object a record, with its shard, sequence number and keys, instead of its data alone. @default false */
  readonly json?: boolean;
  /** End after so many records, 1 or more. @default until interrupted */
  readonly count?: number;
  /** End after so many seconds. @default until interrupted */
  readonly seconds?: number;
}

/** What a tail acts on; the process's own unless given. */
export interface TailEnvironment {
  /** @default one made of the AWS_* variables, in the region of a stream's ARN */
  readonly client?: KinesisClient;
  /** Ends it, beside the options. @default the first SIGINT or SIGTERM, and a reader of the output that went away */
  readonly signal?: AbortSignal;
  /** Where to print. @default the standard output */
  readonly out?: NodeJS.WritableStream;
  /** Where to say what is going on. @default the standard error */
  readonly notes?: NodeJS.WritableStream;
}

/**
 * Prints a stream until its bound, its signal or Ctrl-C.
 *
 * @param options - which stream, from where, until when
 * @param environment - client, signal, output
 * @returns the exit status: 0
 * @throws {PipelineError} STREAM_MISSING
 * @throws {Error} what else the service refused for good, and what to look at
 * @example await tail({ stream: 'pg2kinesis', from: 'trim-horizon', count: 10 })
 */
export async function tail(options: TailOptions, environment: TailEnvironment = {}): Promise<number> {
  const out = environment.out ?? process.stdout;
  const notes = environment.notes ?? process.stderr;
  const client = environment.client ?? kinesisClient(options.stream);
  const done = new AbortController();
  const stop = (): void => done.abort();
  const timer = options.seconds === undefined ? undefined : setTimeout(stop, options.seconds * 1000);
  const ownSignals = environment.signal === undefined;
  if (ownSignals) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  // `tail | head` closes our output: that is an end, not a failure, also when we hear of it late.
  out.on('error', stop);
  let left = options.count ?? Number.POSITIVE_INFINITY;
  try {
    await readStream({
      client,
      stream: options.stream,
      from: options.from ?? 'latest',
      signal: environment.signal === undefined ? done.signal : AbortSignal.any([done.signal, environment.signal]),
      onReady: () => notes.write(`Reading ${options.stream} from ${options.from ?? 'latest'}.\n`),
      onWait: (why, ms) => notes.write(`Kinesis: ${why}. Trying again in ${ms / 1000} s.\n`),
      onRecord: (record) => {
        for (const user of unpack(record)) {
          out.write(`${options.json === true ? described(record, user) : user.data.toString()}\n`);
          if (--left <= 0) return stop();
        }
      },
    });
  } catch (error) {
    throw await told(error, options.stream, client);
  } finally {
    clearTimeout(timer);
    if (ownSignals) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    if (environment.client === undefined) client.destroy();
  }
  return 0;
}

/** What made the reading fail, in words to act on. The remedies in `lambda/errors.ts` are for writing. */
async function told(error: unknown, stream: string, client: KinesisClient): Promise<Error> {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const region = await client.config.region().catch(() => undefined);
  const failed = (code: ErrorCode, what: string, remedy: string): PipelineError =>
    new PipelineError(code, `${what} Nothing more was read.`, { cause: error, remedy });
  if (region === undefined) {
    return failed(
      'CONFIG_INVALID',
      `There is no AWS region for the stream "${stream}".`,
      'Set AWS_REGION, or give --stream as an ARN.',
    );
  }
  if (name === 'ResourceNotFoundException') {
    return failed(
      'STREAM_MISSING',
      `Kinesis has no stream "${stream}" in ${region}.`,
      'Create the stream, or correct --stream (STREAM_NAME where it is not given) and the region.',
    );
  }
  const refusal = refusalKind(name);
  if (refusal !== undefined) {
    return failed(
      'STREAM_ACCESS_DENIED',
      `Reading the stream "${stream}" in ${region} was refused (${name}).`,
      remedyOf(refusal) ?? 'Grant kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords on the stream.',
    );
  }
  return new Error(
    `Reading the stream "${stream}" in ${region} failed: ${name === 'Error' ? '' : `${name}: `}${message.replace(/\.$/, '')}. Check the region, the endpoint, and the way to Kinesis.`,
    { cause: error },
  );
}

/** User records, and lines where they cannot be anything else: our own formats have line breaks in `csv` only. */
function unpack(record: StreamRecord): UserRecord[] {
  const users = userRecords(record);
  const [only] = users;
  if (only !== undefined && compressionOf(record.data) !== undefined) return lineRecords(only);
  const lines =
    only !== undefined && only.place === undefined && /^(\{|0,CDC,\{)/.test(only.data.toString('latin1', 0, 8));
  return lines ? lineRecords(only) : users;
}

/** One line that says all there is to say of a record. */
function described(record: StreamRecord, user: UserRecord): string {
  return JSON.stringify({
    shardId: record.shardId,
    sequenceNumber: record.sequenceNumber,
    ...(user.place === undefined ? {} : { subSequenceNumber: user.place }),
    partitionKey: user.partitionKey,
    ...(user.explicitHashKey === undefined ? {} : { explicitHashKey: user.explicitHashKey }),
    approximateArrival: new Date(record.arrivedMs).toISOString(),
    data: user.data.toString(),
  });
}

/**
 * A client that reads over HTTP/1.1, which every emulator speaks too.
 *
 * @param stream - the stream's name or ARN; an ARN's region is used
 */
function kinesisClient(stream: string): KinesisClient {
  const region = /^arn:[^:]+:kinesis:([^:]+):/.exec(stream)?.[1];
  return new KinesisClient({ ...(region === undefined ? {} : { region }), requestHandler: new NodeHttpHandler() });
}
