/**
 * What `replicate` does with the source itself before it follows the stream: connects, and makes the target's tables as they are
 * there (`--create-tables`). Knows no stream.
 */
import { ReplicaError } from '../../replica/errors.ts';
import { parseAddress } from '../../replica/postgres/address.ts';
import { connectSource, type PostgresConnection, type TargetConnection } from '../../replica/postgres/connection.ts';
import { createTables } from '../../replica/postgres/create-tables.ts';
import type { PositionStore } from '../../replica/postgres/position-store.ts';
import type { StreamIdentity } from '../../replica/postgres/position-tables.ts';
import { LacksColumnError } from '../../replica/postgres/table-plan.ts';
import { shellWord } from '../cli/shell-word.ts';
import { type Terminal, writeLine } from '../cli/terminal.ts';
import type { ReplicateOptions } from './options.ts';

/** The types of some columns of a table, as SQL. */
const COLUMN_TYPES = `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = ANY ($3) AND NOT a.attisdropped`;

/**
 * Adds the types of the source's columns to an error that the target lacks them, where the source's address is known.
 *
 * @param error - of replicating
 * @returns the error to throw
 */
export async function withColumnTypes(error: unknown, options: ReplicateOptions, terminal: Terminal): Promise<unknown> {
  const { from = terminal.env['REPLICATE_FROM'] ?? '' } = options;
  if (!(error instanceof LacksColumnError) || from === '') return error;
  try {
    const { client } = await connectFrom(options, terminal, '--from');
    try {
      const { schema, name, columns } = error.lacking;
      const { rows } = await client.query<{ name: string; type: string }>(COLUMN_TYPES, [schema, name, columns]);
      return new LacksColumnError(error.lacking, new Map(rows.map((row) => [row.name, row.type])));
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch {
    // The source cannot be asked just now. The error itself says what is lacking.
    return error;
  }
}

/**
 * Connects to the source.
 *
 * @param options - `from`, or the environment, says where it is
 * @param what - the option that takes it
 * @throws {ReplicaError} REPLICA_USAGE, SOURCE_UNREACHABLE
 */
export async function connectFrom(
  { from = '' }: Pick<ReplicateOptions, 'from'>,
  { env }: Pick<Terminal, 'env'>,
  what: string,
): Promise<PostgresConnection> {
  const text = from === '' ? (env['REPLICATE_FROM'] ?? '') : from;
  if (text === '') {
    throw new ReplicaError('REPLICA_USAGE', `${what} needs the source's address. Nothing was done.`, {
      remedy: 'Give it with --from postgres://user@host:5432/database, or in REPLICATE_FROM.',
    });
  }
  return await connectSource(parseAddress('--from', text, env['REPLICATE_FROM_PASSWORD']));
}

/**
 * Makes the tables of a copy that begins (`--create-tables`).
 *
 * @param options - of the command
 * @param terminal - is told what was made
 * @param target - where
 * @param positions - tells whether the copy has begun: then nothing is made. Is told which rows are still to come
 * @param stream - that the copy is of
 */
export async function makeTables(
  options: ReplicateOptions,
  terminal: Terminal,
  target: TargetConnection,
  positions: PositionStore,
  stream: StreamIdentity,
): Promise<void> {
  const { createTables: laterFile, pgDump: program = 'pg_dump', awaitSnapshot = false } = options;
  if (laterFile === undefined) return;
  const tell = (text: string): void => writeLine(terminal.stderr, text);
  if (await positions.hasBegun()) {
    tell('The copy has begun: --create-tables makes nothing.');
    return;
  }
  const source = await connectFrom(options, terminal, '--create-tables');
  try {
    const { withRows, leftOut } = await createTables({
      source,
      target: target.address,
      program,
      path: terminal.env['PATH'] ?? '',
      laterFile,
      keep: (client, hasRows) =>
        positions.announce(client, stream, { source: options.source, awaitsSnapshot: hasRows || awaitSnapshot }),
    });
    tell(
      `Made the tables of "${source.address.database}", with their keys. Indexes, foreign keys and what fills materialized views are in "${laterFile}": run it at the copy once its rows are there.`,
    );
    const others = [...leftOut].map(([kind, count]) => `${count} ${kind}`);
    if (others.length > 0) tell(`Not taken over: ${others.join(', ')}.`);
    if (withRows.length > 0)
      tell(
        `These tables hold rows, or may not be looked into. A snapshot brings the rows. Ask for it: pg2kinesis snapshot --tables ${shellWord(withRows.join(','))}`,
      );
  } finally {
    await source.client.end().catch(() => undefined);
  }
}
