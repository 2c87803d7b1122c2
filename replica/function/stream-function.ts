/**
 * Applies the batches that Lambda gives it, each of one shard. Containers apply the shards side by side. Keeps one connection to
 * the target from one invocation to the next. Reads no environment.
 */
import type { KinesisStreamBatchResponse, KinesisStreamEvent } from 'aws-lambda';
import type pg from 'pg';
import type { Clock, Log } from '../../lambda/ports/runtime.ts';
import { closeGracefully, dropIfLate } from '../../lambda/postgres/close-connection.ts';
import type { Credentials, Login } from '../../lambda/postgres/credentials.ts';
import { ReplicaError } from '../errors.ts';
import { codeOf, connectTarget, type TargetConnection } from '../postgres/connection.ts';
import { refuseUnfit } from '../postgres/fast/fast-table-check.ts';
import { beginShared, PostgresFastTarget, prepareFastTables } from '../postgres/fast/fast-target.ts';
import { PositionStore } from '../postgres/position-store.ts';
import { PostgresTarget } from '../postgres/target.ts';
import { FastApplier, type FastOutcome } from '../rules/fast/fast-applier.ts';
import type { FunctionSettings } from './settings.ts';
import { answerOf, batchOf, type StreamBatch } from './stream-batch.ts';

/** Metrics of the function. */
export type StreamFunctionMetric =
  'ReplicaChanges' | 'ReplicaLagSeconds' | 'ReplicaWaiting' | 'ReplicaMissing' | 'ReplicaTruncated';

/** What a function works with. */
export interface StreamFunctionOptions {
  readonly settings: FunctionSettings;
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Log;
  readonly metric: (name: StreamFunctionMetric, value: number) => void;
}

/** After so long the target ends a transaction whose client is gone: it holds locks that others wait for. */
const ABANDONED_MS = 30_000;

/** An invocation's time by default: that of a `StreamReplica`'s function. */
const INVOCATION_MS = 300_000;
/** Parts of it. Who waits for a lock gives up first: then it is known what for. The last of it is for saying so. */
const LOCK_SHARE = 0.8;
const STATEMENT_SHARE = 0.9;
const WORK_SHARE = 0.95;
/** A target that does not begin a transaction within this time is gone, and has not said so. */
const BEGIN_MS = 5_000;

/** A connection, ready to apply. */
interface Ready {
  readonly connection: TargetConnection;
  readonly applier: FastApplier;
}

/** One container of the function. */
export class StreamFunction {
  readonly #options: StreamFunctionOptions;
  #ready: Ready | undefined;
  /** When the work of this invocation is to be over, milliseconds since 1970. */
  #endsMs = 0;

  constructor(options: StreamFunctionOptions) {
    this.#options = options;
  }

  /**
   * Applies a batch.
   *
   * @param event - what Lambda invokes with
   * @param remainingMs - when Lambda ends the process
   * @returns which record to begin with next time; none: all are done with
   * @throws {ReplicaError} where nothing of it was applied. It is given again
   */
  async invoke(event: KinesisStreamEvent, remainingMs = INVOCATION_MS): Promise<KinesisStreamBatchResponse> {
    this.#endsMs = this.#options.clock.now() + remainingMs * WORK_SHARE;
    const batch = batchOf(event);
    if (batch === undefined) return { batchItemFailures: [] };
    const outcome = await this.#apply(batch);
    this.#report(batch, outcome);
    return answerOf(batch, outcome.done);
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready !== undefined) await closeGracefully(ready.connection, this.#options.clock);
  }

  async #apply(batch: StreamBatch): Promise<FastOutcome> {
    const isReused = this.#ready !== undefined;
    try {
      return await this.#attempt(batch);
    } catch (error) {
      await this.close();
      // A container that was frozen for a while finds its connection gone. What was committed is a repeat now.
      if (!isReused || !(error instanceof ReplicaError) || error.code !== 'TARGET_UNREACHABLE') throw error;
      if (this.#leftMs <= 0) throw error;
      return await this.#attempt(batch);
    }
  }

  async #attempt({ streamArn, records }: StreamBatch): Promise<FastOutcome> {
    const { connection, applier } = await this.#connect(streamArn);
    return await this.#inTime(connection.client, applier.apply(records, undefined, this.#endsMs));
  }

  get #leftMs(): number {
    return this.#endsMs - this.#options.clock.now();
  }

  /** Waits for work on a connection, which is dropped when the time is over: a target may be gone without a word. */
  #inTime<T>(client: pg.Client, work: Promise<T>): Promise<T> {
    return dropIfLate(client, Math.max(0, this.#leftMs), this.#options.clock, work);
  }

  /** Limits statements, so that none goes on at the target when the process has been ended. @param scope - SET, or SET LOCAL */
  #limits(scope: string): string {
    const ms = (share: number): number => Math.max(1, Math.round((this.#leftMs / WORK_SHARE) * share));
    return `${scope} lock_timeout = ${ms(LOCK_SHARE)}; ${scope} statement_timeout = ${ms(STATEMENT_SHARE)}`;
  }

  async #connect(streamArn: string): Promise<Ready> {
    if (this.#ready !== undefined) return this.#ready;
    const { settings, credentials } = this.#options;
    const login = await credentials.get();
    const connection = await this.#logIn(login).catch(async (error: unknown) => {
      // The password may have been changed since it was read.
      const other = /^28/.test(codeOf(causeOf(error))) ? await credentials.after(login) : undefined;
      if (other === undefined) throw error;
      return await this.#logIn(other);
    });
    const { client } = connection;
    try {
      await this.#inTime(client, this.#prepare(client, streamArn));
    } catch (error) {
      await closeGracefully(connection, this.#options.clock);
      throw error;
    }
    const { name, source, skipMissing, skipTruncated, allowTriggers } = settings;
    const target = new PostgresTarget(connection, new PositionStore(client, name), {
      allowTriggers,
      skipMissing,
      examine: (table) => refuseUnfit(client, table),
    });
    const { clock } = this.#options;
    const hold = async (): Promise<void> => {
      await dropIfLate(client, BEGIN_MS, clock, client.query(`BEGIN; ${this.#limits('SET LOCAL')}`));
    };
    const applier = new FastApplier({
      target: new PostgresFastTarget({ client, name, target, hold }),
      source,
      skipMissing,
      skipTruncated,
      now: () => clock.now(),
    });
    return (this.#ready = { connection, applier });
  }

  async #prepare(client: pg.Client, streamArn: string): Promise<void> {
    const { name, source, startAfter, awaitsSnapshot } = this.#options.settings;
    await client.query(`SET idle_in_transaction_session_timeout = ${ABANDONED_MS}; ${this.#limits('SET')}`);
    // Lambda gives nothing again that was done with: a commit has to outlast a crash of the target.
    await client.query(
      `SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'`,
    );
    await prepareFastTables(client, name);
    await beginShared(client, { name, streamArn, source, startAfter, awaitsSnapshot });
  }

  #logIn({ host, port, database, user, password }: Login): Promise<TargetConnection> {
    const { sslMode, sslRootCert } = this.#options.settings.database;
    return connectTarget({ host, port, database, user, password, sslMode, sslRootCert });
  }

  #report({ shard, records }: StreamBatch, { counts, done, failure, waiting }: FastOutcome): void {
    const { log, metric, clock } = this.#options;
    const { commitMs, ...counted } = counts;
    metric('ReplicaChanges', counts.changes);
    metric('ReplicaWaiting', waiting);
    // Only with SKIP_MISSING and SKIP_TRUNCATED: a metric costs money, and these would always be 0.
    if (counts.missing > 0) metric('ReplicaMissing', counts.missing);
    if (counts.tooLarge > 0) metric('ReplicaTruncated', counts.tooLarge);
    if (commitMs !== undefined) metric('ReplicaLagSeconds', Math.max(0, (clock.now() - commitMs) / 1000));
    log.info('Applied.', { shard, records: records.length, done, ...counted });
    if (failure === undefined) return;
    log.error(failure.message, { code: failure.code, shard, sequence: records[done]?.sequence });
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
