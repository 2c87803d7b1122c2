/**
 * What a warm container remembers from one run to the next. A new container begins with nothing; that costs only time.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { ResumePosition } from '../decode/resume-position.ts';
import type { ServerIdentity } from '../ports/session.ts';
import type { MarkState } from './marks.ts';
import type { PeekLimits } from './peek-limits.ts';

/** What a container remembers from run to run. Kept in module scope by the handler. */
export interface WarmState {
  /** What the last peeks taught; undefined: nothing yet. */
  peekLimits: PeekLimits | undefined;
  /** Where the last run was cut short inside a transaction. */
  resume: ResumePosition | undefined;
  /** A position inside the commit record of the transaction that the server could not decode. */
  undecodable: Lsn | undefined;
  /** How much text of a table is read at once; undefined: nothing is known. */
  chunkBytes: number | undefined;
  /** Tables whose changes are left out, as far as the log has named them: reason and printed name. */
  readonly loggedTables: Set<string>;
  /** The server that answered last. */
  server: ServerIdentity | undefined;
  /** The highest commit LSN of which anything was published, or to which the slot was advanced. */
  reached: Lsn | undefined;
  /** The last marks; undefined: none since the container began. */
  marks: MarkState | undefined;
  /** The slot's position at the end of the last run. */
  position: Lsn | undefined;
  /** When the run that is under way, or was last, had to have answered: later than asked for where it took more time. */
  deadline: number | undefined;
  /** The last advance of the slot by a run here: where to, and when (milliseconds since 1970). */
  lastAdvance: { readonly to: string; readonly at: number } | undefined;
  /** The first unread commit, as `status` found it where the slot stood. */
  firstUnread: { readonly position: Lsn; readonly committedMs: number } | undefined;
}

/** @returns the state of a new container */
export function coldState(): WarmState {
  return {
    peekLimits: undefined,
    resume: undefined,
    undecodable: undefined,
    chunkBytes: undefined,
    loggedTables: new Set(),
    server: undefined,
    reached: undefined,
    marks: undefined,
    position: undefined,
    deadline: undefined,
    lastAdvance: undefined,
    firstUnread: undefined,
  };
}

/**
 * Remembers how far a run came, whether or not the slot could be advanced that far.
 *
 * @param state - the container's
 * @param position - where the slot is
 * @param published - commit LSNs up to which something was acknowledged
 */
export function rememberPosition(state: WarmState, position: Lsn, ...published: readonly (Lsn | undefined)[]): void {
  state.position = position;
  for (const lsn of [position, ...published]) {
    if (lsn !== undefined && lsn > (state.reached ?? 0n)) state.reached = lsn;
  }
}
