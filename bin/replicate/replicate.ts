/**
 * `pg2kinesis replicate`: reads a stream and keeps another PostgreSQL database equal to the source. Only puts the parts together:
 * the rules, the reader of the stream, the store of waiting changes, the target.
 */
import { setImmediate } from 'node:timers/promises';
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { systemClock } from '../../lambda/clock.ts';
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { parseAddress } from '../../replica/postgres/address.ts';
import { connectTarget, type TargetConnection } from '../../replica/postgres/connection.ts';
import { refuseUnfit } from '../../replica/postgres/fast/fast-table-check.ts';
import { PostgresFastTarget, prepareFastTables } from '../../replica/postgres/fast/fast-target.ts';
import { type BegunPosition, PositionStore } from '../../replica/postgres/position-store.ts';
import { PostgresTarget } from '../../replica/postgres/target.ts';
import type { TargetTable } from '../../replica/postgres/target-table.ts';
import { Applier } from '../../replica/rules/applier.ts';
import { FastApplier } from '../../replica/rules/fast/fast-applier.ts';
import { Intake } from '../../replica/rules/intake.ts';
import { Shards } from '../../replica/rules/shards.ts';
import { SpillStore } from '../../replica/store/spill-store.ts';
import { onInterrupt } from '../cli/interrupt-handler.ts';
import { EXIT, type Terminal } from '../cli/terminal.ts';
import { readingClient } from '../reading-client.ts';
import { FastReplication } from './fast-replication.ts';
import { Finish } from './finish.ts';
import { refuseContradictions } from './option-conflicts.ts';
import type { ReplicateOptions } from './options.ts';
import { Progress, type ReplicaReading } from './progress.ts';
import { Replication } from './replication.ts';
import { ReplicaShardPlan } from './shard-plan.ts';
import { makeTables, withColumnTypes } from './source-setup.ts';
import { describeStream, type Stream } from './stream.ts';
import { verify } from './verify.ts';

const DEFAULT_NAME = 'pg2kinesis';
/** How often progress is printed. */
const PROGRESS_MS = 10_000;

/** What a replication acts on; the process's own unless given. */
export interface ReplicateEnvironment {
  /** @default one made of the AWS_* variables, in the region of a stream's ARN */
  readonly client?: KinesisClient;
  /** After this time without marks, or with records of other lanes only, it is certain that none will come. `--verify` waits as long for transactions that write. @default a minute */
  readonly patienceMs?: number;
}

/**
 * Replicates until it is told to stop.
 *
 * @param options - what to copy, and where to
 * @param terminal - environment, output and signals
 * @param environment - client and patience
 * @returns the exit status: 0, ended on request; 1, ended before `--finish` was
 * @throws {ReplicaError} with the exit status of its kind
 */
export async function replicate(
  options: ReplicateOptions,
  terminal: Terminal,
  environment: ReplicateEnvironment = {},
): Promise<number> {
  refuseContradictions(options);
  const address = parseAddress('--to', options.to, terminal.env['REPLICATE_PASSWORD']);
  const client = environment.client ?? readingClient(options.stream);
  const stop = new AbortController();
  const { patienceMs = 60_000 } = environment;
  const release = onInterrupt(terminal, stop, () =>
    terminal.stderr.write('Ending when this batch is applied. Press Ctrl-C again to end at once.\n'),
  );
  try {
    if (options.verify === true) return await verify(options, address, terminal, { signal: stop.signal, patienceMs });
    const stream = await describeStream(client, options.stream);
    const connection = await connectTarget(address);
    try {
      const following = { options, terminal, client, patienceMs, stop, stream, connection };
      if (options.fast !== true) return await follow(following);
      await followFast(following);
    } finally {
      await connection.client.end().catch(() => undefined);
    }
    return EXIT.ok;
  } catch (error) {
    throw await withColumnTypes(error, options, terminal);
  } finally {
    release();
    if (environment.client === undefined) client.destroy();
  }
}

/** What a replication is made of. */
interface Following {
  readonly options: ReplicateOptions;
  readonly terminal: Terminal;
  readonly client: KinesisClient;
  readonly patienceMs: number;
  readonly stop: AbortController;
  readonly stream: Stream;
  readonly connection: TargetConnection;
}

/** Continues at the target's position, and prints progress. @returns the exit status */
async function follow(following: Following): Promise<number> {
  const { options, terminal, connection } = following;
  if (options.finish !== true) {
    await replicateUpto(following, undefined);
    return EXIT.ok;
  }
  // Before the target is touched: the source may be missing.
  const finish = await Finish.begin(options, terminal, connection);
  try {
    if (await replicateUpto(following, finish.lsn)) {
      await finish.setSequences(connection);
      return EXIT.ok;
    }
    terminal.stderr.write(
      `Ended before the copy had come to ${formatLsn(finish.lsn)}: no sequence was looked at. Start it again.\n`,
    );
    return EXIT.failed;
  } finally {
    await finish.close();
  }
}

/** @returns whether everything up to `until` is applied */
async function replicateUpto(following: Following, until: Lsn | undefined): Promise<boolean> {
  const { options, terminal, client, patienceMs, stop, stream, connection } = following;
  const { triggers: allowTriggers = false, skipMissing = false, skipTruncated = false } = options;
  const positions = new PositionStore(connection.client, options.name ?? DEFAULT_NAME);
  const { saved, shards, plan } = await begin(following, positions);
  const intake = new Intake(saved, shards, options.source);
  const target = new PostgresTarget(connection, positions, { allowTriggers, skipMissing });
  using store = new SpillStore();
  const applier = new Applier({ intake, target, store, skipTruncated, turn: setImmediate });
  const replication = new Replication({
    client,
    stream: options.stream,
    once: options.once === true,
    until,
    patienceMs,
    stop: stop.signal,
    intake,
    plan,
    applier,
    store,
    cutMs: saved.cutMs,
    tell: (text) => terminal.stderr.write(`${text}\n`),
  });
  terminal.stderr.write(`Replicating ${stream.arn} to ${placeOf(connection)}, from ${formatLsn(saved.cut)} on.\n`);
  await reporting(following, replication, () => {
    const { changes: tables, missing, awaitingRead } = target;
    return { ...replication.reading, tables, missing, awaitingRead };
  });
  return replication.hasReached;
}

/** The same, applying changes as they come. */
async function followFast(following: Following): Promise<void> {
  const { options, terminal, client: kinesis, patienceMs, stop, stream, connection } = following;
  const { client } = connection;
  const { triggers: allowTriggers = false, skipMissing = false, skipTruncated = false } = options;
  const { name = DEFAULT_NAME, source } = options;
  const positions = new PositionStore(client, name, 'fast');
  await prepareFastTables(client, name);
  const { saved, shards, plan } = await begin(following, positions);
  const examine = (table: TargetTable): Promise<void> => refuseUnfit(client, table);
  const target = new PostgresTarget(connection, positions, { allowTriggers, skipMissing, examine });
  const applier = new FastApplier({
    target: new PostgresFastTarget({
      client,
      name,
      target,
      hold: async () => {
        await positions.hold();
      },
      saveShards: (done) => positions.saveShards(done),
    }),
    source,
    skipMissing,
    skipTruncated,
    now: () => systemClock.now(),
  });
  const replication = new FastReplication({
    client: kinesis,
    stream: options.stream,
    once: options.once === true,
    patienceMs,
    stop: stop.signal,
    applier,
    shards,
    plan,
    start: saved.cut,
    copying: saved.copying ?? [],
    tell: (text) => terminal.stderr.write(`${text}\n`),
  });
  terminal.stderr.write(`Replicating ${stream.arn} to ${placeOf(connection)}, as changes come.\n`);
  await reporting(following, replication, () => ({ ...replication.reading, tables: target.changes }));
}

/** Takes the target's position, and plans where each shard is read from. */
async function begin({ options, stream, terminal, connection }: Following, positions: PositionStore) {
  const { startAfter, takeOver = false, awaitSnapshot = false } = options;
  await makeTables(options, terminal, connection, positions, stream);
  const plan = (saved: BegunPosition) => {
    const shards = new Shards();
    for (const [id, position] of saved.shards) shards.resume(id, position);
    const { savedAtMs, shards: at } = saved;
    const now = systemClock.now();
    return {
      shards,
      plan: new ReplicaShardPlan({ shards, saved: at, savedAtMs, now, retentionMs: stream.retentionMs }),
    };
  };
  const { source, fast = false } = options;
  const check = (saved: BegunPosition): void => {
    const { shards } = plan(saved);
    if (!fast) new Intake(saved, shards, source);
  };
  const saved = await positions.begin(stream, { startAfter, takeOver, awaitsSnapshot: awaitSnapshot, source, check });
  return { saved, ...plan(saved) };
}

/** Runs, and prints progress now and then. */
async function reporting(
  { options, terminal }: Following,
  replication: { readonly run: () => Promise<void> },
  reading: () => ReplicaReading,
): Promise<void> {
  const progress = new Progress(terminal.stdout, options.json === true, systemClock.now());
  const say = (event: 'progress' | 'end'): void => progress.print(reading(), systemClock.now(), event);
  const timer = setInterval(() => say('progress'), PROGRESS_MS);
  try {
    await replication.run();
    say('end');
  } finally {
    clearInterval(timer);
  }
}

function placeOf({ address: { host, port, database } }: TargetConnection): string {
  return `"${database}" at ${host}:${port}`;
}
