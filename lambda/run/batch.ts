/**
 * Publishes one peek after another: messages through `batch-reader.ts` into the transformation, rounds through the queue, and what
 * Kinesis has acknowledged into the run's progress. Ports in; knows no SQL and no SDK.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import type { ResumePosition } from '../decode/resume-position.ts';
import { PeekTooLargeError, ServerDecodingError } from '../peek-errors.ts';
import type { Peek } from '../ports/slot.ts';
import type { AckPosition } from '../transform/ack-position.ts';
import { AlterationOrder } from '../transform/alterations.ts';
import { type Counts, noCounts } from '../transform/counts.ts';
import { KeyHistoryCache } from '../transform/key-history-cache.ts';
import { SkippedLog } from '../transform/skipped-log.ts';
import { TablePolicies } from '../transform/table-policies.ts';
import { Transformer } from '../transform/transform.ts';
import type { Batch, BatchParts, BatchPorts, PeekRequest } from './batch-ports.ts';
import { BatchReader } from './batch-reader.ts';
import { CatalogWaits } from './catalog-waits.ts';
import { PublishQueue } from './publish-queue.ts';

/** Two rounds as slow as the slowest so far must fit between the end of reading and the end of sending. */
const RESERVED_ROUNDS = 2;
/** A publisher begins no request with less than a second left: reading ends before that, not because of it. */
const MIN_ROUND_MS = 1_000;

/** Reads batches. Its progress is that of the whole run. */
export class BatchProcessor {
  /** Everything that was acknowledged, or skipped and counted, so far. */
  counts: Counts = noCounts();
  /** The newest boundary (I2). */
  boundary: Lsn | undefined;
  /** How far inside which transaction the run has come; undefined at a boundary. */
  progress: AckPosition['progress'];
  /** Where to go on inside the first transaction. Set before the first batch. */
  resume: ResumePosition | undefined;
  /** The transaction before which the last batch ended, because it is not over (I11). */
  pendingCommit: Transaction | undefined;

  readonly #parts: BatchParts;
  readonly #ports: BatchPorts;
  readonly #policies: TablePolicies;
  readonly #keyHistory: KeyHistoryCache;
  readonly #alterations = new AlterationOrder();
  readonly #skippedLog: SkippedLog;
  readonly #waits: CatalogWaits;
  readonly #queue: PublishQueue;
  #transformer: Transformer | undefined;
  #oldest: bigint | undefined;

  /** Commit time of the first transaction that is not published whole, as far as the newest batch was read. */
  get oldestUnpublishedMicros(): bigint | undefined {
    return this.#oldest;
  }

  /** How long the run has waited for the catalogs alone. */
  get catalogMs(): number {
    return this.#waits.ms;
  }

  /**
   * @param parts - what is to be published, and how
   * @param ports - what it works with
   */
  constructor(parts: BatchParts, ports: BatchPorts) {
    this.#parts = parts;
    this.#ports = ports;
    this.#policies = new TablePolicies(ports.session.keys, parts.filters);
    this.#keyHistory = new KeyHistoryCache(this.#policies);
    this.#skippedLog = new SkippedLog(ports.log, ports.warmState.loggedTables);
    this.#waits = new CatalogWaits({
      ...ports,
      keyHistory: this.#keyHistory,
      policies: this.#policies,
      alterations: this.#alterations,
      deadline: () => this.readingDeadline(),
    });
    this.#queue = new PublishQueue({
      publisher: ports.publisher,
      clock: ports.clock,
      signal: ports.session.lost,
      deadline: ports.sendingDeadline,
      acknowledged: (round, position) => {
        this.#acknowledge(position);
        parts.packer.release(round);
        const done = ports.marks === undefined ? this.boundary : ports.marks.acknowledgedLsn;
        if (done !== undefined) ports.advancer.advanceIfWorthwhile(done);
        ports.onAcknowledged();
      },
    });
  }

  /** Entries that Kinesis refused because the stream lacks capacity. */
  get throttledEntries(): number {
    return this.#queue.throttledEntries;
  }

  /** Why nothing more can be sent; undefined: it can. */
  get refused(): PublishQueue['stopped'] {
    return this.#queue.stopped;
  }

  /** What the last refusal of a request or entry was, of a round that was not taken whole. */
  get lastFailure(): string | undefined {
    return this.#queue.lastFailure;
  }

  /** @returns milliseconds since 1970: when to take on no more work (I7) */
  readingDeadline(): number {
    return this.#ports.sendingDeadline() - RESERVED_ROUNDS * Math.max(MIN_ROUND_MS, this.#queue.slowestMs);
  }

  /**
   * Reads one peek and publishes what it holds.
   *
   * @param request - which peek
   * @returns what became of it, no request in flight
   * @throws {PipelineError} what an operator can act on; everything before it was sent, and is acknowledged or not as
   *   `counts` and `boundary` say
   */
  async process(request: PeekRequest): Promise<Batch | PeekTooLargeError | ServerDecodingError> {
    const { session } = this.#ports;
    const peek = request.peek ?? session.slot.peek(request.upto, request.rows, request.timeoutMs);
    this.#beginBatch();
    const transformer = this.#theTransformer();
    try {
      // Read the catalogs only after the peek was sent: a key that was made in between would be missed.
      const fresh = this.#waits.refresh();
      fresh.catch(() => undefined);
      const reader = this.#readerOf(peek, request, transformer);
      const ended = await reader.read(fresh);
      this.pendingCommit = reader.pendingCommit;
      const isFull = request.rows !== undefined && peek.rows >= request.rows;
      if (ended === 'whole' && !isFull) this.#ports.marks?.readTo(request.upto);
      await this.#finish(transformer);
      if (session.lost.aborted) throw session.lost.reason;
      return {
        ended: this.#queue.stopped ?? ended,
        rows: peek.rows,
        firstRowMs: peek.firstRowMs ?? 0,
        boundary: this.boundary,
        oldestUnpublishedMicros: this.#oldest ?? this.pendingCommit?.commitTimeMicros,
      };
    } catch (error) {
      if (error instanceof PeekTooLargeError || error instanceof ServerDecodingError) {
        // Rows may have come before a cancellation took effect: no request of theirs may outlast this (I6).
        await this.#finish(transformer);
        transformer.breakOff();
        return error;
      }
      // What came before the failure is good: send it, so that what failed is the first thing left (skip-transaction).
      await this.#finish(transformer).catch(() => undefined);
      throw session.lost.aborted ? session.lost.reason : error;
    } finally {
      this.#skippedLog.report();
      await peek.close();
    }
  }

  /**
   * Sends marks outside of a batch, and waits for them.
   *
   * @param put - puts them into the lanes
   */
  async sendMarks(put: (transformer: Transformer) => Promise<void> | void): Promise<void> {
    const transformer = this.#theTransformer();
    await put(transformer);
    await this.#finish(transformer);
  }

  #theTransformer(): Transformer {
    return (this.#transformer ??= new Transformer({
      ...this.#parts,
      policies: this.#policies,
      keyHistory: this.#keyHistory,
      alterations: this.#alterations,
      skippedLog: this.#skippedLog,
      resume: this.resume,
      snapshots: this.#ports.snapshots?.rows,
    }));
  }

  #readerOf(peek: Peek, request: PeekRequest, transformer: Transformer): BatchReader {
    const parts = {
      ...this.#ports,
      transformer,
      policies: this.#policies,
      keyHistory: this.#keyHistory,
      waits: this.#waits,
      boundary: this.boundary,
      onBegin: ({ commitTimeMicros }: Transaction) => void (this.#oldest ??= commitTimeMicros),
      send: () => this.#send(transformer),
      sendAll: () => this.#sendAll(transformer),
    };
    return new BatchReader(parts, peek, request);
  }

  #beginBatch(): void {
    this.#oldest = undefined;
    this.pendingCommit = undefined;
    this.#keyHistory.clear();
    this.#waits.beginBatch();
  }

  /** Sends the rounds that are full. @returns false when no more can be sent */
  async #send(transformer: Transformer): Promise<boolean> {
    for (const { round, position } of transformer.closed) await this.#queue.send(round, position);
    transformer.closed.length = 0;
    return this.#queue.canSend;
  }

  /** Sends everything that was taken, and waits for it. @returns false when not all of it is acknowledged */
  async #sendAll(transformer: Transformer): Promise<boolean> {
    try {
      transformer.flush();
      await this.#send(transformer);
    } finally {
      await this.#queue.waitUntilIdle();
    }
    await this.#queue.waitForAcknowledgement();
    return this.#queue.canSend;
  }

  /** The end of a batch: marks, and then everything taken is acknowledged, unless the queue was stopped. */
  async #finish(transformer: Transformer): Promise<void> {
    let isSent: boolean;
    try {
      this.#ports.marks?.ended(transformer);
    } finally {
      isSent = await this.#sendAll(transformer);
    }
    if (!isSent) return;
    this.#acknowledge(transformer.ackPosition());
    this.#ports.snapshots?.acknowledged();
  }

  #acknowledge(position: AckPosition): void {
    this.counts = position.counts;
    this.boundary = position.boundary ?? this.boundary;
    this.progress = position.progress;
    this.#ports.marks?.acknowledged(position);
    this.#oldest = position.openTransaction?.commitTimeMicros;
  }
}
