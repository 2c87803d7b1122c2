/**
 * An HTTP endpoint whose every answer the test writes, in place of an AWS service: for what an emulator cannot be made to
 * say. Knows no service.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it came. */
export interface ScriptedRequest {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Which connection it came over, counted from 1. */
  readonly connection: number;
}

/** What is answered. */
export interface ScriptedAnswer {
  readonly status?: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A running endpoint. */
export interface ScriptedEndpoint {
  readonly endpoint: string;
  /** Every request so far. */
  readonly seen: ScriptedRequest[];
  stop(): Promise<void>;
}

/**
 * Starts one.
 *
 * @param answer - told each request, and how many came before it; `close` closes the connection without one
 * @returns the running endpoint, on a free port of the loopback interface
 */
export async function startScripted(
  answer: (request: ScriptedRequest, before: number) => ScriptedAnswer | 'close',
): Promise<ScriptedEndpoint> {
  const seen: ScriptedRequest[] = [];
  const connections = new WeakMap<object, number>();
  let opened = 0;
  const server = createServer((incoming, outgoing) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
    incoming.once('end', () => {
      const connection = connections.get(incoming.socket) ?? 0;
      const request = { url: incoming.url ?? '', headers: incoming.headers, body, connection };
      const given = answer(request, seen.push(request) - 1);
      if (given === 'close') return void incoming.socket.destroy();
      const { status = 200, body: text, headers } = given;
      outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...headers }).end(text);
    });
  });
  server.on('connection', (socket) => connections.set(socket, ++opened));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** An answer to a PutRecords request that stores all its entries. @param body - the request's */
export function stored(body: string): ScriptedAnswer {
  const { Records } = JSON.parse(body) as { Records: unknown[] };
  const entries = Records.map((_, i) => ({ SequenceNumber: String(i + 1), ShardId: 'shardId-000000000000' }));
  return { body: JSON.stringify({ FailedRecordCount: 0, Records: entries }) };
}

/** A refusal as AWS's JSON services write it. */
export function refusal(type: string, status = 400): ScriptedAnswer {
  return { status, body: JSON.stringify({ __type: type, message: 'made by the test' }) };
}

/**
 * Sets variables of the environment, and no other AWS_* ones, while something is done.
 *
 * @param variables - set meanwhile
 * @param work - what is done
 */
export async function withEnvironment<T>(
  variables: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  const kept = { ...process.env };
  const clear = (): void => {
    for (const name of Object.keys(process.env))
      if (/^(AWS_|_X_AMZN|HOME$)/.test(name)) Reflect.deleteProperty(process.env, name);
  };
  clear();
  // No profile of the machine's.
  Object.assign(process.env, { HOME: '/nonexistent' }, variables);
  try {
    return await work();
  } finally {
    for (const name of Object.keys(variables)) Reflect.deleteProperty(process.env, name);
    clear();
    Object.assign(process.env, kept);
  }
}
