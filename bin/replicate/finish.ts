/**
 * `pg2kinesis replicate --finish`: the source's present end, which the copy has to come to, and its sequences, which no record of
 * the stream tells of. Knows no stream.
 */
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../replica/errors.ts';
import type { PostgresConnection, TargetConnection } from '../../replica/postgres/connection.ts';
import { flushLsn, planSequences, readSequences, setSequences } from '../../replica/postgres/sequences.ts';
import { readDatabaseIdentity, refuseOtherSource } from '../../replica/postgres/source-identity.ts';
import { type Terminal, writeLine } from '../cli/terminal.ts';
import type { ReplicateOptions } from './options.ts';
import { connectFrom } from './source-setup.ts';

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
  static async begin(options: ReplicateOptions, terminal: Terminal, target: TargetConnection): Promise<Finish> {
    const source = await connectFrom(options, terminal, '--finish');
    let lsn: Lsn;
    try {
      const at = await refuseOther(source, target, options);
      // After the copy's position: another replica may still be at work.
      lsn = await flushLsn(source.client);
      refuseBehind(at, lsn);
    } catch (error) {
      await source.client.end().catch(() => undefined);
      throw error;
    }
    terminal.stderr.write(
      `Ends when the copy has come to ${formatLsn(lsn)}. For that, run "pg2kinesis drain" once the source is not written to any more.\n`,
    );
    return new Finish(source, lsn, options, terminal);
  }

  /** Prints what sets the sequences, or sets them. @throws {ReplicaError} SOURCE_UNREACHABLE, REPLICA_USAGE */
  async setSequences(target: TargetConnection): Promise<void> {
    const { client } = target;
    // Again: a copy that has only begun learns from the marks which server it is of.
    await refuseOther(this.#source, target, this.#options);
    const plan = await planSequences(client, await readSequences(this.#source));
    for (const name of plan.missing) writeLine(this.#terminal.stderr, `The sequence ${name} is not at the copy.`);
    if (this.#options.yes !== true) {
      for (const statement of plan.statements) this.#terminal.stdout.write(`${statement}\n`);
      return;
    }
    await setSequences(target, plan);
    this.#terminal.stderr.write(`Set ${plan.statements.length} sequences.\n`);
  }

  async close(): Promise<void> {
    await this.#source.client.end().catch(() => undefined);
  }
}

/** @returns up to where the copy is */
async function refuseOther(
  source: PostgresConnection,
  target: TargetConnection,
  { name = 'pg2kinesis' }: ReplicateOptions,
): Promise<Lsn> {
  return await refuseOtherSource(await readDatabaseIdentity(source.client), target.client, name);
}

/** The end of a server that is behind the copy is not the source's. @throws {ReplicaError} SOURCE_UNREACHABLE */
function refuseBehind(at: Lsn, lsn: Lsn): void {
  if (at <= lsn) return;
  throw new ReplicaError(
    'SOURCE_UNREACHABLE',
    `The server of --from is at ${formatLsn(lsn)}, and the copy at ${formatLsn(at)} already: it does not tell where the source ends. Nothing was done.`,
    { remedy: 'Give the source itself with --from. If it is a standby, wait until it has received everything.' },
  );
}
