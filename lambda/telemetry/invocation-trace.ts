/**
 * A trace of the invocation that is under way, in a file. Lambda ends a function that has used up its memory or its time
 * without a word, and starts it again in the same environment, whose /tmp stays: a trace that was not removed tells the
 * next invocation of it. Knows no run; a file that cannot be written is no error.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Log } from '../ports/runtime.ts';

/** What a trace is made with. */
export interface TraceOptions {
  /** Where the trace is. Each environment has its own. */
  readonly file: string;
  /** The function's memory, MiB. */
  readonly memoryMib: number;
  /** @returns milliseconds since 1970 */
  readonly now: () => number;
  /** @returns the memory that the process holds, bytes */
  readonly residentBytes: () => number;
  readonly log: Log;
}

/** What is known of an invocation. */
interface Trace {
  readonly requestId: string;
  readonly startedAt: number;
  readonly seenAt: number;
  readonly residentMib: number;
}

/** How often the memory is noted. */
const INTERVAL_MS = 1_000;

/**
 * Begins to trace an invocation, and logs once that the one before was never finished.
 *
 * @param options - where, and of what
 * @param requestId - the id that Lambda gave the invocation
 * @returns ends it
 */
export function traceInvocation(options: TraceOptions, requestId: string): () => void {
  const { file, memoryMib, now, residentBytes, log } = options;
  const before = readTrace(file);
  if (before !== undefined) {
    log.warn(
      'The invocation before this one was killed before it could answer. If the log of its end says that the memory was used up, or "signal: killed", raise memoryMib; if it says "timed out", the time was not enough.',
      { killed: before, memoryMib },
    );
  }
  const startedAt = now();
  const write = (): void => {
    const residentMib = Math.round(residentBytes() / 1024 / 1024);
    const trace: Trace = { requestId, startedAt, seenAt: now(), residentMib };
    attempt(() => {
      // In two steps: whoever is killed while writing leaves the trace of before.
      writeFileSync(`${file}.new`, JSON.stringify(trace));
      renameSync(`${file}.new`, file);
    });
  };
  write();
  const timer = setInterval(write, INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    attempt(() => rmSync(file, { force: true }));
  };
}

/** The trace of an invocation that was not finished, as it is logged. */
function readTrace(file: string): Record<string, unknown> | undefined {
  return attempt(() => {
    const { requestId, startedAt, seenAt, residentMib } = JSON.parse(readFileSync(file, 'utf8')) as Trace;
    return {
      requestId,
      startedAt: new Date(startedAt).toISOString(),
      lastSeenAfterMs: seenAt - startedAt,
      lastSeenMemoryMib: residentMib,
    };
  });
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
