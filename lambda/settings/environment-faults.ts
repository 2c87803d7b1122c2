/**
 * Variables that AWS's SDK reads by itself: it refuses a wrong value without naming the variable. Pure; knows no setting of ours.
 */

/** A region's name, of every partition: eu-central-1, us-gov-west-1, us-iso-east-1, eusc-de-east-1. */
const REGION = /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/;
/** What the function calls, as the variables of endpoints name it. */
const SERVICES = ['KINESIS', 'SECRETS_MANAGER', 'STS'];

/**
 * Says which variables have values that are not allowed.
 *
 * @param env - the environment's variables
 * @param services - whose endpoints are looked at @default those of the function
 * @returns a sentence each, without values
 */
export function environmentFaults(
  env: Readonly<Record<string, string | undefined>>,
  services: readonly string[] = SERVICES,
): string[] {
  const faults: string[] = [];
  const refuse = (name: string, allowed: string): void => {
    const { length } = env[name] ?? '';
    faults.push(
      `${name} has a value that is not allowed, of ${length} character${length === 1 ? '' : 's'} (allowed: ${allowed}).`,
    );
  };
  const region = env['AWS_REGION'] ?? '';
  if (region !== '' && !REGION.test(region)) refuse('AWS_REGION', 'a region such as eu-central-1');
  for (const name of ['AWS_ENDPOINT_URL', ...services.map((service) => `AWS_ENDPOINT_URL_${service}`)]) {
    const value = env[name] ?? '';
    if (value !== '' && !isWebAddress(value)) refuse(name, 'a URL such as https://host or http://host:4568');
  }
  return faults;
}

/** Not `localhost:4568`, which as a URL is something of the scheme `localhost`. */
function isWebAddress(value: string): boolean {
  // Node.js 20.12 has no URL.parse.
  return URL.canParse(value) && /^https?:\/\//i.test(value) && new URL(value).hostname !== '';
}
