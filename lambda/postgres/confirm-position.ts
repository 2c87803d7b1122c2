/**
 * Moves a slot on over the replication protocol, by nothing but a client's word that it has everything up to a position.
 * The server decodes nothing for it, in any version: the way past a transaction that it cannot decode where
 * pg_replication_slot_advance cannot be used.
 *
 * @see https://www.postgresql.org/docs/current/protocol-replication.html
 */
import pg from 'pg';
import { formatLsn, type Lsn } from '../decode/lsn.ts';

/** What node-postgres calls on a query of one's own; it knows no replication. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * Confirms a position.
 *
 * @param client - a connection of its own, logged in for replication, that nothing else is asked on
 * @param slotName - the slot; nobody is using it
 * @param lsn - where it is to be, not before its position
 * @param options - what its plugin wants of START_REPLICATION, in parentheses; empty: nothing
 * @throws what the server says against it
 */
export function confirmPosition(client: pg.Client, slotName: string, lsn: Lsn, options = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: unknown;
    // All in one packet: the server reads what a client has said before it begins to decode.
    const query = {
      submit(wire: Wire): void {
        wire.stream.cork();
        wire.query(`START_REPLICATION SLOT ${pg.escapeIdentifier(slotName)} LOGICAL ${formatLsn(lsn)} ${options}`);
        wire.sendCopyFromChunk(statusUpdate(lsn));
        wire.endCopyFrom();
        wire.stream.uncork();
      },
      handleCopyData: () => undefined,
      handleCommandComplete: () => undefined,
      handleError(error: unknown): void {
        failure = error;
        reject(error instanceof Error ? error : new Error('the connection was lost'));
      },
      handleReadyForQuery(): void {
        if (failure === undefined) resolve();
      },
    };
    client.query(query as unknown as pg.Submittable);
  });
}

/** Standby status update: written, flushed and applied up to there; the clock does not matter, no reply is wanted. */
function statusUpdate(lsn: Lsn): Buffer {
  const message = Buffer.alloc(34);
  message.write('r', 0, 'latin1');
  for (const offset of [1, 9, 17]) message.writeBigUInt64BE(lsn, offset);
  return message;
}
