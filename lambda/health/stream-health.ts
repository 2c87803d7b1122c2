/**
 * What the stream's facts mean for `check`. Pure: facts in, a finding out.
 */
import type { Config } from '../settings/config.ts';
import { type Finding, ok } from './finding.ts';

/** The stream, or why nothing is known of it. `where` follows its name: region and endpoint. */
export type StreamFacts =
  | { readonly kind: 'no-region' }
  | ({ readonly where: string } & (
      | { readonly kind: 'missing' | 'denied' }
      | { readonly kind: 'no-credentials'; readonly reason: string; readonly remedy: string | undefined }
      | { readonly kind: 'unreachable' | 'failed'; readonly reason: string }
      | { readonly kind: 'silent'; readonly seconds: number }
      | {
          readonly kind: 'found';
          readonly status: string;
          readonly encrypted: boolean;
          readonly shards: number;
          readonly onDemand: boolean;
          readonly retentionHours: number;
          /** The largest record it takes, where the service says it. */
          readonly maxRecordKib: number | undefined;
        }
    ));

/** What only a run can show. */
const WRITING = 'whether kinesis:PutRecords is allowed is not known before a run writes';

/**
 * Checks the stream. What would make every run fail is a fault, also where it may pass; what says nothing of publishing
 * is unknown.
 *
 * @param facts - what DescribeStreamSummary said
 * @param config - the pipeline's settings
 */
export function checkStream(
  facts: StreamFacts,
  config: Pick<Config, 'stream' | 'maxRecordBytes' | 'lanes' | 'aggregation'>,
): Finding {
  const check = 'stream';
  const name = config.stream.arn ?? config.stream.name;
  const finding = (state: Finding['state'], found: string, todo: string): Finding => ({ check, state, found, todo });
  if (facts.kind === 'no-region') {
    return finding('fault', `${name}: there is no AWS region`, 'Set AWS_REGION, or give STREAM_NAME as an ARN.');
  }
  const named = `${name}${facts.where}`;
  switch (facts.kind) {
    case 'missing':
      return finding('missing', `${named} does not exist`, 'Create it, or correct STREAM_NAME and the region.');
    case 'denied':
      return finding(
        'unknown',
        `${named} may not be described; ${WRITING}`,
        'Publishing does not need it; to have it checked, grant kinesis:DescribeStreamSummary.',
      );
    case 'no-credentials':
      return finding(
        'fault',
        `${named}: the AWS credentials were not accepted, or there are none (${facts.reason})`,
        facts.remedy ?? 'Set AWS credentials.',
      );
    case 'unreachable':
      return finding(
        'fault',
        `${named} is not reached: ${facts.reason}`,
        'Correct the region or the endpoint (AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL), or open the way to Kinesis: NAT or an interface endpoint.',
      );
    case 'silent':
      return finding(
        'fault',
        `${named} did not answer within ${facts.seconds} s`,
        'Open the way to Kinesis (NAT or an interface endpoint, and its security group), or correct the endpoint.',
      );
    case 'failed':
      return finding(
        'unknown',
        `${named} answered with an error: ${facts.reason}`,
        'Check again. If it stays: is the endpoint really that of Kinesis, and STREAM_NAME a name or an ARN?',
      );
    case 'found':
      return checkFoundStream(facts, named, config);
  }
}

/** From how many times its even share a busiest shard is worth a word. */
const UNEVEN = 1.5;

function checkFoundStream(
  facts: Extract<StreamFacts, { kind: 'found' }>,
  name: string,
  { maxRecordBytes, lanes, aggregation }: Pick<Config, 'maxRecordBytes' | 'lanes' | 'aggregation'>,
): Finding {
  const recordKib = maxRecordBytes / 1024;
  const check = 'stream';
  const mode = facts.onDemand ? 'on-demand' : 'provisioned';
  const found = `${name}: ${facts.status}, ${facts.shards} shards, ${mode}, ${facts.encrypted ? 'encrypted' : 'not encrypted'}, ${facts.retentionHours} h; ${WRITING}`;
  if (facts.status !== 'ACTIVE' && facts.status !== 'UPDATING') {
    return { check, state: 'fault', found, todo: 'Wait until it is ACTIVE, or use another.' };
  }
  if (facts.maxRecordKib !== undefined && recordKib > facts.maxRecordKib) {
    return {
      check,
      state: 'fault',
      found: `${found}, records to ${facts.maxRecordKib} KiB`,
      todo: `Set MAX_RECORD_KIB=${facts.maxRecordKib}, or raise the stream's limit.`,
    };
  }
  // Without aggregation each key has a place of its own; else all of a lane goes to one place, and so to one shard.
  if (aggregation !== 'none' && facts.shards > lanes) {
    return {
      check,
      state: 'warning',
      found: `${found}; more shards than lanes (LANES=${lanes}): at least ${facts.shards - lanes} shards get nothing`,
      todo: 'More shards than lanes gain nothing. Raise LANES (after a drain: it moves keys between shards), or use fewer shards.',
    };
  }
  const share = lanes / facts.shards;
  if (aggregation !== 'none' && Math.ceil(share) / share >= UNEVEN) {
    return {
      check,
      state: 'warning',
      found: `${found}; ${lanes} lanes do not divide evenly: the busiest shard gets ${Math.ceil(share)} lanes, the average is ${share.toFixed(1)}`,
      todo: 'Use a number of shards that divides LANES, or raise LANES (after a drain: it moves keys between shards).',
    };
  }
  return ok(check, found);
}
