/**
 * Makes a target's tables as they are at the source: all of it, or nothing. Indexes and foreign keys come later, by a script
 * of their own: they would slow the copying down. Knows no stream.
 */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import pg from 'pg';
import { ReplicaError } from '../errors.ts';
import type { PostgresAddress } from './address.ts';
import {
  codeOf,
  connectTarget,
  isTransient,
  type PostgresConnection,
  sourceRefused,
  unreachable,
} from './connection.ts';
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
  /**
   * Keeps at the target what is still to come, in the transaction that makes the tables.
   *
   * @param client - in that transaction
   * @param hasRows - rows are still to come
   */
  readonly keep: (client: pg.Client, hasRows: boolean) => Promise<void>;
}

/** What was made. */
export interface CreatedTables {
  /** Tables of the source that hold rows, or that its user may not look into, as SQL names them. */
  readonly withRows: readonly string[];
  readonly leftOut: Definitions['leftOut'];
}

/** @throws {ReplicaError} REPLICA_USAGE, DEFINITIONS_REFUSED, TARGET_UNREACHABLE, SOURCE_UNREACHABLE */
export async function createTables({
  source,
  target,
  program,
  path,
  laterFile,
  keep,
}: CreateTablesOptions): Promise<CreatedTables> {
  const definitions = await readDefinitions(program, source.address, source.versionNum, path);
  // Whatever can fail comes before the COMMIT: tables that are there would be taken as complete by the next start.
  const withRows = await tablesWithRows(source);
  const file = openNew(laterFile);
  let isKept = false;
  try {
    await make(target, definitions, async (client, attachedLater) => {
      const { hasMaterialized } = definitions;
      const statements = [...definitions.later, ...attachedLater, ...(hasMaterialized ? [REFRESH] : [])];
      writeLater(file, laterFile, scriptOf(statements));
      await keep(client, withRows.length > 0);
    });
    isKept = true;
  } catch (error) {
    isKept = error instanceof UnknownOutcomeError;
    throw error;
  } finally {
    closeSync(file);
    if (!isKept) rmSync(laterFile, { force: true });
  }
  return { withRows, leftOut: definitions.leftOut };
}

/** The connection broke in the COMMIT: it may have been done. */
class UnknownOutcomeError extends ReplicaError {}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw notWritten(path, error);
  }
}

function writeLater(file: number, path: string, text: string): void {
  try {
    writeSync(file, text);
    fsyncSync(file);
  } catch (error) {
    throw notWritten(path, error);
  }
}

function notWritten(path: string, error: unknown): ReplicaError {
  const why = codeOf(error) === 'EEXIST' ? 'is there already' : `cannot be written (${codeOf(error)})`;
  return new ReplicaError('REPLICA_USAGE', `The file "${path}" of --create-tables ${why}. Nothing was made.`, {
    remedy: 'Name another one: indexes and foreign keys are written into it, to be made once the rows are there.',
    cause: error,
  });
}

/**
 * Makes everything in one transaction.
 *
 * @param beforeCommit - is given what has to wait for what comes later
 */
async function make(
  address: PostgresAddress,
  { tables, keys, attached, views }: Definitions,
  beforeCommit: (client: pg.Client, later: readonly string[]) => Promise<void>,
): Promise<void> {
  // A connection of its own: what pg_dump writes changes settings of the session.
  const { client, versionNum } = await connectTarget(address);
  const later: string[] = [];
  let isCommitting = false;
  try {
    await client.query(`BEGIN; ${withoutUnknownSettings(tables, versionNum)}`);
    for (const sql of keys) await client.query(withoutUnknownSettings(sql, versionNum));
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
    for (const sql of views) await client.query(withoutUnknownSettings(sql, versionNum));
    // What was made may have set a search_path, and the replica's own tables are named in full.
    await beforeCommit(client, later);
    isCommitting = true;
    await client.query('COMMIT');
  } catch (error) {
    if (error instanceof ReplicaError) throw error;
    if (!(error instanceof pg.DatabaseError) || isTransient(error)) {
      if (!isCommitting || error instanceof pg.DatabaseError) throw unreachable(address, error);
      throw new UnknownOutcomeError(
        'TARGET_UNREACHABLE',
        `The connection to the target "${address.database}" ended while the tables were committed. They are all there, or none is.`,
        {
          remedy:
            'Start again with the same options. If that says that the file is there already, nothing was made: remove the file.',
          cause: error,
        },
      );
    }
    const { code = '', message } = error;
    const isThere = /^42(P0[67]|710|723)$/.test(code);
    throw new ReplicaError(
      'DEFINITIONS_REFUSED',
      `The target "${address.database}" refused a definition of the source: ${message} (SQLSTATE ${code}). Nothing was made.`,
      isThere
        ? {
            remedy:
              'Use an empty database, or make the tables yourself and start without --create-tables. If they are to get rows of the source, which a snapshot brings, start with --await-snapshot then.',
          }
        : {},
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Fills the materialized views. One may read another, so those that cannot be filled yet are tried again. */
const REFRESH = `-- Fills the materialized views.
DO $$
DECLARE
  view regclass;
  filled integer;
BEGIN
  LOOP
    filled := 0;
    FOR view IN SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'm' AND NOT relispopulated ORDER BY oid LOOP
      BEGIN
        EXECUTE 'REFRESH MATERIALIZED VIEW ' || view;
        filled := filled + 1;
      EXCEPTION WHEN object_not_in_prerequisite_state THEN
        NULL; -- It reads one that is not filled yet.
      END;
    END LOOP;
    EXIT WHEN filled = 0;
  END LOOP;
END $$;`;

function scriptOf(statements: readonly string[]): string {
  return [
    '-- Indexes, foreign keys, statistics and rows of materialized views. Run it at the copy once its rows are there.',
    "SELECT pg_catalog.set_config('search_path', '', false);",
    ...statements,
    '',
  ].join('\n\n');
}

async function tablesWithRows({ client, address }: PostgresConnection): Promise<string[]> {
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pg2kinesis')
        ORDER BY 1`,
    );
    const found: string[] = [];
    for (const { name } of rows) if (await mayHaveRows(client, name)) found.push(name);
    return found;
  } catch (error) {
    throw sourceRefused(address, error);
  }
}

/** Without a right to look, or where row-level security hides rows, there may be some. */
async function mayHaveRows(client: pg.Client, name: string): Promise<boolean> {
  try {
    return (await client.query(`SELECT FROM ONLY ${name} LIMIT 1`)).rowCount === 1;
  } catch (error) {
    if (codeOf(error) === '42501') return true;
    throw error;
  }
}
