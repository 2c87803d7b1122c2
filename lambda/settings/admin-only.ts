/**
 * Destructive actions need a grant of their own: IAM cannot look into a payload, but it tells an alias of the function from the function
 * itself. Actions that ADMIN_ONLY lists are done through the alias `admin` alone. Pure; knows no action's meaning.
 */
import { PipelineError } from '../errors.ts';
import type { Action } from './action-types.ts';

/** The alias through which administrators, and the stack itself, invoke the function. */
const ADMIN_ALIAS = 'admin';

/**
 * @param action - what was asked for
 * @param invokedArn - the ARN by which the function was invoked: with the alias at its end, where there was one
 * @param adminOnly - ADMIN_ONLY: kinds of actions, with commas between; undefined: every action is for everybody
 * @throws {PipelineError} ADMIN_ONLY where the action is for the alias, and was not asked for through it
 */
export function requireAdmitted(action: Action, invokedArn: string | undefined, adminOnly: string | undefined): void {
  const isReserved = adminOnly?.split(',').includes(action.kind) === true;
  // arn:aws:lambda:<region>:<account>:function:<name>:<alias>
  if (!isReserved || invokedArn?.split(':')[7] === ADMIN_ALIAS) return;
  throw new PipelineError(
    'ADMIN_ONLY',
    `${action.kind === 'lifecycle' ? 'An event of CloudFormation' : `The action "${action.kind}"`} came to the function itself, and is taken through its alias "${ADMIN_ALIAS}" only. Nothing was done.`,
  );
}
