/** A `StreamReplica`: what is made, who may do what, what is refused, and what rule packs say. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import {
  AwsSolutionsChecks,
  HIPAASecurityChecks,
  NIST80053R4Checks,
  NIST80053R5Checks,
  PCIDSS321Checks,
} from 'cdk-nag';
import { SlotPublisher } from '../../lib/slot-publisher.ts';
import type { SlotPublisherProps } from '../../lib/slot-publisher-props.ts';
import { SlotStream } from '../../lib/slot-stream.ts';
import { StreamReplica } from '../../lib/stream-replica.ts';
import type { StreamReplicaProps } from '../../lib/stream-replica-props.ts';
import { readSettings as readFunctionSettings } from '../../replica/function/settings.ts';
import { resourcesOf } from './synth.ts';

const code = lambda.Code.fromInline('exports.handler = async () => {};');

/** A stack with a publisher and a replica of its stream. */
function made(
  over: Partial<StreamReplicaProps> = {},
  publishing: Partial<SlotPublisherProps> = {},
  more: (stack: Stack, vpc: ec2.IVpc) => void = () => undefined,
) {
  const app = new App({ builtinCloudFormationValidation: false });
  const stack = new Stack(app, 'mine', { env: { account: '123456789012', region: 'eu-central-1' } });
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-1',
    availabilityZones: ['eu-central-1a'],
    privateSubnetIds: ['subnet-1'],
  });
  const group = (id: string) => ec2.SecurityGroup.fromSecurityGroupId(stack, id, `sg-${id}`);
  const secret = (id: string) => secretsmanager.Secret.fromSecretNameV2(stack, id, id);
  const publisher = new SlotPublisher(stack, 'Changes', {
    vpc,
    stream: new SlotStream(stack, 'Stream').stream,
    databaseHost: 'db.example.com',
    databaseName: 'app',
    databaseSecret: secret('source'),
    databaseSecurityGroup: group('source-group'),
    format: 'json',
    marks: 'on',
    code,
    ...publishing,
  } as SlotPublisherProps);
  new StreamReplica(stack, 'Copy', {
    publisher,
    vpc,
    databaseHost: 'copy.example.com',
    databaseName: 'app',
    databaseSecret: secret('target'),
    databaseSecurityGroup: group('target-group'),
    email: 'oncall@example.com',
    code,
    ...over,
  } as StreamReplicaProps);
  more(stack, vpc);
  return { app, stack, template: Template.fromStack(stack) };
}

/** What a function may do, as `Effect Action` each with its resources. */
function rights(template: Template, prefix: string): [string, string][] {
  return Object.entries(resourcesOf(template, 'AWS::IAM::Policy'))
    .filter(([id]) => id.startsWith(prefix))
    .flatMap(
      ([, { Properties }]) =>
        (
          Properties['PolicyDocument'] as {
            Statement: { Effect: string; Action: string | string[]; Resource: unknown }[];
          }
        ).Statement,
    )
    .map(({ Effect, Action, Resource }) => [`${Effect} ${[Action].flat().join(' ')}`, JSON.stringify(Resource)]);
}

describe('a StreamReplica', () => {
  it('gives the function a shard’s records in order, again until they are applied, and in halves', () => {
    const { template } = made();
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 100,
      BisectBatchOnFunctionError: true,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ParallelizationFactor: 1,
      StartingPosition: 'TRIM_HORIZON',
      MaximumRetryAttempts: Match.absent(),
      MaximumRecordAgeInSeconds: Match.absent(),
      DestinationConfig: {
        OnFailure: { Destination: { 'Fn::GetAtt': [Match.stringLikeRegexp('^CopyFailures'), 'Arn'] } },
      },
    });
    made({ retryAttempts: 3, maxRecordAge: Duration.hours(1), batchSize: 7 }).template.hasResourceProperties(
      'AWS::Lambda::EventSourceMapping',
      { BatchSize: 7, MaximumRetryAttempts: 3, MaximumRecordAgeInSeconds: 3600 },
    );
  });

  it('leaves the mapping as it is where the copy gets another name or target: only a new one begins at the oldest record', () => {
    const mapping = (over: Partial<StreamReplicaProps>) =>
      resourcesOf(made(over).template, 'AWS::Lambda::EventSourceMapping');
    assert.equal(Object.keys(mapping({})).length, 1);
    for (const over of [
      { replicaName: 'other' },
      { databaseHost: 'other.example.com' },
      { databaseName: 'other' },
      { sourceName: 'other' },
    ])
      assert.deepEqual(mapping(over), mapping({}));
    assert.notDeepEqual(mapping({ batchSize: 7 }), mapping({}));
  });

  it('writes an environment that its function reads, and that names no secret', () => {
    const { template } = made({
      replicaName: 'c',
      sourceName: 's',
      startAfter: '0/16B3748',
      awaitSnapshot: false,
      skipMissing: true,
      skipTruncated: true,
      triggers: false,
    });
    const [[, own] = []] = Object.entries(resourcesOf(template, 'AWS::Lambda::Function')).filter(([id]) =>
      id.startsWith('CopyFunction'),
    );
    const { Variables: variables } = own?.Properties['Environment'] as { Variables: Record<string, unknown> };
    const { DATABASE_SECRET_ARN: arn, POWERTOOLS_SERVICE_NAME: service, NODE_OPTIONS: options, ...others } = variables;
    assert.ok(arn !== undefined && options !== undefined);
    assert.match(String(service), /^mineCopy|^mine-Copy/);
    assert.deepEqual(others, {
      PGHOST: 'copy.example.com',
      PGPORT: '5432',
      PGDATABASE: 'app',
      REPLICA_NAME: 'c',
      SOURCE_NAME: 's',
      START_AFTER: '0/16B3748',
      AWAIT_SNAPSHOT: 'off',
      SKIP_MISSING: 'on',
      SKIP_TRUNCATED: 'on',
      TRIGGERS: 'off',
    });
    const read = readFunctionSettings({ ...(others as Record<string, string>), DATABASE_SECRET_ARN: 'arn:x' });
    assert.deepEqual(
      { ...read, database: { host: read.database.host, auth: read.database.auth } },
      {
        database: { host: 'copy.example.com', auth: 'secret' },
        name: 'c',
        source: 's',
        startAfter: 0x16b3748n,
        awaitsSnapshot: false,
        skipMissing: true,
        skipTruncated: true,
        allowTriggers: false,
      },
    );
  });

  it('gives its function what docs/replica.md says where nothing is asked for, and how the target is signed in to', () => {
    const environmentOf = (over: Partial<StreamReplicaProps>, publishing: Partial<SlotPublisherProps> = {}) => {
      const found = Object.entries(resourcesOf(made(over, publishing).template, 'AWS::Lambda::Function'));
      const [, own] = found.find(([id]) => id.startsWith('CopyFunction')) ?? [];
      assert.equal(own?.Properties['MemorySize'], 512);
      return (own.Properties['Environment'] as { Variables: Record<string, unknown> }).Variables;
    };
    const plain = Object.keys(environmentOf({}));
    assert.deepEqual(
      plain.filter((name) => /^(PG|DATABASE|REPLICA|SOURCE|START|AWAIT|SKIP|TRIGGERS)/.test(name)).sort(),
      [...['DATABASE_SECRET_ARN', 'PGDATABASE', 'PGHOST', 'PGPORT']],
    );
    const { PGSSLMODE, PGSSLROOTCERT, SOURCE_NAME } = environmentOf(
      { databaseSslMode: 'verify-ca', databaseSslRootCert: '/opt/ca.pem' },
      { sourceName: 'shop' },
    );
    assert.deepEqual([PGSSLMODE, PGSSLROOTCERT, SOURCE_NAME], ['verify-ca', '/opt/ca.pem', 'shop']);
    const signed = { databaseAuth: 'iam', databaseUser: 'copier', databaseResourceId: 'db-ABCDEFGHIJKL01234' } as const;
    const { DATABASE_AUTH, PGUSER, DATABASE_SECRET_ARN } = environmentOf({
      ...signed,
      databaseSecret: undefined,
    } as never);
    assert.deepEqual([DATABASE_AUTH, PGUSER, DATABASE_SECRET_ARN], ['iam', 'copier', undefined]);
  });

  it('may read the one stream, its secret, write its log, and send to its queue: nothing else', () => {
    const { template } = made();
    const own = rights(template, 'CopyRole').concat(rights(template, 'CopyFunctionCode'));
    assert.deepEqual(
      own.map(([right, resource]) => [
        right.replace(/ec2:.*/, 'ec2'),
        /Copy[A-Z][a-z]+|Stream|target|"\*"/.exec(resource)?.[0],
      ]),
      [
        ['Allow logs:CreateLogStream logs:PutLogEvents', 'CopyLog'],
        ['Allow ec2', '"*"'],
        ['Allow secretsmanager:GetSecretValue', 'target'],
        ['Allow sqs:SendMessage sqs:GetQueueAttributes sqs:GetQueueUrl', 'CopyFailures'],
        // As the CDK grants them to whoever reads a stream; all of them on this one.
        [
          'Allow kinesis:DescribeStreamSummary kinesis:GetRecords kinesis:GetShardIterator kinesis:ListShards kinesis:SubscribeToShard kinesis:DescribeStream kinesis:ListStreams kinesis:DescribeStreamConsumer',
          'Stream',
        ],
        ['Deny ec2', '"*"'],
      ],
    );
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::IAM::Role')))
      assert.equal(Properties['ManagedPolicyArns'], undefined, 'managed policies allow every log');
    // And may decrypt a stream that has a key.
    const { template: both } = made({}, {}, (stack, vpc) => {
      new StreamReplica(stack, 'Other', {
        stream: new kinesis.Stream(stack, 'Encrypted', { encryptionKey: new kms.Key(stack, 'Key') }),
        vpc,
        databaseHost: 'copy.example.com',
        databaseName: 'app',
        databaseAuth: 'iam',
        databaseUser: 'copier',
        databaseResourceId: 'db-ABCDEFGHIJKL01234',
        databaseCidr: '10.0.0.0/16',
        code,
      });
    });
    const others = rights(both, 'OtherRole').map(([right]) => right);
    assert.ok(others.includes('Allow kms:Decrypt') && others.includes('Allow rds-db:connect'), others.join('\n'));
    assert.ok(!others.some((right) => right.includes('secretsmanager')));
  });

  it('is behind after five minutes, unless told otherwise', () => {
    made().template.hasResourceProperties('AWS::CloudWatch::Alarm', { MetricName: 'IteratorAge', Threshold: 300_000 });
  });

  it('raises an alarm where records are not applied, where none come, and where Lambda has given some up', () => {
    const { template } = made({ iteratorAge: Duration.minutes(10), runbookUrl: 'https://wiki.example.com/runbook' });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Namespace: 'AWS/Lambda',
      MetricName: 'IteratorAge',
      Statistic: 'Maximum',
      Threshold: 600_000,
      EvaluationPeriods: 5,
      TreatMissingData: 'ignore',
      AlarmDescription: Match.stringLikeRegexp('over 600 seconds old.*runbook#alarm-replicabehind'),
      AlarmActions: [{ Ref: Match.stringLikeRegexp('^CopyTopic') }],
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'Invocations',
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      Period: 3600,
      EvaluationPeriods: 3,
      TreatMissingData: 'breaching',
      AlarmDescription: Match.stringLikeRegexp('nothing for three hours.*runbook#alarm-replicasilent'),
      AlarmActions: [{ Ref: Match.stringLikeRegexp('^CopyTopic') }],
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Threshold: 0,
      EvaluationPeriods: 1,
      AlarmDescription: Match.stringLikeRegexp('not equal any more.*runbook#alarm-replicaleftout'),
      AlarmActions: [{ Ref: Match.stringLikeRegexp('^CopyTopic') }],
    });
  });

  it('has the logical IDs that are deployed already', () => {
    const { template } = made();
    const ids = (type: string): string[] =>
      Object.keys(resourcesOf(template, type)).filter((id) => id.startsWith('Copy'));
    assert.deepEqual(
      ['AWS::Lambda::Function', 'AWS::Lambda::EventSourceMapping', 'AWS::SQS::Queue', 'AWS::Logs::LogGroup'].map(ids),
      IDS,
    );
  });

  it('has a way to a target with an IPv6 address', () => {
    made({ databaseHost: 'fd00::1' }).template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ PGHOST: 'fd00::1' }) },
      VpcConfig: Match.objectLike({ Ipv6AllowedForDualStack: true }),
    });
  });

  it('refuses a stream of another region, which Lambda does not read', () => {
    const elsewhere = (scope: Stack) =>
      kinesis.Stream.fromStreamArn(scope, 'Far', 'arn:aws:kinesis:us-east-1:123456789012:stream/orders');
    assert.throws(
      () => made({ stream: elsewhere(new Stack()), publisher: undefined } as unknown as Partial<StreamReplicaProps>),
      /- stream cannot be of us-east-1: Lambda reads streams of its own region only, and that of the stack is eu-central-1/,
    );
    assert.throws(
      () => made({}, { stream: elsewhere(new Stack()) }),
      /- publisher cannot have a stream of us-east-1: Lambda reads streams of its own region only/,
    );
  });

  it('refuses a role of another account', () => {
    const scope = new Stack();
    const role = iam.Role.fromRoleArn(scope, 'Foreign', 'arn:aws:iam::210987654321:role/cdc');
    assert.throws(() => made({ role }), /- role cannot be ".*": its account is 210987654321, and that of the stack /);
  });

  it('fails with every prop that is wrong, in one error', () => {
    assert.throws(
      () =>
        made(
          {
            batchSize: 0,
            retryAttempts: 1.5,
            startAfter: 'now',
            replicaName: '',
            iteratorAge: Duration.seconds(1),
            databaseName: '',
          },
          { marks: 'off', partitionBy: 'transaction', maxRecordKib: 4097 },
        ),
      (error: Error) => {
        for (const name of ['batchSize', 'retryAttempts', 'startAfter', 'replicaName', 'iteratorAge', 'databaseName'])
          assert.match(error.message, new RegExp(`- ${name} cannot be`), name);
        assert.match(error.message, /- publisher must have marks 'on'/);
        assert.match(error.message, /- publisher cannot have partitionBy transaction/);
        assert.match(error.message, /- publisher cannot have maxRecordKib above 4096/);
        return true;
      },
    );
    assert.throws(
      () => made({ startAfter: '0/16B3748', awaitSnapshot: true }),
      /- startAfter and awaitSnapshot cannot both be given/,
    );
    assert.throws(
      () => made({}, { format: 'csv', marks: 'off' }),
      /publisher cannot have format csv: a replica reads json/,
    );
  });

  it('breaks no rule of cdk-nag’s packs that is not waived with a reason', () => {
    const { app, stack } = made({ tracing: true, reservedConcurrency: 5 });
    const packs = [AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R4Checks, NIST80053R5Checks, PCIDSS321Checks];
    const found = packs
      .flatMap((Pack) => new Pack(app).validateScope(stack).violations)
      .flatMap(({ ruleName, violatingResources }) =>
        violatingResources.map(
          (resource) => `${ruleName} ${'constructPath' in resource ? resource.constructPath : ''}`,
        ),
      );
    assert.deepEqual(
      found.filter((each) => each.includes('/Copy')),
      [],
    );
  });
});

const IDS: readonly (readonly string[])[] = [
  ['CopyFunction200F5BCE'],
  ['CopyFunctionKinesisEventSourcemineStream15978A223A7D33D7'],
  ['CopyFailuresEE3A1E8B'],
  ['CopyLog2C1088BE'],
];
