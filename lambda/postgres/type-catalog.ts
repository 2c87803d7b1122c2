/**
 * What the catalogs say of types and no plugin prints: the delimiter between an array's elements (`pg_type.typdelim`), and
 * the type that a domain is made of. The delimiter is a comma for all but a few: box has a semicolon, PostGIS's types a
 * colon, and a user's own type may have any.
 * Kept by the handler from run to run; knows no format.
 */
import { type Connection, toPipelineError } from './connection.ts';

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
  /** A type that was dropped since stays: rows of it may still come. */
  readonly #delimiters = new Map<string, string>();
  readonly #bases = new Map<string, string>();

  /** @param element - a type as the plugin prints it @returns the delimiter between its values in an array */
  delimiterOf(element: string): string {
    return this.#delimiters.get(element) ?? ',';
  }

  /** @param type - as the plugin prints it @returns what a domain is made of; any other type itself */
  baseOf(type: string): string {
    return this.#bases.get(type) ?? type;
  }

  /** Reads the types again. @param connection - to the database that the types are of */
  async read(connection: Connection): Promise<void> {
    const { rows } = await connection.query(TYPES).catch((error: unknown) => {
      throw toPipelineError(error, connection.context);
    });
    for (const { type, delimiter, base } of rows) {
      this.#delimiters.set(String(type), String(delimiter));
      if (typeof base === 'string') this.#bases.set(String(type), base);
    }
  }
}
