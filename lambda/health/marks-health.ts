/** Whether a replica can follow what is published. Pure. */
import type { Config } from '../settings/config.ts';
import { type Finding, ok } from './finding.ts';

/**
 * @param config - what is published, and how
 * @returns nothing where no replica can be meant: another format, or no lanes
 */
export function checkMarks({
  format,
  aggregation,
  marks,
}: Pick<Config, 'format' | 'aggregation' | 'marks'>): Finding[] {
  if (format !== 'json' || aggregation === 'none') return [];
  const can = marks
    ? 'MARKS is on: "pg2kinesis replicate" can keep a copy'
    : 'MARKS is off: a copy by "pg2kinesis replicate" needs it on';
  return [ok('replica', can)];
}
