/**
 * Other people's SQL: which suites a folder holds, and their files in order. Reads Makefiles and schedules; runs nothing.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** One suite: files that are played in one database, one after the other. */
export interface Suite {
  readonly name: string;
  /** Where its files look for theirs: `data/`, as `PG_ABS_SRCDIR` names it. */
  readonly home: string;
  readonly files: readonly string[];
}

/** Left out: one writes to tables behind the back of WAL, so that no reader of it can be right; one waits for an archive. */
const LEFT_OUT = new Set(['pg_surgery', 'basic_archive']);

/**
 * Finds the suites of a folder: PostgreSQL's source, a module's with a Makefile that names its tests, or just SQL files.
 *
 * @param folder - the folder
 * @throws {Error} where it holds none
 */
export function suitesOf(folder: string): Suite[] {
  const regress = join(folder, 'src/test/regress');
  if (existsSync(regress)) {
    const contrib = join(folder, 'contrib');
    const modules = readdirSync(contrib).filter((name) => existsSync(join(contrib, name, 'sql')));
    return [
      { name: 'regress', home: regress, files: scheduled(regress) },
      ...modules.filter((name) => !LEFT_OUT.has(name)).map((name) => moduleOf(join(contrib, name))),
    ].filter(({ files }) => files.length > 0);
  }
  if (existsSync(join(folder, 'Makefile')) && existsSync(join(folder, 'sql'))) return [moduleOf(folder)];
  const files = readdirSync(folder).filter((name) => /\.(sql|ddl)$/.test(name));
  if (files.length === 0)
    throw new Error(`${folder} holds neither PostgreSQL's source, nor a Makefile with sql/, nor SQL files`);
  return [{ name: basename(folder), home: folder, files: files.sort().map((name) => join(folder, name)) }];
}

/** PostgreSQL's own tests, in the order of its schedule. Those of one group depend on none of each other. */
function scheduled(regress: string): string[] {
  const lines = readFileSync(join(regress, 'parallel_schedule'), 'utf8').split('\n');
  const names = lines.filter((line) => line.startsWith('test:')).flatMap((line) => line.slice(5).trim().split(/\s+/));
  return existing(regress, names);
}

function moduleOf(folder: string): Suite {
  const makefile = readFileSync(join(folder, 'Makefile'), 'utf8').replaceAll(/\\\n/g, ' ');
  const names = [...makefile.matchAll(/^REGRESS\s*\+?=(.*)$/gm)].flatMap(([, list = '']) => list.trim().split(/\s+/));
  return { name: basename(statSync(folder).isDirectory() ? folder : ''), home: folder, files: existing(folder, names) };
}

const existing = (folder: string, names: readonly string[]): string[] =>
  names.map((name) => join(folder, 'sql', `${name}.sql`)).filter((file) => existsSync(file));
