/**
 * Asks the WAL where transactions committed: those that altered tables, most of which have changed no row, so that the
 * peek does not show them. Decodes what is unread once more, and takes nothing of it but the ends of transactions.
 * Knows no table. Whatever goes wrong, it answers that it cannot tell.
 */
import pg from 'pg';
import { formatLsn, type Lsn, parseLsn } from '../decode/lsn.ts';
import type { CommitHistory } from '../ports/catalogs.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import type { Connection } from './connection.ts';
import { codeOf } from './error-context.ts';
import { type SlotPlugin, TEST_DECODING } from './plugins.ts';
import { FLUSH_LSN } from './status-queries.ts';

/** What {@link WalCommitHistory} works with. */
export interface CommitHistoryParts {
  /** The connection that advances the slot: an advance and a reading cannot be at once. */
  readonly control: Connection;
  readonly slotName: string;
  /** When the session ends: milliseconds since 1970. */
  readonly deadline: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** One transaction of the answer; positions as numbers in text. */
interface AnswerRow {
  readonly xid: string;
  readonly exact: string | null;
  readonly bound: string | null;
}

/** Behind a batch so much WAL is decoded at most. */
const MAX_BEHIND = 256n * 1024n * 1024n;
/** A commit that others see is flushed so many times `wal_writer_delay` later, also with synchronous_commit = off. */
const DELAYS = 4;
const LONGEST_WAIT_MS = 2_000;
const LOOK_AGAIN_MS = 50;

/** The port over SQL. */
export class WalCommitHistory implements CommitHistory {
  readonly #parts: CommitHistoryParts;

  /** @param parts - connection, slot and clock */
  constructor(parts: CommitHistoryParts) {
    this.#parts = parts;
  }

  async read(xids: readonly number[], batchEnd: Lsn, deadline: number): Promise<ReadonlyMap<number, Lsn> | undefined> {
    try {
      const end = await this.#endOfCommits();
      const furthest = batchEnd + MAX_BEHIND;
      const upto = end !== undefined && end < furthest ? end : furthest;
      const rows = await this.#ask(xids, upto, deadline);
      const commits = new Map<number, Lsn>();
      for (const { xid, exact, bound } of rows) {
        if (exact !== null) commits.set(Number(xid), BigInt(exact));
        // It committed before what is unread, or under the id of a transaction that it is a part of, which is a smaller one.
        else if (upto === end) commits.set(Number(xid), BigInt(bound ?? 0));
      }
      return commits;
    } catch (error) {
      this.#parts.log.info(
        'The server could not say whether rows were written before their table was attached, detached, renamed or made. Rows that may have been a partition of a table in the lists are left out, and counted as filtered.',
        { sqlState: codeOf(error) },
      );
      return undefined;
    }
  }

  /** @returns a position behind all commits that others see by now; undefined: not known */
  async #endOfCommits(): Promise<Lsn | undefined> {
    const { control, clock } = this.#parts;
    const look = async () => {
      const { rows } = await control.query(
        `SELECT (${FLUSH_LSN})::text AS flush, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text AS written,
                (SELECT setting::int FROM pg_settings WHERE name = 'wal_writer_delay') AS delay`,
      );
      const [row] = rows;
      const [flush, written] = [parseLsn(String(row?.['flush'])), parseLsn(String(row?.['written']))];
      if (flush === undefined || written === undefined) throw new Error('the server gave no position');
      return { flush, written, delay: Number(row?.['delay']) };
    };
    const { written, delay, flush: first } = await look();
    const begun = clock.now();
    let flush = first;
    while (flush < written) {
      const waited = clock.now() - begun;
      // What is written and not flushed by now is of transactions that are open.
      if (waited > DELAYS * delay) break;
      if (waited > LONGEST_WAIT_MS) return undefined;
      await clock.sleep(LOOK_AGAIN_MS);
      ({ flush } = await look());
    }
    return flush;
  }

  async #ask(xids: readonly number[], upto: Lsn, deadline: number): Promise<AnswerRow[]> {
    const { control, slotName, clock } = this.#parts;
    const { plugin, versionNum } = control;
    const shown = plugin.allTransactions(versionNum);
    const copy = shown === undefined ? `${slotName.slice(0, 40)}_commits_${control.pid}` : undefined;
    const timeout = (until: number) =>
      control.query(`SELECT set_config('statement_timeout', $1, false)`, [
        String(Math.max(1, Math.ceil(until - clock.now()))),
      ]);
    const question =
      shown === undefined
        ? statement(copy ?? '', upto, TEST_DECODING, TEST_DECODING.allTransactions(versionNum) ?? '')
        : statement(slotName, upto, plugin, shown);
    // Sent at once, so that no other statement comes between.
    const answers = await Promise.allSettled([
      timeout(deadline),
      ...(copy === undefined
        ? []
        : [control.query(`SELECT pg_copy_logical_replication_slot($1, $2, true, 'test_decoding')`, [slotName, copy])]),
      control.query(question, [xids]),
      ...(copy === undefined
        ? []
        : [
            control.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [
              copy,
            ]),
          ]),
      timeout(this.#parts.deadline),
    ]);
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const answer = answers[copy === undefined ? 1 : 2];
    return answer?.status === 'fulfilled' ? (answer.value.rows as unknown as AnswerRow[]) : [];
  }
}

/** Each transaction's own commit, else the last one of a transaction with a smaller id. Positions as numbers: 10 knows no greatest pg_lsn. */
function statement(slotName: string, upto: Lsn, plugin: SlotPlugin, options: string): string {
  return `
    WITH commits AS (
      SELECT p.xid::text::bigint AS xid, p.lsn - '0/0' AS lsn
        FROM pg_logical_slot_peek_binary_changes(${pg.escapeLiteral(slotName)}, '${formatLsn(upto)}', NULL, ${options}) p
       WHERE ${plugin.endsTransaction}
    )
    SELECT x.xid, e.lsn::text AS exact,
           CASE WHEN e.lsn IS NULL THEN (SELECT max(c.lsn) FROM commits c WHERE ((c.xid - x.xid) & 4294967295) >= 2147483648)::text END AS bound
      FROM unnest($1::bigint[]) x(xid) LEFT JOIN commits e ON e.xid = x.xid`;
}
