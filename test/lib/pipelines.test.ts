/** Pipelines beside each other in one app: names of their own by default, and what two may not share. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App, Stack, Stage, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import type { GivenSettings } from '../../lib/pipeline-settings.ts';
import { PropsError } from '../../lib/prop-faults.ts';
import { SlotPublisher } from '../../lib/slot-publisher.ts';
import type { SlotPublisherProps } from '../../lib/slot-publisher-props.ts';
import { SlotStream } from '../../lib/slot-stream.ts';
import { MINIMAL } from './synth.ts';

const CODE = lambda.Code.fromInline('exports.handler = async () => {};');
const ENV = { account: '123456789012', region: 'eu-central-1' };
const { name, ...rest } = MINIMAL;
assert.equal(name, 'pg2kinesis');
const SETTINGS = { ...rest, alarmEmail: 'oncall@example.com' } as unknown as GivenSettings;
const app = (): App => new App({ builtinCloudFormationValidation: false });

/** A publisher of its own in a stack of its own. */
function publisher(scope: Construct, id: string, props: Partial<SlotPublisherProps> = {}, env = ENV): SlotPublisher {
  const stack = new Stack(scope, id, { env });
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-1',
    availabilityZones: [`${env.region}a`],
    privateSubnetIds: ['subnet-1'],
  });
  return new SlotPublisher(stack, 'Publisher', {
    vpc,
    stream: new SlotStream(stack, 'Stream').stream,
    databaseHost: `${id.toLowerCase()}.example.com`,
    databaseName: 'app',
    databaseSecret: secretsmanager.Secret.fromSecretNameV2(stack, 'Secret', 'secret'),
    code: CODE,
    ...props,
  } as SlotPublisherProps);
}

describe('the name of a pipeline', () => {
  it('is that of the stack by default, its stage included', () => {
    const root = app();
    const names = ['dev', 'prod'].map((id) => {
      const stage = new Stage(root, id, { env: ENV });
      const settings = { ...SETTINGS, databaseHost: `${id}.example.com` };
      return new Pg2KinesisStack(stage, 'Cdc', { settings, code: CODE }).publisher.pipelineName;
    });
    assert.deepEqual(names, ['dev-Cdc', 'prod-Cdc']);
    root.synth();
  });

  it('of a publisher by itself is made of stack and path', () => {
    assert.match(publisher(app(), 'Orders').pipelineName, /^Orders-Publisher-[0-9A-F]{8}$/);
  });
});

describe('two pipelines of one app', () => {
  const fails = (root: App, pattern: RegExp): void => {
    assert.throws(() => root.synth(), pattern);
  };

  it('fail where they have one name, in whichever stages they are', () => {
    const root = app();
    for (const id of ['dev', 'prod']) {
      const settings = { ...SETTINGS, name: 'orders', databaseHost: `${id}.example.com` };
      new Pg2KinesisStack(new Stage(root, id, { env: ENV }), 'Cdc', { settings, code: CODE });
    }
    fails(
      root,
      /\[prod\/Cdc\/Publisher\] pipelineName cannot be "orders", which is that of "dev\/Cdc\/Publisher" in the same account and region: their metrics/,
    );
  });

  it('may have one name in two regions', () => {
    const root = app();
    publisher(root, 'One', { pipelineName: 'orders' });
    publisher(root, 'Two', { pipelineName: 'orders' }, { ...ENV, region: 'us-east-1' });
    root.synth();
  });

  for (const [title, one, two] of [
    ['as it is written', 'db.example.com', 'db.example.com'],
    ['in another case, with a dot at its end', 'DB.Example.com.', 'db.example.com'],
    ['as a token', Token.asString({ Ref: 'Host' }), undefined],
  ] as const) {
    it(`fail where they publish one slot of one host, given ${title}`, () => {
      const root = app();
      publisher(root, 'One', { databaseHost: one, slotName: 'orders' });
      publisher(root, 'Two', { databaseHost: two ?? one, slotName: 'orders', databaseName: 'other' });
      fails(
        root,
        /\[Two\/Publisher\] slotName cannot be "orders", which "One\/Publisher" publishes from the same server/,
      );
    });
  }

  it('may publish two slots of one host, and one slot name of two servers', () => {
    const root = app();
    const databaseHost = 'db.example.com';
    publisher(root, 'One', { databaseHost });
    publisher(root, 'Two', { databaseHost, slotName: 'two' });
    publisher(root, 'Three', { databaseHost, databasePort: 5433 });
    publisher(root, 'Four', { databaseHost: Token.asString({ Ref: 'Host' }) });
    root.synth();
  });
});

describe('Pg2KinesisStack', () => {
  it('takes settings without those that have a default', () => {
    const { stream } = new Pg2KinesisStack(app(), 'Whole', { settings: SETTINGS, code: CODE }).publisher;
    assert.ok(stream);
  });

  it('is deployed to where its settings say, and refuses another env', () => {
    const settings = { ...SETTINGS, ...ENV };
    const { account, region } = new Pg2KinesisStack(app(), 'Whole', { settings, code: CODE });
    assert.deepEqual({ account, region }, ENV);
    assert.throws(
      () => new Pg2KinesisStack(app(), 'Whole', { settings, code: CODE, env: { ...ENV, account: '210987654321' } }),
      /account cannot be "123456789012", as the stack's env has 210987654321: leave one of them out/,
    );
  });

  it('fails once for settings that are wrong, by their names, and lets tokens pass', () => {
    const settings = {
      ...SETTINGS,
      databaseHost: Token.asString({ Ref: 'Host' }),
      lanes: 5,
      memoryMib: 10,
      colour: 'red',
      streamKeyArn: 'alias/mine',
    } as unknown as GivenSettings;
    assert.throws(
      () => new Pg2KinesisStack(app(), 'Whole', { settings, code: CODE, env: ENV }),
      (error) => {
        assert.ok(error instanceof PropsError);
        assert.match(error.message, /^Pg2KinesisStack "Whole": 4 settings are wrong, nothing was synthesised:/);
        assert.deepEqual(
          error.faults.map((fault) => fault.split(' ').slice(0, 3).join(' ')),
          ['"colour" is no', 'streamKeyArn cannot be', 'lanes cannot be', 'memoryMib cannot be'],
        );
        return true;
      },
    );
  });
});
