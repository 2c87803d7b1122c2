/**
 * The definitions of the source's tables, as `pg_dump` writes them: what has to be there before rows are, the keys, and what
 * is better made once the rows are there. Runs the program; knows no target.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { trustedCertificates } from '../../lambda/postgres/tls.ts';
import { ReplicaError } from '../errors.ts';
import type { PostgresAddress } from './address.ts';

/** Definitions, as SQL. */
export interface Definitions {
  /** Types, functions, sequences, tables. */
  readonly tables: string;
  /** Primary keys, unique and exclusion constraints, each a statement; between them functions and materialized views that need one. */
  readonly keys: readonly string[];
  /** Statements that attach a partition's index to its table's. Some are of keys, others of indexes that are made later. */
  readonly attached: readonly string[];
  /** Views that need a key, as with GROUP BY of it. Before that there are others of that name without rows. */
  readonly views: readonly string[];
  /** Indexes, foreign keys and extended statistics. */
  readonly later: readonly string[];
  /** Whether there are materialized views, which are made without rows. */
  readonly hasMaterialized: boolean;
  /** What is not taken over, by kind: triggers, rules, policies. */
  readonly leftOut: ReadonlyMap<string, number>;
}

const COMMON = [
  '--schema-only',
  '--no-owner',
  '--no-privileges',
  '--no-comments',
  '--no-publications',
  '--no-subscriptions',
  '--no-security-labels',
  '--no-tablespaces',
  '--exclude-schema=pg2kinesis',
  '--no-password',
];

/** What needs a key, and is like one made before there are rows. */
const WITH_KEYS: ReadonlySet<string> = new Set(['CONSTRAINT', 'FUNCTION', 'PROCEDURE', 'MATERIALIZED VIEW']);
const LATER: ReadonlySet<string> = new Set(['INDEX', 'FK CONSTRAINT', 'STATISTICS', 'CHECK CONSTRAINT']);

/** How pg_dump begins each definition. */
const HEADER = /^--\n-- (?:Data for )?Name: .*; Type: (.+?); Schema: .*\n--\n/gm;

const run = promisify(execFile);

/**
 * Asks pg_dump.
 *
 * @param program - pg_dump, by its name or path
 * @param address - of the source
 * @param versionNum - of the source
 * @param path - where programs are looked for
 * @throws {ReplicaError} REPLICA_USAGE where there is no pg_dump, or one that is older than the source; DEFINITIONS_REFUSED
 */
export async function readDefinitions(
  program: string,
  address: PostgresAddress,
  versionNum: number,
  path: string,
): Promise<Definitions> {
  await refuseOld(program, versionNum, path);
  const dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-dump-'));
  try {
    const env = { PATH: path, ...environmentOf(address, dir) };
    const tables = withoutMeta(await dump(program, 'pre-data', env));
    const others = withoutMeta(await dump(program, 'post-data', env));
    const hasMaterialized = [tables, others].some((text) => /^CREATE MATERIALIZED VIEW /m.test(text));
    return { tables, ...sorted(others), hasMaterialized };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function refuseOld(program: string, versionNum: number, path: string): Promise<void> {
  const remedy =
    'Install the PostgreSQL client programs of that version or a newer one, and name its pg_dump with --pg-dump.';
  const needed = versionNum >= 100_000 ? Math.trunc(versionNum / 10_000) : 10;
  let text: string;
  try {
    ({ stdout: text } = await run(program, ['--version'], { env: { PATH: path } }));
  } catch (error) {
    throw new ReplicaError(
      'REPLICA_USAGE',
      `--create-tables needs the program pg_dump, and "${program}" cannot be run. Nothing was made.`,
      { remedy: `The source is PostgreSQL ${needed}. ${remedy}`, cause: error },
    );
  }
  const [, major] = /\(PostgreSQL\) (\d+)/.exec(text) ?? [];
  if (Number(major) >= needed) return;
  throw new ReplicaError(
    'REPLICA_USAGE',
    `"${program}" is of PostgreSQL ${major ?? 'an unknown version'}, and the source is PostgreSQL ${needed}. Nothing was made.`,
    { remedy },
  );
}

/** The password is in no argument, which everybody on the machine may read. */
function environmentOf(address: PostgresAddress, dir: string): Record<string, string> {
  const { host, port, database, user, password, sslMode, sslRootCert } = address;
  const env: Record<string, string> = {
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password,
    PGSSLMODE: sslMode,
    PGCLIENTENCODING: 'UTF8',
  };
  if (sslMode === 'verify-full' || sslMode === 'verify-ca') {
    // The same authorities that our own connections trust.
    const path = join(dir, 'authorities.pem');
    writeFileSync(path, trustedCertificates(sslRootCert).join('\n'));
    env['PGSSLROOTCERT'] = path;
  }
  return env;
}

async function dump(program: string, section: string, env: Record<string, string>): Promise<string> {
  try {
    const { stdout } = await run(program, [...COMMON, `--section=${section}`], { env, maxBuffer: 256 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stderr = '' } = error as { readonly stderr?: string };
    throw new ReplicaError(
      'DEFINITIONS_REFUSED',
      `pg_dump failed: ${stderr.trim() || 'it gave no reason'}. Nothing was made.`,
      {
        cause: error,
      },
    );
  }
}

/** Newer releases write commands of psql at both ends. */
function withoutMeta(text: string): string {
  return text.replace(/^\\(un)?restrict .*$/gm, '');
}

/** Settings that pg_dump writes for itself, and the release that brought them. */
const SETTINGS_SINCE = { default_table_access_method: 12, transaction_timeout: 17 } as const;

/**
 * pg_dump may be newer than the target, and writes settings that the target does not have.
 *
 * @param text - what it wrote
 * @param versionNum - of the target
 * @returns the text without these
 */
export function withoutUnknownSettings(text: string, versionNum: number): string {
  const unknown = Object.entries(SETTINGS_SINCE).filter(([, since]) => versionNum < since * 10_000);
  return unknown.reduce((kept, [name]) => kept.replace(new RegExp(`^SET ${name} = .*;$`, 'gm'), ''), text);
}

function sorted(text: string): Omit<Definitions, 'tables' | 'hasMaterialized'> {
  const headers = [...text.matchAll(HEADER)];
  const found = {
    keys: [] as string[],
    attached: [] as string[],
    views: [] as string[],
    later: [] as string[],
    leftOut: new Map<string, number>(),
  };
  for (const [i, header] of headers.entries()) {
    const end = headers[i + 1]?.index ?? text.length;
    const sql = text.slice(header.index + header[0].length, end).trim();
    const [, kind = ''] = header;
    if (WITH_KEYS.has(kind)) found.keys.push(sql);
    else if (kind === 'RULE' && sql.startsWith('CREATE OR REPLACE VIEW ')) found.views.push(sql);
    else if (kind === 'INDEX ATTACH') found.attached.push(sql);
    else if (LATER.has(kind)) found.later.push(sql);
    else found.leftOut.set(kind, (found.leftOut.get(kind) ?? 0) + 1);
  }
  return found;
}
