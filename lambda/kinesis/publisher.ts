/**
 * Publishes rounds: PutRecords and its retries, until every entry is acknowledged or time is up. Sends again only the
 * entries that failed, in their order; a round holds at most one Kinesis record of a lane, so this reorders none (I3).
 * Knows no PostgreSQL, and nothing of what the records hold.
 */
import { type KinesisClient, PutRecordsCommand, type PutRecordsResultEntry } from '@aws-sdk/client-kinesis';
import { PipelineError } from '../errors.ts';
import type { KinesisRecord, Round } from '../pack/round.ts';
import type { Published, Publisher } from '../ports/publisher.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import { classify, classifyEntry, describe, hasNoAnswer } from './classify.ts';
import { renewClient } from './client.ts';
import { addressOf, describeEndpoint, type RequestAddress } from './endpoint.ts';
import { RequestBody } from './request-body.ts';
import { withTimeout } from './with-timeout.ts';

/** What a publisher depends on. */
export interface PublisherOptions {
  /** A client without retries of its own; see `createKinesisClient`. */
  readonly client: KinesisClient;
  /** The stream's name or ARN. */
  readonly stream: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How long one request may take, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/** The longest first wait, in milliseconds: many failures are gone at once. */
const FIRST_BACKOFF_MS = 50;

/** The longest wait, in milliseconds: a shard's capacity comes back every second. */
const MAX_BACKOFF_MS = 5_000;

/** The shortest time-out worth beginning a request with, in milliseconds. */
const MIN_REQUEST_MS = 1_000;

/** What became of one request's entries. */
interface Attempt {
  /** The entries that are not acknowledged, in their order. */
  readonly failed: readonly KinesisRecord[];
  readonly throttled: number;
  /** Why, for messages; undefined when none failed. */
  readonly failure: string | undefined;
  /**
   * Whether the connection and the credentials are renewed, which may have become old in a process that lives long. `must`:
   * without that the refusal is final. `may`: the request is sent again anyway.
   */
  readonly renew?: { readonly kind: 'must'; readonly otherwise: PipelineError } | { readonly kind: 'may' };
}

/**
 * Makes a publisher.
 *
 * @param options - see {@link PublisherOptions}
 * @returns the publisher; it sends one request at a time
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { clock, log } = options;
  const body = new RequestBody();
  return {
    async publish(round: Round, deadline: number, signal: AbortSignal): Promise<Published> {
      // Less than this is not worth beginning a request with.
      const minRequestMs = Math.min(MIN_REQUEST_MS, options.requestTimeoutMs);
      let pending = round.entries;
      let throttledEntries = 0;
      let lastFailure: string | undefined;
      let ceiling = FIRST_BACKOFF_MS / 2;
      let renewed = false;
      while (pending.length > 0) {
        const left = deadline - clock.now();
        if (signal.aborted || left < minRequestMs) break;
        const attempt = await send(options, body, pending, Math.min(left, options.requestTimeoutMs));
        throttledEntries += attempt.throttled;
        if (attempt.renew !== undefined) {
          // Once: what is refused with what is new is refused for good.
          if (renewed && attempt.renew.kind === 'must') throw attempt.renew.otherwise;
          if (!renewed) await renew(options, Math.max(0, deadline - clock.now()), attempt.failure);
          renewed = true;
        }
        if (attempt.failure === undefined) {
          pending = [];
          break;
        }
        lastFailure = attempt.failure;
        const progress = attempt.failed.length < pending.length;
        pending = attempt.failed;
        log.debug('Entries are to be sent again.', { entries: pending.length, failure: lastFailure });
        // Full jitter. While some entries pass, the stream is at its capacity and not far beyond it: wait less, not more.
        ceiling = progress ? Math.max(FIRST_BACKOFF_MS, ceiling / 2) : Math.min(MAX_BACKOFF_MS, ceiling * 2);
        const wait = clock.random() * ceiling;
        if (clock.now() + wait + minRequestMs > deadline) break;
        await clock.sleep(wait, signal);
      }
      const complete = pending.length === 0;
      return { complete, throttledEntries, ...(lastFailure === undefined ? {} : { lastFailure }) };
    },
  };
}

/** Reads credentials anew and gives up old connections. Never fails: what is still wrong, the next request tells. */
async function renew(
  { client, log, requestTimeoutMs }: PublisherOptions,
  leftMs: number,
  failure: string | undefined,
): Promise<void> {
  log.info('AWS credentials and the connections to Kinesis are renewed, as they may be old.', { failure });
  await withTimeout(Math.min(leftMs, requestTimeoutMs), () => renewClient(client)).catch(() => undefined);
}

/** Sends one request and reads the answer. Resolves when it is no longer in flight. */
async function send(
  options: PublisherOptions,
  body: RequestBody,
  entries: readonly KinesisRecord[],
  timeoutMs: number,
): Promise<Attempt> {
  const { client, stream, log } = options;
  const parameter = stream.startsWith('arn:') ? { StreamARN: stream } : { StreamName: stream };
  const command = new PutRecordsCommand({ ...parameter, Records: [] });
  const content = body.write(parameter, entries);
  let host: string | undefined;
  // Behind the SDK's serialiser, before what measures and signs the body.
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { body: unknown } & RequestAddress;
      request.body = content;
      host = addressOf(request);
      return next(args);
    },
    { step: 'build', priority: 'high' },
  );
  let results: PutRecordsResultEntry[];
  try {
    const answer = await withTimeout(timeoutMs, (abortSignal) => client.send(command, { abortSignal }));
    results = answer.Records ?? [];
  } catch (error) {
    body.forget();
    const where = await describeEndpoint(client, host);
    const decision = classify(error, stream, where);
    const failure = hasNoAnswer(error) ? `${describe(error)} for "${stream}"${where}` : describe(error);
    if (decision instanceof PipelineError) {
      if (decision.code !== 'STREAM_ACCESS_DENIED') throw decision;
      return { failed: entries, throttled: 0, failure, renew: { kind: 'must', otherwise: decision } };
    }
    log.warn('A request to Kinesis failed and is to be sent again.', { failure, entries: entries.length, timeoutMs });
    const throttled = decision === 'throttled' ? entries.length : 0;
    return { failed: entries, throttled, failure, ...(hasNoAnswer(error) ? { renew: { kind: 'may' } } : {}) };
  }
  if (results.length !== entries.length) {
    const failure = `an answer about ${results.length} entries to a request of ${entries.length}`;
    log.warn('Kinesis answered about another number of entries than were sent; all are to be sent again.', { failure });
    return { failed: entries, throttled: 0, failure };
  }
  return readAnswer(entries, results, options, await describeEndpoint(client, host));
}

/** Which entries an answer acknowledges: those with a sequence number and no error. */
function readAnswer(
  entries: readonly KinesisRecord[],
  results: readonly PutRecordsResultEntry[],
  { stream, log }: PublisherOptions,
  where: string,
): Attempt {
  let throttled = 0;
  const codes = new Set<string>();
  const failed = entries.filter((_, i) => {
    const { ErrorCode: code, ErrorMessage: message, SequenceNumber: sequenceNumber } = results[i] ?? {};
    // Some servers write a success with an empty code beside it.
    if (!code && sequenceNumber !== undefined && sequenceNumber !== '') return false;
    const decision = classifyEntry(code, message, stream, where);
    if (decision instanceof PipelineError) throw decision;
    if (decision === 'throttled') throttled++;
    else if (code !== 'InternalFailure')
      log.warn('Kinesis refused an entry for a reason not known; it is sent again.', { code });
    codes.add(code === undefined || code === '' ? 'no sequence number' : code);
    return true;
  });
  return { failed, throttled, failure: failed.length === 0 ? undefined : [...codes].join(', ') };
}
