/** A type whose values can be stored and not printed: decoding a row that has one fails, in every version. */
import type { PostgresServer } from './postgres.ts';

/** The beginning of what the server says of it, and the SQLSTATE. */
export const BROKEN_TYPE_ERROR = { sqlState: '0A000', message: 'cannot display a value of type trigger' } as const;

/**
 * Makes the type `broken`, which takes any text.
 *
 * @param server - a superuser's connection to it
 */
export async function createBrokenType(server: Pick<PostgresServer, 'sql'>): Promise<void> {
  await server.sql(`CREATE TYPE broken;
    CREATE FUNCTION broken_in(cstring) RETURNS broken LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION broken_out(broken) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'trigger_out';
    CREATE TYPE broken (INPUT = broken_in, OUTPUT = broken_out, LIKE = text)`);
}
