/**
 * The proof that a `StreamReplica` is deployed: the real CDK command line deploys it to moto, what was made is read back, and the very
 * zip that was uploaded applies records of the deployed publisher's stream to a real PostgreSQL. The steps build on each other.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { GetRecordsCommand, GetShardIteratorCommand, KinesisClient, ListShardsCommand } from '@aws-sdk/client-kinesis';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { runCdk, unzip } from './cdk.ts';
import { ACCOUNT, findMoto, type Moto, REGION, startMoto } from './moto.ts';
import type { ReplicaApp } from './replica-app.ts';
import { type Container, installRuntimeClient, startContainer } from './runtime.ts';

const PASSWORD = 's3cret-pass';

const NOT_PROVED = `
What this does not prove of a StreamReplica: moto does not poll the stream, so the records are handed to the deployed function here,
shard by shard, as Lambda's documentation has it. Retries, halved batches and the queue of failures are a model in
test/replica/function; permissions are asserted of the policies that were deployed, alarms of the
template: moto makes and evaluates none.
`;

/** A function, as moto's Lambda tells it. */
interface DeployedFunction {
  readonly FunctionName: string;
  readonly Handler: string;
  readonly Role: string;
  readonly MemorySize: number;
  readonly Timeout: number;
  readonly Environment: { readonly Variables: Readonly<Record<string, string>> };
}

/** A record, as a batch of Lambda has it. */
interface EventRecord {
  readonly eventID: string;
  readonly eventSourceARN: string;
  readonly kinesis: object;
}

describe('a deployed StreamReplica', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-replica-'));
  const containers: Container[] = [];
  const emulated = { region: REGION, credentials: { accessKeyId: 'emulator', secretAccessKey: 'emulator' } };
  let moto: Moto;
  let server: PostgresServer;
  let client: string;
  let options: string[];
  let functions: readonly DeployedFunction[] = [];

  const cdk = (...args: string[]) => runCdk(moto, folder, [...args, ...options]);
  const lambda = async <T>(path: string): Promise<T> => JSON.parse((await moto.ask('lambda', path)).toString()) as T;
  const query = async (service: string, Version: string, Action: string, more: Readonly<Record<string, string>> = {}) =>
    (await moto.ask(service, '/', { Action, Version, ...more })).toString();
  const all = (xml: string, tag: string): string[] =>
    [...xml.matchAll(new RegExp(`<${tag}>([^<]+)</${tag}>`, 'g'))].map(([, value = '']) => value);
  const find = (part: string): DeployedFunction => {
    const found = functions.find(({ FunctionName }) => FunctionName.includes(part));
    assert.ok(found, functions.map(({ FunctionName }) => FunctionName).join(', '));
    return found;
  };
  /** Starts a container from the zip that was uploaded. */
  const start = async (deployed: DeployedFunction, into: string): Promise<Container> => {
    const { Code } = await lambda<{ Code: { Location: string } }>(`/2015-03-31/functions/${deployed.FunctionName}`);
    const [, key = ''] = /\/([0-9a-f]{64}\.zip)/.exec(Code.Location) ?? [];
    unzip(await moto.ask('s3', `/cdk-hnb659fds-assets-${ACCOUNT}-${REGION}/${key}`), join(folder, into));
    const started = await startContainer({
      client,
      folder: join(folder, into),
      handler: deployed.Handler,
      functionName: deployed.FunctionName,
      memoryMib: deployed.MemorySize,
      timeoutSeconds: deployed.Timeout,
      environment: { ...deployed.Environment.Variables, ...moto.environment, AWS_DEFAULT_REGION: REGION },
    });
    containers.push(started);
    return started;
  };

  before(async () => {
    const command = findMoto();
    assert.ok(command);
    client = installRuntimeClient((line) => console.log(line));
    [moto, server] = await Promise.all([startMoto(command), startPostgres()]);
    await server.sql(`CREATE ROLE cdc SUPERUSER LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
    await server.sql('CREATE DATABASE copy');
    const table =
      'CREATE TABLE public.users (id int PRIMARY KEY, name text, big text); ALTER TABLE public.users ALTER big SET STORAGE EXTERNAL';
    await server.sql(
      `${table}; INSERT INTO public.users SELECT i, 'old', repeat('b', 3000) FROM generate_series(1, 100) AS i`,
    );
    const copy = await server.client({ database: 'copy' });
    await copy.query(table);
    await copy.end();
    const secrets = new SecretsManagerClient({ ...emulated, endpoint: `http://127.0.0.1:${moto.port}` });
    const { ARN: secretArn = '' } = await secrets.send(
      new CreateSecretCommand({
        Name: 'pg2kinesis',
        SecretString: JSON.stringify({ username: 'cdc', password: PASSWORD }),
      }),
    );
    secrets.destroy();
    const subnets = await query('ec2', '2016-11-15', 'DescribeSubnets');
    const made: ReplicaApp = {
      account: ACCOUNT,
      region: REGION,
      vpcId: all(subnets, 'vpcId')[0] ?? '',
      subnetId: all(subnets, 'subnetId')[0] ?? '',
      zone: all(subnets, 'availabilityZone')[0] ?? '',
      groupId: all(await query('ec2', '2016-11-15', 'DescribeSecurityGroups'), 'groupId')[0] ?? '',
      host: server.connection.host,
      port: server.port,
      source: server.connection.database,
      target: 'copy',
      secretArn,
    };
    options = ['--app', `node test/deploy/replica-app.ts`, '-c', `made=${JSON.stringify(made)}`];
  });
  after(async () => {
    await Promise.all(containers.map((each) => each.stop()));
    await Promise.all([moto.stop(), server.stop()]);
    rmSync(folder, { recursive: true, force: true });
    console.log(NOT_PROVED);
  });

  it('cdk deploy makes the pipeline and the copy', async () => {
    await runCdk(moto, folder, ['bootstrap', '--app', '', `aws://${ACCOUNT}/${REGION}`]);
    const output = await cdk(
      ...['deploy', '--all', '--method', 'direct', '--require-approval', 'never', '--output', join(folder, 'assembly')],
    );
    assert.ok(output.includes('✅  changes'), output);
    ({ Functions: functions } = await lambda<{ Functions: DeployedFunction[] }>('/2015-03-31/functions/'));
  });

  it('Lambda is to give it one batch a shard, to halve batches, and to put what it gives up into the queue', async () => {
    const { EventSourceMappings: mappings } = await lambda<{ EventSourceMappings: Record<string, unknown>[] }>(
      '/2015-03-31/event-source-mappings/',
    );
    assert.equal(mappings.length, 1);
    const [mapping = {}] = mappings;
    const { FunctionArn, EventSourceArn, DestinationConfig, ...given } = mapping;
    const failures = (DestinationConfig as { OnFailure: { Destination: string } }).OnFailure.Destination;
    assert.ok(String(FunctionArn).endsWith(`:${find('CopyFunction').FunctionName}`));
    assert.equal(EventSourceArn, find('PublisherFunction').Environment.Variables['STREAM_NAME']);
    assert.match(failures, /:changes-CopyFailures\w+-\w+$/);
    assert.deepEqual(
      [
        'BatchSize',
        'ParallelizationFactor',
        'StartingPosition',
        'BisectBatchOnFunctionError',
        'FunctionResponseTypes',
        'State',
      ].map((name) => given[name]),
      [100, 1, 'TRIM_HORIZON', true, ['ReportBatchItemFailures'], 'Enabled'],
    );
    // Without end.
    assert.deepEqual([given['MaximumRetryAttempts'], given['MaximumRecordAgeInSeconds']], [undefined, undefined]);
    const name = failures.split(':').at(-1) ?? '';
    const queue = await query('sqs', '2012-11-05', 'GetQueueAttributes', {
      QueueUrl: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${name}`,
      'AttributeName.1': 'All',
    });
    assert.match(queue, /1209600/, 'it keeps messages for 14 days');
  });

  it('its role may read the stream, its secret and the queue, and nothing else', async () => {
    const role = find('CopyFunction').Role.split('/')[1] ?? '';
    const iam = (Action: string, more: Readonly<Record<string, string>> = {}) =>
      query('iam', '2010-05-08', Action, { RoleName: role, ...more });
    assert.deepEqual(all(await iam('ListAttachedRolePolicies'), 'PolicyArn'), []);
    const allowed: string[] = [];
    for (const PolicyName of all(await iam('ListRolePolicies'), 'member')) {
      const [document = ''] = all(await iam('GetRolePolicy', { PolicyName }), 'PolicyDocument');
      const { Statement } = JSON.parse(decodeURIComponent(document)) as {
        Statement: { Effect: string; Action: string | string[]; Resource: string }[];
      };
      for (const { Effect, Action, Resource } of Statement) {
        const services = new Set([Action].flat().map((action) => action.split(':')[0]));
        allowed.push(
          `${Effect} ${[...services].join()} ${Resource === '*' ? '*' : Resource.split(':').slice(2, 4).join(':')}`,
        );
      }
    }
    assert.deepEqual(allowed.sort(), [
      'Allow ec2 *',
      `Allow kinesis kinesis:${REGION}`,
      `Allow logs logs:${REGION}`,
      `Allow secretsmanager secretsmanager:${REGION}`,
      `Allow sqs sqs:${REGION}`,
      // Its own code has no use for them.
      'Deny ec2 *',
    ]);
  });

  it('has an alarm for records that are not applied, for silence, and for records that were left out', async () => {
    // Of the template that was deployed: moto makes none of its alarms.
    const answer = await query('cloudformation', '2010-05-15', 'GetTemplate', { StackName: 'changes' });
    const [body = ''] = all(answer, 'TemplateBody');
    const text = body
      .replaceAll('&quot;', '"')
      .replaceAll('&#34;', '"')
      .replaceAll('&gt;', '>')
      .replaceAll('&lt;', '<')
      .replaceAll('&amp;', '&');
    const { Resources } = JSON.parse(text) as {
      Resources: Record<string, { Type: string; Properties: { MetricName?: string; AlarmActions?: unknown[] } }>;
    };
    const alarms = Object.entries(Resources).filter(
      ([id, { Type }]) => Type === 'AWS::CloudWatch::Alarm' && id.startsWith('Copy'),
    );
    assert.deepEqual(
      alarms.map(([, { Properties }]) => [Properties.MetricName, Properties.AlarmActions?.length]),
      [
        ['IteratorAge', 1],
        ['Invocations', 1],
        ['ApproximateNumberOfMessagesVisible', 1],
      ],
    );
  });

  it('applies what the deployed publisher has published, and awaits the rows that a snapshot brings', async () => {
    const publisher = await start(find('PublisherFunction'), 'publisher');
    assert.equal((await publisher.invoke({ action: 'create-slot' })).error, undefined);
    // Most rows are changed before they were read, without all of their columns being sent; some get another key.
    await server.sql(`INSERT INTO users SELECT i, 'n' || i, repeat('b', 3000) FROM generate_series(101, 200) AS i;
      UPDATE users SET name = 'new' WHERE id < 50; UPDATE users SET id = id + 1000 WHERE id % 20 = 0; DELETE FROM users WHERE id = 7`);
    const run = async (event: object): Promise<unknown> => {
      const { answer, error } = await publisher.invoke({ ...event, maxSeconds: 50 });
      assert.equal(error, undefined, JSON.stringify(error));
      return answer;
    };
    assert.equal(((await run({ action: 'run' })) as { caughtUp: boolean }).caughtUp, true);
    const replica = await start(find('CopyFunction'), 'replica');
    const copy = await server.client({ database: 'copy' });
    const apply = async (): Promise<unknown> => {
      for (const records of await batches()) {
        const outcome = await replica.invoke({ Records: records });
        assert.deepEqual(outcome, { answer: { batchItemFailures: [] } }, replica.output());
      }
      const { rows } = await copy.query<{ copying: unknown }>('SELECT copying FROM pg2kinesis.replica');
      return rows[0]?.copying;
    };
    assert.equal(await apply(), 'awaited');
    assert.match(replica.output(), /"awaitingRead":[1-9]/);
    const { snapshot } = (await run({ action: 'snapshot', tables: ['public.users'] })) as {
      snapshot: { done: boolean };
    };
    assert.equal(snapshot.done, true);
    await server.sql(`UPDATE users SET name = 'newer' WHERE id % 9 = 0`);
    await run({ action: 'run' });
    // From the beginning once more: what was applied is not applied again.
    assert.equal(await apply(), null);
    const text = 'SELECT id, name, length(big) AS big FROM public.users ORDER BY id';
    const [source, target] = [await server.sql(text), (await copy.query(text)).rows];
    await copy.end();
    assert.equal(source.length, 199);
    assert.deepEqual(target, source);
  });

  it('cdk destroy removes it, but for its queue and its log', async () => {
    const output = await cdk('destroy', '--all', '--force', '--output', join(folder, 'assembly'));
    assert.ok(output.includes('changes: destroyed'), output);
  });

  /** What Lambda would give the function: a batch of each shard. */
  async function batches(): Promise<EventRecord[][]> {
    const kinesis = new KinesisClient({
      ...emulated,
      endpoint: `http://127.0.0.1:${moto.port}`,
      requestHandler: new NodeHttpHandler(),
    });
    const arn = find('PublisherFunction').Environment.Variables['STREAM_NAME'] ?? '';
    const StreamName = arn.split('/')[1];
    const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
    const found: EventRecord[][] = [];
    for (const { ShardId } of Shards) {
      const { ShardIterator } = await kinesis.send(
        new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
      );
      const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
      if (Records.length === 0) continue;
      found.push(
        Records.map(({ SequenceNumber, PartitionKey, Data, ApproximateArrivalTimestamp }) => ({
          eventID: `${ShardId}:${SequenceNumber}`,
          eventSourceARN: arn,
          kinesis: {
            sequenceNumber: SequenceNumber,
            partitionKey: PartitionKey,
            data: Buffer.from(Data ?? []).toString('base64'),
            approximateArrivalTimestamp: (ApproximateArrivalTimestamp?.getTime() ?? 0) / 1000,
          },
        })),
      );
    }
    kinesis.destroy();
    return found;
  }
});
