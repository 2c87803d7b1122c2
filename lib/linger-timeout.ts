/**
 * A run that lingers lives as long as the function's time-out, which an escape hatch may have shortened.
 * Knows nothing else of the function.
 */
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

/** A run waits for one that ends within 75 seconds. With less than this, most ticks would hand the slot over. */
const MIN_TIMEOUT_SECONDS = 300;

/**
 * Makes synthesis fail where runs linger and the function's time-out is too short for that.
 *
 * @param scope - whose prop the message names
 * @param resource - the function
 */
export function refuseShortTimeout(scope: Construct, resource: lambda.CfnFunction): void {
  scope.node.addValidation({
    validate: () => {
      const { timeout } = resource;
      if (timeout !== undefined && timeout >= MIN_TIMEOUT_SECONDS) return [];
      return [
        `linger cannot be "on" with a function time-out of ${timeout ?? 3} seconds: a run lingers until it is over, so it must be ${MIN_TIMEOUT_SECONDS} at least (it is 900 where nothing changes it).`,
      ];
    },
  });
}
