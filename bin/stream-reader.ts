/**
 * Reads a Kinesis data stream as a consumer does: all shards at once, a resharded one's children after their parents,
 * within the service's limits. Knows neither PostgreSQL nor what the records hold.
 */
import { setTimeout as wait } from 'node:timers/promises';
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
} from '@aws-sdk/client-kinesis';
import { describe, transientKind } from '../lambda/kinesis/classify.ts';
import { renewClient } from '../lambda/kinesis/client.ts';
import { PageSize } from './page-size.ts';

/** Where reading begins: at what is written from now on, or at the oldest record that is kept. */
export type StartAt = 'latest' | 'trim-horizon';

/** A Kinesis record, still aggregated. */
export interface StreamRecord {
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  readonly data: Buffer;
  /** When the stream took it, milliseconds since 1970. */
  readonly arrivedMs: number;
}

/** Where reading a shard begins; `at`: with this record, which is read again. `ended`: nothing of it is needed. */
export type StartPosition = StartAt | 'ended' | { readonly at: string };

/** Where each shard is read from, and when. */
export interface ShardPlan {
  /** Told of each shard that the stream has. */
  addShard(id: string, parents: readonly string[]): void;
  /** Told once which these are at the beginning. */
  checkShards(ids: ReadonlySet<string>): void;
  /** Whether it may be read by now. */
  isReadable(id: string): boolean;
  start(id: string): StartPosition;
  /** Told that a shard is closed and was read to its end. */
  onEnd(id: string): void;
  /** Told that a shard was read up to where it ends for now. */
  onTip(id: string): void;
  /** What an error of reading a shard means. */
  translateError(id: string, error: unknown): unknown;
}

/** What to read and until when. */
export interface ReadOptions {
  readonly client: KinesisClient;
  /** The stream's name or ARN. */
  readonly stream: string;
  readonly from: StartAt;
  /** Stops reading at once. */
  readonly signal: AbortSignal;
  /** Stops reading once everything is read that was in the stream when it aborted. */
  readonly finish?: AbortSignal;
  /** Called once, when all shards begun with have their position: what is written from then on is read. */
  readonly onReady?: () => void;
  /** Where each shard is read from. @default `from`, and children after their parents */
  readonly plan?: ShardPlan;
  /** Called with each record, a shard's in their order, and awaited. What it throws ends the reading. */
  readonly onRecord: (record: StreamRecord) => unknown;
  /** Called after each answer, and awaited. @param behindMs - how far behind the shard's tip it ends */
  readonly onPage?: (shardId: string, behindMs: number) => unknown;
  /** Called before each wait for a service that does not answer as it should. @param why - never the answer's text */
  readonly onWait?: (why: string, ms: number) => void;
  /** Waits; ends early when aborted. @default the process's timers */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** A shard takes five GetRecords a second, of all its readers together. */
const PACE_MS = 250;
/** How long to wait after an empty answer at the shard's tip. */
const IDLE_MS = 500;
/** The first wait after a refused call, doubled up to the last. */
const BACKOFF_MS = { first: 250, last: 8_000 } as const;

/**
 * Reads a stream until it is told to stop.
 *
 * @param options - what to read, and what to do with it
 * @returns when `signal` aborted, or everything is read after `finish`, or all shards are closed and read
 * @throws {Error} what the service refused for good, or what `onRecord` threw; all shards have then stopped
 */
export async function readStream(options: ReadOptions): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const reader: Reader = {
    ...options,
    signal,
    state: { answered: false, renewed: false },
    sleep: options.sleep ?? pause,
    woken: options.finish === undefined ? signal : AbortSignal.any([signal, options.finish]),
    name: options.stream.startsWith('arn:') ? { StreamARN: options.stream } : { StreamName: options.stream },
  };
  const { plan } = options;
  const known = new Map<string, Shard>();
  const know = (shard: Shard): void => {
    known.set(shard.ShardId ?? '', shard);
    plan?.addShard(shard.ShardId ?? '', parentsOf(shard));
  };
  const shards = await listShards(reader);
  // Half a list would say that shards are gone.
  if (shards === undefined) return;
  for (const shard of shards) {
    const open = shard.SequenceNumberRange?.EndingSequenceNumber === undefined;
    if (options.from === 'trim-horizon' || open) know(shard);
  }
  plan?.checkShards(new Set(known.keys()));
  const started = new Set<string>();
  const ended = new Set<string>();
  let running = 0;
  let unplaced = 0;
  let ready = false;
  let failure: unknown;

  await new Promise<void>((resolve) => {
    /** Starts each known shard whose parents, where they are read at all, have been read to their end. */
    const isReadable = (id: string, shard: Shard): boolean =>
      plan === undefined
        ? parentsOf(shard).every((parent) => !known.has(parent) || ended.has(parent))
        : plan.isReadable(id);
    const startReady = (from: StartAt): void => {
      for (const [id, shard] of known) {
        if (started.has(id) || signal.aborted || !isReadable(id, shard)) continue;
        started.add(id);
        const begin = plan?.start(id) ?? from;
        if (begin === 'ended') {
          ended.add(id);
          continue;
        }
        running++;
        unplaced++;
        readShard(reader, id, begin, () => {
          if (--unplaced > 0 || ready) return;
          ready = true;
          options.onReady?.();
        })
          .then(async (closed) => {
            if (!closed) return;
            ended.add(id);
            plan?.onEnd(id);
            for (const child of (await listShards(reader)) ?? []) {
              if (parentsOf(child).some((parent) => known.has(parent))) know(child);
            }
            // A child holds nothing older than its parents' end: from its beginning, whatever was asked for.
            startReady('trim-horizon');
          })
          .catch((error: unknown) => {
            failure ??= plan?.translateError(id, error) ?? error;
            failed.abort();
          })
          .finally(() => {
            if (--running === 0) resolve();
          });
      }
      if (running === 0) resolve();
    };
    startReady(options.from);
  });
  if (failure !== undefined)
    throw failure instanceof Error ? failure : new Error('Reading the stream failed.', { cause: failure });
}

interface Reader extends ReadOptions {
  readonly state: {
    /** Whether the service has answered at all. */
    answered: boolean;
    /** Whether credentials were read anew, and have not been accepted since. */
    renewed: boolean;
  };
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly name: { readonly StreamARN: string } | { readonly StreamName: string };
  /** Ends a wait: `signal` or `finish`. */
  readonly woken: AbortSignal;
}

/** A split's child has one parent, a merger's has two. */
function parentsOf(shard: Shard): string[] {
  return [shard.ParentShardId, shard.AdjacentParentShardId].filter((parent) => parent !== undefined);
}

/** Reads one shard. @returns whether it is closed and read to its end; false: told to stop before */
async function readShard(
  reader: Reader,
  shardId: string,
  from: Exclude<StartPosition, 'ended'>,
  placed: () => void,
): Promise<boolean> {
  let position: Position =
    typeof from === 'object'
      ? { ShardIteratorType: 'AT_SEQUENCE_NUMBER', StartingSequenceNumber: from.at }
      : { ShardIteratorType: from === 'latest' ? 'LATEST' : 'TRIM_HORIZON' };
  let iterator = await iteratorAt(reader, shardId, position);
  const size = new PageSize();
  placed();
  while (iterator !== undefined) {
    // Looked at before the call: what was in the stream by then is in the answer, or the answer says there is more.
    const finishing = reader.finish?.aborted === true;
    const at = iterator;
    const page = await attempt(reader, () =>
      reader.client.send(new GetRecordsCommand({ ShardIterator: at, Limit: size.limit(performance.now()) })),
    );
    if (page === undefined) return false;
    if (page === 'expired') {
      iterator = await iteratorAt(reader, shardId, position);
      continue;
    }
    const records = page.Records ?? [];
    const bytes = records.reduce((sum, { Data }) => sum + (Data?.length ?? 0), 0);
    for (const record of records) {
      if (reader.signal.aborted) return false;
      const taken = reader.onRecord({
        shardId,
        sequenceNumber: record.SequenceNumber ?? '',
        partitionKey: record.PartitionKey ?? '',
        data: bytesOf(record.Data),
        arrivedMs: record.ApproximateArrivalTimestamp?.getTime() ?? 0,
      });
      if (taken instanceof Promise) await taken;
      position = { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: record.SequenceNumber };
    }
    const behindMs = page.MillisBehindLatest ?? 0;
    size.take({ records: records.length, bytes, behindMs, nowMs: performance.now() });
    const paged = reader.onPage?.(shardId, behindMs);
    if (paged instanceof Promise) await paged;
    if (page.NextShardIterator === undefined) return true;
    iterator = page.NextShardIterator;
    const atTip = records.length === 0 && behindMs === 0;
    if (atTip) reader.plan?.onTip(shardId);
    if (atTip && finishing) return false;
    await reader.sleep(atTip ? IDLE_MS : PACE_MS, finishing ? reader.signal : reader.woken);
    if (reader.signal.aborted) return false;
  }
  return false;
}

/** The bytes as a Buffer, without a copy. */
function bytesOf(data: Uint8Array = new Uint8Array()): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

type Position = Pick<GetShardIteratorCommandInput, 'ShardIteratorType' | 'StartingSequenceNumber'>;

async function iteratorAt(reader: Reader, shardId: string, position: Position): Promise<string | undefined> {
  const answer = await attempt(reader, () =>
    reader.client.send(new GetShardIteratorCommand({ ...reader.name, ShardId: shardId, ...position })),
  );
  return answer === undefined || answer === 'expired' ? undefined : answer.ShardIterator;
}

/** @returns undefined when told to stop meanwhile */
async function listShards(reader: Reader): Promise<Shard[] | undefined> {
  const shards: Shard[] = [];
  let token: string | undefined;
  do {
    const page = await attempt(reader, () =>
      reader.client.send(new ListShardsCommand(token === undefined ? reader.name : { NextToken: token })),
    );
    if (page === undefined || page === 'expired') return undefined;
    shards.push(...(page.Shards ?? []));
    token = page.NextToken;
  } while (token !== undefined);
  return shards;
}

/**
 * Calls, and calls again while what the service says passes, by the lists and statuses that the publisher goes by.
 * Before its first answer nothing is known to be there at all: then no connection is a failure. Credentials that are
 * refused are read anew, once until they are accepted.
 *
 * @returns undefined when told to stop meanwhile
 */
async function attempt<T>(reader: Reader, call: () => Promise<T>): Promise<T | 'expired' | undefined> {
  for (
    let backoff: number = BACKOFF_MS.first;
    !reader.signal.aborted;
    backoff = Math.min(backoff * 2, BACKOFF_MS.last)
  ) {
    try {
      const answer = await call();
      reader.state.answered = true;
      reader.state.renewed = false;
      return answer;
    } catch (error) {
      const name = error instanceof Error ? error.name : '';
      if (name === 'ExpiredIteratorException') return 'expired';
      const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
      const status = $metadata?.httpStatusCode;
      if (transientKind(error) === undefined) {
        if (name === 'ResourceNotFoundException' || reader.state.renewed) throw error;
        reader.state.renewed = true;
        await renewClient(reader.client).catch(() => undefined);
        continue;
      }
      if (status === undefined && !reader.state.answered) throw error;
      reader.onWait?.(describe(error), backoff);
      await reader.sleep(backoff, reader.signal);
    }
  }
  return undefined;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => undefined);
}
