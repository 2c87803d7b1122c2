/**
 * A pipeline over a real slot: the real session, catalogs and run loop, with a stream in memory. For tests of what
 * becomes of rows, where the stream is beside the point.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import type { PluginName } from '../../lambda/decode/plugin-names.ts';
import { FORMATS } from '../../lambda/format/formats.ts';
import { logicalMessageKeyWriter, partitionKeyWriter } from '../../lambda/format/partition-key.ts';
import type { FormatOptions } from '../../lambda/format/record.ts';
import { createPacker } from '../../lambda/pack/create-packer.ts';
import { type PluginParts, pluginParts } from '../../lambda/plugin-parts.ts';
import type { Publisher } from '../../lambda/ports/publisher.ts';
import type { Clock } from '../../lambda/ports/runtime.ts';
import type { Session } from '../../lambda/ports/session.ts';
import { createDatabase } from '../../lambda/postgres/connection.ts';
import { PrimaryKeyCache } from '../../lambda/postgres/primary-key-cache.ts';
import { openSession } from '../../lambda/postgres/session.ts';
import type { TypeCatalog } from '../../lambda/postgres/type-catalog.ts';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import { run } from '../../lambda/run/run.ts';
import type { RunOptions } from '../../lambda/run/run-options.ts';
import { skipFirstTransaction } from '../../lambda/run/skip-first-transaction.ts';
import { coldState } from '../../lambda/run/warm-state.ts';
import { compilePatterns } from '../../lambda/settings/filters.ts';
import { OPERATIONS } from '../../lambda/settings/setting-schemas.ts';
import { FORMAT_OPTIONS } from './changes.ts';
import type { PostgresServer } from './postgres.ts';
import { Recorder } from './run-kit.ts';

const clock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await wait(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
  },
  random: () => Math.random(),
};

/** What is to differ from a pipeline that publishes everything. */
export interface PipelineOptions extends Partial<
  Pick<RunOptions, 'oversize' | 'unknownKey' | 'maxRows' | 'maxBatches' | 'isSnapshot' | 'snapshotSharePercent'>
> {
  /** @default json */
  readonly format?: keyof typeof FORMATS;
  /** The three lists, as text. @default none */
  readonly include?: string;
  readonly exclude?: string;
  readonly columns?: string;
  /** What the format is made with, where it differs. */
  readonly formatOptions?: Partial<FormatOptions>;
  /** What the catalogs say of types, kept from run to run. @default read anew by each */
  readonly typeCatalog?: TypeCatalog;
  /** MESSAGES. @default none */
  readonly messages?: string;
  /** @default the server's */
  readonly database?: string;
  /** Reads a slot of pgoutput, by these. @default none: a slot of test_decoding */
  readonly publications?: readonly string[];
  /** @default pgoutput where there are publications, else test_decoding */
  readonly plugin?: PluginName;
  /** STANDBY_SLOTS. @default none */
  readonly standbySlots?: readonly string[];
  /** Where the server is reached, by way of a link or proxy. @default its own port */
  readonly port?: number;
  /** Is given each record, which is not kept then. */
  readonly onRecord?: (data: Buffer) => void;
  /** Who logs in. @default the server's superuser */
  readonly login?: { readonly user: string; readonly password: string };
  /** Called when a snapshot has read rows of a table, before what is written behind them. @param table - as printed */
  readonly onChunkRead?: (table: string) => Promise<void>;
  /** Ends a run, as Ctrl-C does. */
  readonly stop?: AbortSignal;
  /** For how long a run may go on. @default 60 s */
  readonly maxMs?: number;
  /** What its clock says, in milliseconds since 1970. @default the time */
  readonly now?: () => number;
}

/** A record of the format `json`. */
export interface JsonRecord {
  readonly id: string;
  readonly op: string;
  readonly schema: string;
  readonly table: string;
  readonly key: Readonly<Record<string, unknown>> | null;
  readonly row?: Readonly<Record<string, unknown>>;
  readonly old?: Readonly<Record<string, unknown>>;
  readonly xid: number;
}

/** A container's worth of a pipeline: what it has learned stays from run to run. */
export class Pipeline {
  /** The data of every record published, as text. */
  readonly published: string[] = [];
  readonly recorder = new Recorder();
  readonly #server: PostgresServer;
  readonly #slotName: string;
  readonly #options: PipelineOptions;
  readonly #clock: Clock;
  readonly #keys: PrimaryKeyCache;
  readonly #warmState = coldState();
  readonly #parts: PluginParts;

  /**
   * @param server - with the slot
   * @param slotName - which
   * @param options - format, filters and limits
   */
  constructor(server: PostgresServer, slotName: string, options: PipelineOptions = {}) {
    this.#server = server;
    this.#slotName = slotName;
    this.#options = options;
    this.#clock = { ...clock, ...(options.now === undefined ? {} : { now: options.now }) };
    const { publications, plugin = publications === undefined ? 'test_decoding' : 'pgoutput' } = options;
    this.#parts = pluginParts(plugin, publications ?? [], undefined, (options.messages ?? '') !== '');
    const hasExclusions = options.exclude !== undefined || options.columns !== undefined;
    this.#keys = new PrimaryKeyCache({
      ttlMs: 3_600_000,
      clock: this.#clock,
      log: this.recorder,
      hasExclusions,
    });
  }

  /** What was published, read as the format `json`. */
  get records(): JsonRecord[] {
    return this.published.map((text) => JSON.parse(text) as JsonRecord);
  }

  /** Warnings that were logged. */
  get warnings(): string[] {
    return this.recorder.lines.filter((line) => line.startsWith('warn'));
  }

  /** @param commitLsn - of the transaction to leave out @returns where the slot is then */
  async skip(commitLsn: string): Promise<Lsn> {
    const deadline = this.#clock.now() + 60_000;
    const session = await this.#open(deadline);
    try {
      return (await skipFirstTransaction(session.slot, this.#clock, parseLsn(commitLsn) ?? 0n, deadline)).advancedTo;
    } finally {
      await session.close();
    }
  }

  async #open(deadline: number): Promise<Session> {
    const { standbySlots = [], port, database, login = {}, onChunkRead, typeCatalog } = this.#options;
    const session = await openSession({
      database: createDatabase({
        settings: {
          ...this.#server.connection,
          ...(database === undefined ? {} : { database }),
          ...login,
          port: port ?? this.#server.port,
          auth: 'password',
          sslMode: 'disable',
        },
        secrets: () => Promise.reject(new Error('no secret was to be read')),
        iamToken: () => Promise.reject(new Error('no token was to be made')),
        clock: this.#clock,
        plugin: this.#parts.plugin,
      }),
      slotName: this.#slotName,
      standbySlots,
      deadline,
      keys: this.#keys,
      decoder: this.#parts.decoder,
      typeNames: this.#parts.typeNames,
      ...(typeCatalog === undefined ? {} : { typeCatalog }),
      clock: this.#clock,
      log: this.recorder,
    });
    if ('locked' in session) throw new Error('another run holds the slot');
    const { snapshots } = session;
    if (onChunkRead !== undefined && snapshots !== undefined) {
      const read = snapshots.read.bind(snapshots);
      snapshots.read = async (request, maxBytes, firstRowMs) => {
        const got = await read(request, maxBytes, firstRowMs);
        if (got.kind === 'chunk') await onChunkRead(request.table);
        return got;
      };
    }
    return session;
  }

  /** Runs once. @throws {PipelineError} as a run does */
  async run(): Promise<RunAnswer> {
    const {
      format = 'json',
      formatOptions = {},
      include = '',
      exclude = '',
      columns = '',
      messages = '',
      maxMs = 60_000,
      onRecord,
      stop,
      ...over
    } = this.#options;
    const startedAt = this.#clock.now();
    const deadline = startedAt + maxMs;
    const session = await this.#open(deadline);
    const publisher: Publisher = {
      publish: (round) => {
        for (const { data } of round.entries) {
          if (onRecord === undefined) this.published.push(Buffer.from(data).toString());
          else onRecord(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
        }
        return Promise.resolve({ complete: true, throttledEntries: 0 });
      },
    };
    const { recorder, recorder: log } = this;
    try {
      return await run(
        {
          session,
          publisher,
          clock: this.#clock,
          log,
          metrics: recorder,
          warmState: this.#warmState,
          ...(stop === undefined ? {} : { stop }),
        },
        {
          action: 'run',
          slotName: this.#slotName,
          startedAt,
          deadline,
          functionDeadline: deadline,
          maxRows: 1_000_000,
          inFlightGraceMs: 0,
          format: FORMATS[format]({ ...FORMAT_OPTIONS, ...formatOptions, source: 'test' }),
          partitionKey: partitionKeyWriter('primary-key', 'test'),
          messages:
            messages === ''
              ? undefined
              : { prefixes: compilePatterns(messages), partitionKey: logicalMessageKeyWriter('primary-key', 'test') },
          packer: createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024 }),
          filters: {
            tableInclude: compilePatterns(include),
            tableExclude: compilePatterns(exclude),
            columnExclude: compilePatterns(columns),
          },
          operations: new Set(OPERATIONS),
          oversize: 'key-only',
          unknownKey: 'skip',
          ...over,
        },
      );
    } finally {
      await session.close();
    }
  }
}
