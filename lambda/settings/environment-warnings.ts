/**
 * Variables of AWS's other tools that are set here and have no effect. Pure; knows no setting of ours.
 */

const PROXIES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];

/**
 * Says which variables are set in vain.
 *
 * @param env - the environment's variables
 * @returns a sentence each, without values
 */
export function environmentWarnings(env: Readonly<Record<string, string | undefined>>): string[] {
  const given = (name: string): boolean => (env[name] ?? '') !== '';
  const warnings: string[] = [];
  if (given('AWS_DEFAULT_REGION') && !given('AWS_REGION')) {
    warnings.push('AWS_DEFAULT_REGION is set, but not read for Kinesis: set AWS_REGION.');
  }
  const proxy = PROXIES.find(given);
  if (proxy !== undefined) {
    warnings.push(
      `${proxy} is set, but not used: Kinesis, Secrets Manager and the database are connected to directly, and have to be reachable without a proxy.`,
    );
  }
  if (given('AWS_CA_BUNDLE')) {
    warnings.push('AWS_CA_BUNDLE is set, but not read: set NODE_EXTRA_CA_CERTS to the same file.');
  }
  return warnings;
}
