/**
 * Plays SQL files as PostgreSQL's own test driver does: by `psql`, each in a session of its own, errors and all. What the
 * files print is of no interest here.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../support/postgres.ts';
import type { Suite } from './sources.ts';

/** A file that takes longer is ended: it waits for something that is not here. */
const LONGEST_MS = 300_000;

/**
 * Plays a suite.
 *
 * @param server - where
 * @param database - in which database, which is there
 * @param suite - what
 * @param scratch - a folder that the server can write to
 * @returns the files that did not come to their end
 * @throws {Error} where there is no `psql`
 */
export async function playSuite(
  server: PostgresServer,
  database: string,
  suite: Suite,
  scratch: string,
): Promise<string[]> {
  const unfinished: string[] = [];
  // Many of contrib's files read theirs by a path from where they run.
  await rm(join(scratch, 'data'), { force: true });
  await symlink(join(suite.home, 'data'), join(scratch, 'data'));
  for (const file of suite.files) {
    const flags = ['-X', '-q', '-d', database, '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on', '-f', file];
    const psql = spawn('psql', flags, {
      cwd: scratch,
      stdio: ['ignore', 'ignore', 'ignore'],
      timeout: LONGEST_MS,
      env: {
        PATH: process.env['PATH'],
        PGHOST: server.connection.host,
        PGPORT: String(server.port),
        PGUSER: server.connection.user,
        PGPASSWORD: server.connection.password,
        // As the driver sets them.
        PGTZ: 'America/Los_Angeles',
        PGDATESTYLE: 'Postgres, MDY',
        PGOPTIONS: '-c intervalstyle=postgres_verbose',
        PG_ABS_SRCDIR: suite.home,
        PG_ABS_BUILDDIR: scratch,
        PG_LIBDIR: process.env['PG_LIBDIR'] ?? '/nowhere',
        PG_DLSUFFIX: '.so',
      },
    });
    const [status] = (await once(psql, 'close')) as [number | null];
    // Status 3 is an error in a file that stops at errors.
    if (status === 0 || status === 3) continue;
    unfinished.push(file);
    // Some of these files crash some servers, which then start again by themselves.
    await ready(server);
  }
  return unfinished;
}

async function ready(server: PostgresServer): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await (await server.client()).end();
      return;
    } catch (error) {
      if (attempt === 600) throw error;
      await sleep(100);
    }
  }
}
