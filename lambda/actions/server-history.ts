/**
 * What became of the server since a container last saw it: another server, another timeline, or an older state of it.
 * Goes to the log, and into the error of a slot that is gone. Changes nothing, and no run fails because of it.
 */
import type { Container } from '../container.ts';
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import type { ServerIdentity } from '../ports/session.ts';
import type { Connection } from '../postgres/connection.ts';
import { type Fork, readTimelineHistory } from '../postgres/timeline-history.ts';
import { serverAnswer } from '../run/answer.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';

/**
 * Compares the server with what the container remembers, warns of what has changed, and remembers it.
 *
 * @param container - its warm state and log
 * @param server - who answers now
 * @param position - where the slot is
 * @param readHistory - asks the server where its former timelines ended
 */
export async function warnOfChangedHistory(
  { warmState, log }: Pick<Container, 'warmState' | 'log'>,
  server: ServerIdentity,
  position: Lsn,
  readHistory: () => Promise<readonly Fork[] | undefined>,
): Promise<void> {
  const { server: before, reached, position: left } = warmState;
  warmState.server = server;
  warmState.position = position;
  const known = before ?? server;
  const fields = {
    before: serverAnswer(known),
    now: serverAnswer(server),
    ...(reached === undefined ? {} : { publishedUpTo: formatLsn(reached) }),
    position: formatLsn(position),
  };
  if (differ(known.systemIdentifier, server.systemIdentifier)) {
    log.warn(
      'Another server answers than before, with another history: its LSNs say nothing about those of earlier records.',
      fields,
    );
    warmState.reached = undefined;
    return;
  }
  if (differ(known.timeline, server.timeline)) {
    const history = await readHistory();
    const fork = history?.find(({ timeline }) => timeline === known.timeline);
    log.warn(
      `The server is on another timeline than before: a standby was promoted, or it was restored to a point in time. ${describeFork(fork, reached)}`,
      { ...fields, ...(fork === undefined ? {} : { fork: formatLsn(fork.end) }) },
    );
    if (reached !== undefined && fork !== undefined && reached > fork.end) warmState.reached = fork.end;
    return;
  }
  if (left !== undefined && position < left) {
    const upTo = reached !== undefined && reached > left ? reached : left;
    log.warn(
      `The slot is at ${formatLsn(position)}. The last run left it at ${formatLsn(left)}, and changes were published up to ${formatLsn(upTo)}. What was committed in between comes again: after a crash or a failover the server knows an older position. If an older state of the server was put back (a disk snapshot), the records with a commit LSN in between that do not come again are of commits that no longer exist: read their rows again.`,
      fields,
    );
    warmState.reached = undefined;
  }
}

/**
 * Adds to the error of a slot that is gone what the server's history says of the gap.
 *
 * @param error - of an action
 * @param container - its warm state and database
 * @param deadlines - when the invocation must be over
 * @returns the error to throw
 */
export async function explainMissingSlot(
  error: unknown,
  container: Container,
  deadlines: InvocationDeadlines,
): Promise<unknown> {
  if (!(error instanceof PipelineError) || error.code !== 'SLOT_MISSING') return error;
  const { server: before, reached } = container.warmState;
  const facts = await withConnection(container, deadlines, async ({ identity }: Connection) => {
    const { systemIdentifier = 'unknown', timeline } = identity;
    const history = await historyOf(container, deadlines, identity);
    const isSame = before === undefined || !differ(before.systemIdentifier, identity.systemIdentifier);
    const fork = isSame ? (history?.find((each) => each.timeline === before?.timeline) ?? history?.at(-1)) : undefined;
    const server = `The server is system ${systemIdentifier}, timeline ${timeline ?? 'unknown'}.`;
    const former =
      before === undefined
        ? ''
        : ` Before, it was system ${before.systemIdentifier ?? 'unknown'}, timeline ${before.timeline ?? 'unknown'}.`;
    const last = reached === undefined ? '' : ` The last commit published from here has LSN ${formatLsn(reached)}.`;
    return `${server}${former}${last}${fork === undefined ? '' : ` ${describeFork(fork, reached)}`}`;
  }).catch(() => '');
  if (facts === '') return error;
  return new PipelineError('SLOT_MISSING', `${error.what} ${facts}`, {
    cause: error.cause,
    remedy: `${error.remedy} The steps, and which records to take back: docs/failover.md, "When the slot is gone".`,
  });
}

/**
 * Asks a server where its former timelines ended.
 *
 * @param container - its database
 * @param deadlines - when the invocation must be over
 * @param server - who answers
 * @returns undefined where it does not say
 */
export async function historyOf(
  { database }: Container,
  { functionDeadline, leaseExpiresAt }: InvocationDeadlines,
  server: ServerIdentity,
): Promise<readonly Fork[] | undefined> {
  return await readTimelineHistory(database, { deadline: functionDeadline, leaseExpiresAt }, server);
}

function describeFork(fork: Fork | undefined, reached: Lsn | undefined): string {
  if (fork === undefined)
    return 'The server does not say where the former timeline ended (TIMELINE_HISTORY on a replication connection).';
  const end = `Timeline ${fork.timeline} ended at LSN ${formatLsn(fork.end)}.`;
  if (reached !== undefined && reached <= fork.end)
    return `${end} Nothing that this function has published is after it.`;
  return `${end} Records with a commit LSN above it that were published before are of commits that never existed here: read their rows again.`;
}

function differ<T>(one: T | undefined, other: T | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}
