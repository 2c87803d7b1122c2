/**
 * Everything that lives longer than one run: clients, caches, and what the last run has learnt. Built from the settings.
 * For the handler, which keeps it in module scope, and for the command line. Reads no environment, opens no connection.
 */
import type { Formatter } from '../lib/formatter/formatter.ts';
import { readSecretText, signIamToken } from './aws-credentials.ts';
import type { PluginDecoder } from './decode/plugin-decoder.ts';
import { PipelineError } from './errors.ts';
import { loadFormatter } from './formatter-module.ts';
import { createKinesisClient } from './kinesis/client.ts';
import { describeStream, type StreamDescription } from './kinesis/describe-stream.ts';
import { createPublisher } from './kinesis/publisher.ts';
import { pluginParts } from './plugin-parts.ts';
import type { Publisher } from './ports/publisher.ts';
import type { Clock, Log, Metrics } from './ports/runtime.ts';
import { createDatabase, type Database } from './postgres/connection.ts';
import { PrimaryKeyCache } from './postgres/primary-key-cache.ts';
import { TypeCatalog } from './postgres/type-catalog.ts';
import type { TypeNames } from './postgres/type-names.ts';
import type { RunPorts } from './run/run-options.ts';
import { coldState, type WarmState } from './run/warm-state.ts';
import type { Config } from './settings/config.ts';
import { withNotice } from './slow-notice.ts';

/** How long a request to Kinesis may be in flight; 10 MiB take well under a second inside a region. */
export const REQUEST_TIMEOUT_MS = 10_000;

/** What actions work with. */
export interface Container {
  readonly config: Config;
  readonly database: Database;
  readonly keys: PrimaryKeyCache;
  readonly typeCatalog: TypeCatalog;
  readonly decoder: PluginDecoder;
  /** What the decoder has to know of the server's types; undefined: nothing. */
  readonly typeNames: TypeNames | undefined;
  readonly publisher: Publisher;
  /** @throws {PipelineError} CONFIG_INVALID where neither the settings nor the environment name a region */
  readonly requireRegion: () => Promise<void>;
  /** @returns what the stream says of itself */
  readonly describeStream: (timeoutMs: number) => Promise<StreamDescription>;
  /** @returns the stream's region, wherever it comes from; undefined: there is none */
  readonly region: () => Promise<string | undefined>;
  /** @returns the user's own formatter; undefined: FORMAT is another. @throws {PipelineError} CONFIG_INVALID */
  readonly formatter: () => Promise<Formatter | undefined>;
  readonly warmState: WarmState;
  /** What CloudFormation's requests were answered. */
  readonly lifecycleAnswers: Map<string, { readonly PhysicalResourceId: string }>;
  /** SLOT_RESOURCE: the logical id of the stack's slot. Undefined: the stack has none, or there is no stack. */
  readonly slotResource: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How often the schedule invokes a run, in milliseconds. */
  readonly periodMs: number;
  /** Asks a run to finish its round, advance and answer. */
  readonly stop?: AbortSignal;
  /** Called after each round of a run that was acknowledged. */
  readonly onProgress?: NonNullable<RunPorts['onProgress']>;
}

/** What {@link createContainer} needs besides the settings. */
export interface ContainerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The environment's region, for IAM tokens of hosts whose name has none. */
  readonly region?: string | undefined;
  readonly slotResource?: string | undefined;
  /** @default 60,000: the stack's schedule */
  readonly periodMs?: number;
  readonly stop?: AbortSignal;
  readonly onProgress?: Container['onProgress'];
}

/**
 * Builds it.
 *
 * @param config - the settings
 * @param parts - time, log and metrics
 */
export function createContainer(config: Config, parts: ContainerOptions): Container {
  const { clock, log, metrics } = parts;
  const client = createKinesisClient({ region: config.stream.region, requestTimeoutMs: REQUEST_TIMEOUT_MS });
  const requireRegion = async (): Promise<void> => {
    try {
      await client.config.region();
    } catch (error) {
      throw new PipelineError(
        'CONFIG_INVALID',
        `There is no AWS region for the stream "${config.stream.name}": set AWS_REGION, or give STREAM_NAME as an ARN. Nothing was read and the slot was not advanced.`,
        { cause: error },
      );
    }
  };
  const messages = config.messages.length > 0;
  const { plugin, decoder, typeNames } = pluginParts(
    config.plugin,
    config.publications,
    config.maxRecordBytes,
    messages,
  );
  return {
    config,
    requireRegion,
    database: createDatabase({
      settings: { ...config.database, region: parts.region },
      secrets: (arn) => withNotice(parts, () => `Waiting for the secret ${arn}`, readSecretText(arn)),
      iamToken: (request) =>
        withNotice(parts, () => 'Waiting for AWS credentials, to sign an IAM token with', signIamToken(request)),
      clock,
      plugin,
      log,
    }),
    keys: new PrimaryKeyCache({
      ttlMs: config.primaryKeyTtlSeconds * 1000,
      clock,
      log,
      hasExclusions: config.filters.tableExclude.length + config.filters.columnExclude.length > 0,
    }),
    typeCatalog: new TypeCatalog(),
    typeNames,
    decoder,
    publisher: createPublisher({
      client,
      stream: config.stream.arn ?? config.stream.name,
      clock,
      log,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
    describeStream: async (timeoutMs) =>
      await requireRegion().then(
        () =>
          withNotice(
            parts,
            () => `Waiting for Kinesis to describe "${config.stream.name}", up to ${timeoutMs / 1000} s`,
            describeStream(client, config.stream, timeoutMs),
          ),
        () => ({ kind: 'no-region' }) as const,
      ),
    region: async () => await client.config.region().catch(() => undefined),
    // Node.js remembers what it has loaded.
    formatter: async () =>
      config.formatter === undefined ? undefined : await loadFormatter(config.formatter, messages),
    warmState: coldState(),
    lifecycleAnswers: new Map(),
    slotResource: parts.slotResource,
    periodMs: parts.periodMs ?? 60_000,
    clock,
    log,
    metrics,
    ...(parts.stop === undefined ? {} : { stop: parts.stop }),
    ...(parts.onProgress === undefined ? {} : { onProgress: parts.onProgress }),
  };
}
