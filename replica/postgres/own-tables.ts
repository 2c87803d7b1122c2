/**
 * The tables that a replica keeps at the target for itself, in the schema `pg2kinesis`: made where they are missing, by a user
 * who may make the schema, or make tables in it, or who finds them there. Never changes tables that are somebody else's.
 */
import type pg from 'pg';
import { ReplicaError } from '../errors.ts';
import { codeOf, isTransient, unreachable } from './connection.ts';
import { quoteName } from './sql-text.ts';

/** Tables to be made. */
export interface OwnTables {
  /** A query whose column `there` says whether they are there, with the columns that came last. */
  readonly there: string;
  /** Makes what is missing. */
  readonly create: string;
  /** By table, columns that it has had from the beginning. A table without them is somebody else's. @default not looked at */
  readonly columns?: Readonly<Record<string, readonly string[]>>;
}

/** Containers of a function begin at the same moment, and IF NOT EXISTS fails where two make the same. Held until the transaction ends. */
const IN_TURN = `SELECT pg_advisory_xact_lock(hashtext('pg2kinesis.replica tables'), 0)`;

const CREATE_RIGHTS = 'GRANT USAGE, CREATE ON SCHEMA pg2kinesis';
const WRITE_RIGHTS = 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pg2kinesis';

/**
 * Makes them where they are missing.
 *
 * @param client - of the target, outside a transaction
 * @param tables - which
 * @throws {ReplicaError} TARGET_REFUSED where the user lacks a right, or there are others of that name
 */
export async function makeOwnTables(client: pg.Client, { there, create, columns = {} }: OwnTables): Promise<void> {
  const remedy = async (): Promise<string> => (await ofOwner(client, create)) ?? schemaRemedy(client, CREATE_RIGHTS);
  await translatingRights(client, remedy, async () => {
    // Asked for first: who may make tables in a schema needs no right to make schemas, not even IF NOT EXISTS.
    const { rowCount } = await client.query(`SELECT FROM pg_namespace WHERE nspname = 'pg2kinesis'`);
    if (rowCount === 0) await client.query(`${IN_TURN}; CREATE SCHEMA IF NOT EXISTS pg2kinesis`);
    const isThere = async (): Promise<boolean> =>
      (await client.query<{ there: boolean }>(there)).rows[0]?.there === true;
    if (await isThere()) return;
    await client.query(`BEGIN; ${IN_TURN}`);
    try {
      // Whoever has made them meanwhile works with them: to alter them then may end in a deadlock.
      if (!(await isThere())) {
        for (const [table, expected] of Object.entries(columns)) await refuseForeign(client, table, expected);
        await client.query(create);
      }
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
}

/**
 * Works with these tables.
 *
 * @throws {ReplicaError} TARGET_REFUSED where the user may not
 */
export async function usingOwnTables<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  return await translatingRights(client, () => Promise.resolve(schemaRemedy(client, WRITE_RIGHTS)), work);
}

async function translatingRights<T>(
  client: pg.Client,
  remedy: () => Promise<string>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ReplicaError) throw error;
    if (isTransient(error)) throw unreachable(client, error);
    if (codeOf(error) !== '42501' || !(error instanceof Error)) throw error;
    throw new ReplicaError(
      'TARGET_REFUSED',
      `The user "${client.user ?? ''}" may not use the schema pg2kinesis of the target, where the position of the copy is kept: ${error.message} (SQLSTATE 42501). Nothing was applied.`,
      { remedy: await remedy(), cause: error },
    );
  }
}

function schemaRemedy({ user = '' }: pg.Client, grant: string): string {
  return `Let the owner of the database make the schema, if it is missing, and run ${grant} TO ${quoteName(user)}, then start again.`;
}

/** What to do where tables are there that only somebody else may change. @returns undefined: there are none */
async function ofOwner(client: pg.Client, create: string): Promise<string | undefined> {
  const { rows } = await client.query<{ owner: string }>(
    `SELECT pg_get_userbyid(relowner) AS owner FROM pg_class
      WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'pg2kinesis') AND relkind = 'r' AND NOT pg_has_role(relowner, 'USAGE') LIMIT 1`,
  );
  const [table] = rows;
  if (table === undefined) return undefined;
  const sql = create.replaceAll(/--.*/g, '').replaceAll(/\s+/g, ' ').trim();
  return `The tables there are of another version and belong to "${table.owner}". Let that user run: ${sql}; ${WRITE_RIGHTS} TO ${quoteName(client.user ?? '')}; Then start again.`;
}

async function refuseForeign(client: pg.Client, table: string, columns: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ found: readonly string[] | null }>(
    `SELECT array_agg(attname::text) AS found FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0`,
    [`pg2kinesis.${table}`],
  );
  const found = rows[0]?.found;
  if (found === null || found === undefined || columns.every((column) => found.includes(column))) return;
  throw new ReplicaError(
    'TARGET_REFUSED',
    `The table pg2kinesis.${table} of the target is not a replica's: it has other columns. Nothing was applied.`,
    { remedy: 'Give the table or its schema another name: a replica keeps its position there.' },
  );
}
