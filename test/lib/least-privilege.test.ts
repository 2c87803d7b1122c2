/** Who may do what: the roles that the stack makes, and what it grants to others. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import { readSettings } from '../../lib/settings.ts';
import { MINIMAL, resourcesOf, synthesise } from './synth.ts';

/** The statements of the policies whose logical id begins so. */
function statements(template: Template, prefix: string): Record<string, unknown>[] {
  return Object.entries(resourcesOf(template, 'AWS::IAM::Policy'))
    .filter(([id]) => id.startsWith(prefix))
    .flatMap(
      ([, { Properties }]) => (Properties['PolicyDocument'] as { Statement: Record<string, unknown>[] }).Statement,
    );
}

describe('the function that hands CloudFormation’s events on', () => {
  it('may write its own log, and invoke the alias of the one function', () => {
    const { template } = synthesise();
    const own = statements(template, 'SlotProviderRole');
    assert.deepEqual(
      own.map(({ Action, Effect }) => [Effect, Action]),
      [
        ['Allow', ['logs:CreateLogStream', 'logs:PutLogEvents']],
        ['Allow', ['lambda:GetFunction', 'lambda:InvokeFunction']],
      ],
    );
    for (const { Resource } of own) assert.doesNotMatch(JSON.stringify(Resource), /"\*"|:\*/);
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::IAM::Role')))
      assert.equal(Properties['ManagedPolicyArns'], undefined, 'managed policies allow every log');
  });

  it('in a VPC, too: the rights to network interfaces are taken from its code', () => {
    const { template } = synthesise({ slotLifecycleInVpc: true });
    const denied = Object.values(resourcesOf(template, 'AWS::IAM::Policy')).filter(({ Properties }) =>
      JSON.stringify(Properties['PolicyDocument']).includes('"Deny"'),
    );
    assert.equal(denied.length, 2, 'the publisher, and the framework');
    const frameworks = denied.find(({ Properties }) =>
      JSON.stringify(Properties['Roles']).includes('SlotProviderRole'),
    );
    assert.match(
      JSON.stringify(frameworks),
      /lambda:SourceFunctionArn":\{"Fn::GetAtt":\["SlotProviderframeworkonEvent/,
    );
  });
});

describe('the function', () => {
  it('has no right that docs/security.md does not name, whatever is asked for', () => {
    const key = 'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000';
    const keys = { databaseSecretKeyArn: key, streamKeyArn: key, logKeyArn: key, environmentKeyArn: key };
    const { template } = synthesise({ ...keys, tracing: true, separateAdmin: true });
    const actions = statements(template, 'PublisherRole').flatMap(({ Action }) => Action as string | string[]);
    assert.ok(actions.length > 10);
    const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
    // Those of the log and of Lambda's network interfaces are named in words.
    const named = (action: string): boolean => /^(logs|ec2):/.test(action) || page.includes(`\`${action}\``);
    assert.deepEqual(
      actions.filter((action) => !named(action)),
      [],
    );
  });
});

describe('what destroys', () => {
  const environment = (settings: Record<string, unknown>): unknown =>
    synthesise(settings).function.properties.Environment.Variables['ADMIN_ONLY'];

  it('is kept from events of CloudFormation that are sent by hand, always', () => {
    assert.equal(environment({}), 'lifecycle');
    assert.equal(environment({ slotLifecycle: false }), 'lifecycle');
  });

  it('is done through the alias only, where asked for', () => {
    assert.equal(environment({ separateAdmin: true }), 'lifecycle,drop-slot,skip-transaction');
  });

  it('is granted apart from the rest', () => {
    const app = new App({ builtinCloudFormationValidation: false });
    const [settings] = readSettings({ pg2kinesis: { ...MINIMAL, alarmEmail: 'a@example.com', separateAdmin: true } });
    assert.ok(settings);
    const code = lambda.Code.fromInline('exports.handler = async () => {};');
    const { publisher } = new Pg2KinesisStack(app, settings.name, { settings, code });
    const stack = Stack.of(publisher);
    const role = (id: string): iam.Role => new iam.Role(stack, id, { assumedBy: new iam.AccountRootPrincipal() });
    publisher.grantInvoke(role('Operator'));
    publisher.grantAdmin(role('Administrator'));
    const template = Template.fromStack(stack);
    const arn = { 'Fn::GetAtt': [synthesise().function.id, 'Arn'] };
    const [operator] = statements(template, 'OperatorDefaultPolicy');
    assert.deepEqual(operator?.['Resource'], [{ 'Fn::Join': ['', [arn, ':$LATEST']] }, arn], 'never the alias');
    const [administrator] = statements(template, 'AdministratorDefaultPolicy');
    const [alias] = Object.keys(resourcesOf(template, 'AWS::Lambda::Alias'));
    assert.deepEqual(administrator?.['Resource'], { Ref: alias });
  });
});
