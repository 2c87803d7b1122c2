/**
 * `refresh-keys`: reads the primary keys again.
 */
import type { Container } from '../container.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';

/** What `refresh-keys` answers. */
export interface RefreshKeysAnswer {
  readonly action: 'refresh-keys';
  /** How many tables have a primary key. */
  readonly tables: number;
}

/**
 * Reads the catalogs into the container's cache.
 *
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 */
export async function refreshKeys(container: Container, deadlines: InvocationDeadlines): Promise<RefreshKeysAnswer> {
  return await withConnection(container, deadlines, async (connection) => ({
    action: 'refresh-keys',
    tables: await container.keys.reload(connection, ''),
  }));
}
