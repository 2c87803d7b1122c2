/** An app of a user's own: all in one stack, or the network, the database, the stream and the alarms in stacks of theirs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App, Stack, type StackProps, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { PropsError } from '../../lib/prop-faults.ts';
import { SlotAlarms } from '../../lib/slot-alarms.ts';
import { SlotDashboard } from '../../lib/slot-dashboard.ts';
import { SlotLifecycle, type SlotLifecycleProps } from '../../lib/slot-lifecycle.ts';
import { SlotPublisher } from '../../lib/slot-publisher.ts';
import type { SlotPublisherProps } from '../../lib/slot-publisher-props.ts';
import { SlotStream } from '../../lib/slot-stream.ts';
import { onlyResource, resourcesOf } from './synth.ts';

const ENV = { account: '123456789012', region: 'eu-central-1' };

/** An app with a stack and a VPC, and how a publisher is made in it. */
function scene() {
  const app = new App({ builtinCloudFormationValidation: false });
  const stackOf = (id: string, props: StackProps = {}): Stack => new Stack(app, id, { env: ENV, ...props });
  const stack = stackOf('changes');
  const publish = (vpc: ec2.IVpc, props: Partial<SlotPublisherProps> = {}): SlotPublisher =>
    new SlotPublisher(stack, 'Publisher', {
      vpc,
      databaseName: 'app',
      databaseSecret: new secretsmanager.Secret(stack, 'Secret') as secretsmanager.ISecret,
      stream: props.stream ?? new SlotStream(stack, 'Stream').stream,
      code: lambda.Code.fromInline('exports.handler = async () => {};'),
      ...(props.database === undefined ? { databaseHost: 'db.example.com' } : {}),
      ...props,
    } as SlotPublisherProps);
  return { app, stack, stackOf, publish, vpc: () => new ec2.Vpc(stack, 'Vpc', { maxAzs: 2 }) as ec2.IVpc };
}

describe('a database in the stack of its pipeline', () => {
  it('is whole before the slot is made, and goes after it: the instances of a cluster, too', () => {
    const { stack, publish, vpc: make } = scene();
    const vpc = make();
    const database = new rds.DatabaseCluster(stack, 'Aurora', {
      vpc,
      engine: rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.VER_16_4 }),
      writer: rds.ClusterInstance.serverlessV2('writer'),
    });
    new SlotLifecycle(stack, 'Slot', { publisher: publish(vpc, { database }) });
    const template = Template.fromStack(stack);
    const writer = onlyResource(template, 'AWS::RDS::DBInstance').id;
    for (const type of ['Custom::Pg2KinesisSlotClaim', 'Custom::Pg2KinesisSlot', 'AWS::Scheduler::Schedule'])
      assert.ok(onlyResource(template, type).DependsOn?.includes(writer), type);
  });
});

describe('the stacks of one app', () => {
  it('may have the alarms and the dashboard in one of their own', () => {
    const { app, stack, stackOf, publish, vpc } = scene();
    const publisher = publish(vpc());
    new SlotLifecycle(stack, 'Slot', { publisher });
    const monitoring = stackOf('monitoring');
    const alarms = new SlotAlarms(monitoring, 'Alarms', { publisher, email: 'oncall@example.com' });
    new SlotDashboard(monitoring, 'Dashboard', { publisher, alarms });
    app.synth();
    Template.fromStack(monitoring).resourceCountIs('AWS::CloudWatch::Alarm', 7);
  });

  it('may show metrics elsewhere, by the region and the account that they are in', () => {
    const { stackOf, publish, vpc } = scene();
    const metric = publish(vpc()).metric('LagSeconds');
    const { region, account } = metric.toMetricConfig().metricStat ?? {};
    assert.deepEqual({ account, region }, ENV);
    const elsewhere = stackOf('elsewhere', { env: { ...ENV, region: 'us-east-1' } });
    assert.throws(
      () => metric.createAlarm(elsewhere, 'Alarm', { threshold: 1, evaluationPeriods: 1 }),
      /Cannot create an Alarm in region 'us-east-1' based on metric 'LagSeconds' in 'eu-central-1'/,
    );
  });

  it('may have the dashboard in another region: it shows that of the publisher, and leads there', () => {
    const { app, stackOf } = scene();
    const [here, there] = ['eu-central-1', 'us-east-1'].map((region) =>
      stackOf(region, { env: { ...ENV, region }, crossRegionReferences: true }),
    );
    assert.ok(here && there);
    const publisher = new SlotPublisher(here, 'Publisher', {
      vpc: new ec2.Vpc(here, 'Vpc', { maxAzs: 2 }) as ec2.IVpc,
      databaseHost: 'db.example.com',
      databaseName: 'app',
      databaseSecret: new secretsmanager.Secret(here, 'Secret') as secretsmanager.ISecret,
      stream: new SlotStream(here, 'Stream').stream,
      code: lambda.Code.fromInline('exports.handler = async () => {};'),
    });
    new SlotDashboard(there, 'Dashboard', { publisher, savedQueries: false });
    app.synth();
    const { DashboardBody } = onlyResource(Template.fromStack(there), 'AWS::CloudWatch::Dashboard').Properties;
    const body = JSON.stringify(DashboardBody);
    assert.match(body, /eu-central-1\.console\.aws/);
    assert.doesNotMatch(body, /region[=":\\]+us-east-1|us-east-1\.console/);
  });

  it('may not have the slot in another than its publisher, and it is said why', () => {
    const { stackOf, publish, vpc } = scene();
    const publisher = publish(vpc());
    assert.throws(
      () => new SlotLifecycle(stackOf('slots'), 'Slot', { publisher }),
      (error: unknown) =>
        error instanceof PropsError &&
        /publisher cannot be "changes\/Publisher" of another stack: its schedule is made after the slot/.test(
          error.message,
        ),
    );
  });

  it('may have the function’s groups in another: rules that lead elsewhere are not made there', () => {
    for (const endpoints of [undefined, ['kinesis', 'secretsmanager']] as const) {
      const { app, stackOf, publish } = scene();
      const network = stackOf('network');
      const vpc = new ec2.Vpc(network, 'Vpc', { maxAzs: 2 }) as ec2.IVpc;
      const group = new ec2.SecurityGroup(network, 'Group', { vpc, allowAllOutbound: false });
      const database = new rds.DatabaseInstance(stackOf('data'), 'Database', {
        vpc,
        engine: rds.DatabaseInstanceEngine.POSTGRES,
      });
      publish(vpc, { database, securityGroups: [group], ...(endpoints === undefined ? {} : { endpoints }) });
      app.synth();
      const data = Template.fromStack(Stack.of(database));
      assert.equal(Object.keys(resourcesOf(data, 'AWS::EC2::SecurityGroupEgress')).length, 1);
    }
  });

  it('may have the stream in another account or region, by a name of its own', () => {
    const { app, stack, stackOf, publish, vpc } = scene();
    const streams = stackOf('streams', { env: { account: '210987654321', region: 'us-east-1' } });
    publish(vpc(), { stream: new SlotStream(streams, 'Stream', { streamName: 'orders' }).stream });
    app.synth();
    assert.equal(onlyResource(Template.fromStack(streams), 'AWS::Kinesis::Stream').Properties['Name'], 'orders');
    Template.fromStack(streams).resourceCountIs('AWS::Kinesis::ResourcePolicy', 1);
    assert.match(JSON.stringify(Template.fromStack(stack)), /:kinesis:us-east-1:210987654321:stream\/orders/);
    assert.throws(
      () => new SlotStream(streams, 'Wrong', { streamName: 'a b' }),
      /streamName cannot be "a b": it must be 1 to 128 letters, digits, _, \. and -/,
    );
  });

  it('may publish one slot name of one host name in two accounts, where it is two servers', () => {
    const hosts = (host: string): (() => void) => {
      const app = new App({ builtinCloudFormationValidation: false });
      for (const [id, account] of [
        ['dev', '123456789012'],
        ['prod', '210987654321'],
      ] as const) {
        const stack = new Stack(new Stage(app, id, { env: { ...ENV, account } }), 'changes');
        const vpc = new ec2.Vpc(stack, 'Vpc') as ec2.IVpc;
        new SlotPublisher(stack, 'Publisher', {
          vpc,
          databaseHost: host,
          databaseName: 'app',
          databaseSecret: new secretsmanager.Secret(stack, 'Secret') as secretsmanager.ISecret,
          stream: new SlotStream(stack, 'Stream').stream,
          code: lambda.Code.fromInline('exports.handler = async () => {};'),
        });
      }
      return () => void app.synth();
    };
    for (const host of ['postgres.internal', '10.0.0.5']) hosts(host)();
    assert.throws(hosts('app.abcdefghijkl.eu-central-1.rds.amazonaws.com'), /publishes from the same server/);
  });
});

describe('a slot that is moved', () => {
  it('stays the one that is deployed under the names that it had: CloudFormation gives none another function', () => {
    const ids = (id: string, given: Partial<SlotLifecycleProps> = {}): readonly string[] => {
      const { stack, publish, vpc } = scene();
      new SlotLifecycle(stack, id, { publisher: publish(vpc()), ...given });
      const template = Template.fromStack(stack);
      const [slot, claim] = ['Custom::Pg2KinesisSlot', 'Custom::Pg2KinesisSlotClaim'].map((type) =>
        onlyResource(template, type),
      );
      assert.ok(slot && claim);
      assert.deepEqual(slot.Properties['ServiceToken'], claim.Properties['ServiceToken']);
      const token = slot.Properties['ServiceToken'] as { 'Fn::GetAtt': [string, string] };
      return [slot.id, claim.id, token['Fn::GetAtt'][0]];
    };
    const deployed = ids('One');
    const [logicalId = '', , providerLogicalId = ''] = deployed;
    assert.notDeepEqual(ids('Two', { logicalId }), deployed);
    assert.deepEqual(ids('Two', { logicalId, providerLogicalId }), deployed);
  });
});
