/**
 * Makes a target's tables as they are at the source: all of it, or nothing. Indexes and foreign keys come later, by a script
 * of their own: they would slow the copying down. Knows no stream.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import pg from 'pg';
import { ReplicaError } from '../errors.ts';
import { codeOf, connectTarget, type PostgresAddress, type PostgresConnection } from './connection.ts';
import { type Definitions, readDefinitions, withoutUnknownSettings } from './table-definitions.ts';

/** What is made from what, and where. */
export interface CreateTablesOptions {
  readonly source: PostgresConnection;
  readonly target: PostgresAddress;
  /** pg_dump, by its name or path. */
  readonly program: string;
  /** Where programs are looked for. */
  readonly path: string;
  /** The file to be written: what is to be run once the rows are there. It must not be there. */
  readonly laterFile: string;
}

/** What was made. */
export interface CreatedTables {
  /** Tables of the source that hold rows, as SQL names them. */
  readonly withRows: readonly string[];
  readonly leftOut: Definitions['leftOut'];
}

/** @throws {ReplicaError} REPLICA_USAGE, DEFINITIONS_REFUSED, TARGET_UNREACHABLE */
export async function createTables({
  source,
  target,
  program,
  path,
  laterFile,
}: CreateTablesOptions): Promise<CreatedTables> {
  const definitions = await readDefinitions(program, source.address, source.versionNum, path);
  const file = openNew(laterFile);
  let isMade = false;
  try {
    const attachedLater = await make(target, definitions);
    writeSync(file, scriptOf([...definitions.later, ...attachedLater]));
    isMade = true;
  } finally {
    closeSync(file);
    if (!isMade) rmSync(laterFile, { force: true });
  }
  return { withRows: await tablesWithRows(source.client), leftOut: definitions.leftOut };
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    const why = codeOf(error) === 'EEXIST' ? 'is there already' : `cannot be written (${codeOf(error)})`;
    throw new ReplicaError('REPLICA_USAGE', `The file "${path}" of --create-tables ${why}. Nothing was made.`, {
      remedy: 'Name another one: indexes and foreign keys are written into it, to be made once the rows are there.',
      cause: error,
    });
  }
}

/** Makes everything in one transaction. @returns what has to wait for what comes later */
async function make(address: PostgresAddress, { tables, keys, attached }: Definitions): Promise<string[]> {
  // A connection of its own: what pg_dump writes changes settings of the session.
  const { client, versionNum } = await connectTarget(address);
  const later: string[] = [];
  try {
    await client.query(`BEGIN; ${withoutUnknownSettings(tables, versionNum)}`);
    for (const sql of keys) await client.query(sql);
    for (const sql of attached) {
      await client.query('SAVEPOINT attach');
      try {
        await client.query(sql);
      } catch (error) {
        // The index that is attached is not made yet.
        if (codeOf(error) !== '42P01') throw error;
        await client.query('ROLLBACK TO attach');
        later.push(sql);
      }
    }
    await client.query('COMMIT');
    return later;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const { code = '', message } = error;
    const isThere = /^42(P0[67]|710|723)$/.test(code);
    throw new ReplicaError(
      'DEFINITIONS_REFUSED',
      `The target "${address.database}" refused a definition of the source: ${message} (SQLSTATE ${code}). Nothing was made.`,
      isThere
        ? { remedy: 'Use an empty database, or make the tables yourself and start without --create-tables.' }
        : {},
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

function scriptOf(statements: readonly string[]): string {
  return [
    '-- Indexes, foreign keys and statistics of the source. Run it at the copy once its rows are there.',
    "SELECT pg_catalog.set_config('search_path', '', false);",
    ...statements,
    '',
  ].join('\n\n');
}

async function tablesWithRows(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pg2kinesis')
        AND has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1`,
  );
  const found: string[] = [];
  for (const { name } of rows) {
    const any = await client.query(`SELECT FROM ONLY ${name} LIMIT 1`);
    if (any.rowCount === 1) found.push(name);
  }
  return found;
}
