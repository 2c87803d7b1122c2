/**
 * A state of the source, by an LSN and a MVCC snapshot that sees exactly the commits up to it: a temporary logical slot gives
 * both. Knows no target.
 */
import type pg from 'pg';
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';
import type { PostgresAddress } from './address.ts';
import { connectSource, createClient } from './connection.ts';

/** A state, held until it is closed. */
export interface ExportedState {
  readonly lsn: Lsn;
  /** In a transaction that sees it. */
  readonly client: pg.Client;
  close(): Promise<void>;
}

/**
 * @param address - of the source; the user needs REPLICATION
 * @param prefix - of the slot's name; the slot is dropped at once
 * @param patienceMs - how long to wait for transactions that write
 * @throws {ReplicaError} VERIFY_IMPOSSIBLE, SOURCE_UNREACHABLE
 */
export async function exportState(
  address: PostgresAddress,
  prefix: string,
  patienceMs: number,
): Promise<ExportedState> {
  const replication = createClient(address, { replication: 'database' } as pg.ClientConfig);
  const waiting = { isLate: false };
  const timer = setTimeout(() => {
    waiting.isLate = true;
    void replication.end();
  }, patienceMs);
  let reader: pg.Client | undefined;
  try {
    await replication.connect();
    const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${prefix}_${await backendPid(replication)} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
    clearTimeout(timer);
    const [row] = rows;
    const lsn = parseLsn(row?.consistent_point ?? '');
    if (row === undefined || lsn === undefined) throw new Error('The slot gave no position.');
    reader = (await connectSource(address)).client;
    const client = reader;
    await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`);
    await client.query(`SET TRANSACTION SNAPSHOT '${row.snapshot_name}'`);
    return { lsn, client, close: () => client.end().catch(() => undefined) };
  } catch (error) {
    await reader?.end().catch(() => undefined);
    if (error instanceof ReplicaError) throw error;
    const why = waiting.isLate
      ? `transactions that write were open for ${Math.round(patienceMs / 1000)} s`
      : error instanceof Error
        ? error.message
        : String(error);
    throw new ReplicaError('VERIFY_IMPOSSIBLE', `No state of the source can be had: ${why}. Nothing was compared.`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    // The slot goes with it.
    await replication.end().catch(() => undefined);
  }
}

/** Tells two slots of one server apart. Processes in containers all have the same number. */
async function backendPid(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}
