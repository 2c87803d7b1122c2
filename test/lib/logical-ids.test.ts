/**
 * The logical IDs of what holds data or is held by others. A changed one makes CloudFormation create a new resource and
 * delete the old one at the next deploy of every user: of a stream, of a slot, of a function that somebody invokes by name.
 * So these are written down here as they are deployed, and not computed.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { SlotLifecycle } from '../../lib/slot-lifecycle.ts';
import { SlotPublisher } from '../../lib/slot-publisher.ts';
import { SlotStream } from '../../lib/slot-stream.ts';
import { onlyResource, synthesise } from './synth.ts';

describe('logical IDs', () => {
  for (const settings of [
    {},
    { slotName: 'orders', name: 'orders', onRemoval: 'retain' },
    { alarms: false, dashboard: false },
  ]) {
    it(`are those that are deployed already, with ${JSON.stringify(settings)}`, () => {
      const { template, function: own } = synthesise(settings);
      assert.deepEqual(
        {
          stream: onlyResource(template, 'AWS::Kinesis::Stream').id,
          slot: onlyResource(template, 'Custom::Pg2KinesisSlot').id,
          claim: onlyResource(template, 'Custom::Pg2KinesisSlotClaim').id,
          provider: onlyResource(template, 'Custom::Pg2KinesisSlot').Properties['ServiceToken'],
          function: own.id,
        },
        {
          stream: 'Stream862536A4',
          slot: 'SlotCF8C3CD8',
          claim: 'SlotCF8C3CD8Claim',
          provider: { 'Fn::GetAtt': ['SlotProviderframeworkonEventEAEDE4C6', 'Arn'] },
          function: 'PublisherFunction1938950E',
        },
      );
      assert.equal(own.properties.Environment.Variables['SLOT_RESOURCE'], 'SlotCF8C3CD8');
    });
  }

  it('come from the path in an app of one’s own, unless they are given', () => {
    const ids = (logicalId?: string): unknown => {
      const stack = new Stack(new App({ builtinCloudFormationValidation: false }), 'mine');
      const given = logicalId === undefined ? {} : { logicalId };
      const { stream } = new SlotStream(stack, 'Records', given);
      const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: 'vpc-1',
        availabilityZones: ['eu-central-1a'],
        privateSubnetIds: ['subnet-1'],
      });
      const publisher = new SlotPublisher(stack, 'Changes', {
        vpc,
        stream,
        databaseHost: 'db.example.com',
        databaseName: 'app',
        databaseSecret: secretsmanager.Secret.fromSecretNameV2(stack, 'Secret', 'secret'),
        databaseSecurityGroup: ec2.SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-1'),
        code: lambda.Code.fromInline('exports.handler = async () => {};'),
      });
      new SlotLifecycle(stack, 'Lifecycle', {
        publisher,
        ...(logicalId === undefined ? {} : { logicalId: `${logicalId}Slot` }),
      });
      const template = Template.fromStack(stack);
      const [[, own] = []] = Object.entries(
        template.findResources('AWS::Lambda::Function', { Properties: { Handler: 'handler.handler' } }),
      ) as [string, { Properties: { Environment: { Variables: Record<string, unknown> } } }][];
      return [
        onlyResource(template, 'AWS::Kinesis::Stream').id,
        onlyResource(template, 'Custom::Pg2KinesisSlot').id,
        own?.Properties.Environment.Variables['SLOT_RESOURCE'],
      ];
    };
    assert.deepEqual(ids(), ['RecordsStream8BA69C9E', 'LifecycleSlotE9AD9BD4', 'LifecycleSlotE9AD9BD4']);
    assert.deepEqual(ids('Orders'), ['Orders', 'OrdersSlot', 'OrdersSlot']);
  });
});
