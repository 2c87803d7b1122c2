/**
 * Applies the batches that Lambda gives it, each of one shard. Containers apply the shards side by side. Keeps one connection to
 * the target from one invocation to the next. Reads no environment.
 */
import type { KinesisStreamBatchResponse, KinesisStreamEvent } from 'aws-lambda';
import type { Clock, Log } from '../../lambda/ports/runtime.ts';
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

/** A connection, ready to apply. */
interface Ready {
  readonly connection: TargetConnection;
  readonly applier: FastApplier;
}

/** One container of the function. */
export class StreamFunction {
  readonly #options: StreamFunctionOptions;
  #ready: Ready | undefined;

  constructor(options: StreamFunctionOptions) {
    this.#options = options;
  }

  /**
   * Applies a batch.
   *
   * @param event - what Lambda invokes with
   * @returns which record to begin with next time; none: all are done with
   * @throws {ReplicaError} where nothing of it was applied. It is given again
   */
  async invoke(event: KinesisStreamEvent): Promise<KinesisStreamBatchResponse> {
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
    await ready?.connection.client.end().catch(() => undefined);
  }

  async #apply({ streamArn, records }: StreamBatch): Promise<FastOutcome> {
    const isReused = this.#ready !== undefined;
    try {
      return await (await this.#connect(streamArn)).applier.apply(records);
    } catch (error) {
      await this.close();
      // A container that was frozen for a while finds its connection gone. What was committed is a repeat now.
      if (!isReused || !(error instanceof ReplicaError) || error.code !== 'TARGET_UNREACHABLE') throw error;
      return await (await this.#connect(streamArn)).applier.apply(records);
    }
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
      await client.query(`SET idle_in_transaction_session_timeout = ${ABANDONED_MS}`);
      // Lambda gives nothing again that was done with: a commit has to outlast a crash of the target.
      await client.query(
        `SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'`,
      );
      await prepareFastTables(client, settings.name);
      const { name, source, startAfter, awaitsSnapshot } = settings;
      await beginShared(client, { name, streamArn, source, startAfter, awaitsSnapshot });
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    const { name, source, skipMissing, skipTruncated, allowTriggers } = settings;
    const target = new PostgresTarget(connection, new PositionStore(client, name), {
      allowTriggers,
      skipMissing,
      examine: (table) => refuseUnfit(client, table),
    });
    const { clock } = this.#options;
    const applier = new FastApplier({
      target: new PostgresFastTarget({ client, name, target }),
      source,
      skipMissing,
      skipTruncated,
      now: () => clock.now(),
    });
    return (this.#ready = { connection, applier });
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
