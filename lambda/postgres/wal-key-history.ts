/**
 * Asks the WAL for primary keys as they were: a temporary copy of the slot under the plugin wal2json, which prints the
 * key's columns of the time of each row. On a connection of its own, that is closed at once.
 * Knows no table's policy. Whatever goes wrong, it answers that it cannot tell: a run goes on without.
 */
import pg from 'pg';
import { formatLsn } from '../decode/lsn.ts';
import { type KeyHistoryEntry, readKeyHistoryEntry } from '../decode/wal2json/key-history-entry.ts';
import type { KeyHistory, KeyQuestion } from '../ports/catalogs.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import { closeGracefully, dropIfLate } from './close-connection.ts';
import { CONNECT_MS, type Connection, type Database, logIn, pinSession } from './connection.ts';
import { codeOf } from './error-context.ts';
import { isSameServer } from './server-identity.ts';

/** What {@link WalKeyHistory} works with. */
export interface KeyHistoryParts {
  readonly database: Database;
  /** A connection of the run: the copy must be made on the same server. */
  readonly control: Connection;
  readonly slotName: string;
  /** What a container has learned. */
  readonly state: KeyHistoryState;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is kept from run to run. */
export interface KeyHistoryState {
  /** Why the server cannot be asked, once it has said so; it is not asked again. */
  refused: string | undefined;
  /** Whether the log has been told of `refused`. */
  isRefusalLogged: boolean;
}

/** `pg_copy_logical_replication_slot` came in 12. */
const COPIES_SLOTS = 120000;
/** More changes of keys than a stretch of WAL can sensibly have. */
const MAX_STRETCHES = 50_000;
/** These pass by themselves: no free slot, no free connection, a slot that was advanced while it was copied, a lost connection. */
const TRANSIENT_ERRORS = new Set(['53400', '53300', '55000', '55006', '57P01', '08006', '']);
/** wal2json is not installed, not among `output_plugin_libraries`, or does not know an option; or the role may not. */
const REFUSALS = new Set(['58P01', '42501', '42704', '22023', '0A000', '42883']);
const AGAIN_AFTER_MS = 300;

/** The port over SQL. */
export class WalKeyHistory implements KeyHistory {
  readonly #parts: KeyHistoryParts;

  /** @param parts - database, slot and memory */
  constructor(parts: KeyHistoryParts) {
    this.#parts = parts;
  }

  async read(question: KeyQuestion): Promise<readonly KeyHistoryEntry[] | undefined> {
    const { control, state, clock } = this.#parts;
    if (control.versionNum < COPIES_SLOTS) return undefined;
    if (state.refused !== undefined) {
      if (!state.isRefusalLogged) this.#logFailure(state.refused, question);
      return undefined;
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#ask(question);
      } catch (error) {
        const code = codeOf(error);
        if (attempt === 1 && TRANSIENT_ERRORS.has(code) && clock.now() + AGAIN_AFTER_MS < question.deadline) {
          await clock.sleep(AGAIN_AFTER_MS);
          continue;
        }
        if (REFUSALS.has(code)) state.refused = code;
        this.#logFailure(code, question);
        return undefined;
      }
    }
  }

  /**
   * A server without the plugin is no news where only tables without a key are asked for: nearly all of them never had one,
   * and their rows are skipped either way.
   */
  #logFailure(code: string, { insertsOnly, tables }: KeyQuestion): void {
    const lasting = this.#parts.state.refused !== undefined;
    if (lasting && insertsOnly && tables !== undefined) return;
    const { state, log } = this.#parts;
    state.isRefusalLogged = lasting;
    log.info(
      'A table or its primary key was changed after rows were written. The plugin wal2json can tell the key that they had then, but it could not be used. So these rows are published by a key that is known, or skipped and counted. Without such changes you do not need the plugin.',
      { sqlState: code === '' ? 'none' : code, lasting },
    );
  }

  async #ask(question: KeyQuestion): Promise<readonly KeyHistoryEntry[]> {
    const { database, control, slotName, clock } = this.#parts;
    const loggedIn = await logIn(database, { deadline: question.deadline, workMem: true });
    try {
      const asked = loggedIn.client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
      const { rows: backend } = await dropIfLate(loggedIn.client, CONNECT_MS, clock, asked);
      const connection = await pinSession(loggedIn, backend[0]?.pid ?? 0, clock);
      if (!isSameServer(connection.identity, control.identity)) throw new Error('another server');
      // Its warnings about rows without an old key are of no use here.
      await connection.query(`SELECT set_config('client_min_messages', 'error', false)`);
      const copy = `${slotName.slice(0, 40)}_keys_${connection.pid}`;
      await connection.query(`SELECT pg_copy_logical_replication_slot($1, $2, true, 'wal2json')`, [slotName, copy]);
      const { rows } = await connection.query(statement(copy, question, connection.encoding));
      await connection.query('SELECT pg_drop_replication_slot($1)', [copy]);
      if (rows.length > MAX_STRETCHES) throw new Error('too many');
      return rows.map((row) => {
        const stretch = readKeyHistoryEntry(row);
        if (stretch === undefined) throw new Error('not the lines of wal2json');
        return stretch;
      });
    } finally {
      await closeGracefully(loggedIn, clock);
    }
  }
}

/** A JSON string's inside, where each backslash and each byte above 127 is written as `encode(..., 'escape')` does. */
const INSIDE = String.raw`((?:[^"\\]|\\\\(?:\\\\|[^\\])|\\[0-7]{3})*)`;
const NAMES = String.raw`^","schema":"${INSIDE}","table":"${INSIDE}"$`;
const PK = String.raw`^,"pk":\[(.*)\]\}$`;
/** 32 names of 63 bytes, each byte written in up to six. */
const TAIL_BYTES = 13_000;

/**
 * Where each table's key begins to be another one. The lines themselves, with the rows' values, stay on the server. They are
 * cut as bytes: no text inside a line has a quote without a backslash, so each piece that is looked for is there once.
 * Expressions took 30 times as long as the decoding, and are for the first line of each key only.
 */
function statement(copy: string, { upto, tables, except, insertsOnly }: KeyQuestion, encoding: string): string {
  const options: Record<string, string> = {
    'format-version': '2',
    'include-pk': '1',
    'include-types': '0',
    'include-transaction': '1',
    actions: insertsOnly ? 'insert' : 'insert,update,delete',
    // None has this one.
    'add-msg-prefixes': 'pg2kinesis-none',
    ...(tables === undefined ? {} : { 'add-tables': tables.map(pattern).join(',') }),
    ...(except.length === 0 ? {} : { 'filter-tables': except.map(pattern).join(',') }),
  };
  const list = Object.entries(options).flat().map(pg.escapeLiteral).join(', ');
  const name = (text: string) =>
    encoding === 'UTF8' || encoding === 'SQL_ASCII'
      ? `decode(${text}, 'escape')`
      : `convert(decode(${text}, 'escape'), ${pg.escapeLiteral(encoding)}, 'UTF8')`;
  return `
    WITH lines AS MATERIALIZED (
      SELECT row_number() OVER () AS n, lsn, xid::text AS xid, data
        FROM pg_logical_slot_peek_binary_changes(${pg.escapeLiteral(copy)}, '${formatLsn(upto)}', NULL, ${list})
    ), commits AS (
      SELECT xid, lsn FROM lines WHERE substr(data, 1, 12) = '{"action":"C'::bytea
    ), ends AS (
      SELECT n, data, substr(data, GREATEST(1, length(data) - ${TAIL_BYTES})) AS tail,
             COALESCE(NULLIF(position('","columns":['::bytea IN data), 0), NULLIF(position('","identity":['::bytea IN data), 0), position('","pk":['::bytea IN data)) AS named
        FROM lines WHERE substr(data, 1, 12) IN ('{"action":"I'::bytea, '{"action":"U'::bytea, '{"action":"D'::bytea)
    ), cut AS MATERIALIZED (
      SELECT n, get_byte(data, 11) = ${'I'.charCodeAt(0)} AS inserts, substr(data, 13, GREATEST(0, named - 12)) AS names, substr(tail, position(',"pk":['::bytea IN tail)) AS pk
        FROM ends
    ), compared AS (
      SELECT *, pk IS DISTINCT FROM lag(pk) OVER (PARTITION BY names ORDER BY n) AS other FROM cut
    ), counted AS (
      SELECT *, count(*) FILTER (WHERE other) OVER (PARTITION BY names ORDER BY n) AS stretch FROM compared
    ), stretches AS (
      SELECT min(n) AS n, bool_or(inserts) AS inserted FROM counted GROUP BY names, stretch
    ), first AS (
      SELECT n, s.inserted, regexp_match(encode(c.names, 'escape'), ${pg.escapeLiteral(NAMES)}) AS names,
             (regexp_match(encode(c.pk, 'escape'), ${pg.escapeLiteral(PK)}))[1] AS pk
        FROM stretches s JOIN cut c USING (n)
    )
    SELECT c.lsn::text AS commit, l.lsn::text AS lsn, f.inserted, ${name('f.names[1]')} AS schema, ${name('f.names[2]')} AS table, ${name('f.pk')} AS pk
      FROM first f JOIN lines l USING (n) JOIN commits c USING (xid)
     ORDER BY n LIMIT ${MAX_STRETCHES + 1}`;
}

/** A name as wal2json's lists want it: special characters after a backslash. */
function pattern({ schema, name }: { readonly schema: string; readonly name: string }): string {
  const escaped = (text: string) => text.replaceAll(/[\\ ',.*]/g, String.raw`\$&`);
  return `${escaped(schema)}.${escaped(name)}`;
}
