/**
 * Proxies between a client and PostgreSQL that know its messages: one that spreads connections over several servers, one
 * that cuts the connection at a chosen statement, and a pool that shares its backends by transaction.
 * No TLS; the pool knows no passwords, so its server must trust it.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A listening proxy. */
export interface Proxy {
  readonly port: number;
  /** Ends it, and every connection through it. */
  stop(): Promise<void>;
}

/** One message of the protocol: its type (empty for the startup packet) and all of its bytes. */
interface Frame {
  readonly type: string;
  readonly bytes: Buffer;
}

/** Cuts a stream of bytes into messages. */
class Frames {
  #rest: Buffer = Buffer.alloc(0);
  #typed: boolean;

  /** @param typed - whether the first message has a type: a client's has none */
  constructor(typed: boolean) {
    this.#typed = typed;
  }

  push(chunk: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const head = this.#typed ? 1 : 0;
      if (this.#rest.length < head + 4) return frames;
      const length = head + this.#rest.readInt32BE(head);
      if (this.#rest.length < length) return frames;
      const bytes = this.#rest.subarray(0, length);
      frames.push({ type: head === 1 ? String.fromCharCode(bytes[0] ?? 0) : '', bytes });
      this.#rest = this.#rest.subarray(length);
      this.#typed = true;
    }
  }
}

async function listen(serve: (client: Socket) => void): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined).on('close', () => sockets.delete(client));
    serve(client);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/**
 * Gives the first connection to the first server, the second to the second, and so on, again and again: a name with
 * several addresses, or a balancer.
 *
 * @param ports - the servers'
 */
export function startSpreadingProxy(ports: readonly number[]): Promise<Proxy> {
  let count = 0;
  return listen((client) => {
    const server = connect(ports[count++ % ports.length] ?? 0, '127.0.0.1');
    server.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    client.pipe(server);
    server.pipe(client);
  });
}

/** A proxy that cuts connections. */
export interface CuttingProxy extends Proxy {
  /** Statements seen since the last {@link arm}. */
  readonly statements: number;
  /** Counts from zero again. @param at - cut the connection that sends the statement of this number, from 1; 0: none */
  arm(at: number): void;
}

/**
 * Cuts a connection, without a word, when it sends the statement chosen.
 *
 * @param port - the server's
 */
export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  const state = { statements: 0, at: 0 };
  const proxy = await listen((client) => {
    const server = connect(port, '127.0.0.1');
    const frames = new Frames(false);
    server.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    server.pipe(client);
    client.on('data', (chunk) => {
      for (const { type, bytes } of frames.push(chunk)) {
        if ((type === 'Q' || type === 'P') && ++state.statements === state.at) {
          client.resetAndDestroy();
          server.destroy();
          return;
        }
        server.write(bytes);
      }
    });
  });
  return {
    ...proxy,
    get statements() {
      return state.statements;
    },
    arm: (at) => Object.assign(state, { statements: 0, at }),
  };
}

/**
 * A pool in session mode: a backend for each client, and no options in the startup packet.
 *
 * @param port - the server's
 */
export function startSessionPool(port: number): Promise<Proxy> {
  return listen((client) => {
    const server = connect(port, '127.0.0.1');
    server.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    client.once('data', (startup) => {
      if (startup.includes('options\0')) {
        client.end(greeting(true));
        return;
      }
      server.write(startup);
      client.pipe(server);
      server.pipe(client);
    });
  });
}

/** How a pool behaves. */
export interface PoolOptions {
  /** The server's port; it must trust everybody. */
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Backends. @default 1 */
  readonly size?: number;
  /** Gives the backend that has rested longest, not the one that rests since last. @default false */
  readonly roundRobin?: boolean;
  /** Refuses options in the startup packet, as pgbouncer does. @default true */
  readonly refuseOptions?: boolean;
}

interface Backend {
  readonly socket: Socket;
  /** Takes what the backend says; undefined: nobody uses it. */
  client: Socket | undefined;
}

/**
 * A pool in transaction mode, as pgbouncer's: whoever asks gets a backend until it is out of its transaction.
 *
 * @param options - size and behaviour
 */
export async function startTransactionPool(options: PoolOptions): Promise<Proxy> {
  const { size = 1, roundRobin = false, refuseOptions = true } = options;
  const backends = await Promise.all(Array.from({ length: size }, () => openBackend(options)));
  const free = [...backends];
  const waiting: ((backend: Backend) => void)[] = [];
  const letGo = (backend: Backend) => {
    backend.client = undefined;
    const next = waiting.shift();
    if (next) next(backend);
    else if (roundRobin) free.unshift(backend);
    else free.push(backend);
  };
  for (const backend of backends) {
    const frames = new Frames(true);
    backend.socket.on('data', (chunk) => {
      for (const { type, bytes } of frames.push(chunk)) {
        backend.client?.write(bytes);
        if (type === 'Z' && bytes[5] === 0x49) letGo(backend);
      }
    });
  }
  const proxy = await listen((client) => {
    const frames = new Frames(false);
    let mine: Backend | undefined;
    let turn = Promise.resolve();
    const forward = async (bytes: Buffer) => {
      if (mine?.client !== client) {
        mine = free.pop() ?? (await new Promise<Backend>((resolve) => waiting.push(resolve)));
        mine.client = client;
      }
      mine.socket.write(bytes);
    };
    client.on('data', (chunk) => {
      for (const { type, bytes } of frames.push(chunk)) {
        if (type === '') client.write(greeting(refuseOptions && bytes.includes('options\0')));
        else if (type === 'X') client.end();
        else turn = turn.then(() => forward(bytes));
      }
    });
  });
  return {
    ...proxy,
    stop: async () => {
      await proxy.stop();
      for (const { socket } of backends) socket.destroy();
    },
  };
}

/** Logs in to the server, and keeps the answers to itself. */
async function openBackend({ port, user, database }: PoolOptions): Promise<Backend> {
  const socket = connect(port, '127.0.0.1');
  const text = Buffer.from(`user\0${user}\0database\0${database}\0client_encoding\0UTF8\0\0`);
  const startup = Buffer.alloc(8 + text.length);
  startup.writeInt32BE(startup.length, 0);
  startup.writeInt32BE(196_608, 4);
  text.copy(startup, 8);
  socket.on('error', () => undefined);
  socket.write(startup);
  const frames = new Frames(true);
  await new Promise<void>((ready, failed) => {
    const take = (chunk: Buffer) => {
      for (const { type, bytes } of frames.push(chunk)) {
        if (type === 'E') failed(new Error(bytes.toString('latin1')));
        if (type === 'Z') {
          socket.off('data', take);
          ready();
        }
      }
    };
    socket.on('data', take);
  });
  return { socket, client: undefined };
}

/** What the pool says to a client that logs in. */
function greeting(refused: boolean): Buffer {
  if (refused) {
    return message('E', 'SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0');
  }
  const key = Buffer.alloc(8);
  key.writeInt32BE(2_000_000_000, 0);
  return Buffer.concat([message('R', Buffer.alloc(4)), message('K', key), message('Z', 'I')]);
}

function message(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(4 + bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
