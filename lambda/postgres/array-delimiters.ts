/**
 * The delimiter between the elements of an array: `pg_type.typdelim` of the element's type, which no plugin prints. It is a
 * comma for all but a few: box has a semicolon, PostGIS's types a colon, and a user's own type may have any.
 * Kept by the handler from run to run; knows no format.
 */
import { type Connection, toPipelineError } from './connection.ts';

/** Named as the plugin prints them: both follow the session's search_path. */
const TYPES = `SELECT format_type(oid, NULL) AS type, typdelim::text AS delimiter FROM pg_type WHERE typdelim <> ','`;

/** The delimiters that are no comma. One database each. */
export class ArrayDelimiters {
  /** A type that was dropped since stays: rows of it may still come. */
  readonly #known = new Map<string, string>();

  /** @param element - a type as the plugin prints it @returns the delimiter between its values in an array */
  of(element: string): string {
    return this.#known.get(element) ?? ',';
  }

  /** Reads the types again. @param connection - to the database that the types are of */
  async read(connection: Connection): Promise<void> {
    const { rows } = await connection.query(TYPES).catch((error: unknown) => {
      throw toPipelineError(error, connection.context);
    });
    for (const { type, delimiter } of rows) this.#known.set(String(type), String(delimiter));
  }
}
