/**
 * Connections come in pairs: one holds the lock and works, the other watches and controls. Before either is used it is
 * proven that no pool shares their backends, and that both lead to one server.
 * Knows no slot but by its lock.
 */
import { PipelineError } from '../errors.ts';
import type { Clock } from '../ports/runtime.ts';
import { withNotice } from '../slow-notice.ts';
import { closeGracefully } from './close-connection.ts';
import {
  CONNECT_MS,
  type Connection,
  type ConnectOptions,
  type Database,
  type LoggedIn,
  logIn,
  pinSession,
  toPipelineError,
} from './connection.ts';
import type { ErrorContext } from './error-context.ts';
import { refuseSharedBackends } from './pooler.ts';
import { describeServer, isSameServer } from './server-identity.ts';
import { readLock } from './slot-lock.ts';

/**
 * Opens two connections at once. When one fails, the other is not left behind.
 *
 * @param database - the database to connect to
 * @param one - deadlines of the first connection
 * @param other - deadlines of the second connection
 * @returns both, to one server, with every setting pinned; end their clients
 * @throws {PipelineError} POOLER_REFUSED, SERVERS_DIFFER, DATABASE_UNREACHABLE, DATABASE_AUTH_FAILED, CONFIG_INVALID
 */
export async function openPair(
  database: Database,
  one: ConnectOptions,
  other: ConnectOptions,
): Promise<[Connection, Connection]> {
  const [first, second] = await logInTwicePatiently(database, one, other);
  const { context } = first;
  try {
    const [onePid, otherPid] = await refuseSharedBackends(first, second, `${context.host}:${context.port}`);
    const pair = await bothOrFirstError(
      pinSession(first, onePid, database.clock),
      pinSession(second, otherPid, database.clock),
    );
    if (!isSameServer(pair[0].identity, pair[1].identity)) throw serversDiffer(pair);
    return pair;
  } catch (error) {
    await closeBoth([first, second], database.clock);
    throw toPipelineError(error, { ...context, isNew: true });
  }
}

/**
 * Opens one connection, by way of a pair: only two can tell a pool.
 *
 * @param database - the database to connect to
 * @param options - how long it is for
 * @returns a connection; end its client
 * @throws {PipelineError} as {@link openPair}
 */
export async function open(database: Database, options: ConnectOptions): Promise<Connection> {
  const [connection, companion] = await openPair(database, options, options);
  await closeGracefully(companion, database.clock);
  return connection;
}

/**
 * Works with two connections, closed whatever happens.
 *
 * @param database - the database to connect to
 * @param options - how long they are for
 * @param about - what errors name besides: the slot, and what was not done
 * @param work - what is done with the main and the control connection
 * @throws {PipelineError} as {@link openPair}, and what `work` throws, in the operator's words
 */
export async function withPair<T>(
  database: Database,
  options: ConnectOptions,
  about: Pick<ErrorContext, 'slot' | 'notDone'>,
  work: (one: Connection, other: Connection) => Promise<T>,
): Promise<T> {
  const pair = await openPair(database, options, options);
  try {
    return await work(...pair);
  } catch (error) {
    throw toPipelineError(error, { ...pair[0].context, ...about });
  } finally {
    await closeBoth(pair, database.clock);
  }
}

/**
 * The last proof that two connections lead to one server: one sees the lock that the other has just taken.
 *
 * @param main - holds the lock of the slot
 * @param control - must see the lock
 * @param slotName - the slot whose lock it is
 * @throws {PipelineError} SERVERS_DIFFER
 * @throws {unknown} where the first was lost meanwhile, and its lock with it
 */
export async function requireLockSeen(main: Connection, control: Connection, slotName: string): Promise<void> {
  if ((await readLock(control, slotName)).holderPid === main.pid) return;
  // It answers where it still holds the lock.
  await main.query('SELECT');
  throw serversDiffer([main, control]);
}

/** @param pair - ended in good order, both at once */
export async function closeBoth(pair: readonly [LoggedIn, LoggedIn] | readonly [Connection, Connection], clock: Clock) {
  await Promise.all(pair.map((each) => closeGracefully(each, clock)));
}

/** As {@link logInTwice}, and says so where it takes long. */
async function logInTwicePatiently(
  database: Database,
  one: ConnectOptions,
  other: ConnectOptions,
): Promise<[LoggedIn, LoggedIn]> {
  const { clock, log } = database;
  const work = logInTwice(database, one, other);
  if (log === undefined) return await work;
  const about = async (): Promise<string> => {
    const { host, port } = await database.credentials.get();
    return `Waiting for a connection to PostgreSQL at ${host}:${port}, up to ${CONNECT_MS / 1000} s`;
  };
  return await withNotice({ clock, log }, about, work);
}

async function logInTwice(
  database: Database,
  one: ConnectOptions,
  other: ConnectOptions,
): Promise<[LoggedIn, LoggedIn]> {
  const both = [logIn(database, one), logIn(database, other)] as const;
  try {
    return await bothOrFirstError(...both);
  } catch (error) {
    for (const each of both)
      await each.then((opened) => closeGracefully(opened, database.clock)).catch(() => undefined);
    throw error;
  }
}

/** Both results, or the first error, but only when both are over: so nothing goes on, and no rejection is unhandled. */
async function bothOrFirstError<T>(one: Promise<T>, other: Promise<T>): Promise<[T, T]> {
  const results = await Promise.allSettled([one, other]);
  const [first, second] = results;
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  if (first.status !== 'fulfilled' || second.status !== 'fulfilled') throw new Error('unreachable');
  return [first.value, second.value];
}

function serversDiffer([one, other]: readonly [Connection, Connection]): PipelineError {
  const { host, port } = one.context;
  return new PipelineError(
    'SERVERS_DIFFER',
    `Two connections to ${host}:${port} reached two servers: one is ${describeServer(one.identity)}; the other is ${describeServer(other.identity)}. Nothing was read and no slot was touched.`,
  );
}
