/**
 * Why what a rule pack (cdk-nag) objects to is right here: noted on the construct, for whoever runs one.
 * Releases of the CDK that have no place for it are left alone. Knows no rule by name.
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

/**
 * @param construct - on which, and on all below it, the findings are right
 * @param acknowledgements - the findings
 */
export function acknowledge(construct: IConstruct, ...acknowledgements: readonly Acknowledgement[]): void {
  // By name, and not imported: an import of what a release does not export fails in an ES module.
  const known: Partial<Pick<typeof cdk, 'Validations'>> = cdk;
  known.Validations?.of(construct).acknowledge(...acknowledgements);
}
