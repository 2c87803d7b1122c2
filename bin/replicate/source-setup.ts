/**
 * What `replicate` reads from the source itself: the definitions of tables before it follows the stream (`--create-tables`), and
 * its end and its sequences after it (`--finish`).
 * Knows no stream.
 */
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../replica/errors.ts';
import {
  connectSource,
  parseAddress,
  type PostgresConnection,
  type TargetConnection,
} from '../../replica/postgres/connection.ts';
import { createTables } from '../../replica/postgres/create-tables.ts';
import type { PositionStore } from '../../replica/postgres/position-store.ts';
import { flushLsn, planSequences, readSequences, setSequences } from '../../replica/postgres/sequences.ts';
import type { Terminal } from '../cli/terminal.ts';
import type { ReplicateOptions } from './options.ts';

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
 * @param positions - tells whether the copy has begun: then nothing is made
 * @returns whether rows are still to come, by a snapshot
 */
export async function makeTables(
  options: ReplicateOptions,
  terminal: Terminal,
  target: TargetConnection,
  positions: PositionStore,
): Promise<boolean> {
  const { createTables: laterFile, pgDump: program = 'pg_dump' } = options;
  if (laterFile === undefined) return false;
  const tell = (text: string): void => void terminal.stderr.write(`${text}\n`);
  if (await positions.hasBegun()) {
    tell('The copy has begun: --create-tables makes nothing.');
    return false;
  }
  const source = await connectFrom(options, terminal, '--create-tables');
  try {
    const { withRows, leftOut } = await createTables({
      source,
      target: target.address,
      program,
      path: terminal.env['PATH'] ?? '',
      laterFile,
    });
    tell(
      `Made the tables of "${source.address.database}", with their keys. Indexes and foreign keys are in "${laterFile}": run it at the copy once its rows are there.`,
    );
    const others = [...leftOut].map(([kind, count]) => `${count} ${kind}`);
    if (others.length > 0) tell(`Not taken over: ${others.join(', ')}.`);
    if (withRows.length > 0 && options.startAfter === undefined)
      tell(
        `These tables hold rows, which a snapshot brings. Ask for it: pg2kinesis snapshot --tables '${withRows.join(',')}'`,
      );
    return withRows.length > 0;
  } finally {
    await source.client.end().catch(() => undefined);
  }
}

/** The end of a copy (`--finish`): the source is not written to any more, and the copy is to take over. */
export class Finish {
  /** The copy has to come up to here. */
  readonly lsn: Lsn;
  readonly #source: PostgresConnection;
  readonly #options: ReplicateOptions;
  readonly #terminal: Terminal;

  private constructor(source: PostgresConnection, lsn: Lsn, options: ReplicateOptions, terminal: Terminal) {
    this.#source = source;
    this.lsn = lsn;
    this.#options = options;
    this.#terminal = terminal;
  }

  /** @throws {ReplicaError} REPLICA_USAGE, SOURCE_UNREACHABLE */
  static async begin(options: ReplicateOptions, terminal: Terminal): Promise<Finish> {
    const source = await connectFrom(options, terminal, '--finish');
    const lsn = await flushLsn(source.client);
    terminal.stderr.write(
      `Ends when the copy has come to ${formatLsn(lsn)}. For that, run "pg2kinesis drain" once the source is not written to any more.\n`,
    );
    return new Finish(source, lsn, options, terminal);
  }

  /** Prints what sets the sequences, or sets them. @throws {ReplicaError} SOURCE_UNREACHABLE */
  async setSequences({ client }: TargetConnection): Promise<void> {
    const plan = await planSequences(client, await readSequences(this.#source.client));
    for (const name of plan.missing) this.#terminal.stderr.write(`The sequence ${name} is not at the copy.\n`);
    if (this.#options.yes !== true) {
      for (const statement of plan.statements) this.#terminal.stdout.write(`${statement}\n`);
      return;
    }
    await setSequences(client, plan);
    this.#terminal.stderr.write(`Set ${plan.statements.length} sequences.\n`);
  }

  async close(): Promise<void> {
    await this.#source.client.end().catch(() => undefined);
  }
}
