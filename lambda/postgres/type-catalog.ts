/**
 * What the catalogs say of types and no plugin prints: the delimiter between an array's elements (`pg_type.typdelim`), and
 * the type that a domain is made of. The delimiter is a comma for all but a few: box has a semicolon, PostGIS's types a
 * colon, and a user's own type may have any.
 * Kept by the handler from run to run; knows no format.
 */
import type { Lsn } from '../decode/lsn.ts';
import { type Connection, toPipelineError } from './connection.ts';
import { FormerEntries } from './former-entries.ts';

/** Named as the plugin prints them: both follow the session's search_path. A domain may be made of another one. */
const TYPES = `
  WITH RECURSIVE domains (oid, base) AS (
    SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd')
  SELECT format_type(t.oid, NULL) AS type, t.typdelim::text AS delimiter, format_type(b.oid, NULL) AS base
  FROM pg_type t LEFT JOIN (domains d JOIN pg_type b ON b.oid = d.base AND b.typtype <> 'd') ON d.oid = t.oid
  WHERE t.typdelim <> ',' OR t.typtype = 'd'`;

/** Delimiters that are no comma, and domains. One database each. */
export class TypeCatalog {
  readonly #types = new FormerEntries<string, { readonly delimiter: string; readonly base: string | undefined }>();

  /** @param element - a type as the plugin prints it @returns the delimiter between its values in an array */
  delimiterOf(element: string): string {
    return this.#types.get(element)?.delimiter ?? ',';
  }

  /** @param type - as the plugin prints it @returns what a domain is made of; any other type itself */
  baseOf(type: string): string {
    return this.#types.get(type)?.base ?? type;
  }

  /**
   * Reads the types again.
   *
   * @param connection - to the database that the types are of
   * @param consumed - the slot's position: types that were gone before it are forgotten
   * @throws {PipelineError} what a statement meets
   */
  async read(connection: Connection, consumed: Lsn): Promise<void> {
    this.#types.forget(consumed);
    try {
      const { rows } = await connection.query(TYPES);
      const types = rows.map(({ type, delimiter, base }) => {
        const entry = { delimiter: String(delimiter), base: typeof base === 'string' ? base : undefined };
        return [String(type), entry] as const;
      });
      await this.#types.take(new Map(types), connection);
    } catch (error) {
      throw toPipelineError(error, connection.context);
    }
  }
}
