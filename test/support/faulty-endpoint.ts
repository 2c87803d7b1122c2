/**
 * A Kinesis endpoint that fails on command: an HTTP proxy in front of the emulator. A proxy stands here, and no fake client
 * in the publisher's place, because what is tested is how the publisher and the SDK beneath it take what happens on the
 * wire: a connection that breaks after the server has stored the records, a body that never ends, an answer of garbage, and
 * single entries refused while the others are really stored, where their order can be read back.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to one PutRecords request. */
export type Fault =
  /** Nothing: it is forwarded. */
  | { readonly kind: 'pass' }
  /** Answered with an error, not forwarded. */
  | { readonly kind: 'error'; readonly status: number; readonly type: string; readonly message?: string }
  /** The connection is broken, before the request is forwarded or after it was stored. */
  | { readonly kind: 'drop'; readonly when: 'before' | 'after' }
  /** Stored, but the answer comes late. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Stored, and never answered: nothing at all, or no more than the answer's head. */
  | { readonly kind: 'stall'; readonly part: 'all' | 'body' }
  /** Stored, and answered with this body. */
  | { readonly kind: 'garbage'; readonly body: string }
  /** The chosen entries are refused, the others stored. */
  | { readonly kind: 'refuse'; readonly entries: (index: number) => boolean; readonly code?: string };

/** An entry as it came over the wire. */
export interface WireEntry {
  readonly PartitionKey: string;
  readonly ExplicitHashKey?: string;
  readonly Data: string;
}

/** One PutRecords request as the proxy saw it. */
export interface SeenRequest {
  readonly body: { readonly StreamName?: string; readonly StreamARN?: string; readonly Records: readonly WireEntry[] };
  /** Whether another one to the same stream was in flight when it came. */
  readonly overlapped: boolean;
  /** Whose it is: the access key id that it is signed with. */
  readonly sender: string;
  /** When it was answered, by `performance.now()`; undefined: it is not, or the connection was broken. */
  readonly answeredAt: number | undefined;
}

/** A running proxy. */
export interface FaultyEndpoint {
  readonly endpoint: string;
  /** Every PutRecords request so far. */
  readonly seen: readonly SeenRequest[];
  /** How many PutRecords requests have come and are not answered or broken. */
  readonly inFlight: number;
  /** What happens to the next requests, in order; later ones pass. */
  next(...faults: readonly Fault[]): void;
  /** What happens to each request that no `next` speaks of. */
  always(fault: () => Fault): void;
  /** Ends it and every connection. */
  stop(): Promise<void>;
}

/**
 * Starts a proxy.
 *
 * @param target - the emulator's address
 * @returns the running proxy, on a free port of the loopback interface
 */
export async function startFaultyEndpoint(target: string): Promise<FaultyEndpoint> {
  const seen: SeenRequest[] = [];
  const queue: Fault[] = [];
  let otherwise = (): Fault => ({ kind: 'pass' });
  /** By stream. */
  const inFlight = new Map<string, number>();
  const count = (stream: string, more: 1 | -1) => inFlight.set(stream, (inFlight.get(stream) ?? 0) + more);

  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const body = await readBody(incoming);
      if (!String(incoming.headers['x-amz-target']).endsWith('.PutRecords')) {
        return answer(outgoing, await forward(target, incoming, body));
      }
      const asked = JSON.parse(body.toString()) as SeenRequest['body'];
      const stream = asked.StreamARN ?? asked.StreamName ?? '';
      const request: { -readonly [K in keyof SeenRequest]: SeenRequest[K] } = {
        body: asked,
        overlapped: (inFlight.get(stream) ?? 0) > 0,
        sender: /Credential=([^/]+)/.exec(incoming.headers.authorization ?? '')?.[1] ?? '',
        answeredAt: undefined,
      };
      seen.push(request);
      // Whoever sent it may have been killed meanwhile: then it is closed already.
      if (!outgoing.closed && !outgoing.destroyed) {
        count(stream, 1);
        outgoing.once('close', () => count(stream, -1));
      }
      outgoing.once('finish', () => (request.answeredAt = performance.now()));
      await play(queue.shift() ?? otherwise(), target, incoming, outgoing, body);
    })().catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    endpoint: `http://127.0.0.1:${port}`,
    seen,
    get inFlight() {
      return [...inFlight.values()].reduce((sum, each) => sum + each, 0);
    },
    next: (...faults) => void queue.push(...faults),
    always: (fault) => (otherwise = fault),
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function play(
  fault: Fault,
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  body: Buffer,
): Promise<void> {
  if (fault.kind === 'error') {
    const { status, type, message = 'made by the test' } = fault;
    return answer(outgoing, { status, body: JSON.stringify({ __type: type, message }) });
  }
  if (fault.kind === 'refuse') return refuse(fault, target, incoming, outgoing, body);
  if (fault.kind === 'drop' && fault.when === 'before') return void outgoing.destroy();

  const stored = await forward(target, incoming, body);
  switch (fault.kind) {
    case 'pass':
      return answer(outgoing, stored);
    case 'drop':
      return void outgoing.destroy();
    case 'delay':
      return void setTimeout(() => answer(outgoing, stored), fault.ms).unref();
    case 'garbage':
      return answer(outgoing, { status: 200, body: fault.body });
    case 'stall':
      if (fault.part === 'all') return;
      outgoing.writeHead(200, {
        'content-type': 'application/x-amz-json-1.1',
        'content-length': stored.body.length + 1,
      });
      outgoing.write(stored.body);
  }
}

/** Forwards the entries that are not refused, and merges the answer. */
async function refuse(
  fault: Fault & { readonly kind: 'refuse' },
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  body: Buffer,
): Promise<void> {
  const asked = JSON.parse(body.toString()) as SeenRequest['body'];
  const refused = asked.Records.map((_, index) => fault.entries(index));
  const Records = asked.Records.filter((_, index) => refused[index] === false);
  let stored: unknown[] = [];
  if (Records.length > 0) {
    const forwarded = await forward(target, incoming, Buffer.from(JSON.stringify({ ...asked, Records })));
    if (forwarded.status !== 200) return answer(outgoing, forwarded);
    stored = (JSON.parse(forwarded.body) as { Records: unknown[] }).Records;
  }
  const { code = 'ProvisionedThroughputExceededException' } = fault;
  const results = refused.map((is) => (is ? { ErrorCode: code, ErrorMessage: 'made by the test' } : stored.shift()));
  answer(outgoing, {
    status: 200,
    body: JSON.stringify({ FailedRecordCount: refused.filter(Boolean).length, Records: results }),
  });
}

function answer(outgoing: ServerResponse, { status, body }: Answer): void {
  outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
  outgoing.end(body);
}

function forward(target: string, incoming: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...incoming.headers, 'content-length': String(body.length) };
    const onward = request(target, { method: 'POST', path: incoming.url, headers }, (response) => {
      readBody(response).then(
        (answered) => resolve({ status: response.statusCode ?? 500, body: answered.toString() }),
        reject,
      );
    });
    onward.once('error', reject);
    onward.end(body);
  });
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
