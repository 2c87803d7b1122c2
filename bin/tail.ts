/**
 * `pg2kinesis tail`: prints a stream's user records as they arrive, de-aggregated, whatever wrote them.
 * Knows no format and no PostgreSQL.
 */
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type StartAt, readStream } from './stream-reader.ts';
import { type UserRecord, lineRecords, userRecords } from './user-records.ts';

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
  readonly client?: KinesisClient;
  /** Ends it. @default the first SIGINT or SIGTERM */
  readonly signal?: AbortSignal;
  /** Where to print. */
  readonly out?: NodeJS.WritableStream;
}

/**
 * Prints a stream until its bound, its signal or Ctrl-C.
 *
 * @param options - which stream, from where, until when
 * @param environment - client, signal, output; the process's own unless given
 * @returns the exit status: 0
 */
export async function tail(options: TailOptions, environment: TailEnvironment = {}): Promise<number> {
  throw new Error("not built yet");
}
