/**
 * The Kinesis client, made for the publisher: HTTP/1.1 with kept-alive connections, time-outs, and no retries of its own,
 * because only the publisher knows which entries may be sent again and until when. And how a client renews what it keeps.
 */
import { KinesisClient, type KinesisClientConfig } from '@aws-sdk/client-kinesis';
import { loadSharedConfigFiles } from '@smithy/core/config';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** How long a connection may take, in milliseconds: within a region it takes one or two. */
const CONNECTION_TIMEOUT_MS = 3_000;

/**
 * What the SDK would else read from the environment or the profile, and must not change how records are published.
 * Endpoint, region, FIPS, dual stack and credentials stay the user's to set.
 */
export const FIXED_BEHAVIOUR = {
  maxAttempts: 1,
  // With "adaptive" (AWS_RETRY_MODE, retry_mode) the SDK waits before each request once it was throttled, also without retries.
  retryMode: 'standard',
  // A wrong AWS_DEFAULTS_MODE would fail each request; "auto" asks the instance for its region first.
  defaultsMode: 'standard',
  // Else an account ID that comes with the credentials decides which host a stream's name leads to.
  accountIdEndpointMode: 'disabled',
  // Without it a clock that is wrong stops everything.
  disableClockSkewCorrection: false,
} as const satisfies Partial<KinesisClientConfig>;

/** What a client depends on. */
export interface KinesisClientOptions {
  /**
   * The stream's region.
   *
   * @default the SDK's: AWS_REGION, or the profile's
   */
  readonly region?: string | (() => Promise<string>) | undefined;
  /**
   * The endpoint's address, for emulators.
   *
   * @default the SDK's: the region's, or AWS_ENDPOINT_URL
   */
  readonly endpoint?: string | undefined;
  /** How long a request may take, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/**
 * Makes a Kinesis client.
 *
 * The SDK's own would speak HTTP/2, which emulators on plain HTTP do not, and would retry whole requests, including the
 * entries that Kinesis has stored.
 *
 * @param options - see {@link KinesisClientOptions}
 * @returns the client; it opens no connection yet
 */
export function createKinesisClient(options: KinesisClientOptions): KinesisClient {
  return new KinesisClient({
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...FIXED_BEHAVIOUR,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: Math.min(CONNECTION_TIMEOUT_MS, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
    }),
  });
}

/**
 * Renews what a client keeps for as long as the process lives, and what may have become old: credentials that were
 * revoked or written anew before they expired, and connections to an address that the endpoint's name has left.
 * Call it with no request in flight.
 *
 * @param client - its next request uses credentials that were read now, over a new connection
 * @returns when that is done; credentials that cannot be had now are left to the next request to tell
 */
export async function renewClient(client: KinesisClient): Promise<void> {
  client.config.requestHandler.destroy?.();
  // The SDK reads each of these files once a process.
  await loadSharedConfigFiles({ ignoreCache: true });
  const options: Record<string, unknown> = { forceRefresh: true };
  await client.config.credentials(options).catch(() => undefined);
}
