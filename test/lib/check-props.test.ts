/** The constructs refuse at synthesis what the app's settings refuse: one error a construct, each prop by its name, tokens excepted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { App, Duration, Stack, Stage, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import { AlarmTopic } from '../../lib/alarm-topic.ts';
import { PUBLISHER_PROPS } from '../../lib/check-props.ts';
import type { PartialSettings } from '../../lib/pipeline-settings.ts';
import { PropsError } from '../../lib/prop-faults.ts';
import type { PublishingProps } from '../../lib/publishing-props.ts';
import { SlotAlarms } from '../../lib/slot-alarms.ts';
import { SlotDashboard } from '../../lib/slot-dashboard.ts';
import { SlotEndpoints } from '../../lib/slot-endpoints.ts';
import { SlotLifecycle } from '../../lib/slot-lifecycle.ts';
import { SlotPublisher } from '../../lib/slot-publisher.ts';
import type { DatabaseProps, FunctionProps, NetworkProps, SlotPublisherProps } from '../../lib/slot-publisher-props.ts';
import { SlotStream } from '../../lib/slot-stream.ts';
import { STACK_SETTINGS } from '../../lib/stack-settings-table.ts';

const REGION = 'eu-central-1';
const arn = (service: string, rest: string, region = REGION): string =>
  `arn:aws:${service}:${region}:123456789012:${rest}`;
const KEY = 'key/0a1b2c3d-0000-4000-8000-000000000000';

/** A stack, and the props that suffice in it. */
function prepare(): { readonly stack: Stack; readonly props: SlotPublisherProps } {
  const stack = new Stack(new App({ builtinCloudFormationValidation: false }), 'mine', {
    env: { account: '123456789012', region: REGION },
  });
  const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-1',
    availabilityZones: [`${REGION}a`],
    privateSubnetIds: ['subnet-1'],
  });
  const props: SlotPublisherProps = {
    vpc,
    stream: new SlotStream(stack, 'Records').stream,
    databaseHost: 'db.example.com',
    databaseName: 'app',
    databaseSecret: secretsmanager.Secret.fromSecretNameV2(stack, 'Secret', 'secret'),
    code: lambda.Code.fromInline('exports.handler = async () => {};'),
  };
  return { stack, props };
}

/** The faults of what a construct is given. */
function faultsOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    assert.ok(error instanceof PropsError, String(error));
    return error.faults;
  }
  return [];
}

/** A value of each prop that is refused. */
const BAD: Readonly<Record<(typeof PUBLISHER_PROPS)[number], unknown>> = {
  endpoints: ['s3'],
  existingEndpoints: [],
  databaseHost: 'http://x:5432/app',
  databasePort: 0,
  databaseName: '',
  databaseCidr: '10.0.0.0/33',
  databaseAuth: 'none',
  databaseUser: '*',
  databaseResourceId: 'app',
  databaseSslMode: 'prefer',
  databaseSslRootCert: '',
  slotName: 'Bad-Name',
  plugin: 'decoderbufs',
  publications: ['a,b'],
  standbySlots: ['Bad-Name'],
  slotFailover: 'yes',
  sourceName: '',
  format: 'xml',
  formatter: '',
  debeziumTime: 'nanoseconds',
  debeziumTransaction: true,
  dmsNulls: 'null',
  dmsTransaction: true,
  dmsBeforeImage: true,
  onUnknownKey: 'ignore',
  partitionBy: 'schema',
  aggregation: 'gzip',
  compression: 'lzma',
  lanes: 5,
  tableIncludeList: ['('],
  tableExcludeList: ['a,b'],
  columnExcludeList: [''],
  operations: ['MERGE'],
  messages: ['a,b'],
  batchChanges: 0,
  readAhead: 'yes',
  primaryKeyTtlSeconds: 604_801,
  oversize: 'drop',
  maxRecordKib: 10_241,
  marks: true,
  linger: true,
  lingerDuty: 0,
  snapshot: 'always',
  snapshotShare: 0,
  logLevel: 'TRACE',
  schedule: 'yes',
  memoryMib: 10,
  reservedConcurrency: 1,
  tracing: 'on',
  functionName: 'a b',
  separateAdmin: 'yes',
};

/** The props that are settings, but for those of the sign-in, which are not the same in all its kinds, and a construct's. */
type SettingProps = Exclude<keyof PartialSettings, 'architecture'> &
  keyof (NetworkProps & DatabaseProps & PublishingProps & FunctionProps);
/** A prop that nobody checks does not compile. */
const unchecked: Exclude<SettingProps, (typeof PUBLISHER_PROPS)[number]>[] = [];
assert.deepEqual(unchecked satisfies never[], []);

describe('SlotPublisher', () => {
  it('refuses what the settings refuse, all of it in one error that names prop, value and what is allowed', () => {
    const { stack, props } = prepare();
    const given = {
      ...props,
      ...BAD,
      runTime: Duration.minutes(20),
      pipelineName: '',
    } as unknown as SlotPublisherProps;
    const faults = faultsOf(() => new SlotPublisher(stack, 'Publisher', given));
    assert.deepEqual(faults, [
      ...PUBLISHER_PROPS.map(
        (name) => `${name} cannot be ${JSON.stringify(BAD[name])}: it must be ${STACK_SETTINGS[name].expects}.`,
      ),
      'pipelineName cannot be "": it must be 1 to 128 characters.',
      'runTime cannot be 1200 seconds: it must be a whole number of seconds from 1 to 840.',
    ]);
  });

  it('says in its error which construct it is', () => {
    const { stack, props } = prepare();
    assert.throws(() => new SlotPublisher(stack, 'Publisher', { ...props, lanes: 5 }), {
      name: 'PropsError',
      message:
        'SlotPublisher "mine/Publisher": a prop is wrong, nothing was synthesised:\n\n- lanes cannot be 5: it must be one of 1, 2, 4, 8, 16, 32, 64, 128, 256.\n',
    });
  });

  it('lets tokens pass', () => {
    const { stack, props } = prepare();
    const text = Token.asString({ Ref: 'Parameter' });
    const given = {
      ...props,
      databaseHost: text,
      databasePort: Token.asNumber({ Ref: 'Port' }),
      slotName: text,
      format: text,
      memoryMib: Token.asNumber({ Ref: 'Memory' }),
      tableIncludeList: ['public\\.a', text],
      pipelineName: text,
      runTime: Duration.seconds(Token.asNumber({ Ref: 'Seconds' })),
    } as unknown as SlotPublisherProps;
    assert.deepEqual(
      faultsOf(() => new SlotPublisher(stack, 'Publisher', given)),
      [],
    );
  });

  it('refuses what props have against each other', () => {
    for (const [given, pattern] of [
      [{ aggregation: 'lines', format: 'csv' }, /^aggregation cannot be "lines" with format csv/],
      [{ linger: 'on', runTime: Duration.seconds(20) }, /^runTime has no effect with linger on/],
      [{ publications: ['p'] }, /^publications has no effect with plugin test_decoding/],
      [{ endpoints: ['kinesis'], existingEndpoints: ['kinesis'] }, /^endpoints and existingEndpoints cannot both/],
    ] as const) {
      const { stack, props } = prepare();
      const [fault = '', ...others] = faultsOf(() => new SlotPublisher(stack, 'Publisher', { ...props, ...given }));
      assert.match(fault, pattern);
      assert.deepEqual(others, []);
    }
  });

  it('refuses a time-out that something has shortened, where runs linger', () => {
    for (const [given, seconds, said] of [
      [{ linger: 'on' }, 60, /linger cannot be "on" with a function time-out of 60 seconds.* it must be 300 at least/],
      [{ linger: 'on' }, 900, undefined],
      [{}, 60, undefined],
    ] as const) {
      const { stack, props } = prepare();
      const { function: made } = new SlotPublisher(stack, 'Publisher', { ...props, ...given });
      (made.node.defaultChild as lambda.CfnFunction).timeout = seconds;
      const synthesise = () => Stage.of(stack)?.synth();
      if (said === undefined) synthesise();
      else assert.throws(synthesise, said);
    }
  });

  it('refuses a secret and keys of another region or partition, by prop', () => {
    const { stack, props } = prepare();
    const key = (id: string): kms.IKey => kms.Key.fromKeyArn(stack, id, arn('kms', KEY, 'us-east-1'));
    const faults = faultsOf(
      () =>
        new SlotPublisher(stack, 'Publisher', {
          ...props,
          databaseSecret: secretsmanager.Secret.fromSecretCompleteArn(
            stack,
            'Gov',
            arn('secretsmanager', 'secret:s-AbCdEf', 'us-gov-west-1').replace('aws', 'aws-us-gov'),
          ),
          logKey: key('LogKey'),
          environmentKey: key('EnvironmentKey'),
          stream: kinesis.Stream.fromStreamArn(stack, 'Elsewhere', arn('kinesis', 'stream/s', 'us-west-2')),
          endpoints: ['kinesis'],
        } as SlotPublisherProps),
    );
    assert.deepEqual(
      faults.map((fault) => fault.replace(/"arn:\S+"/, '...').slice(0, 60)),
      [
        'endpoints cannot hold "kinesis" with a stream of us-west-2: ',
        'databaseSecret cannot be ...: its partition is aws-us-gov, a',
        'logKey cannot be ...: its region is us-east-1, and that of t',
        'environmentKey cannot be ...: its region is us-east-1, and t',
      ],
    );
  });

  it('refuses a role of another account, and a secret of one without a key of its own', () => {
    const { stack, props } = prepare();
    const foreign = (text: string): string => text.replace('123456789012', '210987654321');
    const secretCompleteArn = foreign(arn('secretsmanager', 'secret:s-AbCdEf'));
    const role = iam.Role.fromRoleArn(stack, 'Foreign', 'arn:aws:iam::210987654321:role/cdc');
    const databaseSecret = secretsmanager.Secret.fromSecretCompleteArn(stack, 'Theirs', secretCompleteArn);
    const given = { ...props, role, databaseSecret } as SlotPublisherProps;
    const [ofRole = '', ofSecret = '', ...others] = faultsOf(() => new SlotPublisher(stack, 'Publisher', given));
    assert.match(ofRole, /^role cannot be ".*": its account is 210987654321, /);
    assert.match(ofSecret, /^databaseSecret has no encryptionKey: the secret is of account 210987654321, /);
    assert.deepEqual(others, []);
  });
});

describe('the other constructs', () => {
  const { stack, props } = prepare();
  const publisher = new SlotPublisher(stack, 'Publisher', props);
  let count = 0;
  const id = (): string => `Made${++count}`;
  const elsewhere = kms.Key.fromKeyArn(stack, 'Key', arn('kms', KEY, 'us-east-1'));
  const topic = sns.Topic.fromTopicArn(stack, 'Topic', arn('sns', 'oncall', 'ap-south-1'));

  for (const [title, make, expected] of [
    [
      'SlotAlarms',
      () =>
        new SlotAlarms(stack, id(), {
          publisher,
          email: 'nobody',
          topic,
          lag: Duration.seconds(59),
          retainedWalGib: 0.5,
        }),
      [
        'email and topic',
        'email cannot be "nobody"',
        'topic cannot be',
        'lag cannot be 59',
        'retainedWalGib cannot be 0.5',
      ],
    ],
    ['AlarmTopic', () => new AlarmTopic(stack, id(), { email: 'a@b, c@d' }), ['email cannot be "a@b, c@d"']],
    [
      'SlotStream',
      () =>
        new SlotStream(stack, id(), {
          retention: Duration.hours(23),
          maxRecordKib: 1000,
          logicalId: 'a-b',
          key: elsewhere,
        }),
      ['retention cannot be 82800', 'maxRecordKib cannot be 1000', 'logicalId cannot be "a-b"', 'key cannot be'],
    ],
    [
      'SlotLifecycle',
      () => new SlotLifecycle(stack, id(), { publisher, onRemoval: 'keep' as 'retain', logicalId: '' }),
      ['onRemoval cannot be "keep"', 'logicalId cannot be ""'],
    ],
    [
      'SlotDashboard',
      () => new SlotDashboard(stack, id(), { publisher, dashboardName: 'a b' }),
      ['dashboardName cannot be "a b"'],
    ],
    [
      'SlotEndpoints',
      () => new SlotEndpoints(stack, id(), { vpc: props.vpc, vpcSubnets: {}, services: ['s3' as 'kinesis'] }),
      ['services cannot be ["s3"]'],
    ],
  ] as const) {
    it(`${title} refuses what the settings refuse, in one error`, () => {
      const faults = faultsOf(make);
      assert.equal(faults.length, expected.length, faults.join('\n'));
      for (const [index, beginning] of expected.entries())
        assert.ok(faults[index]?.startsWith(beginning), faults[index]);
    });
  }
});
