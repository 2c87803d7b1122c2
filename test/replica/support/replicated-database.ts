/**
 * A copy of a database without a stream between them: a pipeline's records are handed to the replica's rules, in one lane, and
 * applied to a second database of the same server. For tests of what is written at the target.
 */
import type pg from 'pg';
import { formatLsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import { connectTarget } from '../../../replica/postgres/connection.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { PostgresTarget, type TargetOptions } from '../../../replica/postgres/target.ts';
import { Applier } from '../../../replica/rules/applier.ts';
import { Intake, type KinesisRecord } from '../../../replica/rules/intake.ts';
import { Shards } from '../../../replica/rules/shards.ts';
import type { PostgresServer } from '../../support/postgres.ts';
import { Pipeline, type PipelineOptions } from '../../support/real-pipeline.ts';

const STREAM = { arn: 'arn:aws:kinesis:us-east-1:000000000000:stream/none', createdMs: 1_000 };

/** What is to differ. */
export interface ReplicatedOptions extends Partial<TargetOptions> {
  readonly pipeline?: PipelineOptions;
  /** Who writes at the target. @default the superuser */
  readonly user?: string;
  /** @default 50,000 */
  readonly batchChanges?: number;
  /** Leaves out changes that were too large for a record. @default false */
  readonly skipTruncated?: boolean;
}

/** A database and its copy. */
export class ReplicatedDatabase {
  /** The superuser at the source. */
  readonly source: pg.Client;
  /** The superuser at the target. */
  readonly target: pg.Client;
  readonly #pipeline: Pipeline;
  readonly #server: PostgresServer;
  readonly #name: string;
  readonly #options: ReplicatedOptions;
  #read = 0;
  /** What was published. Whoever begins anew reads all of it again. */
  readonly #records: KinesisRecord[] = [];
  /** Delimiters of arrays that are no comma, by the element's type. */
  #delimiters = new Map<string, string>();
  #writer: Awaited<ReturnType<ReplicatedDatabase['connect']>> | undefined;

  private constructor(
    server: PostgresServer,
    name: string,
    clients: readonly [pg.Client, pg.Client],
    options: ReplicatedOptions,
  ) {
    this.#server = server;
    this.#name = name;
    [this.source, this.target] = clients;
    this.#options = options;
    this.#pipeline = new Pipeline(server, `${name}_slot`, {
      database: `${name}_source`,
      // As the container finds them out.
      formatOptions: { arrayDelimiter: (element) => this.#delimiters.get(element) ?? ',' },
      ...options.pipeline,
    });
  }

  /**
   * Makes both databases, and the slot.
   *
   * @param name - theirs, with `_source` and `_target`
   */
  static async make(
    server: PostgresServer,
    name: string,
    options: ReplicatedOptions = {},
  ): Promise<ReplicatedDatabase> {
    const clients: pg.Client[] = [];
    for (const database of [`${name}_source`, `${name}_target`]) {
      await server.sql(`CREATE DATABASE ${database}`);
      clients.push(await server.client({ database }));
    }
    const [source, target] = clients;
    if (source === undefined || target === undefined) throw new Error('no databases');
    await source.query('SELECT pg_create_logical_replication_slot($1, $2)', [`${name}_slot`, 'test_decoding']);
    return new ReplicatedDatabase(server, name, [source, target], options);
  }

  /** Runs statements in both databases: definitions. */
  async define(sql: string): Promise<void> {
    await this.source.query(sql);
    await this.target.query(sql);
  }

  /** Begins a replica at the target's position. */
  async connect(takeOver = false) {
    const address = {
      ...this.#server.connection,
      user: this.#options.user ?? this.#server.connection.user,
      database: `${this.#name}_target`,
      sslMode: 'disable',
      sslRootCert: undefined,
    } as const;
    const connection = await connectTarget(address);
    try {
      const positions = new PositionStore(connection.client, 'copy');
      const intake = new Intake(await positions.begin(STREAM, { takeOver, awaitsSnapshot: false }), new Shards());
      for (const record of this.#records) intake.take(record);
      const {
        allowTriggers = false,
        skipMissing = false,
        batchChanges = 50_000,
        skipTruncated = false,
      } = this.#options;
      const target = new PostgresTarget(connection, positions, { allowTriggers, skipMissing });
      const store = { load: (record: { entries: unknown }) => record.entries as never, release: () => undefined };
      return {
        connection,
        intake,
        target,
        applier: new Applier({ intake, target, store, batchChanges, skipTruncated }),
      };
    } catch (error) {
      await connection.client.end();
      throw error;
    }
  }

  /** Publishes what was committed, and applies it. */
  async sync(): Promise<void> {
    await this.publish();
    await this.apply();
  }

  /** Publishes what was committed, and hands it to the replica. */
  async publish(): Promise<void> {
    this.#writer ??= await this.connect();
    const { rows } = await this.source.query<{ type: string; delimiter: string }>(
      `SELECT format_type(oid, NULL) AS type, typdelim AS delimiter FROM pg_type, set_config('search_path', 'pg_catalog', true) WHERE typdelim <> ','`,
    );
    this.#delimiters = new Map(rows.map(({ type, delimiter }) => [type, delimiter]));
    await this.#pipeline.run();
    const texts = this.#pipeline.published.slice(this.#read);
    this.#read = this.#pipeline.published.length;
    const [last] = texts
      .map((text) => parseLsn((JSON.parse(text) as { commitLsn: string }).commitLsn) ?? 0n)
      .sort((a, b) => Number(b - a));
    if (last === undefined) return;
    const at = { commitLsn: formatLsn(last), commitTime: '2026-01-02T03:04:05.678901Z' };
    texts.push(JSON.stringify({ op: 'MARK', source: 'test', ...at, lane: 0, lanes: 1, system: '1', timeline: 1 }));
    const sequence = String(this.#records.length + 1);
    const record = { shard: 's', sequence, arrivedMs: 0, partitionKey: 'lane-0-of-1', texts };
    this.#records.push(record);
    this.#writer.intake.take(record);
  }

  /** Applies what was handed over. */
  async apply(): Promise<void> {
    this.#writer ??= await this.connect();
    while ((await this.#writer.applier.step()) !== undefined);
  }

  /** How many changes were left out because their old row was not there. */
  get missing(): number {
    return this.#writer?.target.missing ?? 0;
  }

  /** A table's rows, as text, in both databases. Line breaks between tokens of json are left out, as records leave them out. */
  async rows(table: string): Promise<{ readonly source: string[]; readonly target: string[] }> {
    const text = `SELECT t::text AS row FROM ${table} AS t ORDER BY 1`;
    const [source, target] = await Promise.all(
      [this.source, this.target].map(async (client) =>
        (await client.query<{ row: string }>(text)).rows.map(({ row }) => row),
      ),
    );
    return { source: source ?? [], target: target ?? [] };
  }

  /** Ends the replica's connection. */
  async close(): Promise<void> {
    await this.#writer?.connection.client.end();
    this.#writer = undefined;
  }
}
