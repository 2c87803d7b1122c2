/**
 * Writes onto a construct why it is right where a rule pack (cdk-nag) objects to it, for users who run such a pack. Does nothing
 * in releases of the CDK that have no place for that. Knows no rule by name.
 */
import * as cdk from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** One finding, and why it is right. */
export interface Acknowledgement {
  /** The rule, and in brackets the finding where there are several. */
  readonly id: string;
  /** A sentence. */
  readonly reason: string;
}

/** Why policies are inline. */
export const INLINE_POLICIES =
  'The policy holds the rights of this one role and goes with it; a managed one could be attached to others.';
/** Why a log has no key of its own. */
export const LOG_ENCRYPTION =
  'CloudWatch Logs encrypts it with a key of its own, and it holds no secret and no value of a row. logKey gives it another key.';

/**
 * @param construct - on which, and on all below it, the findings are right
 * @param acknowledgements - the findings
 */
export function acknowledge(construct: IConstruct, ...acknowledgements: readonly Acknowledgement[]): void {
  // By name, and not imported: an import of what a release does not export fails in an ES module.
  const known: Partial<Pick<typeof cdk, 'Validations'>> = cdk;
  known.Validations?.of(construct).acknowledge(...acknowledgements);
}

/** The rule packs whose rules have the same names: HIPAA, NIST 800-53 (both revisions), PCI DSS. */
const PACKS = ['HIPAA.Security', 'NIST.800.53.R4', 'NIST.800.53.R5', 'PCI.DSS.321'];

/**
 * @param construct - on which, and on all below it, the finding is right
 * @param rule - its name in each of these packs, without the pack's
 * @param reason - a sentence
 */
export function acknowledgeInPacks(construct: IConstruct, rule: string, reason: string): void {
  acknowledge(construct, ...PACKS.map((pack) => ({ id: `${pack}-${rule}`, reason })));
}
