/**
 * What the stream's facts mean for `check`. Pure: facts in, a finding out.
 */
import type { Config } from '../settings/config.ts';
import { type Finding, ok } from './server-health.ts';

/** The stream. `denied` and `unreachable` are no proof against it. */
export type StreamFacts =
  | { readonly kind: 'missing' | 'denied' }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | {
      readonly kind: 'found';
      readonly status: string;
      readonly encrypted: boolean;
      readonly shards: number;
      readonly onDemand: boolean;
      readonly retentionHours: number;
      /** The largest record it takes, where the service says it. */
      readonly maxRecordKib: number | undefined;
    };

/**
 * Judges the stream.
 *
 * @param facts - what DescribeStreamSummary said
 * @param config - the pipeline's settings
 */
export function judgeStream(
  facts: StreamFacts,
  config: Pick<Config, 'stream' | 'maxRecordBytes' | 'lanes' | 'aggregation'>,
): Finding {
  const check = 'stream';
  const name = config.stream.arn ?? config.stream.name;
  switch (facts.kind) {
    case 'missing':
      return {
        check,
        state: 'missing',
        found: `${name} does not exist`,
        todo: 'Create it, or correct STREAM_NAME and the region.',
      };
    case 'denied':
      return {
        check,
        state: 'unknown',
        found: `${name} may not be described`,
        todo: 'Publishing does not need it; to have it checked, grant kinesis:DescribeStreamSummary.',
      };
    case 'unreachable':
      return {
        check,
        state: 'unknown',
        found: `Kinesis did not answer for ${name}: ${facts.reason}`,
        todo: 'Check the region, the credentials, and the way to Kinesis (NAT or an interface endpoint).',
      };
    case 'found':
      return judgeFoundStream(facts, name, config);
  }
}

/** From how many times its even share a busiest shard is worth a word. */
const UNEVEN = 1.5;

function judgeFoundStream(
  facts: Extract<StreamFacts, { kind: 'found' }>,
  name: string,
  { maxRecordBytes, lanes, aggregation }: Pick<Config, 'maxRecordBytes' | 'lanes' | 'aggregation'>,
): Finding {
  const recordKib = maxRecordBytes / 1024;
  const check = 'stream';
  const mode = facts.onDemand ? 'on-demand' : 'provisioned';
  const found = `${name}: ${facts.status}, ${facts.shards} shards, ${mode}, ${facts.encrypted ? 'encrypted' : 'not encrypted'}, ${facts.retentionHours} h`;
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
