/** Values that only CloudFormation will know, which cannot be checked at synthesis. */
import { Token } from 'aws-cdk-lib';

/** @returns whether a value, or an entry of a list, is one */
export function isToken(value: unknown): boolean {
  return Token.isUnresolved(value) || (Array.isArray(value) && value.some((entry) => Token.isUnresolved(entry)));
}
