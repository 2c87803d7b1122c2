/**
 * Variables that AWS's SDK reads by itself: it refuses a wrong value without naming the variable. Pure; knows no setting of ours.
 */

/** A region's name, of every partition: eu-central-1, us-gov-west-1, us-iso-east-1, eusc-de-east-1. */
const REGION = /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/;
const ENDPOINTS = [
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_KINESIS',
  'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  'AWS_ENDPOINT_URL_STS',
];

/**
 * Says which variables have values that are not allowed.
 *
 * @param env - the environment's variables
 * @returns a sentence each, without values
 */
export function environmentFaults(env: Readonly<Record<string, string | undefined>>): string[] {
  const faults: string[] = [];
  const refuse = (name: string, allowed: string): void => {
    const { length } = env[name] ?? '';
    faults.push(
      `${name} has a value that is not allowed, of ${length} character${length === 1 ? '' : 's'} (allowed: ${allowed}).`,
    );
  };
  const region = env['AWS_REGION'] ?? '';
  if (region !== '' && !REGION.test(region)) refuse('AWS_REGION', 'a region such as eu-central-1');
  for (const name of ENDPOINTS) {
    const value = env[name] ?? '';
    if (value !== '' && !isWebAddress(value)) refuse(name, 'a URL such as https://host or http://host:4568');
  }
  return faults;
}

/** Not `localhost:4568`, which as a URL is something of the scheme `localhost`. */
function isWebAddress(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol) && /^https?:\/\//i.test(value) && url.hostname !== '';
}
