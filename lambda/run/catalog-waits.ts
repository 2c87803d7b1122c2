/**
 * What a batch waits for before it takes a message: catalogs that see its transaction (I11), and what the WAL says of keys
 * and tables that were altered since. Counts how long all of it took. Knows no round and no record.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Transaction } from '../decode/messages.ts';
import type { KeyHistory } from '../ports/catalogs.ts';
import type { Clock } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';
import type { AlterationOrder } from '../transform/alterations.ts';
import type { KeyHistoryCache, KeyHistoryRequest } from '../transform/key-history-cache.ts';
import type { TablePolicies } from '../transform/table-policies.ts';
import type { Advancer } from './advancer.ts';

/** How long a batch waits for a transaction to be over, in all: a standby that answers does so sooner. */
const COMMIT_WAIT_MS = 2_000;
/** The pause before the catalogs are looked at again: the first, and the longest. Each is twice as long as the one before. */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 500;
/** For so many transactions the server is asked at once. */
const MAX_ASKED = 200;

/** What the waits work with. */
export interface CatalogWaitParts {
  readonly session: Session;
  readonly clock: Clock;
  readonly advancer: Advancer;
  readonly keyHistory: KeyHistoryCache;
  readonly policies: TablePolicies;
  readonly alterations: AlterationOrder;
  /** @returns milliseconds since 1970: when to wait no longer */
  readonly deadline: () => number;
}

/** The waits of one run. */
export class CatalogWaits {
  /** How long the run has waited for the catalogs alone. */
  ms = 0;

  readonly #parts: CatalogWaitParts;
  /** Transactions whose commit was asked for in this batch. */
  readonly #askedFor = new Set<number>();

  /** @param parts - what they work with */
  constructor(parts: CatalogWaitParts) {
    this.#parts = parts;
  }

  /** Reads the catalogs again, if anything has changed them. */
  async refresh(): Promise<void> {
    const { session, advancer } = this.#parts;
    await this.#timed(() => session.keys.refreshIfStale(advancer.position));
  }

  /**
   * Waits a little until a transaction is over, and reads the catalogs again if it has changed them (I11). It is in the
   * WAL and others do not see it yet: for microseconds, or for as long as a standby does not answer.
   *
   * @param transaction - begun in the peek, so that its COMMIT is in the WAL
   * @returns whether it is over
   */
  async untilOver({ xid }: Transaction): Promise<boolean> {
    return await this.#timed(() => this.#waitFor(xid));
  }

  /**
   * Asks the WAL for the key at write time of a table whose key in the catalogs may be younger than its row.
   *
   * @param history - the WAL
   * @param question - for which tables
   * @param upto - how far to read
   */
  async askWal(history: KeyHistory, question: KeyHistoryRequest, upto: Lsn): Promise<void> {
    const { clock, keyHistory, deadline: end } = this.#parts;
    // Half of what is left: without an answer, too, the batch is to be published.
    const deadline = clock.now() + (end() - clock.now()) / 2;
    keyHistory.take(question, await this.#timed(() => history.read({ ...question, upto, deadline })));
  }

  /** A question that had no answer is asked again in the next batch. */
  beginBatch(): void {
    this.#askedFor.clear();
  }

  /**
   * Asks the WAL where transactions committed that altered tables: those of all tables at once.
   *
   * @param unknown - transactions on which the next message depends
   * @param batchEnd - how far the batch reads
   */
  async askForCommits(unknown: readonly number[], batchEnd: Lsn): Promise<void> {
    const { session, clock, policies, alterations, deadline: end } = this.#parts;
    const { commitHistory } = session;
    if (commitHistory === undefined || unknown.every((xid) => this.#askedFor.has(xid))) return;
    const all = [...new Set([...unknown, ...policies.alterations()])].filter((xid) => !alterations.knows(xid));
    const asked = all.slice(0, MAX_ASKED);
    for (const xid of asked) this.#askedFor.add(xid);
    const deadline = clock.now() + (end() - clock.now()) / 2;
    const commits = await this.#timed(() => commitHistory.read(asked, batchEnd, deadline));
    if (commits !== undefined) alterations.take(commits);
  }

  async #waitFor(xid: number): Promise<boolean> {
    const { session, clock, advancer, deadline } = this.#parts;
    const until = Math.min(clock.now() + COMMIT_WAIT_MS, deadline());
    for (let pause = FIRST_LOOK_MS; !session.keys.isOver(xid); pause = Math.min(2 * pause, LAST_LOOK_MS)) {
      if (clock.now() + pause > until) return false;
      await clock.sleep(pause, session.lost);
      if (session.lost.aborted) throw session.lost.reason;
      await session.keys.refreshIfStale(advancer.position);
    }
    return true;
  }

  async #timed<T>(wait: () => Promise<T>): Promise<T> {
    const begun = this.#parts.clock.now();
    try {
      return await wait();
    } finally {
      this.ms += this.#parts.clock.now() - begun;
    }
  }
}
