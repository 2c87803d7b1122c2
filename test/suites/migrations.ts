/**
 * Random histories of tables that are altered while they are written to, as many as are wanted: the long form of
 * `test/lambda/run/random-migrations.pg.test.ts`. With the plugin wal2json on the server, every key at write time has to come.
 */
import { seeded } from '../chaos/workload.ts';
import { tryMigrations } from '../support/migrations/random-history.ts';
import { startPostgres } from '../support/postgres.ts';

const TRANSACTIONS = 60;

/**
 * Tries histories, each by a seed of its own.
 *
 * @param count - how many
 * @param firstSeed - the others follow it
 * @param wal2json - the folder of wal2json.so; undefined: the server has none
 * @returns what is wrong, each with its seed
 */
export async function tryHistories(count: number, firstSeed: number, wal2json: string | undefined): Promise<string[]> {
  const settings = wal2json === undefined ? {} : { dynamic_library_path: `$libdir:${wal2json}` };
  const server = await startPostgres({ settings });
  const wrong: string[] = [];
  let changes = 0;
  let published = 0;
  try {
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      try {
        const done = await tryMigrations(server, seeded(seed), {
          transactions: TRANSACTIONS,
          asksWal: wal2json !== undefined,
        });
        changes += done.changes;
        published += done.published;
      } catch (error) {
        wrong.push(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
        await server.sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
      }
    }
  } finally {
    await server.stop();
  }
  console.log(`${count} random histories from seed ${firstSeed}: ${changes} changes read, ${published} published`);
  return wrong;
}
