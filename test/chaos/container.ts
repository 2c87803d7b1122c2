/**
 * The real handler in a process that can be killed, stopped and gone on with, as a machine under a container can.
 * Its environment carries a password and its rows carry text that must never be seen in what it writes (I10).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { Outcome } from '../lambda/handler-process.ts';

/** The password of the role that the handler logs in with. */
export const PASSWORD = 'MARKER-password-5f1c';
/** The time-out of a function that drains whatever was written: half a minute on some machines, minutes on others. */
export const DRAIN_MS = 600_000;
/** Stands in every row's values and keys that a test of this directory writes. */
export const ROW_MARKER = 'MARKER-row-77aa';

/** What became of an invocation: as Lambda would report it, or nothing, because the process died. */
export type Ending = Outcome | 'killed';

/** A container of the function. */
export interface Container {
  readonly child: ChildProcess;
  /** Everything it has written, standard error included. */
  readonly output: string;
  /** Its lines that are JSON. */
  readonly lines: readonly Record<string, unknown>[];
  /**
   * @param remainingMs - the function's time-out
   * @throws {Error} while it is at work: Lambda gives a container one invocation at a time
   */
  invoke(event: unknown, remainingMs?: number): Promise<Ending>;
  /** Invokes it. @returns the answer of a run. @throws {Error} when it failed or died */
  run(event: unknown, remainingMs?: number): Promise<RunAnswer>;
  /** Invokes it. @returns the error's code and message. @throws {Error} when it did not fail */
  refusal(event: unknown, remainingMs?: number): Promise<{ readonly code: string; readonly message: string }>;
  /** Ends it by SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Starts a container, loaded and ready to be invoked.
 *
 * @param env - its variables, all of them
 */
export async function startContainer(env: Readonly<Record<string, string>>): Promise<Container> {
  const child = fork(fileURLToPath(import.meta.resolve('../lambda/handler-process.ts')), ['child'], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const gone = once(child, 'close');
  await Promise.race([once(child, 'message'), gone]);
  let isAtWork = false;
  const invoke = async (event: unknown, remainingMs = 60_000): Promise<Ending> => {
    if (child.exitCode !== null || child.signalCode !== null) return 'killed';
    if (isAtWork) throw new Error('the container is at work: an answer would be taken for that of both invocations');
    isAtWork = true;
    const answered = once(child, 'message') as Promise<[Outcome]>;
    child.send({ event, remainingMs }, () => undefined);
    const ending = await Promise.race([answered, gone.then(() => 'killed' as const)]);
    isAtWork = false;
    if (ending === 'killed') return 'killed';
    // What was written before the answer may arrive after it: another pipe.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return ending[0];
  };
  return {
    child,
    get output() {
      return output;
    },
    get lines() {
      return output
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    invoke,
    async run(event, remainingMs) {
      const ending = await invoke(event, remainingMs);
      if (ending === 'killed') throw new Error('the container died');
      if (ending.error !== undefined) throw new Error(`${ending.error.message}\n${output.slice(-3_000)}`);
      return ending.answer as RunAnswer;
    },
    async refusal(event, remainingMs) {
      const ending = await invoke(event, remainingMs);
      if (ending === 'killed') throw new Error('the container died');
      if (ending.error === undefined) throw new Error(`it did not fail: ${JSON.stringify(ending.answer)}`);
      return { code: ending.error.name, message: ending.error.message };
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
