/**
 * A small model of CloudFormation with custom resources. Their events go through the framework code that the CDK deploys,
 * taken from aws-cdk-lib: order of events, rollback, clean-up, and answers that are lost on their way from the function.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
 */
import { createRequire, registerHooks } from 'node:module';
import { dirname, join } from 'node:path';
import { type Invocation, setInvoke } from './aws-sdk-lambda.ts';

/** The function: what it makes of an event. */
export type UserFunction = (event: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** How many answers are lost, one after the other, of which event. The function has done its work each time. */
export interface Losses {
  readonly event: string;
  readonly answers: number;
}

/** A resource of a template. */
export interface Resource {
  readonly logicalId: string;
  readonly type: string;
  /** Its properties, from the physical ids of the resources before it. */
  readonly properties: (ids: ReadonlyMap<string, string>) => Readonly<Record<string, unknown>>;
}

/** A template, as far as it matters here. */
export interface StackTemplate {
  /** What the function becomes: before its resources are made or changed. */
  readonly configure: () => void;
  /** In the order in which they are made. */
  readonly resources: readonly Resource[];
  /** Whether something behind them fails. */
  readonly failsAfter?: boolean;
}

interface Deployed {
  readonly resource: Resource;
  readonly physicalId: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

interface Response {
  readonly Status: 'SUCCESS' | 'FAILED';
  readonly Reason: string;
  readonly PhysicalResourceId: string;
}

const require = createRequire(import.meta.url);
registerHooks({
  resolve: (specifier, context, next) =>
    /^@aws-sdk\/client-(lambda|sfn)$/.test(specifier)
      ? { url: new URL('aws-sdk-lambda.ts', import.meta.url).href, shortCircuit: true }
      : next(specifier, context),
});
// The package exports none of it by name.
const runtime = join(
  dirname(require.resolve('aws-cdk-lib/package.json')),
  'custom-resources/lib/provider-framework/runtime',
);
const { onEvent } = require(join(runtime, 'framework.js')) as { onEvent: (event: object) => Promise<void> };
const outbound = require(join(runtime, 'outbound.js')) as {
  httpRequest: (options: object, body: string) => Promise<void>;
};

/** One stack, deployed and deployed again. */
export class Stack {
  readonly #userFunction: UserFunction;
  readonly #deployed = new Map<string, Deployed>();
  #template: StackTemplate | undefined;
  #requests = 0;
  /** Which answers are lost in the next operation. */
  losses: Losses | undefined;
  /** Each event and what became of it. */
  readonly events: string[] = [];

  /** @param userFunction - the function behind the framework */
  constructor(userFunction: UserFunction) {
    this.#userFunction = userFunction;
  }

  /** @returns the physical ids by logical id */
  get ids(): ReadonlyMap<string, string> {
    return new Map([...this.#deployed].map(([logicalId, { physicalId }]) => [logicalId, physicalId]));
  }

  /** Has a resource there that an earlier version made. */
  adopt(resource: Resource, physicalId: string, properties: Readonly<Record<string, unknown>>): void {
    this.#deployed.set(resource.logicalId, { resource, physicalId, properties });
  }

  /**
   * Creates or updates; rolls back where something fails.
   *
   * @returns whether it succeeded
   */
  async deploy(template: StackTemplate): Promise<boolean> {
    const before = new Map(this.#deployed);
    const previous = this.#template;
    template.configure();
    const failed = !(await this.#apply(template)) || template.failsAfter === true;
    if (!failed) {
      this.#template = template;
      await this.#cleanUp(before);
      return true;
    }
    const attempted = new Map(this.#deployed);
    if (previous !== undefined) {
      previous.configure();
      for (const [logicalId, { resource, physicalId, properties }] of before) {
        const now = this.#deployed.get(logicalId);
        if (now === undefined || (now.physicalId === physicalId && same(now.properties, properties))) continue;
        await this.#change(resource, properties, now);
      }
    }
    for (const logicalId of attempted.keys()) if (!before.has(logicalId)) this.#deployed.delete(logicalId);
    await this.#cleanUp(attempted);
    return false;
  }

  /** @returns whether all are gone */
  async remove(): Promise<boolean> {
    for (const [logicalId, deployed] of [...this.#deployed].reverse()) {
      if (!(await this.#delete(deployed))) return false;
      this.#deployed.delete(logicalId);
    }
    return true;
  }

  /** Makes and changes what the template says. */
  async #apply({ resources }: StackTemplate): Promise<boolean> {
    for (const resource of resources) {
      const now = this.#deployed.get(resource.logicalId);
      const properties = resource.properties(this.ids);
      if (now !== undefined && same(now.properties, properties)) continue;
      if (!(await this.#change(resource, properties, now))) return false;
    }
    for (const logicalId of this.#deployed.keys())
      if (!resources.some((resource) => resource.logicalId === logicalId)) this.#deployed.delete(logicalId);
    return true;
  }

  async #change(resource: Resource, properties: Deployed['properties'], now: Deployed | undefined): Promise<boolean> {
    const { Status, PhysicalResourceId } = await this.#send(
      now === undefined ? 'Create' : 'Update',
      resource,
      properties,
      now,
    );
    // A creation that failed is deleted all the same, by the id that the framework gives it.
    if (Status === 'SUCCESS' || now === undefined)
      this.#deployed.set(resource.logicalId, { resource, physicalId: PhysicalResourceId, properties });
    return Status === 'SUCCESS';
  }

  /** Deletes what was there and is no more, under the id that it had; the newest first. */
  async #cleanUp(old: ReadonlyMap<string, Deployed>): Promise<void> {
    for (const [logicalId, deployed] of [...old].reverse())
      if (this.#deployed.get(logicalId)?.physicalId !== deployed.physicalId) await this.#delete(deployed);
  }

  async #delete(deployed: Deployed): Promise<boolean> {
    const { Status } = await this.#send('Delete', deployed.resource, deployed.properties, deployed);
    return Status === 'SUCCESS';
  }

  /** One event through the framework. */
  async #send(
    type: string,
    { logicalId, type: resourceType }: Resource,
    properties: Deployed['properties'],
    now: Deployed | undefined,
  ): Promise<Response> {
    const name = `${type} ${logicalId}`;
    let lost = this.losses?.event === name ? this.losses.answers : 0;
    setInvoke(async (payload): Promise<Invocation> => {
      const outcome = await this.#userFunction(JSON.parse(payload) as Record<string, unknown>).then(
        (answer): Invocation => ({ Payload: JSON.stringify(answer) }),
        (error: unknown): Invocation => ({ FunctionError: 'Unhandled', Payload: JSON.stringify(reported(error)) }),
      );
      if (lost-- > 0) throw new Error('socket hang up');
      return outcome;
    });
    let response: Response | undefined;
    outbound.httpRequest = (_options, body) => {
      response = JSON.parse(body) as Response;
      return Promise.resolve();
    };
    const { USER_ON_EVENT_FUNCTION_ARN: arn } = process.env;
    process.env['USER_ON_EVENT_FUNCTION_ARN'] = 'arn:aws:lambda:us-east-1:123456789012:function:own';
    const { log } = console;
    console.log = () => undefined;
    try {
      await onEvent({
        RequestType: type,
        ServiceToken: 'arn:aws:lambda:us-east-1:123456789012:function:framework',
        ResponseURL: 'https://example.com/answer?key',
        StackId: 'arn:aws:cloudformation:us-east-1:123456789012:stack/mine/1',
        RequestId: `request-${++this.#requests}`,
        LogicalResourceId: logicalId,
        ResourceType: resourceType,
        ResourceProperties: properties,
        ...(now === undefined ? {} : { PhysicalResourceId: now.physicalId, OldResourceProperties: now.properties }),
      });
    } finally {
      console.log = log;
      if (arn === undefined) delete process.env['USER_ON_EVENT_FUNCTION_ARN'];
    }
    if (response === undefined) throw new Error(`${name} was not answered`);
    this.events.push(`${name}: ${response.Status}${response.Status === 'FAILED' ? ` ${response.Reason}` : ''}`);
    return response;
  }
}

/** An error as AWS's runtime client for Node.js reports it. */
function reported(error: unknown): object {
  if (!(error instanceof Error)) return { errorMessage: String(error) };
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') };
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
