/**
 * `pg2kinesis replicate --finish`: the source's present end, which the copy has to come to, and its sequences, which no record of
 * the stream tells of. Knows no stream.
 */
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import type { PostgresConnection, TargetConnection } from '../../replica/postgres/connection.ts';
import { flushLsn, planSequences, readSequences, setSequences } from '../../replica/postgres/sequences.ts';
import type { Terminal } from '../cli/terminal.ts';
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
