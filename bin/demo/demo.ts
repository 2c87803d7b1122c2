/**
 * The demo: starts a database, a stream and the real function, writes, invokes, reads back, and proves at the end that
 * everything arrived. Composes the other files here. Leaves no process and no file behind, however it ends.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { UserRecord } from '../../lib/consumer/deaggregate.ts';
import { readStream } from '../stream-reader.ts';
import { consumer, hashKeyRanges } from './consumer.ts';
import { type LocalFunction, startFunction } from './function.ts';
import { InterruptedError, Interruption } from './interruption.ts';
import { Ledger } from './ledger.ts';
import { type Output, Screen } from './screen.ts';
import { assertInstalled, type Servers, startServers } from './servers.ts';
import { type DemoConfig, passedSettings, validateSettings } from './settings.ts';
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

/** What the schedule sends. */
const SCHEDULED_RUN = { action: 'run', maxSeconds: 50 } as const;
/** What is sent at the end. */
const DRAIN = { action: 'drain', maxSeconds: 50 } as const;
/** Failures in a row after which the demo gives up; the schedule would go on. */
const MAX_FAILURES = 3;
/** Drains in a row that may end before they have caught up. */
const MAX_DRAINS = 20;
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
    screen.line(error.message);
    return INTERRUPTED;
  } finally {
    screen.end();
    await stack
      .disposeAsync()
      .catch((error: unknown) => screen.line(`Not everything could be stopped: ${describe(error)}`));
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
  screen.line(`Starting PostgreSQL 18 and Kinesis with ${shards} shards.`);
  const servers = await interruption.starting(startServers(stack, config.stream.name, shards));
  const lambda = startFunction({ ...servers.env, ...settings }, (line) => screen.line(`function: ${line}`));
  stack.defer(() => lambda.stop());
  await interruption.starting(lambda.invoke({ action: 'create-slot' }));
  screen.line(
    `PostgreSQL on port ${servers.postgres.port}, slot ${config.slot}; Kinesis at ${servers.kinesis.endpoint}, stream ${config.stream.name}.\n` +
      `FORMAT=${config.format} PARTITION_BY=${config.partitionBy} AGGREGATION=${config.aggregation} LANES=${config.lanes}; Ctrl-C ends and verifies.`,
  );

  const ledger = new Ledger({ ...config, source: config.source ?? `${servers.env.PGDATABASE}/${config.slot}` });
  const verifier = new Verifier();
  const runs: Runs = {
    answered: 0,
    failed: 0,
    published: 0,
    noPrimaryKey: 0,
    filtered: 0,
    kinesisRecords: 0,
    bytes: 0,
  };
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
        tamper: demo.tamper,
      }),
    }),
  );
  const status = async (): Promise<string> => {
    const lag = await lagBytes(servers, config.slot);
    return `${new Date().toTimeString().slice(0, 8)}  ${ledger.keyed + ledger.keyless} changes made, ${verifier.distinct} of ${verifier.expected} records received, lag ${kilobytes(lag)}`;
  };
  const writers = await makeWriters({
    connect: () => servers.postgres.client(),
    rate: options.rate ?? 60,
    random: Math.random,
    onCommit: (transaction) => {
      for (const expected of ledger.commit(transaction)) verifier.expect(expected);
    },
  });
  const timer =
    options.seconds === undefined ? undefined : setTimeout(() => interruption.ask(), options.seconds * 1000);
  await Promise.all([
    ...writers.map((writer) => stopAllOnError(writer.write(stop))),
    stopAllOnError(invokeOnSchedule(lambda, runs, (options.every ?? 2) * 1000, screen, stop)),
    stopAllOnError(repeat(STATUS_EVERY_MS, stop, async () => screen.flush(await status()))),
  ]);
  clearTimeout(timer);

  if (failure === undefined) {
    screen.line('Writing has stopped; publishing and reading the rest.');
    await stopAllOnError(drain(lambda, runs, screen));
    allRead.abort();
    await reading;
    screen.flush(await status());
  }
  if (failure !== undefined) throw failure instanceof Error ? failure : new Error(describe(failure));
  screen.end();
  const findings = { ledger, comparison: verifier.comparison(), runs };
  screen.line(summary(findings).join('\n'));
  return succeeded(findings) ? 0 : 1;
}

/** Invokes the function as the schedule does, only more often, and one invocation after the other. */
async function invokeOnSchedule(
  lambda: LocalFunction,
  runs: Runs,
  everyMs: number,
  screen: Screen,
  stop: AbortSignal,
): Promise<void> {
  let failures = 0;
  await repeat(everyMs, stop, async () => {
    try {
      count(runs, await lambda.invoke(SCHEDULED_RUN));
      failures = 0;
    } catch (error) {
      runs.failed++;
      screen.line(`The function failed. ${describe(error)}`);
      if (++failures === MAX_FAILURES)
        throw new Error(`The function has failed ${failures} times in a row; the demo has ended.`, { cause: error });
    }
  });
}

/** Publishes all that was committed. */
async function drain(lambda: LocalFunction, runs: Runs, screen: Screen): Promise<void> {
  for (let i = 0; i < MAX_DRAINS; i++) {
    try {
      if (count(runs, await lambda.invoke(DRAIN)).caughtUp) return;
    } catch (error) {
      runs.failed++;
      screen.line(`The function failed. ${describe(error)}`);
    }
  }
  screen.line(`The function has not caught up in ${MAX_DRAINS} runs.`);
}

/** Adds an answer to what the function said before. */
function count(runs: Runs, answer: unknown): RunAnswer {
  const run = answer as RunAnswer;
  runs.answered++;
  runs.published += run.published;
  runs.noPrimaryKey += run.skipped.noPrimaryKey;
  runs.filtered += run.skipped.filtered;
  runs.kinesisRecords += run.kinesisRecords;
  runs.bytes += run.bytes;
  return run;
}

async function lagBytes(servers: Servers, slot: string): Promise<number> {
  const [row] = await servers.postgres.sql<{ lag: string }>(
    'SELECT pg_current_wal_flush_lsn() - confirmed_flush_lsn AS lag FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  return Number(row?.lag ?? 0);
}

/** Does something again and again, with a pause after each time. */
async function repeat(everyMs: number, stop: AbortSignal, action: () => Promise<void>): Promise<void> {
  while (!stop.aborted) {
    await action();
    await wait(everyMs, undefined, { signal: stop }).catch(() => undefined);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
