/**
 * The rights that a function needs at the services it calls. Its role (`function-role.ts`) and its endpoints' policies have these
 * and no more.
 */
import type { Endpoint } from './pipeline-settings.ts';

/** What a function does at each service. */
export const IAM_ACTIONS = {
  kinesis: ['kinesis:PutRecords', 'kinesis:DescribeStreamSummary'],
  secretsmanager: ['secretsmanager:GetSecretValue'],
} as const satisfies Record<Endpoint, readonly string[]>;
