/** Synthesises a pipeline in memory, for the tests beside it: no account, no look-up, no bundle. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import { readSettings } from '../../lib/settings.ts';

/** Settings that suffice, and need no look-up. */
export const MINIMAL: Readonly<Record<string, unknown>> = {
  name: 'pg2kinesis',
  vpcId: 'vpc-0a1b2c3d',
  subnetIds: ['subnet-0a1b2c3d', 'subnet-0a1b2c3e'],
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  databaseHost: 'db.example.com',
  databaseName: 'app',
  databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg2kinesis-AbCdEf',
  databaseSecurityGroupId: 'sg-0a1b2c3d',
};

/** The same with IAM authentication. */
export const IAM: Readonly<Record<string, unknown>> = (() => {
  const { databaseSecretArn, ...rest } = MINIMAL;
  assert.ok(databaseSecretArn);
  return { ...rest, databaseAuth: 'iam', databaseUser: 'cdc', databaseResourceId: 'db-ABCDEFGHIJKL01234' };
})();

/** What was synthesised. */
export interface Synthesised {
  readonly app: App;
  readonly stack: Pg2KinesisStack;
  readonly template: Template;
  /** The function that publishes: its logical ID and properties. */
  readonly function: { readonly id: string; readonly properties: FunctionProperties };
}

/** What the tests look at of a function. */
export interface FunctionProperties {
  readonly Environment: { readonly Variables: Readonly<Record<string, unknown>> };
  readonly [name: string]: unknown;
}

/** A resource of a template. */
export interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
  readonly DependsOn?: readonly string[];
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
}

/**
 * The same settings are synthesised once; what comes back is not to be changed.
 *
 * @param settings - the context's settings, put over {@link MINIMAL}
 * @param base - instead of it
 */
export function synthesise(settings: Readonly<Record<string, unknown>> = {}, base = MINIMAL): Synthesised {
  const key = JSON.stringify([settings, base]);
  const known = synthesised.get(key) ?? synthesiseAnew(settings, base);
  synthesised.set(key, known);
  return known;
}

const synthesised = new Map<string, Synthesised>();
const { context } = JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8')) as {
  context: Record<string, unknown>;
};

function synthesiseAnew(
  settings: Readonly<Record<string, unknown>>,
  base: Readonly<Record<string, unknown>>,
): Synthesised {
  // The CDK's own validation takes a second; app.test.ts has it.
  const app = new App({ context, builtinCloudFormationValidation: false });
  // Without it the stack warns, rightly, that the alarms tell nobody.
  const told = ['alarms', 'alarmTopicArn'].some((name) => name in settings) ? {} : { alarmEmail: 'oncall@example.com' };
  const [read] = readSettings({ pg2kinesis: { ...base, ...told, ...settings } });
  assert.ok(read);
  const stack = new Pg2KinesisStack(app, read.name, {
    settings: read,
    code: lambda.Code.fromInline('exports.handler = async () => {};'),
    env: {
      ...(read.account === undefined ? {} : { account: read.account }),
      ...(read.region === undefined ? {} : { region: read.region }),
    },
  });
  const template = Template.fromStack(stack);
  const [found] = Object.entries(
    template.findResources('AWS::Lambda::Function', { Properties: { Handler: 'handler.handler' } }),
  );
  assert.ok(found);
  const [id, resource] = found as [string, { Properties: FunctionProperties }];
  return { app, stack, template, function: { id, properties: resource.Properties } };
}

/** The resources of a type, by logical ID. */
export function resourcesOf(template: Template, type: string): Readonly<Record<string, Resource>> {
  return template.findResources(type) as Record<string, Resource>;
}

/** The one resource of a type, with its logical ID. */
export function onlyResource(template: Template, type: string): Resource & { readonly id: string } {
  const all = Object.entries(resourcesOf(template, type));
  assert.equal(all.length, 1, `resources of type ${type}`);
  const [[id, resource]] = all as [[string, Resource]];
  return { id, ...resource };
}

/** All statements of the policies attached to the function's role. */
export function functionStatements(template: Template): Readonly<Record<string, unknown>>[] {
  const policies = Object.entries(resourcesOf(template, 'AWS::IAM::Policy')).filter(([id]) =>
    id.startsWith('PublisherRole'),
  );
  return policies.flatMap(
    ([, { Properties }]) => (Properties['PolicyDocument'] as { Statement: Record<string, unknown>[] }).Statement,
  );
}

/** A value as CloudFormation would join it: text, with `<Name>` for what is referred to. */
export function joined(value: unknown): string {
  if (typeof value === 'string') return value;
  const join = (value as { 'Fn::Join'?: [string, unknown[]] })['Fn::Join'];
  if (join !== undefined) return join[1].map(joined).join(join[0]);
  const { Ref } = value as { Ref?: string };
  return Ref === undefined ? JSON.stringify(value) : `<${Ref}>`;
}
