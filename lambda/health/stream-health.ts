/**
 * What the stream's facts mean for `check`. Pure: facts in, a finding out; it asks nobody.
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
export function judgeStream(facts: StreamFacts, config: Pick<Config, 'stream' | 'maxRecordBytes'>): Finding {
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
      return judgeFoundStream(facts, name, config.maxRecordBytes / 1024);
  }
}

function judgeFoundStream(facts: Extract<StreamFacts, { kind: 'found' }>, name: string, recordKib: number): Finding {
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
  return ok(check, found);
}
