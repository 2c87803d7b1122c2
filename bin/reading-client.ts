/** The Kinesis client of who reads a stream, and what makes reading fail, in words to act on. Knows no record. */
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type ErrorCode, PipelineError } from '../lambda/errors.ts';
import { refusalKind, remedyOf } from '../lambda/kinesis/access-refusals.ts';

/** Why a stream cannot be read, or what it holds. Its name is its code. */
export class ReadError extends Error {
  /**
   * @param code - a code of docs/operations.md
   * @param message - what happened and what to do
   * @param cause - the error underneath
   */
  constructor(code: 'STREAM_UNREADABLE' | 'RECORD_UNUSABLE', message: string, cause: unknown) {
    super(message, { cause });
    this.name = code;
  }
}

/**
 * Puts in words why a stream could not be read. The remedies in `lambda/errors.ts` are for writing.
 *
 * @param error - the SDK's
 * @param stream - the stream's name or ARN
 * @param client - that it was read with
 */
export async function translateReadError(error: unknown, stream: string, client: KinesisClient): Promise<Error> {
  if (error instanceof ReadError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const region = await client.config.region().catch(() => undefined);
  const failed = (code: ErrorCode, what: string, remedy: string): PipelineError =>
    new PipelineError(code, `${what} Nothing more was read.`, { cause: error, remedy });
  if (region === undefined) {
    return failed(
      'CONFIG_INVALID',
      `There is no AWS region for the stream "${stream}".`,
      'Set AWS_REGION, or give --stream as an ARN.',
    );
  }
  if (name === 'ResourceNotFoundException') {
    return failed(
      'STREAM_MISSING',
      `Kinesis has no stream "${stream}" in ${region}.`,
      'Create the stream, or correct --stream (STREAM_NAME where it is not given) and the region.',
    );
  }
  const refusal = refusalKind(name);
  if (refusal !== undefined) {
    return failed(
      'STREAM_ACCESS_DENIED',
      `Reading the stream "${stream}" in ${region} was refused (${name}).`,
      remedyOf(refusal) ?? 'Grant kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords on the stream.',
    );
  }
  return new ReadError(
    'STREAM_UNREADABLE',
    `Reading the stream "${stream}" in ${region} failed: ${name === 'Error' ? '' : `${name}: `}${message.replace(/\.$/, '')}. Nothing more was read. Check the region, the endpoint, and the way to Kinesis.`,
    error,
  );
}

/**
 * A client that reads over HTTP/1.1, which every emulator speaks too.
 *
 * @param stream - the stream's name or ARN; an ARN's region is used
 */
export function readingClient(stream: string): KinesisClient {
  const region = /^arn:[^:]+:kinesis:([^:]+):/.exec(stream)?.[1];
  return new KinesisClient({ ...(region === undefined ? {} : { region }), requestHandler: new NodeHttpHandler() });
}
