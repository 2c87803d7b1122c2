/**
 * The real handler in a process of its own, as a Lambda container has it: its module scope and its standard output are
 * the test's to look at. Forked by `startHandler`; the child's half is at the end of the file.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The ARN by which the function is invoked. */
export const OWN_ARN = 'arn:aws:lambda:us-east-1:123456789012:function:own';

/** What an invocation came to. */
export interface Outcome {
  readonly answer?: unknown;
  /** What Lambda would report: `errorType` is the name, `trace` the stack by lines. `fields` are the error's enumerable properties. */
  readonly error?: {
    readonly name: string;
    readonly message: string;
    readonly trace: readonly string[];
    readonly fields: Record<string, unknown>;
  };
}

/** What the process holds when nothing is going on, garbage collected. */
export interface Held {
  /** Bytes of JavaScript objects. */
  readonly heap: number;
  /** What the event loop waits for, by kind: `TCPSocketWrap`, `Timeout`. */
  readonly resources: Readonly<Record<string, number>>;
  /** Listeners of the process itself. */
  readonly listeners: number;
}

/** A container. */
export interface HandlerProcess {
  /** Invokes it. @param remainingMs - the function's time-out */
  invoke(event: unknown, remainingMs?: number): Promise<Outcome>;
  /** Everything it has written, standard error included. */
  output(): string;
  /** Its lines that are JSON. */
  lines(): Record<string, unknown>[];
  stop(): Promise<void>;
}

/** Starts a container. @param env - its variables, all of them */
export async function startHandler(env: Readonly<Record<string, string>>): Promise<HandlerProcess> {
  const child = fork(fileURLToPath(import.meta.url), ['child'], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: [],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child, 'message');
  return {
    async invoke(event, remainingMs = 30_000) {
      const answered = once(child, 'message') as Promise<[Outcome]>;
      child.send({ event, remainingMs });
      const [outcome] = await answered;
      // What was written before the answer may arrive after it: another pipe.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return outcome;
    },
    output: () => output,
    lines: () =>
      output
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    async stop() {
      if (child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}

if (process.argv[2] === 'child' && process.send !== undefined) {
  const { handler } = await import('../../lambda/handler.ts');
  let requests = 0;
  const held = async (): Promise<Held> => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // What finalizers let go of is garbage for the next collection only.
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise(setImmediate);
    }
    const resources: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
    const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
    return { heap: process.memoryUsage().heapUsed, resources, listeners };
  };
  process.on('message', (message: { event: unknown; remainingMs: number } | 'held') => {
    if (message === 'held') return void held().then((answer) => process.send?.(answer));
    const { event, remainingMs } = message;
    const until = Date.now() + remainingMs;
    const context = {
      awsRequestId: `request-${++requests}`,
      invokedFunctionArn: OWN_ARN,
      getRemainingTimeInMillis: () => until - Date.now(),
    };
    const reply = (outcome: Outcome): unknown => process.send?.(outcome);
    (handler as (event: unknown, context: unknown) => Promise<unknown>)(event, context).then(
      (answer) => reply({ answer }),
      (error: unknown) => {
        const { name, message, stack = '' } = error as Error;
        const fields = Object.fromEntries(Object.entries(error as object));
        reply({ error: { name, message, trace: stack.split('\n'), fields } });
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
}
