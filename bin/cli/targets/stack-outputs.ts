/** Finds a stack's function by the stack's outputs. */
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { refusalKind, remedyOf } from '../../../lambda/kinesis/access-refusals.ts';
import { FunctionError } from './function-errors.ts';

/** The output of a stack of this project that has it. */
const OUTPUT = 'FunctionName';
const TIMEOUT_MS = 15_000;

/**
 * @param stack - its name or ARN
 * @param region - @default the ARN's, else the environment's or the profile's
 * @returns the function's name
 * @throws {FunctionError} where there is no such stack, or it has no such output
 */
export async function functionOfStack(stack: string, region?: string): Promise<string> {
  const place = region ?? /^arn:[^:]+:cloudformation:([^:]+):/.exec(stack)?.[1];
  const client = new CloudFormationClient({
    ...(place === undefined ? {} : { region: place }),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      throwOnRequestTimeout: true,
    }),
  });
  try {
    const { Stacks: [found] = [] } = await client.send(new DescribeStacksCommand({ StackName: stack }));
    const outputs = found?.Outputs ?? [];
    const name = outputs.find(({ OutputKey }) => OutputKey === OUTPUT)?.OutputValue;
    if (name !== undefined) return name;
    const has = outputs.map(({ OutputKey }) => OutputKey).join(', ');
    throw new FunctionError(
      'STACK_UNKNOWN',
      `The stack ${stack} has no output ${OUTPUT} (it has ${has === '' ? 'none' : has}). Nothing was invoked. Give --function instead.`,
    );
  } catch (error) {
    if (error instanceof FunctionError) throw error;
    throw await translateError(error, stack, client);
  } finally {
    client.destroy();
  }
}

async function translateError(error: unknown, stack: string, client: CloudFormationClient): Promise<FunctionError> {
  const options = { cause: error };
  const region = await client.config.region().catch(() => undefined);
  if (region === undefined)
    return new FunctionError(
      'CONFIG_INVALID',
      'There is no AWS region. Nothing was invoked. Set AWS_REGION, or give --region.',
      options,
    );
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  // CloudFormation's word for a stack that does not exist.
  if (name === 'ValidationError' && message.includes('does not exist'))
    return new FunctionError(
      'STACK_UNKNOWN',
      `There is no stack ${stack} in ${region}. Nothing was invoked. Correct the name or the region.`,
      options,
    );
  const refusal = refusalKind(name);
  const todo =
    refusal === undefined
      ? 'Check the region and the network, or give --function, which needs no stack.'
      : (remedyOf(refusal) ?? 'Grant cloudformation:DescribeStacks, or give --function, which needs no stack.');
  return new FunctionError(
    'STACK_UNKNOWN',
    `The stack ${stack} in ${region} could not be described (${name === 'Error' ? '' : `${name}: `}${message.replace(/\.$/, '')}). Nothing was invoked. ${todo}`,
    options,
  );
}
