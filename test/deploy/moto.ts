/**
 * moto's server, an emulation of AWS's control plane, as a child process on a free port. Python's package, not npm's:
 * where it is missing, the proof of deployment says so and is not run. Knows nothing of pg2kinesis.
 *
 * @see https://docs.getmoto.org/en/latest/docs/server_mode.html
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The account that moto plays, and the region that is deployed to. */
export const ACCOUNT = '123456789012';
export const REGION = 'us-east-1';

/** A running server. */
export interface Moto {
  readonly port: number;
  /** What the AWS SDK and the CDK's command line read to reach it, and nothing else. */
  readonly environment: Readonly<Record<string, string>>;
  /** Asks a service what no SDK here can ask. @param service - as in a signature's scope: ec2, lambda, s3 @param path - with its query */
  ask(service: string, path: string, form?: Readonly<Record<string, string>>): Promise<Buffer>;
  /** Ends it. Safe to call twice. */
  stop(): Promise<void>;
}

/** @returns where the PATH has moto_server; undefined where it has none */
export function findMoto(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((path) => join(path, 'moto_server'))
    .find((path) => existsSync(path));
}

/**
 * @param command - moto_server, as {@link findMoto} found it
 * @throws {Error} when it does not listen within a minute; the message holds what it said
 */
export async function startMoto(command: string): Promise<Moto> {
  // A group of its own, because a shim may have put a process between it and us.
  const child = spawn(command, ['-H', '127.0.0.1', '-p', '0'], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It is gone.
    }
  };
  process.once('exit', kill);
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-20_000)));
  const stop = async (): Promise<void> => {
    kill();
    await gone;
    process.off('exit', kill);
  };
  let port: string | undefined;
  for (let waited = 0; port === undefined && waited < 60_000 && child.exitCode === null; waited += 100) {
    await sleep(100);
    port = /Running on http:\/\/127\.0\.0\.1:(\d+)/.exec(said)?.[1];
  }
  if (port === undefined) {
    await stop();
    throw new Error(`${command} did not start. It said: ${said}`);
  }
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    port: Number(port),
    environment: {
      // The CDK makes the template's address of the first; moto reads one on "localhost" as it is meant, bucket first.
      // The SDK puts the bucket there only where the host is an address, as the second's.
      AWS_ENDPOINT_URL: `http://localhost:${port}`,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: 'emulator',
      AWS_SECRET_ACCESS_KEY: 'emulator',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    async ask(service, path, form) {
      const answer = await fetch(`${endpoint}${path}`, {
        // moto tells services apart by the signature's scope, and checks no signature.
        headers: {
          authorization: `AWS4-HMAC-SHA256 Credential=emulator/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=none`,
        },
        ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
      });
      const body = Buffer.from(await answer.arrayBuffer());
      if (!answer.ok) throw new Error(`${service} ${path} answered ${answer.status}: ${body.toString().slice(0, 500)}`);
      return body;
    },
    stop,
  };
}
