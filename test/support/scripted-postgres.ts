/**
 * A server that logs clients in and gives the answers that a test writes down, to a statement that holds a text. On a real
 * socket, so that the client is node-postgres's own: for what opens connections itself. Knows no SQL.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { COPY_BEGINS, COPY_ENDS, copyData, message } from './wire-server.ts';

type Row = Readonly<Record<string, unknown>>;

/** A statement that was sent, by which connection. */
export interface Sent {
  readonly text: string;
  readonly values: readonly (string | null)[];
  /** The process id of its backend: 101 for the first connection, 102 for the second. */
  readonly pid: number;
}

/** The data of a COPY, in pieces that come one by one. */
export interface Copied {
  readonly copy: readonly Buffer[];
}
/** What a statement is answered: rows, a COPY, or the SQLSTATE of an error. */
export type Given = readonly Row[] | Copied | string;
/** The same, or what is to be made of the statement. Undefined: it is never answered. */
export type Reply = Given | ((sent: Sent) => Given | undefined);

/** What a test may say besides. */
export interface LoginScript {
  /** The SQLSTATE that a log-in ends with; undefined: it is let in. @param startup - what it has said of itself */
  readonly refuses?: (startup: Readonly<Record<string, string>>) => string | undefined;
}

/** A client that came. */
export interface Visitor {
  readonly pid: number;
  /** The startup packet's parameters. */
  readonly startup: Readonly<Record<string, string>>;
  /** Whether it has gone. */
  readonly isGone: () => boolean;
  /** Whether it said farewell. */
  readonly saidFarewell: () => boolean;
}

const READY = message('Z', 'I');

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The type by which node-postgres gives the value as it was. */
function typeOf(value: unknown): number {
  if (typeof value === 'boolean') return 16;
  if (typeof value === 'number') return 701;
  if (Buffer.isBuffer(value)) return 17;
  return typeof value === 'object' && value !== null ? 114 : 25;
}

function textOf(value: unknown): string {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (Buffer.isBuffer(value)) return String.raw`\x${value.toString('hex')}`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function rowsOf(rows: readonly Row[]): Buffer {
  const columns = Object.keys(rows[0] ?? {});
  const described = columns.map((name) =>
    Buffer.concat([
      Buffer.from(`${name}\0`),
      int32(0),
      int16(0),
      int32(typeOf(rows[0]?.[name])),
      int16(-1),
      int32(-1),
      int16(0),
    ]),
  );
  const encode = (row: Row): Buffer =>
    message(
      'D',
      Buffer.concat([
        int16(columns.length),
        ...columns.map((name) => {
          const value = row[name];
          if (value === null || value === undefined) return int32(-1);
          const text = Buffer.from(textOf(value));
          return Buffer.concat([int32(text.length), text]);
        }),
      ]),
    );
  // A row may be there many times.
  const encoded = new Map([...new Set(rows)].map((row) => [row, encode(row)]));
  const data = rows.map((row) => encoded.get(row) ?? Buffer.alloc(0));
  return Buffer.concat([
    message('T', Buffer.concat([int16(columns.length), ...described])),
    ...data,
    message('C', `SELECT ${rows.length}\0`),
  ]);
}

function bytesOf(given: readonly Row[] | string): Buffer {
  if (typeof given !== 'string') return rowsOf(given);
  return message('E', `SERROR\0VERROR\0C${given}\0Mrefused with ${given}\0\0`);
}

/** @param body - of a Bind message @returns the texts of its parameters */
function parametersOf(body: Buffer): (string | null)[] {
  let at = body.indexOf(0) + 1;
  at = body.indexOf(0, at) + 1;
  at += 2 + 2 * body.readInt16BE(at);
  const count = body.readInt16BE(at);
  at += 2;
  return Array.from({ length: count }, () => {
    const length = body.readInt32BE(at);
    at += 4;
    if (length < 0) return null;
    at += length;
    return body.toString('utf8', at - length, at);
  });
}

/**
 * Starts it.
 *
 * @param replies - a text of the statement, and its answer; the first that fits is given. A statement that fits none has no rows
 * @param login - who is let in @default everybody
 */
export async function startScriptedPostgres(
  replies: readonly (readonly [part: string, reply: Reply])[],
  login: LoginScript = {},
) {
  const sent: Sent[] = [];
  const visitors: Visitor[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  function serve(socket: Socket): void {
    let buffered = Buffer.alloc(0);
    let pid: number | undefined;
    let [text, values]: [string, (string | null)[]] = ['', []];
    let [isGone, saidFarewell] = [false, false];
    socket.once('close', () => (isGone = true));
    const answer = (before: Buffer): void => {
      const statement = { text, values, pid: pid ?? 0 };
      sent.push(statement);
      const [, reply = []] = replies.find(([part]) => text.includes(part)) ?? [];
      const given = typeof reply === 'function' ? reply(statement) : reply;
      if (given === undefined) return;
      if (typeof given === 'object' && 'copy' in given) void stream(given, before);
      else socket.write(Buffer.concat([before, bytesOf(given), READY]));
    };
    const stream = async ({ copy }: Copied, before: Buffer): Promise<void> => {
      socket.write(Buffer.concat([before, COPY_BEGINS]));
      for (const piece of copy) {
        socket.write(copyData(piece));
        // The client reads it before the next is sent: both are of this process.
        await wait(1);
      }
      socket.write(COPY_ENDS);
    };
    const enter = (body: Buffer): void => {
      const words = body.toString('utf8', 4).split('\0');
      const startup: Record<string, string> = {};
      for (let i = 0; words[i]; i += 2) startup[words[i] ?? ''] = words[i + 1] ?? '';
      const refused = login.refuses?.(startup);
      if (refused !== undefined) return void socket.end(bytesOf(refused));
      pid = 101 + visitors.length;
      visitors.push({ pid, startup, isGone: () => isGone, saidFarewell: () => saidFarewell });
      socket.write(Buffer.concat([message('R', int32(0)), message('K', Buffer.concat([int32(pid), int32(1)])), READY]));
    };
    const take = (type: string, body: Buffer): void => {
      if (type === 'Q') {
        [text, values] = [body.toString('utf8', 0, body.length - 1), []];
        answer(Buffer.alloc(0));
      } else if (type === 'P') {
        const from = body.indexOf(0) + 1;
        text = body.toString('utf8', from, body.indexOf(0, from));
      } else if (type === 'B') values = parametersOf(body);
      else if (type === 'S') answer(Buffer.concat([message('1'), message('2')]));
      else if (type === 'X') saidFarewell = true;
    };
    socket.on('data', (bytes) => {
      buffered = Buffer.concat([buffered, bytes]);
      for (;;) {
        // The first message has no type.
        const head = pid === undefined ? 0 : 1;
        if (buffered.length < head + 4) return;
        const end = head + buffered.readInt32BE(head);
        if (buffered.length < end) return;
        const [type, body] = [buffered.toString('latin1', 0, head), buffered.subarray(head + 4, end)];
        buffered = buffered.subarray(end);
        if (head === 0) enter(body);
        else take(type, body);
      }
    });
  }

  return {
    host: '127.0.0.1',
    port,
    sent,
    visitors,
    /** @param part - of a statement @returns the values that it was sent with, each time */
    valuesOf: (part: string) => sent.filter(({ text }) => text.includes(part)).map(({ values }) => values),
    /** Cuts all connections. */
    cut: () => sockets.forEach((socket) => socket.destroy()),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
