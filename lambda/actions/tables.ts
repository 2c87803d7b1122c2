/** `tables`: every table, its key, and whether it is published. Reads and changes nothing. */
import type { Container } from '../container.ts';
import { checkPublished, type TableAnswer } from '../health/published-tables.ts';
import { readTables } from '../postgres/check-queries.ts';
import { readPublications } from '../postgres/publication-queries.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';

/** What `tables` answers. */
export interface TablesAnswer {
  readonly action: 'tables';
  readonly database: string;
  readonly tables: readonly TableAnswer[];
}

/**
 * Reads the catalogs as they are now. What waits in the slot may be of other tables and keys.
 *
 * @param container - settings and database
 * @param deadlines - when it began, and when it must be over
 */
export async function tables(container: Container, deadlines: InvocationDeadlines): Promise<TablesAnswer> {
  const { config } = container;
  return await withConnection(container, deadlines, async (connection) => {
    const facts = await readTables(connection.client);
    const publications =
      config.plugin === 'pgoutput' ? await readPublications(connection, config.publications, config.slot) : undefined;
    return {
      action: 'tables',
      database: connection.context.database,
      tables: checkPublished(facts, publications, config),
    };
  });
}
