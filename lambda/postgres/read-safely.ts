/**
 * What node-postgres throws while it reads a socket, as at a way of logging in that it does not know: nobody catches that, and
 * it would end the process. Here it ends the connection. Knows no statement.
 */
import type { Socket } from 'node:net';
import type pg from 'pg';

/** With which the message of such an error begins. */
export const UNREADABLE = 'The connection was ended at what cannot be read';

/** The one text of node-postgres's that tells more, and holds no value (I10). */
const UNKNOWN_LOG_IN = /^Unknown authenticationOk message type \d+$/;

type OnData = (bytes: Buffer) => void;

/** @param client - that is not connected yet: whatever it waits for rejects with an error that begins with {@link UNREADABLE} */
export function readSafely(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { attachListeners(stream: Socket): void } };
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    attach(stream);
    for (const read of stream.listeners('data') as OnData[]) {
      stream.on('data', (bytes: Buffer) => {
        try {
          read(bytes);
        } catch (error) {
          const [more] = error instanceof Error ? (UNKNOWN_LOG_IN.exec(error.message) ?? []) : [];
          stream.destroy(new Error(more === undefined ? UNREADABLE : `${UNREADABLE}: ${more}`, { cause: error }));
        }
      });
      stream.removeListener('data', read);
    }
  };
}
