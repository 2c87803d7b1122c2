/**
 * The demo's Lambda: runs the real handler in a thread with an environment of its own, warm from one invocation to the
 * next, and sorts what it writes to its output. Knows the handler's interface and nothing else of `lambda/`.
 */
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';

/** An invocation that failed, as Lambda tells it. */
export class InvocationError extends Error {
  /**
   * @param name - the error's name: a code of `lambda/errors.ts` for those that an operator can act on
   * @param message - its message
   */
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** What passes between the demo and the thread. */
export interface Request {
  readonly id: number;
  readonly event: unknown;
  /** The function's time-out. */
  readonly timeoutMs: number;
}
/** What comes back: the answer, or the failure. */
export type Response =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: { readonly name: string; readonly message: string } };

/** A warm function. */
export interface LocalFunction {
  /**
   * Invokes it and waits for the answer.
   *
   * @param event - the payload
   * @throws {InvocationError} when it fails, or its thread ends before it answers
   */
  invoke(event: unknown): Promise<unknown>;
  /** Ends it at once, whatever it is doing. Safe to call twice. */
  stop(): Promise<void>;
}

/** Lambda's longest. */
const TIMEOUT_MS = 900_000;

/**
 * Starts the function.
 *
 * @param env - its whole environment
 * @param onLog - told of what it logs that needs attention: warnings, errors, and whatever is no log line
 */
export function startFunction(env: Readonly<Record<string, string>>, onLog: (line: string) => void): LocalFunction {
  const thread = new Worker(new URL(`./function-thread${extname(import.meta.url)}`, import.meta.url), {
    env: { ...env },
    stdout: true,
    stderr: true,
  });
  const waiting = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  let next = 0;
  let ended: string | undefined;
  const end = (why: string): void => {
    ended ??= why;
    for (const { reject } of waiting.values()) reject(new InvocationError('FunctionEnded', ended));
    waiting.clear();
  };
  for (const output of [thread.stdout, thread.stderr]) {
    createInterface({ input: output }).on('line', (line) => {
      const shown = toShow(line);
      if (shown !== undefined) onLog(shown);
    });
  }
  thread.on('error', (error: unknown) =>
    end(`The function's thread failed: ${error instanceof Error ? error.message : String(error)}`),
  );
  thread.on('exit', () => end("The function's thread has ended."));
  thread.on('message', (response: Response) => {
    const caller = waiting.get(response.id);
    waiting.delete(response.id);
    if (caller === undefined) return;
    if ('failure' in response) caller.reject(new InvocationError(response.failure.name, response.failure.message));
    else caller.resolve(response.answer);
  });
  return {
    invoke: (event) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(new InvocationError('FunctionEnded', ended));
        const request: Request = { id: ++next, event, timeoutMs: TIMEOUT_MS };
        waiting.set(request.id, { resolve, reject });
        thread.postMessage(request);
      }),
    stop: async () => {
      await thread.terminate();
    },
  };
}

/** What of the function's output a reader of the demo should see; metrics and the daily log should not drown it. */
function toShow(line: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return line.trim() === '' ? undefined : line;
  }
  if (typeof parsed !== 'object' || parsed === null || '_aws' in parsed) return undefined;
  const { level, message } = parsed as { level?: unknown; message?: unknown };
  if (typeof level !== 'string' || typeof message !== 'string') return line;
  return level === 'DEBUG' || level === 'INFO' ? undefined : `${level} ${message}`;
}
