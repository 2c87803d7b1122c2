/**
 * Tells a connection pool that shares its backends among clients (transaction or statement mode) from a server. Behind
 * such a pool a setting would stay in the backend for every other client, and the lock would protect nothing.
 * Asks for backend ids only: nothing is set before this has passed. Every name is qualified, for the same reason.
 */
import type pg from 'pg';
import { PipelineError } from '../errors.ts';
import { codeOf } from './error-context.ts';

/** A connection that is logged in, with nothing set. */
export interface Unproven {
  readonly client: pg.Client;
  /** Whether settings in the startup packet were refused: then it is a pool, in whatever mode. */
  readonly optionsRefused: boolean;
}

/** Questions to each connection where nothing speaks for a pool. */
const ROUNDS = 2;
/** And where something does: a busy pool may give the same backend twice by chance, hardly so many times. */
const ROUNDS_BEHIND_POOLER = 8;

/**
 * Refuses a pool in transaction or statement mode. A pool in session mode passes.
 *
 * @param one - a connection
 * @param two - another, by the same host and port
 * @param where - `host:port`, for the message
 * @returns the process ids of their backends
 * @throws {PipelineError} POOLER_REFUSED
 */
export async function refuseSharedBackends(
  one: Unproven,
  two: Unproven,
  where: string,
): Promise<readonly [number, number]> {
  const [seenByOne, seenByTwo] = [new Set<number>(), new Set<number>()];
  const refuseIfShared = () => {
    if (seenByOne.size > 1 || seenByTwo.size > 1 || [...seenByOne].some((pid) => seenByTwo.has(pid))) {
      throw refusal(where);
    }
  };
  const round = async () => {
    // One after the other: a pool that is idle gives the second question the backend of the first.
    seenByOne.add(await backendOf(one.client));
    seenByTwo.add(await backendOf(two.client));
    refuseIfShared();
  };
  for (let i = 0; i < ROUNDS; i++) await round();
  const suspect = looksPooled(one, seenByOne) || looksPooled(two, seenByTwo);
  for (let i = ROUNDS; suspect && i < ROUNDS_BEHIND_POOLER; i++) {
    await round();
    try {
      // In a transaction the backend is ours alone. The one that lets go of it last is the first to be given again.
      for (const [first, second, seen] of [
        [one, two, seenByTwo],
        [two, one, seenByOne],
      ] as const) {
        await first.client.query('BEGIN');
        const during = await backendOf(second.client);
        await first.client.query('COMMIT');
        seen.add(during).add(await backendOf(second.client));
      }
    } catch (error) {
      // What a pool in statement mode answers to BEGIN.
      throw codeOf(error) === '08P01' ? refusal(where, error) : error;
    }
    refuseIfShared();
  }
  const [[first = 0], [second = 0]] = [[...seenByOne], [...seenByTwo]];
  return [first, second];
}

/** What the server said at log-in about itself is another's, or made up: somebody is in between. */
function looksPooled({ client, optionsRefused }: Unproven, seen: ReadonlySet<number>): boolean {
  const { processID } = client as unknown as { readonly processID: number | null };
  return optionsRefused || processID === null || !seen.has(processID);
}

/** The process id of the backend that answers just now. */
async function backendOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  return Number(rows[0]?.pid);
}

function refusal(where: string, cause?: unknown): PipelineError {
  return new PipelineError(
    'POOLER_REFUSED',
    `At ${where} a connection pool answers that shares its backends among clients (transaction or statement mode): settings would stay there for every other client, and the lock of the slot would protect nothing. Nothing was set or read, and the slot was not advanced.`,
    { cause },
  );
}
