/**
 * The thread in which the demo's function lives: hands each request to the real handler, with a context as Lambda
 * makes it. Its environment is the function's, set before the handler is imported.
 */
import { randomUUID } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { Context } from 'aws-lambda';
import type { Request, Response } from './function.ts';

const port = parentPort;
if (port === null) throw new Error('This is a thread of the demo; start it with npm start.');
// The thread ends with its port closed; whoever invokes gets the error of an import that failed.
const loaded = import('../../lambda/handler.ts');
loaded.catch(() => undefined);

port.on('message', (request: Request) => {
  void invoke(request).then((response) => port.postMessage(response));
});

async function invoke({ id, event, timeoutMs }: Request): Promise<Response> {
  try {
    const { handler } = await loaded;
    return { id, answer: await handler(event, lambdaContext(timeoutMs) as Context) };
  } catch (error) {
    return {
      id,
      failure:
        error instanceof Error
          ? { name: error.name, message: error.message }
          : { name: 'Error', message: String(error) },
    };
  }
}

/** Without the callbacks of Node.js 0.10, which the runtime of Node.js 24 has no more. */
function lambdaContext(timeoutMs: number): Omit<Context, 'done' | 'fail' | 'succeed'> {
  const deadline = Date.now() + timeoutMs;
  const functionName = 'pg2kinesis-demo';
  return {
    callbackWaitsForEmptyEventLoop: false,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${functionName}`,
    memoryLimitInMB: '512',
    awsRequestId: randomUUID(),
    logGroupName: `/aws/lambda/${functionName}`,
    logStreamName: 'demo',
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}
