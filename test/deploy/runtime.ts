/**
 * A Lambda container without Lambda: AWS's own runtime client (aws-lambda-ric) in a process of its own, and the Runtime
 * API that it asks for work. Knows nothing of what the function does.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '4.0.2';
const CACHE = fileURLToPath(new URL(`../../node_modules/.cache/`, import.meta.url));

/**
 * Installs the runtime client where it is not there yet. It is no dependency of the project because it is compiled when
 * it is installed (cmake, make, a C++ compiler, Python), which `npm install` must not need.
 *
 * @param say - takes a line for whoever waits: it is a minute or two
 * @returns the client's program
 * @throws {Error} when it cannot be installed; the message holds the end of what npm said
 */
export function installRuntimeClient(say: (line: string) => void): string {
  const folder = join(CACHE, `aws-lambda-ric-${VERSION}`);
  const program = join(folder, 'node_modules/aws-lambda-ric/index.mjs');
  if (existsSync(join(dirname(program), 'rapid-client.node'))) return program;
  say(`Installing aws-lambda-ric ${VERSION} into node_modules/.cache; it is compiled, which takes a minute or two.`);
  mkdirSync(CACHE, { recursive: true });
  const draft = mkdtempSync(join(CACHE, 'aws-lambda-ric-'));
  try {
    writeFileSync(
      join(draft, 'package.json'),
      JSON.stringify({ private: true, allowScripts: { 'aws-lambda-ric': true } }),
    );
    const result = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--no-save', `aws-lambda-ric@${VERSION}`], {
      cwd: draft,
      encoding: 'utf8',
      timeout: 900_000,
      maxBuffer: 256 * 1024 * 1024,
      // This Node.js first: the machine's own may be older than the client takes.
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
        MAKEFLAGS: '-j2',
      },
    });
    if (result.status !== 0) {
      throw new Error(
        `aws-lambda-ric ${VERSION} could not be installed; it needs cmake, make, a C++ compiler and Python. npm said:\n${`${result.stdout}${result.stderr}`.slice(-3000)}`,
      );
    }
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return program;
}

/** What an invocation came to: an answer, or the error as Lambda would report it. */
export interface Outcome {
  readonly answer?: unknown;
  readonly error?: {
    readonly errorType: string;
    readonly errorMessage: string;
    readonly stackTrace?: readonly string[];
  };
}

/** A container. */
export interface Container {
  /** From the start of the process until it asked for work: Node.js, the client and the function's initialisation, in milliseconds. */
  readonly startMs: number;
  /** Hands it an event, as it is. */
  invoke(event: unknown, alias?: string): Promise<Outcome>;
  /** All that it has written. */
  output(): string;
  /** Its process, the same as long as it is warm. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** What a container runs. */
export interface ContainerOptions {
  /** The runtime client's program. */
  readonly client: string;
  /** The function's unpacked code. */
  readonly folder: string;
  /** The function's handler, name, memory and time-out, as deployed. */
  readonly handler: string;
  readonly functionName: string;
  readonly memoryMib: number;
  readonly timeoutSeconds: number;
  /** The function's environment, and what Lambda adds: region and credentials. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Starts a container.
 *
 * @throws {Error} when its initialisation fails; the message holds what it said
 */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  let waiting: ServerResponse | undefined;
  let ready: (() => void) | undefined;
  let settle: ((outcome: Outcome) => void) | undefined;
  let initError: string | undefined;
  let output = '';

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    if (path.endsWith('/runtime/invocation/next')) {
      waiting = response;
      ready?.();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"OK"}');
    if (path.endsWith('/runtime/init/error')) initError = body;
    else if (path.endsWith('/response')) settle?.({ answer: JSON.parse(body) });
    else if (path.endsWith('/error')) settle?.({ error: JSON.parse(body) as NonNullable<Outcome['error']> });
  };
  const server = createServer((request, response) => void serve(request, response));
  // An idle container waits for work for as long as there is none.
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const asked = new Promise<void>((resolve) => (ready = resolve));
  const startedAt = performance.now();
  const child = spawn(process.execPath, [options.client], {
    cwd: options.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      TZ: ':UTC',
      LANG: 'en_US.UTF-8',
      _HANDLER: options.handler,
      LAMBDA_TASK_ROOT: options.folder,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_FUNCTION_NAME: options.functionName,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(options.memoryMib),
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${options.functionName}`,
      AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]0123456789abcdef',
      ...options.environment,
    },
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    kill();
    await gone;
    process.off('exit', kill);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  await Promise.race([asked, gone]);
  if (waiting === undefined || child.pid === undefined) {
    await stop();
    throw new Error(`The function did not initialise: ${initError ?? ''}\n${output}`);
  }
  const startMs = performance.now() - startedAt;

  let requests = 0;
  return {
    startMs,
    pid: child.pid,
    output: () => output,
    async invoke(event, alias) {
      const next = waiting;
      if (next === undefined) throw new Error('The container is busy.');
      waiting = undefined;
      const done = new Promise<Outcome>((resolve) => (settle = resolve));
      const free = new Promise<void>((resolve) => (ready = resolve));
      next
        .writeHead(200, {
          'content-type': 'application/json',
          'lambda-runtime-aws-request-id': `00000000-0000-4000-8000-${String(++requests).padStart(12, '0')}`,
          'lambda-runtime-deadline-ms': String(Date.now() + options.timeoutSeconds * 1000),
          'lambda-runtime-invoked-function-arn': `arn:aws:lambda:us-east-1:123456789012:function:${options.functionName}${alias === undefined ? '' : `:${alias}`}`,
          'lambda-runtime-trace-id': 'Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0',
        })
        .end(JSON.stringify(event));
      const ended = gone.then((): never => {
        throw new Error(`The container ended while it worked.\n${output}`);
      });
      const outcome = await Promise.race([done, ended]);
      await Promise.race([free, ended]);
      return outcome;
    },
    stop,
  };
}
