/**
 * Types by their numbers, and the words that SQL keeps for itself: what the decoders of pgoutput and wal2json have to know of the
 * server.
 * Kept by the handler from run to run, and read again when a type was made, renamed or dropped.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { ServerNames } from '../decode/server-names.ts';
import { type Connection, toPipelineError } from './connection.ts';
import { FormerEntries } from './former-entries.ts';

/** The same as long as there are the same types by the same names: a type's rename writes its row again, a schema's the schema's. */
const DIGEST = `SELECT concat_ws(' ', current_setting('server_version_num'), count(*), sum(oid::bigint), sum(xmin::text::bigint), (SELECT sum(xmin::text::bigint) FROM pg_namespace)) AS digest FROM pg_type`;

/** `format_type` prints what test_decoding does: both follow the session's search_path. */
const TYPES = 'SELECT oid::bigint::float8 AS oid, format_type(oid, NULL) AS name FROM pg_type';

/** What `quote_identifier` quotes. */
const KEYWORDS = `SELECT word FROM pg_get_keywords() WHERE catcode <> 'U'`;

/** Names of one database. */
export class TypeNames implements ServerNames {
  /** Each table and each array of its rows is a type, too. */
  readonly #types = new FormerEntries<number, string>();
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
   * @param consumed - the slot's position: types that were gone before it are forgotten
   * @throws {PipelineError} what a statement meets
   */
  async read(connection: Connection, consumed: Lsn): Promise<void> {
    this.#types.forget(consumed);
    const ask = async (text: string): Promise<Record<string, unknown>[]> => {
      try {
        return (await connection.query(text)).rows;
      } catch (error) {
        throw toPipelineError(error, connection.context);
      }
    };
    const digest = String((await ask(DIGEST))[0]?.['digest']);
    if (digest === this.#digest) return;
    const types = (await ask(TYPES)).map(({ oid, name }) => [Number(oid), String(name)] as const);
    await this.#types.take(new Map(types), { query: async (text) => ({ rows: await ask(text) }) });
    for (const { word } of await ask(KEYWORDS)) this.#keywords.add(String(word));
    this.#digest = digest;
  }
}
