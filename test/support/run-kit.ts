/**
 * What tests of the run loop are made with: a clock that only the test moves, a publisher whose answers a test decides,
 * and the real formats, policies and packer around them.
 */
import assert from 'node:assert/strict';
import { FORMATS } from '../../lambda/format/formats.ts';
import { partitionKeyWriter } from '../../lambda/format/partition-key.ts';
import type { MetricName } from '../../lambda/metrics.ts';
import { createPacker } from '../../lambda/pack/create-packer.ts';
import type { Round } from '../../lambda/pack/round.ts';
import type { PrimaryKeys } from '../../lambda/ports/catalogs.ts';
import type { Published, Publisher } from '../../lambda/ports/publisher.ts';
import type { Clock, Log, Metrics } from '../../lambda/ports/runtime.ts';
import type { Session } from '../../lambda/ports/session.ts';
import type { RunOptions, RunPorts } from '../../lambda/run/run-options.ts';
import { coldState, type WarmState } from '../../lambda/run/warm-state.ts';
import { NO_FILTERS } from '../../lambda/settings/filters.ts';
import { OPERATIONS } from '../../lambda/settings/setting-schemas.ts';
import { FORMAT_OPTIONS } from './changes.ts';
import { fakeSession, type FakeSlot } from './fake-slot.ts';

/** A clock that stands still until it is moved; sleeping moves it. */
export class TestClock implements Clock {
  time = 1_767_400_000_000;
  readonly slept: number[] = [];

  now(): number {
    return this.time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    this.slept.push(ms);
    this.time += ms;
    return Promise.resolve();
  }

  random(): number {
    return 0.5;
  }
}

/** What a test lets become of a round. */
export type Fate = 'acknowledged' | 'throttled' | 'unanswered' | Error;

/** A stream in memory. */
export class FakePublisher implements Publisher {
  /** The data of every user record that arrived, as text, in order. */
  readonly arrived: string[] = [];
  /** The same, of rounds acknowledged whole. */
  readonly acknowledged: string[] = [];
  /** Each round's records, and the deadline given for it. */
  readonly rounds: { readonly records: readonly string[]; readonly deadline: number }[] = [];
  /** Decides what becomes of a round. */
  fate: (round: number) => Fate = () => 'acknowledged';
  /** How long a round takes. */
  roundMs = 10;
  readonly #clock: TestClock;
  #inFlight = 0;

  constructor(clock: TestClock) {
    this.#clock = clock;
  }

  async publish(round: Round, deadline: number, signal: AbortSignal): Promise<Published> {
    assert.equal(this.#inFlight, 0, 'I3: a round is sent while another is in flight');
    const records = round.entries.map(({ data }) => Buffer.from(data).toString());
    // As the port asks: no request is begun that could end after the deadline.
    if (this.#clock.time + this.roundMs > deadline) return { complete: false, throttledEntries: 0 };
    const fate = signal.aborted ? 'unanswered' : this.fate(this.rounds.length);
    this.rounds.push({ records, deadline });
    this.#inFlight++;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#clock.time += this.roundMs;
    this.#inFlight--;
    if (fate instanceof Error) throw fate;
    // A round that is not acknowledged whole may have arrived in part.
    this.arrived.push(...(fate === 'acknowledged' ? records : records.slice(0, Math.floor(records.length / 2))));
    if (fate === 'acknowledged') this.acknowledged.push(...records);
    return { complete: fate === 'acknowledged', throttledEntries: fate === 'throttled' ? 3 : 0 };
  }
}

/** Everything that was logged and measured. */
export class Recorder implements Log, Metrics {
  readonly lines: string[] = [];
  readonly values: [MetricName, number][] = [];
  readonly #fields: (Record<string, unknown> | undefined)[] = [];
  flushes = 0;

  debug(message: string, fields?: Record<string, unknown>): void {
    this.#log('debug', message, fields);
  }
  info(message: string, fields?: Record<string, unknown>): void {
    this.#log('info', message, fields);
  }
  warn(message: string, fields?: Record<string, unknown>): void {
    this.#log('warn', message, fields);
  }
  error(message: string, fields?: Record<string, unknown>): void {
    this.#log('error', message, fields);
  }
  /** @param part - of a line @returns the fields of the lines that have it */
  fieldsOf(part: string): (Record<string, unknown> | undefined)[] {
    return this.#fields.filter((_, i) => this.lines[i]?.includes(part));
  }
  #log(level: string, message: string, fields: Record<string, unknown> | undefined): void {
    this.lines.push(`${level} ${message}`);
    this.#fields.push(fields);
  }
  add(name: MetricName, value: number): void {
    this.values.push([name, value]);
  }
  flush(): void {
    this.flushes++;
  }
}

/** One pipeline over fakes. */
export interface RunKit {
  readonly clock: TestClock;
  readonly publisher: FakePublisher;
  readonly recorder: Recorder;
  readonly warmState: WarmState;
  readonly session: Session;
  readonly lose: (reason: Error) => void;
  readonly ports: RunPorts;
  /** @returns the options of a run of 50 s that begins now, changed as given */
  options(changes?: Partial<RunOptions>): RunOptions;
}

/**
 * Lays out a pipeline: csv without aggregation, so that each change is one entry that a test can read.
 *
 * @param slot - what is read
 * @param keys - the primary keys
 */
export function runKit(slot: FakeSlot, keys: PrimaryKeys): RunKit {
  const clock = new TestClock();
  const publisher = new FakePublisher(clock);
  const recorder = new Recorder();
  const warmState = coldState();
  const { session, lose } = fakeSession(slot, keys);
  const ports: RunPorts = { session, publisher, clock, log: recorder, metrics: recorder, warmState };
  return {
    clock,
    publisher,
    recorder,
    warmState,
    session,
    lose,
    ports,
    options: (changes = {}) => ({
      action: 'run',
      slotName: 'fake',
      startedAt: clock.time,
      deadline: clock.time + 50_000,
      functionDeadline: clock.time + 900_000,
      maxRows: 1_000_000,
      inFlightGraceMs: 12_000,
      format: FORMATS.csv({ ...FORMAT_OPTIONS, source: 'test/fake' }),
      partitionKey: partitionKeyWriter('primary-key', 'test/fake'),
      packer: createPacker({ aggregation: 'none', lanes: 64, maxRecordBytes: 1024 * 1024 }),
      filters: NO_FILTERS,
      operations: new Set(OPERATIONS),
      oversize: 'key-only',
      unknownKey: 'skip',
      ...changes,
    }),
  };
}
