/**
 * A reader at the target that sums the accounts of both tables, in one statement, as long as a test lasts. While the copy waits
 * for rows of a snapshot it equals no state of the source, and says so: what is summed then does not count.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import type { PostgresServer } from '../../support/postgres.ts';

/** What of a copy is to be read. */
const LOOK = `SELECT copying::text,
    ((SELECT sum(amount) FROM public.left_accounts) + (SELECT sum(amount) FROM public.right_accounts))::text AS sum
  FROM pg2kinesis.replica`;

/** See the head of the file. */
export class SumReader {
  /** Each sum that was seen while the copy said that it equals the source. */
  readonly sums = new Set<string>();
  /** What the copy said of itself; `equal`: of no rows that are still to come. */
  readonly states = new Set<string>();
  looks = 0;
  readonly #server: PostgresServer;
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;
  #client: pg.Client | undefined;

  /** @param server - the target */
  constructor(server: PostgresServer) {
    this.#server = server;
    this.#looking = this.#look();
    this.#looking.catch(() => undefined);
  }

  /** Looks once more, and ends. */
  async stop(): Promise<void> {
    await this.#once();
    this.#stop.abort();
    await this.#looking;
    await this.#client?.end();
  }

  async #look(): Promise<void> {
    for (; !this.#stop.signal.aborted; await wait(2)) await this.#once();
  }

  async #once(): Promise<void> {
    try {
      this.#client ??= await this.#server.client();
      const { rows } = await this.#client.query<{ copying: string | null; sum: string | null }>(LOOK);
      const [row] = rows;
      if (row === undefined) return;
      this.states.add(row.copying ?? 'equal');
      if (row.copying !== null) return;
      this.sums.add(row.sum ?? 'none');
      this.looks++;
    } catch (error) {
      // The server was made to crash, or there is no copy yet.
      const { code = '' } = error as { code?: string };
      if (code === '42P01' || code === '3F000') return;
      await this.#client?.end().catch(() => undefined);
      this.#client = undefined;
      if (code !== '' && !/^(57P0|08|ECONN|EPIPE)/.test(code)) throw error;
      await wait(20);
    }
  }
}
