/**
 * An error of a CloudFormation event as the stack shows it. The CDK's provider framework passes on the message and the stack
 * trace, and adds a log group that does not exist: it makes it of the function's name. Pure; knows no cause of an error.
 */
import { printable } from '../printable.ts';

/** How texts that are written for a run end. */
const NEXT_RUN = /the next run (?:succeeds by itself|tries again|goes on by itself|goes on)/gi;

/**
 * Makes an error fit to be the reason why a resource failed.
 *
 * @param error - what the invocation failed with, fit to be shown
 * @param event - the invocation's payload
 * @param logGroup - the function's log group; undefined: not known
 * @returns for an event of CloudFormation an error of the same name that says what to do about a stack and where the log is, and
 *   has no stack trace; for any other the error itself
 */
export function asStackFailure(error: Error, event: unknown, logGroup: string | undefined): Error {
  const request = requestType(event);
  if (request === undefined) return error;
  const again = request === 'Delete' ? 'delete again' : 'deploy again';
  const told = error.message.replace(NEXT_RUN, (found) =>
    found.startsWith('T') ? `${again.charAt(0).toUpperCase()}${again.slice(1)}` : again,
  );
  const where = logGroup === undefined ? '' : ` The log of this function is the log group ${logGroup}.`;
  const failure = new Error(printable(`${told}${where}`), { cause: error });
  failure.name = error.name;
  // Lambda sends it line by line, and the framework puts all but the first into the reason.
  failure.stack = `${failure.name}: ${failure.message}`;
  return failure;
}

function requestType(event: unknown): unknown {
  return typeof event === 'object' && event !== null && 'RequestType' in event ? event.RequestType : undefined;
}
