/**
 * The Kinesis client, made for the publisher: HTTP/1.1 with kept-alive connections, time-outs, and no retries of its own,
 * because only the publisher knows which entries may be sent again and until when.
 */
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** How long a connection may take, in milliseconds: within a region it takes one or two. */
const CONNECTION_TIMEOUT_MS = 3_000;

/** What a client depends on. */
export interface KinesisClientOptions {
  /**
   * The stream's region.
   *
   * @default the SDK's: AWS_REGION, or the profile's
   */
  readonly region?: string | undefined;
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
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: Math.min(CONNECTION_TIMEOUT_MS, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
    }),
  });
}
