/**
 * Shows a drain while it runs: a bar on a terminal, a line every 10 seconds elsewhere, events as lines of JSON where those
 * are asked for. Knows no slot and no function.
 */
import progress, { type SingleBar } from 'cli-progress';
import { jsonLine } from '../render/answer.ts';
import { count, duration, size } from '../render/units.ts';
import type { Output, Terminal } from '../terminal.ts';
import type { Reading } from './progress-meter.ts';

/** What is known at a moment. */
export interface DrainState {
  readonly reading: Reading | undefined;
  /** Changes published by all invocations so far. */
  readonly published: number;
  /** Whether `published` lacks what the invocation under way has done. */
  readonly publishedIsOld: boolean;
  /** Entries refused because the stream lacked capacity, each refusal counted. */
  readonly throttledEntries: number;
  readonly seconds: number;
  /** Which invocation it is, from 1. */
  readonly invocation: number;
}

/** Where a drain shows how far it is. */
export interface Display {
  /** How often it wants to be told, in milliseconds. */
  readonly everyMs: number;
  show(state: DrainState): void;
  /** Takes the bar away: for lines of the log, and at the end. */
  clear(): void;
}

/** A line or an event comes so often. */
const LINE_MS = 10_000;
const BAR_MS = 500;

/**
 * @param terminal - where it is shown: bar and lines on the standard error, events on the standard output
 * @param json - whether to give events
 */
export function createDisplay({ stdout, stderr }: Pick<Terminal, 'stdout' | 'stderr'>, json: boolean): Display {
  if (json)
    return {
      everyMs: LINE_MS,
      show: (state) => void stdout.write(jsonLine({ event: 'progress', ...event(state) })),
      clear: () => undefined,
    };
  if (stderr.isTTY === true) return bar(stderr);
  return {
    everyMs: LINE_MS,
    show: (state) => void stderr.write(`${describeState(state)}\n`),
    clear: () => undefined,
  };
}

function bar(output: Output): Display {
  let shown: SingleBar | undefined;
  return {
    everyMs: BAR_MS,
    show: (state) => {
      const total = Math.max(1, state.reading?.totalBytes ?? 1);
      const done = Math.min(total, state.reading?.doneBytes ?? 0);
      if (shown === undefined) {
        shown = new progress.SingleBar({
          format: (options, params, payload: { text: string }) =>
            `${progress.Format.BarFormat(params.progress, options)} ${payload.text}`,
          stream: output as unknown as NodeJS.WritableStream,
          barCompleteChar: '█',
          barIncompleteChar: '░',
          barsize: 24,
          clearOnComplete: true,
          hideCursor: true,
          linewrap: false,
          // It is drawn when it is told something, not by a timer of its own.
          noTTYOutput: false,
          autopadding: false,
          gracefulExit: false,
        });
        shown.start(total, done, { text: describeState(state) });
      }
      shown.setTotal(total);
      shown.update(done, { text: describeState(state) });
    },
    clear: () => {
      shown?.stop();
      shown = undefined;
    },
  };
}

/** @returns for example `42 % of 1.2 GiB, 1,200,000 changes, 8.1 MiB/s, 1 min 20 s left` */
export function describeState({
  reading,
  published,
  publishedIsOld,
  throttledEntries,
  seconds,
  invocation,
}: DrainState): string {
  const changes = publishedIsOld
    ? published > 0
      ? `${count(published)} changes by the invocations before`
      : ''
    : `${count(published)} changes (${count(Math.round(published / Math.max(1, seconds)))}/s)`;
  return [
    reading === undefined ? 'waiting for the first look at the slot' : share(reading),
    changes,
    reading?.bytesPerSecond === undefined ? '' : `${size(Math.max(0, reading.bytesPerSecond))}/s`,
    left(reading),
    throttledEntries > 0 ? `${count(throttledEntries)} refused: the stream is too small` : '',
    invocation > 1 ? `invocation ${invocation}` : '',
  ]
    .filter((part) => part !== '')
    .join(', ');
}

function share({ doneBytes, totalBytes }: Reading): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
  return `${percent} % of ${size(totalBytes)}`;
}

function left(reading: Reading | undefined): string {
  if (reading === undefined) return '';
  if (reading.secondsLeft === undefined) return 'time left not known';
  return reading.secondsLeft === 0 ? 'nothing left' : `${duration(reading.secondsLeft)} left`;
}

/** The state as an event has it. */
function event({ reading, published, publishedIsOld, throttledEntries, seconds, invocation }: DrainState): object {
  return {
    seconds: Math.round(seconds),
    invocation,
    ...(reading === undefined
      ? {}
      : {
          doneBytes: reading.doneBytes,
          totalBytes: reading.totalBytes,
          ...(reading.bytesPerSecond === undefined ? {} : { bytesPerSecond: Math.round(reading.bytesPerSecond) }),
          ...(reading.secondsLeft === undefined ? {} : { secondsLeft: Math.round(reading.secondsLeft) }),
        }),
    // What a function has published is known from its answer on.
    ...(publishedIsOld ? { publishedBefore: published } : { published }),
    throttledEntries,
  };
}
