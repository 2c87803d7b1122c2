/** What a grown-up account asks for: its own groups, roles, keys and endpoints, and a database or stream that is elsewhere. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { rootCertificates } from 'node:tls';
import { App, SecretValue, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { SettingsError } from '../../lib/settings.ts';
import { SlotEndpoints } from '../../lib/slot-endpoints.ts';
import { SlotLifecycle } from '../../lib/slot-lifecycle.ts';
import { SlotPublisher } from '../../lib/slot-publisher.ts';
import type { SlotPublisherProps } from '../../lib/slot-publisher-props.ts';
import { SubnetsError } from '../../lib/slot-subnets.ts';
import { functionStatements, IAM, joined, MINIMAL, onlyResource, resourcesOf, synthesise } from './synth.ts';

const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000';
const ENV = { account: '123456789012', region: 'eu-central-1' };

/** A stack of a user's, with a VPC, and what a publisher needs besides. */
function scene(options: { readonly env?: typeof ENV; readonly vpc?: ec2.VpcProps } = {}) {
  const app = new App({ builtinCloudFormationValidation: false });
  const stack = new Stack(app, 'mine', options.env === undefined ? {} : { env: options.env });
  const vpc = new ec2.Vpc(stack, 'Vpc', { maxAzs: 2, ...options.vpc }) as ec2.IVpc;
  const base = {
    vpc,
    databaseName: 'app',
    databaseSecret: new secretsmanager.Secret(stack, 'Secret') as secretsmanager.ISecret,
    code: lambda.Code.fromInline('exports.handler = async () => {};'),
  };
  const publish = (props: Partial<SlotPublisherProps> & { stream?: kinesis.IStream } = {}): SlotPublisher =>
    new SlotPublisher(stack, 'Publisher', {
      ...base,
      ...(props.database === undefined ? { databaseHost: 'db.example.com' } : {}),
      stream: props.stream ?? new kinesis.Stream(stack, 'Stream'),
      ...props,
    } as SlotPublisherProps);
  return { app, stack, vpc, base, publish };
}

/** What the function's own groups let out: to where, at which ports. */
function egress(template: Template): unknown[] {
  return [
    ...Object.values(resourcesOf(template, 'AWS::EC2::SecurityGroup')).flatMap(
      ({ Properties }) => (Properties['SecurityGroupEgress'] ?? []) as Record<string, unknown>[],
    ),
    ...Object.values(resourcesOf(template, 'AWS::EC2::SecurityGroupEgress')).map(({ Properties }) => Properties),
  ].map((rule) => [rule['CidrIp'] ?? rule['CidrIpv6'] ?? rule['DestinationSecurityGroupId'], rule['FromPort']]);
}

describe("the database's security group", () => {
  it('is given no rule where it was imported with mutable: false', () => {
    const { stack, publish } = scene();
    const group = ec2.SecurityGroup.fromSecurityGroupId(stack, 'Database', 'sg-0a1b2c3d', { mutable: false });
    const publisher = publish({ databaseSecurityGroup: group });
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
    assert.equal(publisher.admitted, false);
    assert.deepEqual(egress(template), [
      ['0.0.0.0/0', 443],
      ['sg-0a1b2c3d', 5432],
    ]);
  });

  it('is given one where it was imported without, and where it is made here', () => {
    for (const made of [true, false]) {
      const { stack, vpc, publish } = scene();
      const group = made
        ? new ec2.SecurityGroup(stack, 'Database', { vpc })
        : ec2.SecurityGroup.fromSecurityGroupId(stack, 'Database', 'sg-0a1b2c3d');
      assert.equal(publish({ databaseSecurityGroup: group }).admitted, true);
      Template.fromStack(stack).resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
    }
  });

  it('is left alone with databaseIngress false, and an output names the group to admit', () => {
    const { template } = synthesise({ databaseIngress: false, databasePort: 6543 });
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
    const { FunctionSecurityGroupId: output } = template.toJSON()['Outputs'] as Record<string, { Description: string }>;
    assert.match(output?.Description ?? '', /has to admit, at TCP port 6543/);
  });

  for (const [title, settings, expected, ipv6] of [
    ['any address', {}, '0.0.0.0/0', undefined],
    ['IPv4 addresses', { databaseCidr: '10.1.0.0/16' }, '10.1.0.0/16', undefined],
    ['IPv6 addresses', { databaseCidr: 'fd00::/8' }, 'fd00::/8', true],
    ['any IPv6 address where the database has one', { databaseHost: 'fd00::1' }, '::/0', true],
  ] as const) {
    it(`is not needed: the function may then connect to ${title}, at the database's port`, () => {
      const { template, function: made } = synthesise({ databaseSecurityGroupId: undefined, ...settings });
      const network = made.properties['VpcConfig'] as { readonly Ipv6AllowedForDualStack?: boolean };
      assert.equal(network.Ipv6AllowedForDualStack, ipv6);
      template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
      assert.deepEqual(egress(template), [
        [expected, 5432],
        ['0.0.0.0/0', 443],
      ]);
    });
  }
});

describe('the database as a construct', () => {
  it('gives host, port and security group of an instance', () => {
    const { stack, vpc, publish } = scene();
    const database = new rds.DatabaseInstance(stack, 'Database', {
      vpc,
      engine: rds.DatabaseInstanceEngine.POSTGRES,
      credentials: rds.Credentials.fromPassword('admin', SecretValue.unsafePlainText('not-a-secret')),
    });
    const publisher = publish({ database });
    new SlotLifecycle(stack, 'Slot', { publisher });
    const template = Template.fromStack(stack);
    const host = { 'Fn::GetAtt': [Match.stringLikeRegexp('^Database'), 'Endpoint.Address'] };
    template.hasResourceProperties('AWS::Lambda::Function', {
      Handler: 'handler.handler',
      Environment: {
        Variables: { PGHOST: host, PGPORT: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Database'), 'Endpoint.Port'] } },
      },
    });
    template.hasResourceProperties('Custom::Pg2KinesisSlot', { databaseHost: host });
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
  });

  it("gives the writer's of a cluster, unless another is given", () => {
    const { stack, publish } = scene();
    const database = rds.DatabaseCluster.fromDatabaseClusterAttributes(stack, 'Database', {
      clusterIdentifier: 'app',
      clusterEndpointAddress: 'writer.example.com',
      readerEndpointAddress: 'reader.example.com',
      port: 5433,
      securityGroups: [ec2.SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-0a1b2c3d')],
    });
    publish({ database, databasePort: 6000 });
    Template.fromStack(stack).hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: { PGHOST: 'writer.example.com', PGPORT: '6000' } },
    });
  });
});

describe('the database as a construct, with IAM authentication', () => {
  const iam = { databaseAuth: 'iam', databaseUser: 'cdc', databaseSecret: undefined } as object;
  const connectTo = (template: Template): string =>
    joined(functionStatements(template).find(({ Action }) => Action === 'rds-db:connect')?.['Resource']);

  it('gives the resource ID of an instance, and of a cluster', () => {
    const instance = scene();
    const database = new rds.DatabaseInstance(instance.stack, 'Database', {
      vpc: instance.vpc,
      engine: rds.DatabaseInstanceEngine.POSTGRES,
      iamAuthentication: true,
    });
    instance.publish({ ...iam, database });
    assert.match(connectTo(Template.fromStack(instance.stack)), /:dbuser:.*Database.*DbiResourceId.*\/cdc$/);

    const cluster = scene();
    cluster.publish({
      ...iam,
      database: rds.DatabaseCluster.fromDatabaseClusterAttributes(cluster.stack, 'Database', {
        clusterIdentifier: 'app',
        clusterEndpointAddress: 'writer.example.com',
        clusterResourceIdentifier: 'cluster-ABCDEFGHIJKL01234',
        port: 5432,
      }),
    });
    assert.match(connectTo(Template.fromStack(cluster.stack)), /:dbuser:cluster-ABCDEFGHIJKL01234\/cdc$/);
  });

  it('is refused where it does not have what is needed, and taken with what it lacks beside it', () => {
    const { stack, publish } = scene();
    const database = rds.DatabaseCluster.fromDatabaseClusterAttributes(stack, 'Database', { clusterIdentifier: 'app' });
    assert.throws(
      () => publish({ ...iam, database }),
      /databaseHost is missing[^]*databaseResourceId is missing: databaseAuth iam needs it/,
    );
    const other = scene();
    const same = rds.DatabaseCluster.fromDatabaseClusterAttributes(other.stack, 'Database', {
      clusterIdentifier: 'app',
    });
    const given = { databaseHost: 'db.example.com', databaseResourceId: 'cluster-ABCDEFGHIJKL01234' };
    other.publish({ ...iam, database: same, ...given });
    assert.match(connectTo(Template.fromStack(other.stack)), /cluster-ABCDEFGHIJKL01234\/cdc$/);
  });

  it('is refused where it is no PostgreSQL', () => {
    const { stack, vpc, publish } = scene();
    const database = new rds.DatabaseInstance(stack, 'Database', { vpc, engine: rds.DatabaseInstanceEngine.MYSQL });
    assert.throws(() => publish({ database }), /database cannot be of the engine mysql: it must be PostgreSQL/);
  });
});

describe('a consumer of the stream', () => {
  const consumerIn = (stack: Stack): lambda.Function =>
    new lambda.Function(stack, 'Consumer', {
      runtime: lambda.Runtime.NODEJS_22_X,
      handler: 'index.handler',
      code: lambda.Code.fromInline('exports.handler = async () => {};'),
    });
  const policyOf = (template: Template, role: string): string =>
    JSON.stringify(Object.entries(resourcesOf(template, 'AWS::IAM::Policy')).filter(([id]) => id.startsWith(role)));

  it('is invoked by an event source from the oldest record on, and may read the stream and its key', () => {
    const { stack, publish } = scene();
    const key = new kms.Key(stack, 'Key');
    const publisher = publish({ stream: new kinesis.Stream(stack, 'Encrypted', { encryptionKey: key }) });
    consumerIn(stack).addEventSource(publisher.eventSource({ batchSize: 500 }));
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 500,
      StartingPosition: 'TRIM_HORIZON',
      EventSourceArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Encrypted'), 'Arn'] },
    });
    const rights = policyOf(template, 'ConsumerServiceRole');
    for (const action of ['kinesis:GetRecords', 'kinesis:GetShardIterator', 'kinesis:ListShards', 'kms:Decrypt'])
      assert.ok(rights.includes(action), action);
    assert.ok(!rights.includes('kinesis:PutRecords'));
  });

  it('is given the rights alone by grantRead', () => {
    const { stack, publish } = scene();
    const consumer = consumerIn(stack);
    assert.ok(publish().grantRead(consumer).success);
    const template = Template.fromStack(stack);
    template.resourceCountIs('AWS::Lambda::EventSourceMapping', 0);
    assert.ok(policyOf(template, 'ConsumerServiceRole').includes('kinesis:GetRecords'));
  });

  it('is refused a filter where Lambda would discard what it cannot look into', () => {
    const filters = [lambda.FilterCriteria.filter({ data: { op: ['INSERT'] } })];
    for (const props of [
      { format: 'json' },
      { format: 'json', aggregation: 'lines' },
      { aggregation: 'none' },
    ] as const)
      assert.throws(() => scene().publish(props).eventSource({ filters }), /filters cannot be given with aggregation/);
    const { stack, publish } = scene();
    consumerIn(stack).addEventSource(publish({ format: 'json', aggregation: 'none' }).eventSource({ filters }));
    Template.fromStack(stack).hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      FilterCriteria: { Filters: [{ Pattern: '{"data":{"op":["INSERT"]}}' }] },
    });
  });
});

describe('a stream of another account', () => {
  const elsewhere = (stack: Stack): kinesis.IStream =>
    kinesis.Stream.fromStreamAttributes(stack, 'Stream', {
      streamArn: 'arn:aws:kinesis:us-west-2:210987654321:stream/orders',
      encryptionKey: kms.Key.fromKeyArn(stack, 'Key', KEY.replace('eu-central-1', 'us-west-2')),
    });

  it('is named by its ARN where it was imported, and its key is used in its region', () => {
    const { stack, publish } = scene({ env: ENV });
    publish({ stream: elsewhere(stack) });
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: { STREAM_NAME: 'arn:aws:kinesis:us-west-2:210987654321:stream/orders' } },
    });
    const key = functionStatements(template).find(({ Action }) => Action === 'kms:GenerateDataKey');
    assert.match(
      joined((key?.['Condition'] as { StringEquals: Record<string, unknown> }).StringEquals['kms:ViaService']),
      /^kinesis\.us-west-2\./,
    );
  });

  it('is given a resource policy that admits the function where it is part of the app', () => {
    const { app, stack, publish } = scene({ env: ENV });
    const other = new Stack(app, 'other', { env: { account: '210987654321', region: 'us-west-2' } });
    const stream = new kinesis.Stream(other, 'Stream', { streamName: 'orders' });
    publish({ stream });
    const own = onlyResource(Template.fromStack(stack), 'AWS::Lambda::Function');
    const { Variables } = own.Properties['Environment'] as { Variables: Record<string, unknown> };
    assert.match(joined(Variables['STREAM_NAME']), /:kinesis:us-west-2:210987654321:stream\/orders$/);
    const policy = onlyResource(Template.fromStack(other), 'AWS::Kinesis::ResourcePolicy');
    const [statement] = (policy.Properties['ResourcePolicy'] as { Statement: Record<string, unknown>[] }).Statement;
    assert.deepEqual(statement?.['Action'], ['kinesis:PutRecords', 'kinesis:DescribeStreamSummary']);
    assert.match(joined((statement['Principal'] as { AWS: unknown }).AWS), /iam::123456789012:role\//);
  });
});

describe('subnets', () => {
  for (const [kind, subnetType] of [
    ['public', ec2.SubnetType.PUBLIC],
    ['isolated', ec2.SubnetType.PRIVATE_ISOLATED],
  ] as const) {
    const vpc = { natGateways: 0, subnetConfiguration: [{ name: 'only', subnetType }] };

    it(`fails for ${kind} ones that are asked for, and says which and what to do`, () => {
      const { publish } = scene({ vpc });
      assert.throws(
        () => publish({ vpcSubnets: { subnetType } }),
        (error: unknown) =>
          error instanceof SubnetsError &&
          new RegExp(
            `^The subnets mine/Vpc/onlySubnet1, .* are ${kind}: .*endpoints=kinesis,secretsmanager.*existingEndpoints=`,
            's',
          ).test(error.message),
      );
    });

    it(`takes ${kind} ones with endpoints, made, there or shared`, () => {
      for (const [title, props] of [
        ['made', { endpoints: ['kinesis', 'secretsmanager'] }],
        ['there', { existingEndpoints: ['kinesis', 'secretsmanager'] }],
        ['both', { endpoints: ['kinesis'], existingEndpoints: ['secretsmanager'] }],
      ] as const) {
        const { stack, publish } = scene({ vpc });
        publish({ vpcSubnets: { subnetType }, ...props });
        const made = 'endpoints' in props ? props.endpoints.length : 0;
        Template.fromStack(stack).resourceCountIs('AWS::EC2::VPCEndpoint', made);
        assert.ok(title);
      }
    });
  }
});

describe('endpoints', () => {
  it('let through what the function does, for its role and its own stream and secret only', () => {
    const { template } = synthesise({
      endpoints: 'kinesis,secretsmanager',
      existingStream: 'arn:aws:kinesis:eu-central-1:123456789012:stream/mine',
    });
    const statements = Object.values(resourcesOf(template, 'AWS::EC2::VPCEndpoint')).flatMap(
      ({ Properties }) => (Properties['PolicyDocument'] as { Statement: Record<string, unknown>[] }).Statement,
    );
    assert.deepEqual(
      statements.map(({ Effect, Action, Resource }) => [Effect, Action, Resource]),
      [
        [
          'Allow',
          ['kinesis:DescribeStreamSummary', 'kinesis:PutRecords'],
          'arn:aws:kinesis:eu-central-1:123456789012:stream/mine',
        ],
        ['Allow', 'secretsmanager:GetSecretValue', MINIMAL['databaseSecretArn']],
      ],
    );
    for (const { Condition } of statements)
      assert.match(JSON.stringify(Condition), /^\{"ArnEquals":\{"aws:PrincipalArn":\{"Fn::GetAtt":\["PublisherRole/);
  });

  it('that are there are called by the name that every one of them has, not by the host that a stream’s ARN leads to', () => {
    for (const [existingStream, expected] of [
      ['mine', 'https://kinesis.eu-central-1.amazonaws.com'],
      ['arn:aws:kinesis:eu-central-1:210987654321:stream/theirs', 'https://kinesis.eu-central-1.amazonaws.com'],
      ['arn:aws:kinesis:eu-west-1:123456789012:stream/elsewhere', undefined],
    ] as const) {
      const settings = { region: 'eu-central-1', existingStream };
      const { function: own } = synthesise({ ...settings, existingEndpoints: 'kinesis,secretsmanager' });
      const { AWS_ENDPOINT_URL_KINESIS: url } = own.properties.Environment.Variables;
      assert.equal(url === undefined ? url : joined(url).replace('<AWS::URLSuffix>', 'amazonaws.com'), expected);
      assert.equal(
        synthesise(settings).function.properties.Environment.Variables['AWS_ENDPOINT_URL_KINESIS'],
        undefined,
      );
    }
  });

  it('can be shared by publishers of several stacks, which then need no route out', () => {
    const { app, stack, vpc, base } = scene({
      vpc: { natGateways: 0, subnetConfiguration: [{ name: 'only', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }] },
    });
    const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_ISOLATED };
    const sharedEndpoints = new SlotEndpoints(stack, 'Endpoints', { vpc, vpcSubnets });
    const others = ['a', 'b'].map((name) => {
      const other = new Stack(app, name);
      const stream = new kinesis.Stream(other, 'Stream');
      const props = { databaseHost: 'db.example.com', stream, vpcSubnets, sharedEndpoints, slotName: name };
      new SlotPublisher(other, 'Publisher', { ...base, ...props });
      return other;
    });
    for (const template of others.map((other) => Template.fromStack(other))) {
      template.resourceCountIs('AWS::EC2::VPCEndpoint', 0);
      template.hasResourceProperties('AWS::Lambda::Function', {
        Environment: { Variables: Match.objectLike({ AWS_ENDPOINT_URL_KINESIS: Match.anyValue() }) },
      });
      template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 1);
      assert.ok(!egress(template).some((rule) => JSON.stringify(rule) === '["0.0.0.0/0",443]'));
    }
    Template.fromStack(stack).resourceCountIs('AWS::EC2::VPCEndpoint', 2);
  });
});

describe('what an account has already', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-accounts-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is used: role, security groups, keys, name, processor', () => {
    const { template } = synthesise({
      roleArn: 'arn:aws:iam::123456789012:role/cdc',
      securityGroupIds: 'sg-0a1b2c3e,sg-0a1b2c3f',
      logKeyArn: KEY,
      environmentKeyArn: KEY,
      functionName: 'cdc-orders',
      architecture: 'x86_64',
      account: '123456789012',
      region: 'eu-central-1',
    });
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'cdc-orders',
      Role: 'arn:aws:iam::123456789012:role/cdc',
      KmsKeyArn: KEY,
      Architectures: ['x86_64'],
      VpcConfig: { SecurityGroupIds: ['sg-0a1b2c3e', 'sg-0a1b2c3f'] },
    });
    template.resourceCountIs('AWS::EC2::SecurityGroup', 0);
    template.resourceCountIs('AWS::EC2::SecurityGroupIngress', 2);
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::Logs::LogGroup')))
      assert.equal(Properties['KmsKeyId'], KEY);
    const policies = Object.values(resourcesOf(template, 'AWS::IAM::Policy')).filter(
      ({ Properties }) => JSON.stringify(Properties['Roles']) === '["cdc"]',
    );
    assert.match(
      JSON.stringify(policies),
      /kinesis:PutRecords.*lambda:SourceFunctionArn|lambda:SourceFunctionArn.*kinesis:PutRecords/s,
    );
  });

  it("protects the stack from being deleted, and places the slot's framework function in the VPC, as asked", () => {
    const { stack, template } = synthesise({ terminationProtection: true, slotLifecycleInVpc: true });
    assert.equal(stack.terminationProtection, true);
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::Lambda::Function')))
      assert.deepEqual((Properties['VpcConfig'] as { SubnetIds: unknown }).SubnetIds, MINIMAL['subnetIds']);
  });

  it('is trusted where it signs the database: the file goes into a layer, byte for byte', () => {
    const path = join(folder, 'ca.pem');
    writeFileSync(path, `# Ours\n${rootCertificates.slice(0, 2).join('\n')}\n`);
    const { app, function: own } = synthesise({ databaseSslRootCert: path });
    assert.equal(own.properties.Environment.Variables['PGSSLROOTCERT'], '/opt/pg2kinesis-authorities.pem');
    assert.equal((own.properties['Layers'] as unknown[]).length, 1);
    const assembly = app.synth().directory;
    const asset = readdirSync(assembly).find((name) => existsSync(join(assembly, name, 'pg2kinesis-authorities.pem')));
    assert.deepEqual(readFileSync(join(assembly, asset ?? '', 'pg2kinesis-authorities.pem')), readFileSync(path));
  });

  for (const [title, text] of [
    ['a file that is not there', undefined],
    ['a file without a certificate', 'hello'],
    ['a certificate that is cut off', `${rootCertificates[0] ?? ''}\n${rootCertificates[1]?.slice(0, 500) ?? ''}`],
    ['a certificate that is none', '-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n'],
    ['a private key', '-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n'],
  ] as const) {
    it(`fails on ${title} as databaseSslRootCert, with its path`, () => {
      const path = join(folder, `${title}.pem`);
      if (text !== undefined) writeFileSync(path, text);
      assert.throws(
        () => synthesise({ databaseSslRootCert: path }),
        (error: unknown) =>
          error instanceof SettingsError && error.faults.join().startsWith(`databaseSslRootCert cannot be "${path}"`),
      );
    });
  }
});

describe('rights to network interfaces', () => {
  for (const [title, base] of [
    ['a secret', MINIMAL],
    ['IAM authentication', IAM],
  ] as const) {
    it(`are taken from the function's own code, with ${title}`, () => {
      const { template, function: own } = synthesise({}, base);
      const statements = Object.values(resourcesOf(template, 'AWS::IAM::Policy')).flatMap(
        ({ Properties }) => (Properties['PolicyDocument'] as { Statement: Record<string, unknown>[] }).Statement,
      );
      const ec2Actions = (effect: string): Record<string, unknown> | undefined =>
        statements.find(({ Effect, Action }) => Effect === effect && JSON.stringify(Action).includes('"ec2:'));
      assert.deepEqual([ec2Actions('Deny')?.['Action']].flat().sort(), [ec2Actions('Allow')?.['Action']].flat().sort());
      assert.deepEqual(ec2Actions('Deny')?.['Condition'], {
        ArnEquals: { 'lambda:SourceFunctionArn': { 'Fn::GetAtt': [own.id, 'Arn'] } },
      });
    });
  }
});
