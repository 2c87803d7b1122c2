/**
 * Reads ahead: while one peek is published, the next is worked out on a temporary copy of the slot. Two copies, each with a
 * connection of its own, take turns: one is streamed while the other works. They are made when the first is asked for. The server
 * drops a copy with its connection, and after any error on it: then reading ahead is over, and the slot itself is read again.
 * Knows no run: when reading ahead is worth it is decided there.
 *
 * @see https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
 */
import { formatLsn, type Lsn, parseLsn } from '../decode/lsn.ts';
import { PipelineError } from '../errors.ts';
import type { AheadSource } from '../ports/read-ahead.ts';
import type { Log } from '../ports/runtime.ts';
import type { Peek } from '../ports/slot.ts';
import { closeGracefully } from './close-connection.ts';
import { CONNECT_MS, type Connection, toPipelineError } from './connection.ts';
import { closeBoth } from './connection-pair.ts';
import { codeOf } from './error-context.ts';
import { type PeekParts, SlotPeek } from './peek.ts';
import { isSameServer } from './server-identity.ts';
import { CANCEL_BACKEND } from './signal-backend.ts';
import { supportsSafeAdvance } from './slot.ts';

/** What reading ahead works with. */
export interface SlotCopiesParts extends Omit<PeekParts, 'main' | 'copyName'> {
  /** Opens the connections of the copies. @param signal - drops them when it aborts, also while they are being opened */
  readonly openPair: (signal: AbortSignal) => Promise<[Connection, Connection]>;
  /** Aborts when the lock is lost: then nothing more is read (I6). */
  readonly lost: AbortSignal;
  readonly log: Log;
}

/** A copy of the slot, and what is done with it. */
interface Copy {
  readonly connection: Connection;
  readonly name: string;
  /** `working`: a statement is under way that nobody reads yet. `lent`: its peek is being published, and ends by itself. */
  state: 'idle' | 'working' | 'lent';
}

/** The last free slot is left: whoever asks the WAL about earlier keys needs one, too. */
const COPY_SLOT = `SELECT pg_copy_logical_replication_slot($1, $2, true)
  WHERE (SELECT count(*) FROM pg_replication_slots) + 1 < current_setting('max_replication_slots')::int`;
/** SQLSTATE configuration_limit_exceeded, as the server says where there is no free slot at all. */
const NO_SLOT = '53400';
/** What the log gives as the reason where no error has a code. */
const LATE = 'late';
const ELSEWHERE = 'a copy is not where it is to begin';
const CLOSED = 'reading ahead is over';

/**
 * @param connection - to the slot's server
 * @returns whether a temporary copy of a slot can be made there, and be moved to where a peek ended: only servers of which a slot
 *   can be copied (12 and later) can move one safely
 */
export function supportsSlotCopies({ versionNum, identity }: Pick<Connection, 'versionNum' | 'identity'>): boolean {
  return supportsSafeAdvance(versionNum) && !identity.inRecovery;
}

/** Two copies of a slot. */
export class SlotCopies implements AheadSource {
  isOver = false;
  readonly #parts: SlotCopiesParts;
  #copies: Promise<readonly [Copy, Copy]> | undefined;
  /** Ends connections that are being opened; undefined: none are. */
  #opening: AbortController | undefined;
  /** Those that are there. */
  #made: readonly Copy[] = [];
  /** Of those that are to go. */
  readonly #ended: Promise<void>[] = [];
  #turn: 0 | 1 = 0;

  /** @param parts - the slot, the decoder and how to connect */
  constructor(parts: SlotCopiesParts) {
    this.#parts = parts;
  }

  async begin(from: Lsn, upto: Lsn, limit: number, timeoutMs: number): Promise<Peek | undefined> {
    const begun = new AbortController();
    // Moving the copy may take as long as the peek: together they have the time of one.
    this.#endAfter(timeoutMs, begun.signal);
    try {
      const copy = await this.#moveTo(from);
      const { connection, name } = copy;
      const onClosed = () => this.#takeBack(copy);
      const translateError = (error: unknown) => this.#explain(error);
      const parts = { ...this.#parts, main: connection, copyName: name, onClosed, translateError };
      const peek = new SlotPeek(parts, upto, limit, timeoutMs);
      // The slot's own peek will meet the same, and say what it means.
      if (!(await peek.begun())) throw peek.failure;
      this.#requireOpen();
      copy.state = 'lent';
      return peek;
    } catch (error) {
      this.#giveUp(error);
      await this.close();
      return undefined;
    } finally {
      begun.abort();
    }
  }

  async close(): Promise<void> {
    await this.#end(this.#made.filter(({ state }) => state !== 'lent'));
  }

  /** Ends all of it, the peek that is being published, too: nobody reads it any more. */
  async closeAll(): Promise<void> {
    await this.#end(this.#made);
  }

  /** Is over, ends copies, and waits until all that were to end have. */
  async #end(ending: readonly Copy[]): Promise<void> {
    this.isOver = true;
    this.#opening?.abort();
    this.#made = this.#made.filter((copy) => !ending.includes(copy));
    for (const copy of ending) this.#ended.push(this.#endOne(copy));
    await Promise.all(this.#ended);
  }

  async #endOne({ connection, name, state }: Copy): Promise<void> {
    const { control, clock } = this.#parts;
    if (state !== 'idle') await control.query(CANCEL_BACKEND, [connection.pid]).catch(() => undefined);
    // A pool keeps the backend for others, and with it the copy. What is lent has a statement under way: its error drops the copy.
    const drop = () => connection.query('SELECT pg_drop_replication_slot($1)', [name]);
    await closeGracefully(connection, clock, state === 'lent' ? undefined : drop);
  }

  /** @returns the copy whose turn it is, at that position */
  async #moveTo(from: Lsn): Promise<Copy> {
    const turn = this.#turn;
    this.#turn = turn === 0 ? 1 : 0;
    this.#requireOpen();
    this.#copies ??= this.#make();
    const copy = (await this.#copies)[turn];
    if (copy.state !== 'idle') throw new Error(CLOSED);
    this.#requireOpen();
    const { connection, name } = copy;
    copy.state = 'working';
    const { rows } = await connection.query('SELECT end_lsn::text AS lsn FROM pg_replication_slot_advance($1, $2)', [
      name,
      formatLsn(from),
    ]);
    // What lies before it is not shown: it must be what the last peek has shown, and no more.
    if (parseLsn(String(rows[0]?.['lsn'])) !== from) throw failure(ELSEWHERE);
    this.#requireOpen();
    return copy;
  }

  /** Both copies, before any is used: where there is room for one only, nothing is begun. */
  async #make(): Promise<readonly [Copy, Copy]> {
    const { openPair, control, lost, clock, slotName } = this.#parts;
    const dropping = (this.#opening = new AbortController());
    lost.addEventListener('abort', () => dropping.abort(lost.reason));
    if (lost.aborted) dropping.abort(lost.reason);
    const opened = new AbortController();
    // A pool may give no backend for minutes, and the run would wait for it.
    this.#endAfter(CONNECT_MS, opened.signal);
    const pair = await openPair(dropping.signal).finally(() => opened.abort());
    this.#opening = undefined;
    if (this.isOver || !isSameServer(pair[0].identity, control.identity)) {
      await closeBoth(pair, clock);
      throw new PipelineError('SERVERS_DIFFER', 'The connections to read ahead with are of no use.');
    }
    const copies = [copyOn(pair[0]), copyOn(pair[1])] as const;
    this.#made = copies;
    for (const { connection, name } of copies) {
      const { rows } = await connection.query(COPY_SLOT, [slotName, name]);
      if (rows.length === 0) throw failure(NO_SLOT);
    }
    for (const copy of copies) copy.state = 'idle';
    return copies;
  }

  /** A peek was read. */
  #takeBack(copy: Copy): void {
    copy.state = 'idle';
    if (this.isOver) void this.close();
  }

  /** A connection that is lost while its peek is published: the slot's own is there, and rows were read. */
  async #explain(error: unknown): Promise<unknown> {
    const explained = await this.#parts.translateError(error);
    if (!(explained instanceof PipelineError) || explained.code !== 'DATABASE_UNREACHABLE') return explained;
    return new PipelineError(
      'DATABASE_UNREACHABLE',
      `The connection that read ahead from slot "${this.#parts.slotName}" was lost. The slot was not advanced over what was not acknowledged.`,
      { cause: error },
    );
  }

  #requireOpen(): void {
    if (this.isOver) throw new Error(CLOSED);
  }

  /** Gives up what is not over in time. @param over - aborts when it is */
  #endAfter(ms: number, over: AbortSignal): void {
    void this.#parts.clock.sleep(ms, over).then(() => (over.aborted ? undefined : this.#giveUp(failure(LATE))));
  }

  #giveUp(error: unknown): void {
    if (this.isOver) return;
    const { log, slotName, control } = this.#parts;
    const cause = error instanceof PipelineError ? error.cause : undefined;
    log.info('Reading ahead is over for this run: the slot itself is read, one peek after the other.', {
      slot: slotName,
      reason: codeOf(cause) || codeOf(error) || codeOf(toPipelineError(error, control.context)),
    });
    void this.close();
  }
}

/** @param code - the reason that the log gives */
function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** The name is free: the connection is the only one with that process id, and what it makes goes with it. */
function copyOn(connection: Connection): Copy {
  return { connection, name: `pg2kinesis_ahead_${connection.pid}`, state: 'working' };
}
