/**
 * A server that logs in whoever comes and says what the test tells it to, on a real socket: for what no PostgreSQL sends on
 * request. The client is node-postgres's own.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import pg from 'pg';

const READY = message('Z', Buffer.from('I'));

/** @param type - its letter @param body - what comes behind its length @returns a message of the protocol */
export function message(type: string, body: Buffer | string = ''): Buffer {
  const head = Buffer.alloc(5, type, 'latin1');
  head.writeInt32BE(Buffer.byteLength(body) + 4, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

/** A COPY's beginning, as the server answers the statement. */
export const COPY_BEGINS = message('H', Buffer.from([1, 0, 0]));
/** A COPY's end, and that the server is ready for the next statement. */
export const COPY_ENDS = Buffer.concat([message('c'), message('C', 'COPY 1\0'), READY]);

/** @param row - what it holds @returns a message with it */
export const copyData = (row: Buffer): Buffer => message('d', row);

/** @param fields - letters and texts of a notice or an error @returns its body */
const fieldsOf = (fields: Readonly<Record<string, string>>): string =>
  `${Object.entries(fields)
    .map(([letter, text]) => `${letter}${text}\0`)
    .join('')}\0`;

/** @param code - its SQLSTATE @param text - its message @param routine - where the server says it comes from */
export const notice = (code: string, text: string, routine = 'r'): Buffer =>
  message('N', fieldsOf({ S: 'WARNING', C: code, M: text, R: routine }));

/** @param code - its SQLSTATE @returns the error that ends a statement, and that the server is ready for the next */
export const failsWith = (code: string): Buffer =>
  Buffer.concat([message('E', fieldsOf({ S: 'ERROR', C: code, M: 'the server ended it' })), READY]);

/** One connection to such a server. */
export interface WireServer extends AsyncDisposable {
  readonly client: pg.Client;
  /** Sends bytes, in a packet of their own as far as the machine lets. */
  send(bytes: Buffer): void;
  /** Cuts the connection. */
  cut(): void;
}

/** Starts a server and logs in. */
export async function startWireServer(): Promise<WireServer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'test',
    database: 'test',
    password: () => '',
    ssl: false,
  });
  client.on('error', () => undefined);
  const connected = client.connect();
  const [socket] = (await once(server, 'connection')) as [Socket];
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  await once(socket, 'data');
  socket.write(Buffer.concat([message('R', Buffer.alloc(4)), READY]));
  await connected;
  return {
    client,
    send: (bytes) => void socket.write(bytes),
    cut: () => void socket.destroy(),
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      await client.end().catch(() => undefined);
      server.close();
      await once(server, 'close');
    },
  };
}
