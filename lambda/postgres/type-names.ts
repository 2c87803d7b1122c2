/**
 * Types by their numbers, and the words that SQL keeps for itself: what the decoders of pgoutput and wal2json have to know of the
 * server.
 * Kept by the handler from run to run, and read again when a type was made or dropped.
 */
import type { ServerNames } from '../decode/server-names.ts';
import { type Connection, toPipelineError } from './connection.ts';

/** The same as long as there are the same types. */
const DIGEST = `SELECT concat_ws(' ', current_setting('server_version_num'), count(*), sum(oid::bigint)) AS digest FROM pg_type`;

/** `format_type` prints what test_decoding does: both follow the session's search_path. */
const TYPES = 'SELECT oid::bigint::float8 AS oid, format_type(oid, NULL) AS name FROM pg_type';

/** What `quote_identifier` quotes. */
const KEYWORDS = `SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'`;

/** Names of one database. */
export class TypeNames implements ServerNames {
  /** A type that was dropped since stays: rows of it may still come. */
  readonly #types = new Map<number, string>();
  readonly #keywords = new Set<string>();
  #digest = '';

  typeName(oid: number): string | undefined {
    return this.#types.get(oid);
  }

  isKeyword(word: string): boolean {
    return this.#keywords.has(word);
  }

  /**
   * Reads what is new.
   *
   * @param connection - to the database that the types are of
   * @throws {PipelineError} what a statement meets
   */
  async read(connection: Connection): Promise<void> {
    const ask = async (text: string): Promise<Record<string, unknown>[]> => {
      try {
        return (await connection.query(text)).rows;
      } catch (error) {
        throw toPipelineError(error, connection.context);
      }
    };
    const digest = String((await ask(DIGEST))[0]?.['digest']);
    if (digest === this.#digest) return;
    for (const { oid, name } of await ask(TYPES)) this.#types.set(Number(oid), String(name));
    for (const { word } of await ask(KEYWORDS)) this.#keywords.add(String(word));
    this.#digest = digest;
  }
}
