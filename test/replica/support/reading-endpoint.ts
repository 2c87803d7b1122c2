/**
 * A Kinesis endpoint in front of the emulator that refuses calls of readers on command: the emulator's iterators do not
 * expire, and it trims nothing.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A running endpoint. */
export interface ReadingEndpoint {
  readonly endpoint: string;
  /** Decides on each call. @returns the exception to answer with; undefined: it is forwarded */
  refuse: (action: string, body: Readonly<Record<string, unknown>>) => string | undefined;
  stop(): Promise<void>;
}

/** @param forwardTo - the emulator's endpoint */
export async function startReadingEndpoint(forwardTo: string): Promise<ReadingEndpoint> {
  const endpoint = { refuse: (() => undefined) as ReadingEndpoint['refuse'] };
  const server = createServer((incoming, response) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const body = Buffer.concat(parts);
      const [, action = ''] = String(incoming.headers['x-amz-target']).split('.');
      const refused = endpoint.refuse(action, JSON.parse(body.toString()) as Record<string, unknown>);
      if (refused !== undefined) {
        response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' });
        response.end(JSON.stringify({ __type: refused, message: 'refused by the test' }));
        return;
      }
      const { method, headers, url } = incoming;
      const forwarded = request(new URL(url ?? '/', forwardTo), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      forwarded.on('error', () => response.destroy());
      forwarded.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(endpoint, {
    endpoint: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
