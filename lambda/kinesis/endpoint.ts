/**
 * Where requests to Kinesis go, in words: region and endpoint, for messages. Shows no credentials.
 */
import type { KinesisClient } from '@aws-sdk/client-kinesis';

/** What is read of a request, as the SDK has it. */
export interface RequestAddress {
  readonly hostname?: string;
  readonly port?: number | undefined;
}

/**
 * @param request - a request that the SDK has made
 * @returns its host, with the port where that is not the usual one
 */
export function addressOf({ hostname, port }: RequestAddress): string | undefined {
  return hostname === undefined || port === undefined ? hostname : `${hostname}:${port}`;
}

/**
 * Says where a client's requests go.
 *
 * @param client - in the stream's region
 * @param address - where a request went; undefined: none got so far
 * @returns for example ` in eu-west-1 (kinesis.eu-west-1.amazonaws.com)`, to follow the stream's name; may be empty
 */
export async function describeEndpoint(client: KinesisClient, address: string | undefined): Promise<string> {
  const region = await client.config.region().catch(() => undefined);
  return `${region === undefined ? '' : ` in ${region}`}${address === undefined ? '' : ` (${address})`}`;
}
