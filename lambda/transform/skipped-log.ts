/**
 * Logs which tables' changes are left out, and why: one line for each reason, with a count and the first names, once in a
 * container and again when tables are added. Also logs, with each batch, which tables' changes went without their row. Shows
 * names only, never a value (I10). What it counts is for its lines; the answer's counts are the transformation's.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import type { ChangeRecord } from '../format/record.ts';
import type { Log } from '../ports/runtime.ts';
import type { Skipped } from './counts.ts';

/** Names in one line. */
const MAX_NAMES_SHOWN = 10;
/** How many logged names are remembered. Beyond it all are forgotten: scratch tables always have new names. */
const MAX_NAMED = 20_000;

/** Why the log names tables. What a formatter leaves out it never does. */
export type LoggedReason = Exclude<keyof Skipped, 'formatter'>;

/** The log's text for each reason, after "3 tables" or "The table". `notTable` is logged as information, the others as warnings. */
const REASON_TEXTS: Readonly<Record<LoggedReason, readonly [one: string, several: string, rest: string]>> = {
  noPrimaryKey: [
    'has no primary key',
    'have no primary key',
    'Their changes are counted, not published. Give them a primary key, or exclude them. (A deferrable key counts as none where old rows are sent, as with REPLICA IDENTITY FULL.)',
  ],
  keyUnknown: [
    'has another primary key than when some of its rows were written',
    'have other primary keys than when some of their rows were written',
    'Those rows do not show the current key, and nothing says what the key was at write time. They are counted, not published. Read these rows again from the tables, or set ON_UNKNOWN_KEY=fail to stop there. Drain the slot before you change a key.',
  ],
  noReplicaIdentity: [
    'has changes whose key the server did not send',
    'have changes whose key the server did not send',
    'These changes are counted, not published. Set REPLICA IDENTITY DEFAULT or FULL, or use FORMAT=json, which can publish such a DELETE, but not with PLUGIN=wal2json, which leaves it out. With PLUGIN=pgoutput see that the publication has all columns of the primary key.',
  ],
  keyTooLarge: [
    'has a row whose primary key alone is larger than a Kinesis record may be',
    'have rows whose primary key alone is larger than a Kinesis record may be',
    'Such a change is counted, not published. Raise MAX_RECORD_KIB if the stream allows larger records, or set OVERSIZE=fail to stop there.',
  ],
  droppedTable: [
    'is not in the catalogs: dropped, renamed or moved since',
    'are not in the catalogs: dropped, renamed or moved since',
    'Their key is not known. Their changes are counted, not published. Drain the slot before you drop or rename a table.',
  ],
  notTable: [
    'is no table: a materialised view, or the copy of a table that is rewritten',
    'are no tables: materialised views, or copies of tables that are rewritten',
    'Their rows are counted, not published.',
  ],
  filtered: [
    'may have been a partition of a table that the lists name, when some of its rows were written',
    'may have been partitions of tables that the lists name, when some of their rows were written',
    'In doubt these rows are left out, and counted as filtered. Name partitions in the lists, too, or drain the slot before you detach one.',
  ],
};

/** Collects names, and writes them at the end of a batch. */
export class SkippedLog {
  readonly #log: Log;
  readonly #named: Set<string>;
  readonly #fresh = new Map<LoggedReason, { readonly tables: string[]; readonly since: Lsn }>();
  #withoutContent: { messages: number; readonly since: Lsn } | undefined;
  /** By table, since the last line. */
  readonly #withoutRow = new Map<string, { readonly key: readonly string[]; readonly since: Lsn; records: number }>();

  /**
   * @param log - gets the lines
   * @param named - what was told already, by reason and printed name; kept across warm runs
   */
  constructor(log: Log, named: Set<string>) {
    this.#log = log;
    this.#named = named;
  }

  /**
   * A table's changes are left out.
   *
   * @param reason - why its changes are skipped
   * @param table - its name, as the plugin prints it
   * @param commitLsn - of the first transaction concerned
   */
  note(reason: LoggedReason, table: string, commitLsn: Lsn): void {
    const name = `${reason} ${table}`;
    if (this.#named.has(name)) return;
    if (this.#named.size >= MAX_NAMED) this.#named.clear();
    this.#named.add(name);
    const fresh = this.#fresh.get(reason);
    if (fresh === undefined) this.#fresh.set(reason, { tables: [table], since: commitLsn });
    else fresh.tables.push(table);
  }

  /**
   * A change went without its row, which is too large.
   *
   * @param record - as written; valid during the call
   */
  noteWithoutRow({ table, key, transaction }: ChangeRecord): void {
    const known = this.#withoutRow.get(table.printed);
    if (known !== undefined) {
      known.records++;
      return;
    }
    const names = (key?.columns ?? []).map((column, part) => key?.tuples[part]?.headers[column]?.name ?? '?');
    this.#withoutRow.set(table.printed, {
      key: names.slice(0, key?.count ?? 0),
      since: transaction.commitLsn,
      records: 1,
    });
  }

  /**
   * A logical message went without its content, which is too large.
   *
   * @param lsn - its position. Its prefix may name anything, and is not shown
   */
  noteWithoutContent(lsn: Lsn): void {
    this.#withoutContent ??= { messages: 0, since: lsn };
    this.#withoutContent.messages++;
  }

  /** Writes what was noted since the last time. */
  report(): void {
    this.#reportWithoutRow();
    this.#reportWithoutContent();
    for (const [reason, { tables, since }] of this.#fresh) {
      const [one, several, rest] = REASON_TEXTS[reason];
      const first = tables.slice(0, MAX_NAMES_SHOWN);
      const more = tables.length > MAX_NAMES_SHOWN ? `, and ${tables.length - MAX_NAMES_SHOWN} more` : '';
      const what =
        tables.length === 1
          ? `The table ${first[0] ?? ''} ${one}.`
          : `${tables.length} tables ${several}: ${first.join(', ')}${more}.`;
      const fields = { reason, count: tables.length, tables: first, firstCommitLsn: formatLsn(since) };
      if (reason === 'notTable') this.#log.info(`${what} ${rest}`, fields);
      else this.#log.warn(`${what} ${rest}`, fields);
    }
    this.#fresh.clear();
  }

  #reportWithoutContent(): void {
    if (this.#withoutContent === undefined) return;
    const { messages, since } = this.#withoutContent;
    this.#log.warn(
      'Logical messages too large for a Kinesis record were published without their content. OVERSIZE decides about this.',
      { messages, firstLsn: formatLsn(since) },
    );
    this.#withoutContent = undefined;
  }

  #reportWithoutRow(): void {
    if (this.#withoutRow.size === 0) return;
    const tables = [...this.#withoutRow].slice(0, MAX_NAMES_SHOWN).map(([table, { key, since, records }]) => ({
      table,
      keyColumns: key,
      records,
      firstCommitLsn: formatLsn(since),
    }));
    const records = [...this.#withoutRow.values()].reduce((sum, each) => sum + each.records, 0);
    const named = tables.map(({ table, keyColumns, firstCommitLsn }) => {
      const by = keyColumns.length === 0 ? '' : `key: ${keyColumns.join(', ')}; `;
      return `${table} (${by}first in the transaction with commit LSN ${firstCommitLsn})`;
    });
    const more =
      this.#withoutRow.size > MAX_NAMES_SHOWN ? `, and ${this.#withoutRow.size - MAX_NAMES_SHOWN} more tables` : '';
    this.#log.warn(
      `Changes too large for a Kinesis record were published without their row, of ${named.join(', ')}${more}. Consumers have to read these rows from the database. OVERSIZE decides about this.`,
      { records, tables },
    );
    this.#withoutRow.clear();
  }
}
