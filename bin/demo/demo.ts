/**
 * The demo: starts a database, a stream and the real function, writes, invokes, reads back, and proves at the end that
 * everything arrived. Composes the other files here. Leaves no process and no file behind, however it ends.
 */
import type { UserRecord } from '../../lib/consumer/deaggregate.ts';
import type { Output } from '../cli/terminal.ts';
import { readStream } from '../stream-reader.ts';
import { consumer, hashKeyRanges } from './consumer.ts';
import { startFunction } from './function.ts';
import { type DemoConfig, passedSettings, validateSettings, whyNoCopy } from './function-settings.ts';
import { InterruptedError, Interruption } from './interruption.ts';
import { KillableFunction } from './killable-function.ts';
import { Ledger } from './ledger.ts';
import { describe, drain, invokeOnSchedule, repeat } from './schedule.ts';
import { Screen } from './screen.ts';
import { SecondPostgres } from './second-postgres.ts';
import { assertInstalled, type Servers, startServers } from './servers.ts';
import { kilobytes, type Runs, succeeded, summary } from './summary.ts';
import { Verifier } from './verifier.ts';
import { makeWriters } from './writer.ts';

/** The demo's options. Each has a default. */
export interface DemoOptions {
  /** End by itself after so many seconds. @default until Ctrl-C */
  readonly seconds?: number;
  /** Changes a second to make, roughly. @default 60 */
  readonly rate?: number;
  /** Seconds between two invocations of the function. @default 2 */
  readonly every?: number;
  /** Shards of the stream. @default 4 */
  readonly shards?: number;
  /** Whether the function is killed now and then. @default true */
  readonly kills?: boolean;
  /** Settings of the function to pass through, by the variables' names: `{ FORMAT: 'json' }`; its config checks them. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What the demo acts on; the process's own unless given. */
export interface DemoEnvironment {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly out?: Output;
  /** For tests: what becomes of each record on its way to the verifier. */
  readonly tamper?: (record: UserRecord) => readonly UserRecord[];
}

/** Rows in each table that has a key, before anything is captured. */
const ROWS_BEFORE = 500;
const STATUS_EVERY_MS = 1000;
const INTERRUPTED = 130;

/**
 * Runs the demo.
 *
 * @param options - how long, how fast, with which settings
 * @param environment - environment variables and output
 * @returns the exit status: 0 when everything committed arrived, in order; 1 when not; 130 when interrupted before the end
 * @throws {PipelineError} CONFIG_INVALID, before anything is started
 * @throws {Error} where the servers are not installed
 */
export async function runDemo(options: DemoOptions = {}, environment: DemoEnvironment = {}): Promise<number> {
  const settings = passedSettings(options.settings ?? {}, environment.env ?? process.env);
  const config = validateSettings(settings);
  assertInstalled();
  const screen = new Screen(environment.out ?? process.stdout);
  for (const warning of config.warnings) screen.line(`Note: ${warning}`);
  const interruption = new Interruption();
  const stack = new AsyncDisposableStack();
  try {
    return await interruption.race(
      demonstrate({ options, settings, config, screen, stack, interruption, tamper: environment.tamper }),
    );
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    screen.leave(error.message);
    return INTERRUPTED;
  } finally {
    screen.end();
    await stack
      .disposeAsync()
      .catch((error: unknown) => screen.leave(`Not everything could be stopped: ${describe(error)}`));
    interruption.release();
  }
}

interface Demo {
  readonly options: DemoOptions;
  readonly settings: Readonly<Record<string, string>>;
  readonly config: DemoConfig;
  readonly screen: Screen;
  /** What was started, to be stopped in reverse order. */
  readonly stack: AsyncDisposableStack;
  readonly interruption: Interruption;
  readonly tamper: DemoEnvironment['tamper'];
}

async function demonstrate(demo: Demo): Promise<number> {
  const { options, settings, config, screen, stack, interruption } = demo;
  const { stop } = interruption;
  const shards = options.shards ?? 4;
  const whyNone = whyNoCopy(config);
  const copies = whyNone === undefined;
  screen.line(`Starting PostgreSQL 18${copies ? ', a second one' : ''} and Kinesis with ${shards} shards.`);
  const servers = await interruption.starting(startServers(stack, config.stream.name, shards, copies));
  const { second } = servers;
  // With SNAPSHOT=initial making the slot asks for the rows that are there, too.
  const environment = { ...servers.env, ...settings, ...(copies ? { SNAPSHOT: 'initial' } : {}) };
  const lambda = new KillableFunction(() => startFunction(environment, (line) => screen.line(`function: ${line}`)));
  stack.defer(() => lambda.stop());
  const ledger = new Ledger({ ...config, source: config.source ?? `${servers.env.PGDATABASE}/${config.slot}` });
  const verifier = new Verifier();
  const writers = await makeWriters({
    connect: () => servers.postgres.client(),
    rate: options.rate ?? 60,
    random: Math.random,
    onCommit: (transaction) => {
      for (const expected of ledger.commit(transaction)) verifier.expect(expected);
    },
  });
  for (const writer of writers) await interruption.starting(writer.fill(ROWS_BEFORE));
  await interruption.starting(lambda.invoke({ action: 'create-slot' }));
  screen.line(
    `PostgreSQL on port ${servers.postgres.port}, slot ${config.slot}; Kinesis at ${servers.kinesis.endpoint}, stream ${config.stream.name}.\n` +
      (second === undefined
        ? `There is no second PostgreSQL: ${whyNone ?? ''}.\n`
        : `A second PostgreSQL on port ${second.port}, its tables empty. ${ROWS_BEFORE} rows in each table of the first come by a snapshot.\n`) +
      `FORMAT=${config.format} PARTITION_BY=${config.partitionBy} AGGREGATION=${config.aggregation} LANES=${config.lanes}; Ctrl-C ends and verifies.`,
  );
  const runs: Runs = {
    answered: 0,
    failed: 0,
    killed: 0,
    published: 0,
    noPrimaryKey: 0,
    filtered: 0,
    kinesisRecords: 0,
    bytes: 0,
  };
  let snapshotRows = 0;
  const allRead = new AbortController();
  const stopReading = new AbortController();
  stack.defer(() => stopReading.abort());
  let failure: unknown;
  /** If one fails, all are stopped. */
  const stopAllOnError = <T>(work: Promise<T>): Promise<void> =>
    work.then(
      () => undefined,
      (error: unknown) => {
        failure ??= error;
        interruption.ask();
      },
    );

  const reading = stopAllOnError(
    readStream({
      client: servers.kinesis.client,
      stream: config.stream.name,
      from: 'trim-horizon',
      signal: stopReading.signal,
      finish: allRead.signal,
      onRecord: consumer({
        format: config.format,
        aggregation: config.aggregation,
        shards: hashKeyRanges(await servers.kinesis.shards(config.stream.name)),
        verifier,
        onText: (shard, text) => screen.record(`shard ${shard}  ${text}`),
        ...(copies ? { onRead: () => snapshotRows++ } : {}),
        tamper: demo.tamper,
      }),
    }),
  );
  const status = async (): Promise<string> => {
    const lag = await lagBytes(servers, config.slot);
    return `${new Date().toTimeString().slice(0, 8)}  ${ledger.keyed + ledger.keyless} changes made, ${verifier.distinct} of ${verifier.expected} records received, lag ${kilobytes(lag)}`;
  };
  const copy =
    second === undefined
      ? undefined
      : new SecondPostgres({
          first: servers.postgres,
          second,
          client: servers.kinesis.client,
          stream: config.stream.name,
        });
  stack.defer(() => copy?.stop());
  const copying = copy === undefined ? undefined : stopAllOnError(copy.run());
  const timer =
    options.seconds === undefined ? undefined : setTimeout(() => interruption.ask(), options.seconds * 1000);
  await Promise.all([
    ...writers.map((writer) => stopAllOnError(writer.write(stop))),
    stopAllOnError(
      invokeOnSchedule({
        lambda,
        runs,
        everyMs: (options.every ?? 2) * 1000,
        screen,
        stop,
        hasSnapshot: copies,
        kills: options.kills ?? true,
      }),
    ),
    stopAllOnError(repeat(STATUS_EVERY_MS, stop, async () => screen.flush(await status()))),
  ]);
  clearTimeout(timer);

  if (failure === undefined) {
    screen.line('Writing has stopped; publishing and reading the rest.');
    await stopAllOnError(drain(lambda, runs, screen));
    allRead.abort();
    await reading;
    screen.flush(await status());
    copy?.stop();
    await copying;
  }
  if (failure !== undefined) throw failure instanceof Error ? failure : new Error(describe(failure));
  await copy?.catchUp();
  const compared = await copy?.compare();
  screen.end();
  const findings = { ledger, comparison: verifier.comparison(), runs, snapshotRows, compared };
  screen.line(summary(findings).join('\n'));
  return succeeded(findings) ? 0 : 1;
}

async function lagBytes(servers: Servers, slot: string): Promise<number> {
  const [row] = await servers.postgres.sql<{ lag: string }>(
    'SELECT pg_current_wal_flush_lsn() - confirmed_flush_lsn AS lag FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  return Number(row?.lag ?? 0);
}
