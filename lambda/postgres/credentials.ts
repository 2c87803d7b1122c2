/**
 * Where the database is and how to log in: from the settings, a Secrets Manager secret, or an IAM token.
 * Knows no AWS but what it is given: two functions. Kept by the handler from run to run, so that a warm run reads no
 * secret.
 */
import { PipelineError } from '../errors.ts';
import type { TlsSettings } from './tls.ts';

/** What the configuration says of the database. What it leaves open, the secret must tell. */
export interface DatabaseSettings extends TlsSettings {
  readonly host?: string | undefined;
  /** @default 5432, where the secret has none either */
  readonly port?: number | undefined;
  readonly database?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly secretArn?: string | undefined;
  readonly auth: 'secret' | 'password' | 'iam';
  /** For IAM tokens. */
  readonly region?: string | undefined;
}

/** All it takes to log in. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** What an IAM token is made for. */
export interface IamTokenRequest {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string | undefined;
}

/** Gives logins. */
export interface Credentials {
  /** @returns a login; the secret is read the first time only @throws {PipelineError} CONFIG_INVALID */
  get(): Promise<Login>;
  /**
   * After a refusal: reads the secret again, which a rotation may have changed.
   *
   * @param refused - the login that the server refused
   * @returns another login to try, or undefined when there is none
   */
  after(refused: Login): Promise<Login | undefined>;
}

/** What {@link createCredentials} needs. */
export interface CredentialsOptions {
  readonly settings: DatabaseSettings;
  /** Reads a secret's text by its ARN, as it is now (AWSCURRENT). */
  readonly secrets: (arn: string) => Promise<string>;
  /** Signs an RDS IAM token, which is a password for 15 minutes. */
  readonly iamToken: (request: IamTokenRequest) => Promise<string>;
}

/**
 * Makes the source of logins. Settings win over the secret's fields.
 *
 * @param options - settings, and how to reach AWS
 * @returns logins, cached
 */
export function createCredentials({ settings, secrets, iamToken }: CredentialsOptions): Credentials {
  let cached: Promise<Secret> | undefined;

  async function secret(): Promise<Secret> {
    const arn = settings.secretArn;
    if (arn === undefined) return {};
    cached ??= secrets(arn).then((text) => readSecret(text, arn));
    try {
      return await cached;
    } catch (error) {
      cached = undefined;
      throw error;
    }
  }

  async function login(): Promise<Login> {
    const from = await secret();
    const port = settings.port ?? from.port ?? 5432;
    const host = settings.host ?? from.host;
    const database = settings.database ?? from.dbname;
    const user = settings.user ?? from.username;
    const missing: string[] = [];
    const needs = (variable: string, field: string) =>
      missing.push(settings.secretArn === undefined ? variable : `${variable} (the secret has no "${field}")`);
    if (host === undefined) needs('PGHOST', 'host');
    if (database === undefined) needs('PGDATABASE', 'dbname');
    if (user === undefined) needs('PGUSER', 'username');
    if (host === undefined || database === undefined || user === undefined) {
      const guess = database === undefined ? ' A slot belongs to one database, so its name is not guessed.' : '';
      throw new PipelineError('CONFIG_INVALID', `Not set: ${missing.join(', ')}.${guess} Nothing was read.`);
    }
    const password =
      settings.auth === 'iam'
        ? await iamToken({ host, port, user, region: settings.region })
        : (settings.password ?? from.password);
    if (password === undefined && settings.auth === 'secret') {
      throw new PipelineError(
        'CONFIG_INVALID',
        `The secret ${settings.secretArn ?? ''} has no "password". Nothing was read.`,
      );
    }
    if (settings.password !== undefined && /[\r\n]$/.test(settings.password)) {
      throw new PipelineError('CONFIG_INVALID', 'PGPASSWORD ends in a line break. Nothing was read.');
    }
    // Without any, a server that asks for none (pg_hba.conf says trust) still lets us in.
    return { host, port, database, user, password: password ?? '' };
  }

  return {
    get: login,
    after: async (refused) => {
      if (settings.secretArn === undefined || settings.auth === 'iam') return undefined;
      // Two connections are refused at once: what the other's refusal brought serves both.
      const known = await login();
      if (differs(known, refused)) return known;
      cached = undefined;
      const again = await login();
      return differs(again, refused) ? again : undefined;
    },
  };
}

function differs(a: Login, b: Login): boolean {
  return a.password !== b.password || a.user !== b.user || a.host !== b.host || a.port !== b.port;
}

interface Secret {
  readonly username?: string;
  readonly password?: string;
  readonly host?: string;
  readonly port?: number;
  readonly dbname?: string;
}

/** What an RDS secret names as its engine where the database is no PostgreSQL. */
const OTHER_ENGINES = /mysql|mariadb|oracle|sqlserver|mongo|docdb|redshift|db2/i;

/** What is wrong with a text of the secret, in words that show none of it (I10). */
function faultOf(name: 'username' | 'password' | 'host' | 'dbname', text: string): string | undefined {
  if (/[\r\n]$/.test(text)) return 'ends in a line break';
  if (name === 'password') return undefined;
  if (text.trim() !== text) return 'has spaces around it';
  if (name !== 'host') return undefined;
  if (/^[^:]+:\d+$/.test(text)) return 'has the port in it, which is a field of its own';
  return /[\s@,?#]|:\/\//.test(text) ? 'is no host name' : undefined;
}

/** Reads an RDS secret's JSON. Its content is in no message (I10), nor is the parser's error, which quotes it. */
function readSecret(text: string, arn: string): Secret {
  const wrong = (what: string) =>
    new PipelineError(
      'CONFIG_INVALID',
      `DATABASE_SECRET_ARN: the secret ${arn} ${what}; it has to be a JSON object with "username" and "password" and, where known, "host", "port" and "dbname". Nothing was read.`,
    );
  let value: unknown;
  try {
    // Editors on Windows put a byte order mark before the text.
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw wrong('is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('is no JSON object');
  const fields = new Map<string, unknown>(Object.entries(value));
  const secret: { -readonly [K in keyof Secret]: Secret[K] } = {};
  for (const name of ['username', 'password', 'host', 'dbname'] as const) {
    const field = fields.get(name);
    if (field === undefined || field === null || field === '') continue;
    if (typeof field !== 'string') throw wrong(`has a "${name}" that is no text`);
    const fault = faultOf(name, field);
    if (fault !== undefined) throw wrong(`has a "${name}" that ${fault}`);
    secret[name] = field;
  }
  const engine = fields.get('engine');
  if (typeof engine === 'string' && OTHER_ENGINES.test(engine)) throw wrong('is of another engine than PostgreSQL');
  const port = fields.get('port');
  if (port !== undefined && port !== null && port !== '') {
    const number = typeof port === 'string' ? Number(port) : port;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 65535) {
      throw wrong('has a "port" that is none');
    }
    secret.port = number;
  }
  return secret;
}
