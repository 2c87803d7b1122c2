/**
 * An event of CloudFormation, as the CDK's provider framework passes it on: the stack's slot is to be made, changed or dropped.
 * Pure; what is done then is in `lambda/actions/slot-lifecycle.ts`.
 */
import type { LifecycleAction } from './action-types.ts';
import { brief, eventInvalid } from './payloads.ts';

/**
 * Reads an event of the CDK's provider framework.
 *
 * @param event - with a RequestType
 * @param ownArn - the ARN by which the function was invoked; undefined: unknown
 * @throws {PipelineError} EVENT_INVALID
 */
export function readLifecycleEvent(
  event: Readonly<Record<string, unknown>>,
  ownArn: string | undefined,
): LifecycleAction {
  const requestType = (['Create', 'Update', 'Delete'] as const).find((type) => type === event['RequestType']);
  if (requestType === undefined) {
    throw eventInvalid(
      `The RequestType ${brief(event['RequestType'])} does not exist (allowed: Create, Update, Delete).`,
    );
  }
  // CloudFormation's own event names the function that must answer to its ResponseURL, which this one does not do.
  const token = event['ServiceToken'];
  if (ownArn !== undefined && typeof token === 'string' && isSameFunction(token, ownArn)) {
    throw eventInvalid(
      "The event comes straight from CloudFormation: the custom resource's ServiceToken is this function. CloudFormation would wait for an answer that this function never sends. Use the construct SlotLifecycle, or the CDK's Provider with this function as onEventHandler.",
    );
  }
  return {
    kind: 'lifecycle',
    requestType,
    requestId: text(event['RequestId']),
    logicalResourceId: text(event['LogicalResourceId']),
    resourceType: text(event['ResourceType']),
    physicalResourceId: text(event['PhysicalResourceId']),
    properties: record(event['ResourceProperties']),
    oldProperties: record(event['OldResourceProperties']),
  };
}

/** Whether two ARNs name one function, whatever version or alias they end in. */
function isSameFunction(one: string, other: string): boolean {
  const base = (arn: string): string => arn.split(':').slice(0, 7).join(':');
  return base(one) === base(other);
}

/** A text; undefined where it is none. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** An object's fields; none where it is no object. */
function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
