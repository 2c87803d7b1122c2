/**
 * The demo's second PostgreSQL: kept equal to the first by the real `replicate`, from the stream alone. Compares both at the end,
 * by a hash of each table. Knows no writer and no function.
 */
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import type pg from 'pg';
import type { Terminal } from '../cli/terminal.ts';
import { replicate } from '../replicate/replicate.ts';
import { printedName, TABLES } from './tables.ts';

/** A server, as far as it is needed here. */
interface Server {
  readonly port: number;
  readonly connection: {
    readonly host: string;
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };
  client(): Promise<pg.Client>;
}

/** What a copy works with. */
export interface SecondPostgresOptions {
  readonly first: Server;
  readonly second: Server;
  readonly client: KinesisClient;
  readonly stream: string;
}

/** A table at both ends. */
export interface ComparedTable {
  readonly table: string;
  /** At the first. */
  readonly rows: number;
  readonly hash: string;
  readonly isEqual: boolean;
}

/** The second database and the replica that fills it. */
export class SecondPostgres {
  readonly #options: SecondPostgresOptions;
  readonly #listeners = new Set<() => void>();

  constructor(options: SecondPostgresOptions) {
    this.#options = options;
  }

  /** Replicates until {@link stop} is called. @throws {ReplicaError} what `replicate` fails with */
  async run(): Promise<void> {
    await replicate({ ...this.#target(), awaitSnapshot: true }, this.#terminal(), { client: this.#options.client });
  }

  /** Ends {@link run} after the batch that is under way. */
  stop(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  /** Applies what is in the stream and not applied yet. */
  async catchUp(): Promise<void> {
    await replicate({ ...this.#target(), once: true }, this.#terminal(), { client: this.#options.client });
  }

  /** Compares all tables that have a key: changes of others are not published. */
  async compare(): Promise<ComparedTable[]> {
    const [first, second] = await Promise.all([this.#options.first.client(), this.#options.second.client()]);
    const compared: ComparedTable[] = [];
    try {
      for (const table of TABLES.filter(({ key }) => key.length > 0)) {
        const name = printedName(table);
        const [a, b] = await Promise.all([first, second].map((client) => hashOf(client, name)));
        compared.push({ table: name, rows: a?.rows ?? 0, hash: a?.hash ?? '', isEqual: a?.hash === b?.hash });
      }
    } finally {
      await Promise.all([first.end(), second.end()]);
    }
    return compared;
  }

  #target(): { readonly to: string; readonly stream: string } {
    const { second, stream } = this.#options;
    const { host, user, database } = second.connection;
    return { to: `postgres://${user}@${host}:${second.port}/${database}?sslmode=disable`, stream };
  }

  #terminal(): Terminal {
    const quiet = { write: () => true };
    return {
      env: { REPLICATE_PASSWORD: this.#options.second.connection.password },
      stdout: quiet,
      stderr: quiet,
      on: (signal, listener) => signal === 'SIGTERM' && this.#listeners.add(listener),
      off: (_signal, listener) => this.#listeners.delete(listener),
      exit: () => undefined,
    };
  }
}

/** A table's rows: how many, and a hash of their texts in order. */
async function hashOf(client: pg.Client, table: string): Promise<{ readonly rows: number; readonly hash: string }> {
  const { rows } = await client.query<{ rows: string; hash: string }>(
    `SELECT count(*) AS rows, md5(COALESCE(string_agg(t::text, E'\\n' ORDER BY t::text), '')) AS hash FROM ${table} AS t`,
  );
  return { rows: Number(rows[0]?.rows), hash: rows[0]?.hash ?? '' };
}
