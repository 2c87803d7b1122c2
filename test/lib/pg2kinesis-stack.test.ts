/** The template: function, rights, network, stream and outputs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import { readSettings, SettingsError } from '../../lib/settings.ts';
import { SlotNetwork } from '../../lib/slot-network.ts';
import { functionStatements, IAM, joined, MINIMAL, onlyResource, resourcesOf, synthesise } from './synth.ts';

const SECRET = MINIMAL['databaseSecretArn'];
const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000';

describe('the function', () => {
  it('runs Node.js 24 on ARM64 for up to 15 minutes, in the private subnets', () => {
    const { template } = synthesise();
    template.hasResourceProperties('AWS::Lambda::Function', {
      Handler: 'handler.handler',
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Timeout: 900,
      MemorySize: 1024,
      VpcConfig: { SubnetIds: ['subnet-0a1b2c3d', 'subnet-0a1b2c3e'] },
      ReservedConcurrentExecutions: Match.absent(),
      TracingConfig: Match.absent(),
    });
  });

  it('takes memory, concurrency, tracing and log retention as asked', () => {
    const { template } = synthesise({
      memoryMib: '2048',
      reservedConcurrency: '3',
      tracing: 'true',
      logRetentionDays: '7',
    });
    template.hasResourceProperties('AWS::Lambda::Function', {
      Handler: 'handler.handler',
      MemorySize: 2048,
      ReservedConcurrentExecutions: 3,
      TracingConfig: { Mode: 'Active' },
    });
    template.hasResourceProperties('AWS::Logs::LogGroup', { RetentionInDays: 7 });
  });

  it('may do what it needs to, on one stream and one secret, and nothing else', () => {
    const statements = functionStatements(
      synthesise({ existingStream: 'arn:aws:kinesis:eu-central-1:123456789012:stream/mine' }).template,
    );
    const allowed = statements.map(({ Effect, Action, Resource, Condition }) => [
      Effect,
      Action,
      typeof Resource === 'string' ? Resource : 'its log',
      Condition,
    ]);
    assert.deepEqual(allowed, [
      ['Allow', ['logs:CreateLogStream', 'logs:PutLogEvents'], 'its log', undefined],
      [
        'Allow',
        [
          'ec2:AssignPrivateIpAddresses',
          'ec2:CreateNetworkInterface',
          'ec2:DeleteNetworkInterface',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSubnets',
          'ec2:UnassignPrivateIpAddresses',
        ],
        '*',
        undefined,
      ],
      [
        'Allow',
        ['kinesis:DescribeStreamSummary', 'kinesis:PutRecords'],
        'arn:aws:kinesis:eu-central-1:123456789012:stream/mine',
        undefined,
      ],
      ['Allow', 'secretsmanager:GetSecretValue', SECRET, undefined],
    ]);
    for (const { Properties } of Object.values(resourcesOf(synthesise().template, 'AWS::IAM::Role'))) {
      if (String(Properties['Description']).startsWith('pg2kinesis'))
        assert.equal(Properties['ManagedPolicyArns'], undefined);
    }
  });

  it('may use the keys that were given, through their services only', () => {
    const { template } = synthesise({ databaseSecretKeyArn: KEY, streamKeyArn: KEY });
    const kms = functionStatements(template).filter(({ Resource }) => Resource === KEY);
    const via = (service: string): unknown => ({
      StringEquals: {
        'kms:ViaService': { 'Fn::Join': ['', [`${service}.`, { Ref: 'AWS::Region' }, '.', { Ref: 'AWS::URLSuffix' }]] },
      },
    });
    assert.deepEqual(
      kms.map(({ Action, Condition }) => [Action, Condition]),
      [
        ['kms:GenerateDataKey', via('kinesis')],
        [
          'kms:Decrypt',
          {
            StringEquals: {
              'kms:ViaService': { 'Fn::Join': ['', ['secretsmanager.eu-central-1.', { Ref: 'AWS::URLSuffix' }]] },
            },
          },
        ],
      ],
    );
  });

  it('may connect to the database as one role with IAM authentication, and only then', () => {
    const connect = (statement: Readonly<Record<string, unknown>>): boolean => statement['Action'] === 'rds-db:connect';
    const iam = functionStatements(synthesise({}, IAM).template);
    assert.deepEqual(iam.find(connect)?.['Resource'], {
      'Fn::Join': [
        '',
        [
          'arn:',
          { Ref: 'AWS::Partition' },
          ':rds-db:',
          { Ref: 'AWS::Region' },
          ':',
          { Ref: 'AWS::AccountId' },
          ':dbuser:db-ABCDEFGHIJKL01234/cdc',
        ],
      ],
    });
    assert.equal(
      iam.some(({ Action }) => String(Action).startsWith('secretsmanager:')),
      false,
    );
    assert.equal(functionStatements(synthesise().template).some(connect), false);
  });

  it('is never invoked twice for one event: neither by Lambda nor by the schedule', () => {
    const { template, function: own } = synthesise();
    template.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
      FunctionName: { Ref: own.id },
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 60,
    });
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'rate(1 minute)',
      State: 'ENABLED',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: {
        Arn: { 'Fn::GetAtt': [own.id, 'Arn'] },
        Input: '{"action":"run","maxSeconds":50}',
        RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
      },
    });
  });

  it('keeps its log when the stack goes or cannot be made: it says what became of the slot, and why', () => {
    const { template, function: own } = synthesise();
    const id = (own.properties['LoggingConfig'] as { LogGroup: { Ref: string } }).LogGroup.Ref;
    template.hasResource('AWS::Logs::LogGroup', {
      DeletionPolicy: 'Retain',
      Properties: { RetentionInDays: 30 },
    });
    assert.equal(resourcesOf(template, 'AWS::Logs::LogGroup')[id]?.DeletionPolicy, 'Retain');
  });

  it('can have its schedule switched off', () => {
    synthesise({ schedule: 'false' }).template.hasResourceProperties('AWS::Scheduler::Schedule', { State: 'DISABLED' });
  });
});

describe('the network', () => {
  it("lets the function in at the database's group, and lets it out to the database and to HTTPS only", () => {
    const { template, function: own } = synthesise({ databasePort: 6543 });
    const [
      {
        'Fn::GetAtt': [group],
      },
    ] = (own.properties['VpcConfig'] as { SecurityGroupIds: [{ 'Fn::GetAtt': [string, string] }] }).SecurityGroupIds;
    template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      GroupId: 'sg-0a1b2c3d',
      SourceSecurityGroupId: { 'Fn::GetAtt': [group, 'GroupId'] },
      IpProtocol: 'tcp',
      FromPort: 6543,
      ToPort: 6543,
    });
    template.hasResourceProperties('AWS::EC2::SecurityGroupEgress', {
      GroupId: { 'Fn::GetAtt': [group, 'GroupId'] },
      DestinationSecurityGroupId: 'sg-0a1b2c3d',
      FromPort: 6543,
      ToPort: 6543,
    });
    const { Properties } = onlyResource(template, 'AWS::EC2::SecurityGroup');
    assert.deepEqual(
      (Properties['SecurityGroupEgress'] as { CidrIp: string; FromPort: number; ToPort: number }[]).map(
        ({ CidrIp, FromPort, ToPort }) => [CidrIp, FromPort, ToPort],
      ),
      [['0.0.0.0/0', 443, 443]],
    );
    assert.equal(Properties['SecurityGroupIngress'], undefined);
    template.resourceCountIs('AWS::EC2::VPCEndpoint', 0);
  });

  it('makes endpoints that admit the function alone, and tells the function of them', () => {
    const { template, function: own } = synthesise({ endpoints: 'kinesis,secretsmanager' });
    const endpoints = Object.entries(resourcesOf(template, 'AWS::EC2::VPCEndpoint'));
    assert.deepEqual(
      endpoints
        .map(([, { Properties }]) => JSON.stringify(Properties['ServiceName']).replace(/^.*\.(.+?)".*$/, '$1'))
        .sort(),
      ['kinesis-streams', 'secretsmanager'],
    );
    for (const [id, { Properties }] of endpoints) {
      assert.equal(Properties['PrivateDnsEnabled'], false, 'other clients in the VPC are not led here');
      const [
        {
          'Fn::GetAtt': [group],
        },
      ] = Properties['SecurityGroupIds'] as [{ 'Fn::GetAtt': [string, string] }];
      const ingress = Object.values(resourcesOf(template, 'AWS::EC2::SecurityGroupIngress')).filter((rule) =>
        JSON.stringify(rule.Properties['GroupId']).includes(group),
      );
      assert.equal(ingress.length, 1);
      assert.equal(
        resourcesOf(template, 'AWS::EC2::SecurityGroup')[group]?.Properties['SecurityGroupIngress'],
        undefined,
      );
      const variables = Object.values(own.properties.Environment.Variables).map((value) => JSON.stringify(value));
      assert.ok(
        variables.some((value) => value.includes(id)),
        'the function is told its name',
      );
    }
    const { Variables } = own.properties.Environment;
    assert.ok('AWS_ENDPOINT_URL_KINESIS' in Variables && 'AWS_ENDPOINT_URL_SECRETS_MANAGER' in Variables);
    // No group is left with the rule that allows all, which one made without rules is given.
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::EC2::SecurityGroup'))) {
      const egress = (Properties['SecurityGroupEgress'] ?? []) as { CidrIp: string }[];
      assert.ok(egress.length > 0);
      assert.ok(egress.every(({ CidrIp }) => CidrIp !== '0.0.0.0/0'));
    }
  });

  /** A network in a VPC that has only subnets of one kind. */
  const network = (subnetType: ec2.SubnetType, endpoints?: ('kinesis' | 'secretsmanager')[]): SlotNetwork => {
    const stack = new Stack(new App(), 'stack');
    const egress = subnetType === ec2.SubnetType.PRIVATE_WITH_EGRESS;
    const vpc = new ec2.Vpc(stack, 'Vpc', {
      natGateways: egress ? 1 : 0,
      subnetConfiguration: [
        { name: 'only', subnetType },
        ...(egress ? [{ name: 'public', subnetType: ec2.SubnetType.PUBLIC }] : []),
      ],
    }) as ec2.IVpc; // The CDK's own types do not agree under exactOptionalPropertyTypes.
    return new SlotNetwork(stack, 'Network', {
      vpc,
      databasePort: 5432,
      databaseSecurityGroup: new ec2.SecurityGroup(stack, 'Database', { vpc }),
      services: ['kinesis', 'secretsmanager'],
      ...(endpoints === undefined ? {} : { endpoints }),
    });
  };

  it('takes the private subnets that have a route out', () => {
    assert.ok(
      network(ec2.SubnetType.PRIVATE_WITH_EGRESS).subnets.subnets?.every(({ node }) => node.id.startsWith('only')),
    );
  });

  for (const subnetType of [ec2.SubnetType.PUBLIC, ec2.SubnetType.PRIVATE_ISOLATED]) {
    it(`fails in a VPC of ${subnetType} subnets, offering endpoints or subnetIds`, () => {
      assert.throws(
        () => network(subnetType),
        /no private subnets with a route out.*endpoints=kinesis,secretsmanager.*subnetIds=/s,
      );
      assert.throws(() => network(subnetType, ['kinesis']), /endpoints=kinesis,secretsmanager/);
    });
    it(`does with ${subnetType} subnets where there are endpoints for all it calls`, () => {
      assert.ok(network(subnetType, ['kinesis', 'secretsmanager']).subnets.subnets?.length);
    });
  }

  it('fails where the VPC has to be looked up and there is no account to do it in', () => {
    const [settings] = readSettings({ pg2kinesis: { ...MINIMAL, subnetIds: undefined, availabilityZones: undefined } });
    assert.ok(settings);
    assert.throws(
      () => new Pg2KinesisStack(new App(), 'stack', { settings }),
      (error: unknown) =>
        error instanceof SettingsError &&
        /vpc-0a1b2c3d has to be looked up.*subnetIds and availabilityZones/.test(error.message),
    );
  });

  it('looks the VPC up where there is an account', () => {
    const { template } = synthesise({
      subnetIds: undefined,
      availabilityZones: undefined,
      account: '123456789012',
      region: 'eu-central-1',
    });
    template.resourceCountIs('AWS::Lambda::Function', 2);
  });
});

describe('the stream', () => {
  it('is made on-demand, encrypted, under a generated name, and kept when the stack goes', () => {
    const stream = onlyResource(synthesise().template, 'AWS::Kinesis::Stream');
    assert.deepEqual(stream.Properties, {
      RetentionPeriodHours: 24,
      StreamEncryption: { EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' },
      StreamModeDetails: { StreamMode: 'ON_DEMAND' },
    });
    // Retained in any case but one: a creation that failed, whose stream nobody has read.
    assert.equal(stream.DeletionPolicy, 'RetainExceptOnCreate');
    assert.equal(stream.UpdateReplacePolicy, 'Retain');
  });

  it('keeps records as long, takes records as large, and is encrypted with the key, as asked', () => {
    const { template } = synthesise({ streamRetentionHours: '168', maxRecordKib: '10240', streamKeyArn: KEY });
    template.hasResourceProperties('AWS::Kinesis::Stream', {
      RetentionPeriodHours: 168,
      MaxRecordSizeInKiB: 10240,
      StreamEncryption: { EncryptionType: 'KMS', KeyId: KEY },
    });
  });

  for (const [existingStream, expected] of [
    ['mine', 'arn:<AWS::Partition>:kinesis:<AWS::Region>:<AWS::AccountId>:stream/mine'],
    ['arn:aws:kinesis:us-west-2:210987654321:stream/mine', 'arn:aws:kinesis:us-west-2:210987654321:stream/mine'],
  ] as const) {
    it(`can be one that is there, which the function knows by its ARN: ${existingStream}`, () => {
      const { template, function: own } = synthesise({ existingStream });
      template.resourceCountIs('AWS::Kinesis::Stream', 0);
      assert.equal(joined(own.properties.Environment.Variables['STREAM_NAME']), expected);
    });
  }
});

describe('the outputs', () => {
  it('name stream and function, and give commands to paste that do not invoke twice', () => {
    const { template, function: own } = synthesise();
    const outputs = template.toJSON()['Outputs'] as Record<string, { Value: unknown }>;
    assert.deepEqual(Object.keys(outputs), [
      'StreamName',
      'StreamArn',
      'FunctionName',
      'LogGroupName',
      'FirstCheckCommand',
      'DrainCommand',
      'StatusCommand',
    ]);
    const marked = synthesise({ marks: 'on', format: 'json' }).template.toJSON()['Outputs'] as object;
    assert.match(JSON.stringify(marked), /"ReplicateCommand":.*npx pg2kinesis replicate --stream /);
    assert.deepEqual(outputs['FunctionName']?.Value, { Ref: own.id });
    for (const [name, action] of [
      ['FirstCheckCommand', 'check'],
      ['DrainCommand', 'drain'],
      ['StatusCommand', 'status'],
    ] as const) {
      const [, parts] = (outputs[name]?.Value as { 'Fn::Join': [string, unknown[]] })['Fn::Join'];
      const command = parts.map((part) => (typeof part === 'string' ? part : 'X')).join('');
      assert.equal(
        command,
        `AWS_MAX_ATTEMPTS=1 aws lambda invoke --region X --function-name X --cli-read-timeout 0 --cli-binary-format raw-in-base64-out --payload '{"action":"${action}"}' /dev/stdout`,
      );
    }
  });
});
