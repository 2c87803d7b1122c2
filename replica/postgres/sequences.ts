/** Sequences: no record of the stream tells of them, so they are read at the source, and set at the target. */
import type pg from 'pg';
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import {
  codeOf,
  isTransient,
  type PostgresConnection,
  sourceRefused,
  type TargetConnection,
  unreachable,
} from './connection.ts';

/** A sequence of the source. */
export interface SequenceState {
  /** Its name, with its schema, quoted. */
  readonly sql: string;
  /** The same in every version: which words are quoted is not. */
  readonly id: string;
  readonly lastValue: string;
  readonly isCalled: boolean;
}

const SEQUENCES = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql, json_build_array(n.nspname, c.relname)::text AS id
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1`;

/** @param source - a client of it @returns up to where its WAL is on disk */
export async function flushLsn(source: pg.Client): Promise<Lsn> {
  const { rows } = await source.query<{ lsn: string }>(
    'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text AS lsn',
  );
  return parseLsn(rows[0]?.lsn ?? '') ?? 0n;
}

/** @throws {ReplicaError} SOURCE_UNREACHABLE, also where one may not be read */
export async function readSequences({
  client,
  address,
}: Pick<PostgresConnection, 'client' | 'address'>): Promise<SequenceState[]> {
  const refused = (error: unknown): never => {
    throw sourceRefused(address, error);
  };
  const { rows } = await client.query<Pick<SequenceState, 'sql' | 'id'>>(SEQUENCES).catch(refused);
  const found: SequenceState[] = [];
  for (const { sql, id } of rows) {
    try {
      const state = await client.query<{ value: string; called: boolean }>(
        `SELECT last_value::text AS value, is_called AS called FROM ${sql}`,
      );
      const [row] = state.rows;
      if (row !== undefined) found.push({ sql, id, lastValue: row.value, isCalled: row.called });
    } catch (error) {
      if (codeOf(error) !== '42501') refused(error);
      throw new ReplicaError(
        'SOURCE_UNREACHABLE',
        `The sequence ${sql} of the source cannot be read. No sequence was set.`,
        {
          remedy: `Grant it: GRANT SELECT ON SEQUENCE ${sql} TO ...`,
          cause: error,
        },
      );
    }
  }
  return found;
}

/** What sets sequences: statements, and names of those that the target does not have. */
export interface SequencePlan {
  readonly statements: readonly string[];
  readonly missing: readonly string[];
}

/** @param target - a client of it @param sequences - of the source */
export async function planSequences(target: pg.Client, sequences: readonly SequenceState[]): Promise<SequencePlan> {
  const { rows } = await target.query<Pick<SequenceState, 'id'>>(SEQUENCES);
  const there = new Set(rows.map(({ id }) => id));
  const quoted = (name: string): string => `'${name.replaceAll("'", "''")}'`;
  return {
    statements: sequences
      .filter(({ id }) => there.has(id))
      .map(
        ({ sql, lastValue, isCalled }) =>
          `SELECT pg_catalog.setval(${quoted(sql)}, ${lastValue}, ${String(isCalled)});`,
      ),
    missing: sequences.filter(({ id }) => !there.has(id)).map(({ sql }) => sql),
  };
}

/**
 * Sets them, one after the other: no transaction takes a setval back.
 *
 * @throws {ReplicaError} TARGET_REFUSED, TARGET_UNREACHABLE
 */
export async function setSequences(
  { client, address }: Pick<TargetConnection, 'client' | 'address'>,
  { statements }: SequencePlan,
): Promise<void> {
  let current = '';
  try {
    for (current of statements) await client.query(current);
  } catch (error) {
    if (isTransient(error)) throw unreachable(address, error);
    throw new ReplicaError(
      'TARGET_REFUSED',
      `The target refused ${current} (SQLSTATE ${codeOf(error)}). It and those behind it were not set.`,
      {
        remedy:
          'Give the sequence at the copy the type and the bounds that it has at the source, and its user the right to UPDATE it, then start again with --finish.',
        cause: error,
      },
    );
  }
}
