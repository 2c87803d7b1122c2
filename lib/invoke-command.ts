/**
 * The commands that an operator pastes: invocations of the function by hand. Text only.
 */

/**
 * @param functionName - the function's name
 * @param region - its region
 * @param action - the payload's action
 * @returns a command for a POSIX shell that prints the answer
 */
export function invokeCommand(functionName: string, region: string, action: string): string {
  // The CLI gives up on a read after 60 seconds and invokes again: two runs at once. Hence no limit, and one attempt.
  return (
    `AWS_MAX_ATTEMPTS=1 aws lambda invoke --region ${region} --function-name ${functionName} --cli-read-timeout 0 ` +
    `--cli-binary-format raw-in-base64-out --payload '{"action":"${action}"}' /dev/stdout`
  );
}
