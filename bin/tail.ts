/**
 * `pg2kinesis tail`: prints a stream's user records as they arrive, de-aggregated, whatever wrote them.
 * Knows no format and no PostgreSQL.
 */
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { compressionOf, lineRecords, type UserRecord, userRecords } from '../lib/consumer/deaggregate.ts';
import { ReadError, readingClient, translateReadError } from './reading-client.ts';
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
 * @throws {PipelineError} STREAM_MISSING, STREAM_ACCESS_DENIED, CONFIG_INVALID
 * @throws {ReadError} STREAM_UNREADABLE, RECORD_UNUSABLE
 * @example await tail({ stream: 'pg2kinesis', from: 'trim-horizon', count: 10 })
 */
export async function tail(options: TailOptions, environment: TailEnvironment = {}): Promise<number> {
  const out = environment.out ?? process.stdout;
  const notes = environment.notes ?? process.stderr;
  const client = environment.client ?? readingClient(options.stream);
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
    throw await translateReadError(error, options.stream, client);
  } finally {
    clearTimeout(timer);
    if (ownSignals) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    if (environment.client === undefined) client.destroy();
  }
  return 0;
}

/** @throws {ReadError} RECORD_UNUSABLE */
function unpack(record: StreamRecord): UserRecord[] {
  try {
    return unpackRecord(record);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
    throw new ReadError(
      'RECORD_UNUSABLE',
      `The record ${record.sequenceNumber} of ${record.shardId} cannot be unpacked: ${why}. Nothing more was read.`,
      error,
    );
  }
}

/** User records, and lines where they cannot be anything else: our own formats have line breaks in `csv` only. */
function unpackRecord(record: StreamRecord): UserRecord[] {
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
