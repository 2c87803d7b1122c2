/**
 * What the trial runs on: a server with TLS and an authority of its own, a role with as few rights as README asks for,
 * an emulated stream, endpoints that fail, and the command line, called as a user calls it. Knows no step.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../bin/cli/program.ts';
import { type FaultyEndpoint, startFaultyEndpoint } from '../support/faulty-endpoint.ts';
import { type EmbeddedKinesis, startKinesis } from '../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { withEnvironment } from '../support/scripted-endpoint.ts';

/** The role's password. No output may hold it. */
export const PASSWORD = 's3cret-of-the-trial';

/** What a command left behind. */
export interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** A step: a command line, and what is expected of it. */
export interface Expected {
  readonly status: number;
  /** In the standard output and error, together. */
  readonly said?: RegExp | readonly RegExp[];
  readonly never?: RegExp;
}

/** A command that is still running. */
export interface Running {
  readonly ended: Promise<Ended>;
  /** @returns when it has said this; fails when it ends without */
  readonly says: (text: RegExp) => Promise<void>;
  /** As Ctrl-C. */
  readonly interrupt: () => void;
}

/** A file beside the server's data. */
const openssl = (dir: string, line: string): void => {
  execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'pipe' });
};

/** The servers, endpoints and command line of one trial. */
export class Environment implements AsyncDisposable {
  readonly server: PostgresServer;
  readonly kinesis: EmbeddedKinesis;
  /** In front of the emulator. */
  readonly faulty: FaultyEndpoint;
  /** A port that takes connections and never says anything. */
  readonly silentPort: number;
  readonly dir: string;
  readonly #silent: Server;

  private constructor(parts: Pick<Environment, 'server' | 'kinesis' | 'faulty' | 'dir'>, silent: Server) {
    this.server = parts.server;
    this.kinesis = parts.kinesis;
    this.faulty = parts.faulty;
    this.dir = parts.dir;
    this.#silent = silent;
    this.silentPort = (silent.address() as AddressInfo).port;
  }

  /** Starts all of it. */
  static async start(): Promise<Environment> {
    const dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-trial-'));
    const authority = '-newkey rsa:2048 -nodes -days 2 -subj';
    openssl(dir, `req -x509 ${authority} /CN=authority -keyout ca.key -out ca.crt`);
    openssl(
      dir,
      `req -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.csr`,
    );
    const sign = '-CA ca.crt -CAkey ca.key -CAcreateserial -copy_extensions copyall';
    openssl(dir, `x509 -req -in server.csr ${sign} -days 2 -out server.crt`);
    const file = (name: string): string => readFileSync(join(dir, name), 'utf8');
    const silent = createServer(() => undefined);
    const [server, kinesis] = await Promise.all([
      startPostgres({
        settings: {
          ssl: 'on',
          ssl_cert_file: '../server.crt',
          ssl_key_file: '../server.key',
          listen_addresses: 'localhost,127.0.0.1',
          max_replication_slots: '4',
        },
        files: { 'server.crt': file('server.crt'), 'server.key': file('server.key') },
        hba: [
          'hostssl all unlisted all reject',
          'hostssl all all all scram-sha-256',
          'hostnossl all postgres all scram-sha-256',
        ],
        clientSsl: { rejectUnauthorized: false },
      }),
      startKinesis(),
      new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve)),
    ]);
    const faulty = await startFaultyEndpoint(kinesis.endpoint);
    await kinesis.createStream('changes', 8);
    await server.sql('CREATE DATABASE app');
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
    return new Environment({ server, kinesis, faulty, dir }, silent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#silent.close();
    await Promise.all([this.server.stop(), this.faulty.stop()]);
    await this.kinesis.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** What a user has set. @param over - other values; an empty one unsets */
  env(over: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PGHOST: 'localhost',
      PGPORT: String(this.server.port),
      PGDATABASE: 'app',
      PGUSER: 'cdc',
      PGPASSWORD: PASSWORD,
      PGSSLROOTCERT: join(this.dir, 'ca.crt'),
      STREAM_NAME: 'changes',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
      AWS_ENDPOINT_URL_KINESIS: this.faulty.endpoint,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      ...over,
    };
  }

  /** Runs SQL in the database that is captured. */
  async sql(text: string): Promise<void> {
    const client = await this.server.client({ database: 'app' });
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }

  /** Begins a command. */
  begin(line: string, over: Readonly<Record<string, string>> = {}): Running {
    const given = Object.fromEntries(Object.entries(this.env(over)).filter(([, value]) => value !== ''));
    let [out, err] = ['', ''];
    let interrupt: () => void = () => undefined;
    const waiting = new Set<() => void>();
    const write = (add: (text: string) => void) => (text: string) => {
      add(text);
      for (const look of waiting) look();
    };
    const ended = withEnvironment(given, () =>
      main(line.split(' '), {
        env: given,
        stdout: { write: write((text) => (out += text)) },
        stderr: { write: write((text) => (err += text)) },
        on: (_, listener) => (interrupt = listener),
        off: () => undefined,
        exit: () => undefined,
      }),
    ).then((status) => {
      assert.ok(!(out + err).includes(PASSWORD), 'I10');
      return { status, out, err };
    });
    return {
      ended,
      interrupt: () => interrupt(),
      says: (text) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            if (text.test(out + err)) resolve();
          };
          waiting.add(look);
          void ended.then(() => reject(new Error(`it ended without ${text}: ${out}${err}`)), reject);
          look();
        }),
    };
  }

  /** Runs a command, and compares. */
  async expect(line: string, over: Readonly<Record<string, string>>, expected: Expected): Promise<Ended> {
    return compare(await this.begin(line, over).ended, expected);
  }
}

/** @param ended - of a command @param expected - of it */
export function compare(ended: Ended, { status, said = [], never }: Expected): Ended {
  const all = ended.out + ended.err;
  assert.equal(ended.status, status, all);
  for (const each of Array.isArray(said) ? (said as readonly RegExp[]) : [said as RegExp]) assert.match(all, each);
  if (never !== undefined) assert.doesNotMatch(all, never);
  return ended;
}
