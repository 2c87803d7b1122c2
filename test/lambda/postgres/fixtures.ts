/**
 * What the tests of this room share: a real clock, a log that remembers, and sessions on a server of the test's own.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Message } from '../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import type { Clock, Log } from '../../../lambda/ports/runtime.ts';
import type { Session } from '../../../lambda/ports/session.ts';
import type { Peek } from '../../../lambda/ports/slot.ts';
import { type Connection, createDatabase, type Database } from '../../../lambda/postgres/connection.ts';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import type { DatabaseSettings } from '../../../lambda/postgres/credentials.ts';
import type { SlotPlugin } from '../../../lambda/postgres/plugins.ts';
import { PrimaryKeyCache } from '../../../lambda/postgres/primary-key-cache.ts';
import { openSession, type SessionOptions } from '../../../lambda/postgres/session.ts';
import type { PostgresServer } from '../../support/postgres.ts';

/** The machine's own clock. */
export const clock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await wait(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
  },
  random: () => Math.random(),
};

/** The same, but that a sleep of more than half a minute is over when the test says so. */
export function endableClock(): { readonly clock: Clock; readonly end: () => void } {
  let end = (): void => undefined;
  const isOver = new Promise<void>((resolve) => (end = resolve));
  const sleep: Clock['sleep'] = (ms, signal) => (ms > 30_000 ? isOver : clock.sleep(ms, signal));
  return { clock: { ...clock, sleep }, end };
}

/** A log that keeps its lines. */
export function memoryLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const write = (message: string, fields?: unknown) => {
    lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  return { lines, debug: write, info: write, warn: write, error: write };
}

/** The server as a configured database, by password, without TLS unless said otherwise. */
export function databaseOf(
  server: PostgresServer,
  over: Partial<DatabaseSettings> = {},
  aws: { secrets?: (arn: string) => Promise<string>; iamToken?: () => Promise<string> } = {},
  plugin?: SlotPlugin,
): Database {
  return createDatabase({
    settings: { ...server.connection, auth: 'password', sslMode: 'disable', ...over },
    secrets: aws.secrets ?? (() => Promise.reject(new Error('no secret was to be read'))),
    iamToken: aws.iamToken ?? (() => Promise.reject(new Error('no token was to be made'))),
    clock,
    ...(plugin === undefined ? {} : { plugin }),
  });
}

/** A database that a script plays, in a time of the test's own. */
export function databaseAt(
  { host, port }: { readonly host: string; readonly port: number },
  itsClock: Clock,
): Database {
  return createDatabase({
    settings: { host, port, user: 'u', database: 'd', password: 'p', auth: 'password', sslMode: 'disable' },
    secrets: () => Promise.reject(new Error('no secret was to be read')),
    iamToken: () => Promise.reject(new Error('no token was to be made')),
    clock: itsClock,
  });
}

/** A minute from now. */
export const soon = () => Date.now() + 60_000;

/** A connection of ours. End its client. */
export function openOn(server: PostgresServer): Promise<Connection> {
  return open(databaseOf(server), { deadline: soon() });
}

/** How a session is opened, with defaults for everything. */
export function sessionOptions(
  server: PostgresServer,
  slotName: string,
  over: Partial<SessionOptions> = {},
): SessionOptions {
  const log = memoryLog();
  return {
    database: databaseOf(server),
    slotName,
    deadline: soon(),
    keys: new PrimaryKeyCache({ ttlMs: 3_600_000, clock, log }),
    decoder: new TestDecodingDecoder(),
    clock,
    log,
    ...over,
  };
}

/** A session that must not be locked. Close it. */
export async function sessionOn(
  server: PostgresServer,
  slotName: string,
  over: Partial<SessionOptions> = {},
): Promise<Session> {
  const session = await openSession(sessionOptions(server, slotName, over));
  if ('locked' in session) throw new Error(`locked by ${session.locked?.application ?? 'nobody'}`);
  return session;
}

/** Short forms of all the messages of a peek: `B 754`, `INSERT public.t 1|text`, `C 754 0/16B3748`. */
export async function told(peek: Peek): Promise<string[]> {
  const lines: string[] = [];
  for await (const block of peek) {
    for (let message = block.next(); message !== undefined; message = block.next()) lines.push(shortly(message));
  }
  await peek.close();
  return lines;
}

/** One message's short form. */
export function shortly(message: Message): string {
  switch (message.kind) {
    case 'begin':
      return 'B';
    case 'commit':
      return 'C';
    case 'truncate':
      return `TRUNCATE ${message.tables.map((table) => table.printed).join()}`;
    case 'ignored':
      return 'ignored';
    case 'message':
      return `message ${message.prefix ?? '?'}`;
    case 'change': {
      const tuple = message.newTuple ?? message.oldTuple;
      const values = Array.from({ length: tuple?.count ?? 0 }, (_, i) =>
        message.bytes.toString('utf8', tuple?.starts[i], tuple?.ends[i]),
      );
      return `${message.operation} ${message.table.printed} ${values.join('|')}`;
    }
  }
}

/** Waits until something holds, without asserting how soon: two minutes at least. */
export async function eventually(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let i = 0; i < 2_400; i++) {
    if (await holds()) return;
    await wait(50);
  }
  throw new Error(`never came about: ${what}`);
}
