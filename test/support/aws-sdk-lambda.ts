/**
 * What the CDK's provider framework imports of the AWS SDK, which the Lambda runtime has and this repository has not: a
 * client that calls what the test gives it, and tries as often as the real one does.
 */

/** What an invocation comes to, as Lambda answers it. */
export interface Invocation {
  readonly FunctionError?: string;
  readonly Payload: string;
}

type Invoke = (payload: string) => Promise<Invocation>;

let current: Invoke = () => Promise.reject(new Error('no function was given'));

/** @param invoke - the function behind every client; rejects where its answer is lost */
export function setInvoke(invoke: Invoke): void {
  current = invoke;
}

const ATTEMPTS = 3;

/** Lambda's client. */
export class Lambda {
  /** @param request - the SDK's */
  async invoke(request: { readonly Payload: string }): Promise<Invocation> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await current(request.Payload);
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }
}

/** Not used: there is no waiter. */
export const SFN = undefined;

/** The function is there. */
export function waitUntilFunctionActiveV2(): Promise<void> {
  return Promise.resolve();
}
