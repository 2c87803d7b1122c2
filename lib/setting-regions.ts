/**
 * Whether what the settings name is where the stack is: each ARN's region and partition, and the subnets' zones.
 * Pure. Compares only what is known: a stack without a region has nothing to be compared with.
 */
import { RegionInfo } from 'aws-cdk-lib/region-info';
import type { PartialSettings } from './pipeline-settings.ts';

/** Settings that are ARNs, and why each has to be in the stack's region; where none is given, it may be in another. */
const ARNS = {
  databaseSecretArn: 'the function reads it there; replicate the secret to this region',
  databaseSecretKeyArn: 'it is the key of the secret, which is there',
  existingStream: undefined,
  streamKeyArn: undefined,
  alarmTopicArn: 'CloudWatch tells topics of its own region only',
  logKeyArn: 'CloudWatch Logs takes keys of its own region only',
  environmentKeyArn: 'Lambda takes keys of its own region only',
  roleArn: undefined,
} as const satisfies { readonly [N in keyof PartialSettings]?: string | undefined };

/**
 * @param settings - what was given
 * @param region - the stack's; undefined: not known
 * @returns a sentence for each setting that is somewhere else
 */
export function regionFaults(settings: PartialSettings, region: string | undefined): string[] {
  const faults: string[] = [];
  const stream = arnOf(settings.existingStream);
  const streamRegion = stream?.region ?? region;
  // The key of a stream that is there is where the stream is, whatever the stack's region.
  const streamKey = arnOf(settings.streamKeyArn);
  if (streamKey !== undefined && streamRegion !== undefined && streamKey.region !== streamRegion)
    faults.push(
      elsewhere(
        'streamKeyArn',
        settings.streamKeyArn,
        streamRegion,
        'a stream takes keys of its own region only',
        'the stream',
      ),
    );
  if (region === undefined) return faults;

  const partition = RegionInfo.get(region).partition;
  for (const [name, why] of Object.entries(ARNS) as [keyof typeof ARNS, string | undefined][]) {
    const value = settings[name];
    const arn = arnOf(value);
    if (arn === undefined) continue;
    if (partition !== undefined && arn.partition !== partition)
      faults.push(
        `${name} cannot be "${value ?? ''}": its partition is ${arn.partition}, and the stack's region ${region} is in ${partition}.`,
      );
    else if (why !== undefined && arn.region !== region) faults.push(elsewhere(name, value, region, why, 'the stack'));
  }
  const strangers = (settings.availabilityZones ?? []).filter((zone) => !zone.startsWith(region));
  if (strangers.length > 0)
    faults.push(`availabilityZones cannot hold ${strangers.join(', ')}: the stack's region is ${region}.`);
  if (streamRegion !== region && settings.endpoints?.includes('kinesis') === true)
    faults.push(
      `endpoints cannot hold "kinesis" with a stream of ${streamRegion ?? ''}: an endpoint in ${region} leads to the streams of ${region}. Give the subnets a route out.`,
    );
  return faults;
}

function elsewhere(name: string, value: string | undefined, region: string, why: string, whose: string): string {
  return `${name} cannot be "${value ?? ''}": its region is ${arnOf(value)?.region ?? ''}, and that of ${whose} ${region}; ${why}.`;
}

/** Partition and region of an ARN; undefined for what is none, such as a name. */
function arnOf(value: string | undefined): { readonly partition: string; readonly region: string } | undefined {
  const [arn, partition, , region] = value?.split(':') ?? [];
  return arn === 'arn' && partition !== undefined && region !== undefined ? { partition, region } : undefined;
}
