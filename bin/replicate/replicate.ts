/**
 * `pg2kinesis replicate`: reads a stream and keeps another PostgreSQL equal to the source. It composes: the rules, the reader
 * of the stream, what waits, and the target are other files'.
 */
import { DescribeStreamSummaryCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import { systemClock } from '../../lambda/clock.ts';
import { formatLsn } from '../../lambda/decode/lsn.ts';
import { lineRecords, userRecords } from '../../lib/consumer/deaggregate.ts';
import { ReplicaError } from '../../replica/errors.ts';
import { connectTarget, parseTargetAddress } from '../../replica/postgres/connection.ts';
import { PositionStore } from '../../replica/postgres/position-store.ts';
import { PostgresTarget } from '../../replica/postgres/target.ts';
import { Applier } from '../../replica/rules/applier.ts';
import { Intake } from '../../replica/rules/intake.ts';
import { Shards } from '../../replica/rules/shards.ts';
import { SpillStore } from '../../replica/store/spill-store.ts';
import { onInterrupt } from '../cli/interrupt-handler.ts';
import { EXIT, type Terminal } from '../cli/terminal.ts';
import { readingClient, translateReadError } from '../reading-client.ts';
import { readStream, type StreamRecord } from '../stream-reader.ts';
import type { ReplicateOptions } from './options.ts';
import { Progress, type ReplicaReading } from './progress.ts';
import { ReplicaShardPlan } from './shard-plan.ts';

/** How often it says how it gets on. */
const PROGRESS_MS = 10_000;
/** How long the applier sleeps when nothing comes. */
const IDLE_MS = 250;
/** Reading waits for the applier where so much can be applied, in characters of records. */
const MAX_WAITING_CHARS = 128 * 1024 * 1024;

/** What a replication acts on; the process's own unless given. */
export interface ReplicateEnvironment {
  /** @default one made of the AWS_* variables, in the region of a stream's ARN */
  readonly client?: KinesisClient;
  /** Records without marks, or of other lanes, for so long mean that there will be none. @default a minute */
  readonly patienceMs?: number;
}

/**
 * Replicates until it is told to stop.
 *
 * @param options - what to copy, and where to
 * @param terminal - environment, output and signals
 * @param environment - client and patience
 * @returns the exit status: 0, ended on request
 * @throws {ReplicaError} with the exit status of its kind
 */
export async function replicate(
  options: ReplicateOptions,
  terminal: Terminal,
  environment: ReplicateEnvironment = {},
): Promise<number> {
  const address = parseTargetAddress(options.to, terminal.env['REPLICATE_PASSWORD']);
  const client = environment.client ?? readingClient(options.stream);
  const stop = new AbortController();
  const release = onInterrupt(terminal, stop, () =>
    terminal.stderr.write('Ending when this batch is applied. Press Ctrl-C again to end at once.\n'),
  );
  try {
    const stream = await describe(client, options.stream);
    const connection = await connectTarget(address);
    try {
      await new Replication(
        options,
        terminal,
        { client, patienceMs: environment.patienceMs ?? 60_000 },
        stop,
        stream,
      ).run(connection);
    } finally {
      await connection.client.end().catch(() => undefined);
    }
    return EXIT.ok;
  } finally {
    release();
    if (environment.client === undefined) client.destroy();
  }
}

/** The stream, as far as it matters here. */
interface Stream {
  readonly arn: string;
  readonly createdMs: number;
  readonly retentionMs: number;
}

async function describe(client: KinesisClient, stream: string): Promise<Stream> {
  try {
    const { StreamDescriptionSummary: summary } = await client.send(
      new DescribeStreamSummaryCommand(stream.startsWith('arn:') ? { StreamARN: stream } : { StreamName: stream }),
    );
    return {
      arn: summary?.StreamARN ?? stream,
      createdMs: summary?.StreamCreationTimestamp?.getTime() ?? 0,
      retentionMs: (summary?.RetentionPeriodHours ?? 24) * 3_600_000,
    };
  } catch (error) {
    throw await translateReadError(error, stream, client);
  }
}

/** One replication under way. */
class Replication {
  readonly #options: ReplicateOptions;
  readonly #terminal: Terminal;
  readonly #client: KinesisClient;
  readonly #patienceMs: number;
  readonly #stop: AbortController;
  readonly #stream: Stream;
  readonly #wake = new Signal();
  readonly #applied = new Signal();
  /** How far behind the tip each shard was read, in milliseconds. */
  readonly #behind = new Map<string, number>();
  #waiting = 0;
  #unspilledBytes = 0;
  #cutMs: number | undefined;
  #since: number | undefined;

  constructor(
    options: ReplicateOptions,
    terminal: Terminal,
    { client, patienceMs }: Required<ReplicateEnvironment>,
    stop: AbortController,
    stream: Stream,
  ) {
    this.#options = options;
    this.#terminal = terminal;
    this.#client = client;
    this.#patienceMs = patienceMs;
    this.#stop = stop;
    this.#stream = stream;
  }

  async run(connection: Awaited<ReturnType<typeof connectTarget>>): Promise<void> {
    const { name = 'pg2kinesis', startAfter, takeOver = false, source, json = false } = this.#options;
    const { triggers: allowTriggers = false, skipMissing = false } = this.#options;
    const positions = new PositionStore(connection.client, name);
    const saved = await positions.begin(this.#stream, startAfter, takeOver);
    this.#cutMs = saved.cutMs;
    const shards = new Shards();
    for (const [id, position] of saved.shards) shards.resume(id, position);
    const intake = new Intake(saved, shards, source);
    const target = new PostgresTarget(connection, positions, { allowTriggers, skipMissing });
    using store = new SpillStore();
    const plan = new ReplicaShardPlan({
      shards,
      saved: saved.shards,
      savedAtMs: saved.savedAtMs,
      now: systemClock.now(),
      retentionMs: this.#stream.retentionMs,
    });
    const applier = new Applier({ intake, target, store });
    const progress = new Progress(this.#terminal.stdout, json, systemClock.now());
    const say = (event: 'progress' | 'end'): void =>
      progress.print(this.#reading(intake, target), systemClock.now(), event);
    this.#terminal.stderr.write(
      `Replicating ${this.#stream.arn} to "${connection.address.database}" at ${connection.address.host}:${connection.address.port}, from ${formatLsn(saved.cut)} on.\n`,
    );
    const timer = setInterval(() => say('progress'), PROGRESS_MS);
    try {
      await this.#work(intake, plan, applier, store);
      say('end');
    } finally {
      clearInterval(timer);
    }
  }

  /** Reads and applies, until one of them ends. */
  async #work(intake: Intake, plan: ReplicaShardPlan, applier: Applier, store: SpillStore): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, over.signal]);
    let isRead = false;
    const reading = async (): Promise<void> => {
      try {
        await readStream({
          client: this.#client,
          stream: this.#options.stream,
          from: 'trim-horizon',
          plan,
          signal,
          ...(this.#options.once === true ? { finish: AbortSignal.abort() } : {}),
          onWait: (why, ms) => this.#terminal.stderr.write(`Kinesis: ${why}. Trying again in ${ms / 1000} s.\n`),
          onPage: (shard, behindMs) => this.#behind.set(shard, behindMs),
          onRecord: (record) => this.#take(record, intake, plan, store, signal),
        });
      } catch (error) {
        throw error instanceof ReplicaError
          ? error
          : await translateReadError(error, this.#options.stream, this.#client);
      } finally {
        isRead = true;
        this.#wake.send();
      }
    };
    const applying = async (): Promise<void> => {
      for (;;) {
        const wasRead = isRead;
        const applied = await applier.step();
        if (applied !== undefined) {
          this.#cutMs = applied.cutMs ?? this.#cutMs;
          this.#waiting = store.spill(intake.lanes);
          this.#applied.send();
        }
        if (signal.aborted || (applied === undefined && wasRead)) return;
        this.#refuseWithoutMarks(intake);
        if (applied === undefined) await this.#wake.wait(IDLE_MS);
      }
    };
    const ended = async (work: Promise<void>): Promise<void> => {
      try {
        await work;
      } catch (error) {
        over.abort();
        this.#applied.send();
        throw error;
      }
    };
    const outcomes = await Promise.allSettled([ended(reading()), ended(applying())]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #take(
    record: StreamRecord,
    intake: Intake,
    plan: ReplicaShardPlan,
    store: SpillStore,
    signal: AbortSignal,
  ): Promise<void> {
    const { shardId: shard, sequenceNumber: sequence, arrivedMs, partitionKey, data } = record;
    plan.refuseOther(shard, sequence);
    const texts = userRecords({ partitionKey, data })
      .flatMap(lineRecords)
      .map((user) => user.data.toString());
    const since = systemClock.now();
    while (!intake.take({ shard, sequence, arrivedMs, partitionKey, texts })) {
      if (signal.aborted) return;
      if (systemClock.now() - since > this.#patienceMs) {
        throw new ReplicaError(
          'LANES_CHANGED',
          `LANES was changed while records of the old lanes were not followed by marks: the stream holds records of ${partitionKey}, and this copy was read in ${intake.lanes.lanes.length} lanes. Nothing of them was applied.`,
        );
      }
      await this.#applied.wait(IDLE_MS);
    }
    this.#unspilledBytes += data.length;
    if (this.#unspilledBytes > 1024 * 1024) {
      this.#unspilledBytes = 0;
      this.#waiting = store.spill(intake.lanes);
    }
    this.#wake.send();
    // Only where something can be applied: else what is waited for may be what is read next.
    while (this.#waiting > MAX_WAITING_CHARS && intake.lanes.cut.lsn > intake.lanes.applied && !signal.aborted)
      await this.#applied.wait(IDLE_MS);
  }

  #refuseWithoutMarks({ counts, lanes }: Intake): void {
    if (counts.marks > 0 || counts.changes === 0) return;
    this.#since ??= systemClock.now();
    if (systemClock.now() - this.#since < this.#patienceMs) return;
    throw new ReplicaError(
      'MARKS_MISSING',
      `The stream holds ${counts.changes} changes after ${formatLsn(lanes.applied)} and no marks, which tell up to where every lane was read. Nothing of them was applied.`,
    );
  }

  #reading({ lanes }: Intake, target: PostgresTarget): ReplicaReading {
    const { memory, stored } = lanes.waiting;
    const isRead = this.#behind.size > 0 && [...this.#behind.values()].every((ms) => ms === 0);
    return {
      cut: lanes.applied,
      cutMs: this.#cutMs,
      caughtUp: isRead && lanes.lanes.length > 0 && lanes.lanes.every(({ readUpto }) => readUpto === lanes.applied),
      tables: target.changes,
      waitingBytes: memory + stored,
      missing: target.missing,
    };
  }
}

/** Wakes those who wait. */
class Signal {
  #waiters: (() => void)[] = [];
  #sent = false;

  /** Ends the waits that are under way; or the next one. */
  send(): void {
    if (this.#waiters.length === 0) this.#sent = true;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Waits for it, at most so long. */
  async wait(ms: number): Promise<void> {
    if (this.#sent) {
      this.#sent = false;
      return;
    }
    const over = new AbortController();
    await Promise.race([
      new Promise<void>((resolve) => this.#waiters.push(resolve)),
      systemClock.sleep(ms, over.signal),
    ]);
    over.abort();
  }
}
