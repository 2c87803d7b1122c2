/**
 * Whether what the settings name is in the stack's account, where it has to be. Pure. Compares only what is known: a stack
 * without an account has nothing to be compared with.
 */
import type { PartialSettings } from './pipeline-settings.ts';

/**
 * @param settings - what was given
 * @param account - the stack's; undefined: not known
 * @returns a sentence for each setting that is another account's and cannot be
 */
export function accountFaults(
  settings: Pick<PartialSettings, 'roleArn' | 'databaseSecretArn' | 'databaseSecretKeyArn'>,
  account: string | undefined,
): string[] {
  const { roleArn, databaseSecretArn, databaseSecretKeyArn } = settings;
  const isElsewhere = (arn: string | undefined): boolean =>
    arn !== undefined && account !== undefined && accountOf(arn) !== account;
  const faults: string[] = [];
  // The CDK would leave its policies out, and say nothing.
  if (isElsewhere(roleArn))
    faults.push(
      `roleArn cannot be "${roleArn ?? ''}": its account is ${accountOf(roleArn)}, and that of the stack ${account ?? ''}; Lambda gives a function roles of its own account only.`,
    );
  if (isElsewhere(databaseSecretArn) && databaseSecretKeyArn === undefined)
    faults.push(
      `databaseSecretKeyArn is missing: the secret is of account ${accountOf(databaseSecretArn)}, and the stack of ${account ?? ''}; aws/secretsmanager cannot be used from another account, so the secret needs a key of its own.`,
    );
  return faults;
}

function accountOf(arn = ''): string {
  return arn.split(':')[4] ?? '';
}
