/** Where a replica's target or source is, as an address says it. Pure. */
import type { SslMode } from '../../lambda/postgres/tls.ts';
import { ReplicaError } from '../errors.ts';

/** Where a database is, and how to log in. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly sslMode: SslMode;
  /** The path of an authority's certificate. */
  readonly sslRootCert: string | undefined;
}

/** What may stand behind the question mark of an address. */
const PARAMETERS = ['sslmode', 'sslrootcert'];
const SSL_MODES: readonly SslMode[] = ['verify-full', 'verify-ca', 'require', 'disable'];

/**
 * Reads the address of a database.
 *
 * @param option - that it is given by
 * @param text - `postgres://user:password@host:port/database?sslmode=...`
 * @param password - where the address has none
 * @throws {ReplicaError} REPLICA_USAGE; the message shows nothing of it
 */
export function parseAddress(option: string, text: string, password: string | undefined): PostgresAddress {
  const wrong = (what: string): ReplicaError =>
    new ReplicaError('REPLICA_USAGE', `${option} ${what}. Nothing was done.`, {
      remedy: 'Give it as postgres://user@host:5432/database, with ?sslmode=disable where it has no TLS.',
    });
  if (text === '') throw wrong('is not given');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong('is no address');
  }
  const decoded = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw wrong('has a % without two hexadecimal digits behind it: write %25 for the character itself');
    }
  };
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw wrong('does not begin with postgres://');
  const sslMode = url.searchParams.get('sslmode') ?? 'verify-full';
  const mode = SSL_MODES.find((each) => each === sslMode);
  if (mode === undefined) throw wrong(`has an sslmode that is none of ${SSL_MODES.join(', ')}`);
  const database = decoded(url.pathname.slice(1));
  const user = decoded(url.username);
  if (url.hostname === '' || database === '' || user === '') throw wrong('lacks a host, a database or a user');
  // Not libpq's others, of which one may say where to connect to, or as whom.
  if ([...url.searchParams.keys()].some((name) => !PARAMETERS.includes(name)))
    throw wrong(`has a parameter that is none of ${PARAMETERS.join(', ')}`);
  return {
    // The brackets of an IPv6 address are the URL's.
    host: decoded(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 5432 : Number(url.port),
    database,
    user,
    password: url.password === '' ? (password ?? '') : decoded(url.password),
    sslMode: mode,
    sslRootCert: url.searchParams.get('sslrootcert') ?? undefined,
  };
}
