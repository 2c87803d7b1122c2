/**
 * The proof of deployment: the real CDK command line deploys to moto, and the very zip it uploaded runs with the very
 * environment it deployed under AWS's own runtime client, against a real PostgreSQL. The steps build on each other.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { GetRecordsCommand, GetShardIteratorCommand, KinesisClient, ListShardsCommand } from '@aws-sdk/client-kinesis';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { deaggregate } from '../support/deaggregate.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { runCdk, unzip } from './cdk.ts';
import { tryCommands } from './command-line.ts';
import { ACCOUNT, findMoto, type Moto, REGION, startMoto } from './moto.ts';
import { type Container, type ContainerOptions, installRuntimeClient, startContainer } from './runtime.ts';

const STACK = 'pg2kinesis';
const PASSWORD = 's3cret-pass';

const NOT_PROVED = `
What this does not prove: moto emulates AWS, and leniently. It checks no permission (IAM policies, key policies, the
database's security group), routes no packet, runs no schedule, evaluates no alarm and draws no dashboard (which is left
out here, as moto cannot refer to an alarm); it makes custom resources in Docker only, so that the slot's lifecycle is
not deployed here but its events replayed; x86-64 or whatever this machine is stands for ARM64, its speed for Lambda's,
and a PostgreSQL without TLS for RDS. What is asserted of those is asserted of the template, in test/lib.
`;

/** A function, as moto's Lambda tells it. */
interface DeployedFunction {
  readonly FunctionName: string;
  readonly Handler: string;
  readonly Runtime: string;
  readonly MemorySize: number;
  readonly Timeout: number;
  readonly CodeSha256: string;
  readonly Environment: { readonly Variables: Readonly<Record<string, string>> };
}

describe('deployment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-deploy-'));
  const containers: Container[] = [];
  let moto: Moto;
  let server: PostgresServer;
  let kinesis: KinesisClient;
  let client: string;
  let options: string[];
  let settings: Readonly<Record<string, unknown>> = {};
  let stack = STACK;
  const optionsOf = (given: Readonly<Record<string, unknown>>): string[] =>
    Object.entries(given).flatMap(([name, value]) => ['-c', `${name}=${String(value)}`]);
  let deployed: DeployedFunction;
  let container: Container;
  let run: ContainerOptions;

  /** Runs the CDK's command line as a user would, but for where AWS is. */
  const cdk = (...args: string[]): Promise<string> => runCdk(moto, folder, [...args, ...options]);
  const start = async (over: Partial<ContainerOptions> = {}): Promise<Container> => {
    const started = await startContainer({ ...run, ...over });
    containers.push(started);
    return started;
  };
  const invoke = async (event: unknown, alias?: string): Promise<Record<string, unknown>> => {
    const { answer, error } = await container.invoke(event, alias);
    assert.equal(error, undefined, JSON.stringify(error));
    return answer as Record<string, unknown>;
  };
  /** Deploys the stack, and asks for its function. @returns the stack's outputs */
  const deploy = async (): Promise<Readonly<Record<string, string>> | undefined> => {
    // Directly, without a change set: moto has no outputs of a stack made by one.
    const output = await cdk(
      'deploy',
      '--method',
      'direct',
      '--require-approval',
      'never',
      '--output',
      join(folder, 'assembly'),
      '--outputs-file',
      join(folder, 'outputs.json'),
      '-c',
      'slotLifecycle=false',
    );
    assert.ok(output.includes(`✅  ${stack}`), output);
    const outputs = (
      JSON.parse(readFileSync(join(folder, 'outputs.json'), 'utf8')) as Record<string, Record<string, string>>
    )[stack];
    deployed = JSON.parse(
      (await moto.ask('lambda', `/2015-03-31/functions/${outputs?.['FunctionName'] ?? ''}/configuration`)).toString(),
    ) as DeployedFunction;
    return outputs;
  };
  /** Unpacks the zip that was uploaded, from which containers run then. @returns the zip */
  const unpack = async (into: string): Promise<Buffer> => {
    const { Resources } = JSON.parse(readFileSync(join(folder, 'assembly', `${stack}.template.json`), 'utf8')) as {
      Resources: Record<string, { Type: string; Properties: { Handler?: string; Code: { S3Key: string } } }>;
    };
    const key = Object.values(Resources).find(
      ({ Type, Properties }) => Type === 'AWS::Lambda::Function' && Properties.Handler === deployed.Handler,
    )?.Properties.Code.S3Key;
    const zip = await moto.ask('s3', `/cdk-hnb659fds-assets-${ACCOUNT}-${REGION}/${key ?? ''}`);
    assert.equal(createHash('sha256').update(zip).digest('base64'), deployed.CodeSha256);
    unzip(zip, join(folder, into));
    run = {
      client,
      folder: join(folder, into),
      handler: deployed.Handler,
      functionName: deployed.FunctionName,
      memoryMib: deployed.MemorySize,
      timeoutSeconds: deployed.Timeout,
      environment: { ...deployed.Environment.Variables, ...moto.environment, AWS_DEFAULT_REGION: REGION },
    };
    return zip;
  };
  /** The user records of the deployed stream, de-aggregated by AWS's library. */
  const userRecords = async (): Promise<string[]> => {
    // Not by ARN, by which moto lists no shards.
    const StreamName = deployed.Environment.Variables['STREAM_NAME']?.split('/')[1];
    const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
    const found: string[] = [];
    for (const { ShardId } of Shards) {
      let { ShardIterator } = await kinesis.send(
        new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
      );
      for (let empty = 0; ShardIterator !== undefined && empty < 2;) {
        const { Records = [], NextShardIterator } = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
        for (const { PartitionKey = '', Data = new Uint8Array() } of Records) {
          for (const { data } of deaggregate({ partitionKey: PartitionKey, data: Data })) found.push(data.toString());
        }
        empty = Records.length === 0 ? empty + 1 : 0;
        ShardIterator = NextShardIterator;
      }
    }
    return found;
  };
  /** Operation and key of each record of FORMAT=json. */
  const records = async (): Promise<string[]> =>
    (await userRecords())
      .map((text) => {
        const { op, table, key } = JSON.parse(text) as { op: string; table: string; key: unknown };
        return `${op} ${table} ${JSON.stringify(key)}`;
      })
      .sort();
  /** How often the server was asked for all primary keys, as its own log of statements tells. */
  const keyReadings = async (): Promise<number> =>
    (await server.log())
      .split(/LOG: {2}(?:statement|execute)/)
      .filter((statement) => statement.includes('AS printed') && statement.includes('pg_inherits')).length;

  let broken = false;
  /** A step that is left out where one before it failed. */
  const step = (title: string, work: () => Promise<void>): void => {
    it(title, async (context) => {
      if (broken) return context.skip('a step before it failed');
      broken = true;
      await work();
      broken = false;
    });
  };

  before(async () => {
    const command = findMoto();
    assert.ok(command);
    client = installRuntimeClient((line) => console.log(line));
    [moto, server] = await Promise.all([startMoto(command), startPostgres({ settings: { log_statement: 'all' } })]);
    kinesis = new KinesisClient({
      endpoint: `http://127.0.0.1:${moto.port}`,
      region: REGION,
      credentials: { accessKeyId: 'emulator', secretAccessKey: 'emulator' },
      requestHandler: new NodeHttpHandler(),
    });
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
    await server.sql('CREATE TABLE users (id int PRIMARY KEY, name text)');
    await server.sql(
      'CREATE TABLE stock (id int PRIMARY KEY); INSERT INTO stock VALUES (1), (2); GRANT SELECT ON stock TO cdc',
    );

    const secrets = new SecretsManagerClient({
      endpoint: `http://127.0.0.1:${moto.port}`,
      region: REGION,
      credentials: { accessKeyId: 'emulator', secretAccessKey: 'emulator' },
    });
    const { ARN: secretArn } = await secrets.send(
      new CreateSecretCommand({
        Name: 'pg2kinesis',
        SecretString: JSON.stringify({ username: 'cdc', password: PASSWORD }),
      }),
    );
    secrets.destroy();
    const ec2 = async (Action: string): Promise<string> =>
      (await moto.ask('ec2', '/', { Action, Version: '2016-11-15' })).toString();
    const subnets = await ec2('DescribeSubnets');
    const groups = await ec2('DescribeSecurityGroups');
    const every = (xml: string, tag: string): string[] =>
      [...xml.matchAll(new RegExp(`<${tag}>([^<]+)</${tag}>`, 'g'))].map(([, value = '']) => value);
    settings = {
      name: STACK,
      vpcId: every(subnets, 'vpcId')[0],
      subnetIds: every(subnets, 'subnetId').slice(0, 2).join(','),
      availabilityZones: every(subnets, 'availabilityZone').slice(0, 2).join(','),
      databaseHost: server.connection.host,
      databasePort: server.port,
      databaseName: server.connection.database,
      databaseSslMode: 'disable',
      databaseSecretArn: secretArn,
      databaseSecurityGroupId: every(groups, 'groupId')[0],
      alarmEmail: 'oncall@example.com',
      format: 'json',
      snapshot: 'initial',
      logLevel: 'DEBUG',
      dashboard: false,
    };
    options = optionsOf(settings);
  });
  after(async () => {
    await Promise.all(containers.map((each) => each.stop()));
    kinesis.destroy();
    await Promise.all([moto.stop(), server.stop()]);
    rmSync(folder, { recursive: true, force: true });
    console.log(NOT_PROVED);
  });

  step('cdk bootstrap makes ready the account', async () => {
    // Without the app, as docs/deploy.md says: with one that has no stacks yet the command line refuses.
    assert.match(await cdk('bootstrap', '--app', '', `aws://${ACCOUNT}/${REGION}`), /bootstrapped/);
  });

  step('cdk deploy makes the stack, and prints its outputs', async () => {
    const outputs = await deploy();
    assert.match(
      outputs?.['DrainCommand'] ?? '',
      /^AWS_MAX_ATTEMPTS=1 aws lambda invoke --region us-east-1 --function-name \S+ --cli-read-timeout 0 .*'\{"action":"drain"\}'/,
    );
    assert.equal(deployed.Runtime, 'nodejs24.x');
    assert.equal(deployed.Environment.Variables['STREAM_NAME'], outputs?.['StreamArn']);
  });

  step('the zip that was uploaded is the one that the function is made of, and small', async () => {
    const zip = await unpack('function');
    assert.ok(existsSync(join(folder, 'function/handler.mjs')));
    const bundle = statSync(join(folder, 'function/handler.mjs')).size;
    console.log(
      `The bundle has ${bundle} bytes, with its map ${bundle + statSync(join(folder, 'function/handler.mjs.map')).size}; its zip ${zip.length}.`,
    );
  });

  step('initialises under the runtime client; the time it takes is printed', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    writeFileSync(join(empty, 'handler.mjs'), 'export const handler = async () => null;\n');
    const times: { own: number[]; empty: number[] } = { own: [], empty: [] };
    // In turns, so that what else the machine does meets both alike.
    for (let i = 0; i < 5; i++) {
      for (const which of ['own', 'empty'] as const) {
        const started = await start(which === 'empty' ? { folder: empty } : {});
        times[which].push(started.startMs);
        await started.stop();
      }
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
    const [own, baseline] = [median(times.own), median(times.empty)];
    console.log(
      `Time to initialise, median of 5: ${Math.round(own - baseline)} ms (process ${Math.round(own)} ms, of which ${Math.round(baseline)} ms an empty function's: Node.js and the client).`,
    );
    assert.ok(own > 0);
  });

  /** The event that CloudFormation sends through the CDK's provider framework, with the properties that are synthesised. */
  const lifecycle = async (
    RequestType: string,
    over: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> => {
    const assembly = join(folder, 'lifecycle');
    if (!existsSync(assembly)) await cdk('synth', '--quiet', '--output', assembly);
    const { Resources } = JSON.parse(readFileSync(join(assembly, `${STACK}.template.json`), 'utf8')) as {
      Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>;
    };
    const slot = Object.entries(Resources).find(([, { Type }]) => Type === 'Custom::Pg2KinesisSlot');
    assert.ok(slot);
    const [LogicalResourceId, { Properties }] = slot;
    return {
      RequestType,
      ServiceToken: 'arn:aws:lambda:us-east-1:123456789012:function:framework',
      ResponseURL: '...',
      StackId: `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/${STACK}/00000000-0000-4000-8000-000000000000`,
      RequestId: '00000000-0000-4000-8000-000000000001',
      LogicalResourceId,
      ResourceType: 'Custom::Pg2KinesisSlot',
      ResourceProperties: { ...Properties, ServiceToken: 'arn:aws:lambda:us-east-1:123456789012:function:framework' },
      ...over,
    };
  };
  const slots = async (): Promise<string[]> =>
    (await server.sql<{ slot_name: string }>('SELECT slot_name FROM pg_replication_slots')).map(
      ({ slot_name }) => slot_name,
    );

  step("the lifecycle's Create, in a cold container, makes the slot", async () => {
    const created = await lifecycle('Create');
    // The stack is deployed here without its slot resource: the function is told which resource it would be.
    run = { ...run, environment: { ...run.environment, SLOT_RESOURCE: String(created['LogicalResourceId']) } };
    container = await start();
    const { PhysicalResourceId } = await invoke(created, 'admin');
    const { host, port, database } = server.connection;
    assert.match(String(PhysicalResourceId), new RegExp(`^created:\\d+@${host}:${port}/${database}/pg2kinesis$`));
    assert.deepEqual(await slots(), ['pg2kinesis']);
  });

  step("snapshot: 'initial' publishes the rows that were there, of the tables that the role may read", async () => {
    const { snapshot } = await invoke({ action: 'run', maxSeconds: 50 });
    const { done, rowsPublished } = snapshot as { done: boolean; rowsPublished: number };
    assert.deepEqual([done, rowsPublished], [true, 2]);
    assert.deepEqual(await records(), ['READ stock {"id":1}', 'READ stock {"id":2}']);
    assert.equal((await invoke({ action: 'run', maxSeconds: 50 }))['snapshot'], undefined, 'once');
    await server.sql('DROP TABLE stock');
  });

  let readingsBefore = 0;
  step('a cold start and three warm invocations, with changes between them, publish each once', async () => {
    await container.stop();
    container = await start();
    const { pid } = container;
    const event = { action: 'run', maxSeconds: 50 };
    const expected = await records();
    readingsBefore = await keyReadings();
    for (const [statement, ...published] of [
      ["INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')", 'INSERT users {"id":1}', 'INSERT users {"id":2}'],
      ["UPDATE users SET name = 'Edsger' WHERE id = 2", 'UPDATE users {"id":2}'],
      [
        "INSERT INTO users SELECT i, 'x' FROM generate_series(10, 12) i",
        'INSERT users {"id":10}',
        'INSERT users {"id":11}',
        'INSERT users {"id":12}',
      ],
      ['DELETE FROM users WHERE id = 1', 'DELETE users {"id":1}'],
    ] as const) {
      await server.sql(statement);
      const answer = await invoke(event);
      assert.equal(answer['caughtUp'], true, JSON.stringify(answer));
      assert.equal(answer['records'], published.length);
      expected.push(...published);
      assert.deepEqual(await records(), expected.toSorted());
    }
    assert.equal(container.pid, pid);
    assert.equal((await invoke(event))['published'], 0, 'nothing is published twice');
    assert.ok(!container.output().includes(PASSWORD), 'no password in the log');
  });

  step('the key cache survives: the catalogs were read by the cold start alone', async () => {
    assert.equal((await keyReadings()) - readingsBefore, 1);
    await invoke({ action: 'refresh-keys' });
    assert.equal((await keyReadings()) - readingsBefore, 2, 'a reading would have been seen');
  });

  step(
    'the command line finds the function by its stack: check, status, run, drain, refresh-keys, tables, skip-transaction',
    () => tryCommands({ moto, server, stack, functionName: deployed.FunctionName, start }),
  );

  step("the lifecycle's Update keeps the slot, and its Delete drops it", async () => {
    const PhysicalResourceId = `created:${server.connection.host}/${server.connection.database}/pg2kinesis`;
    const { ResourceProperties } = await lifecycle('Update');
    const updated = await invoke(
      await lifecycle('Update', { PhysicalResourceId, OldResourceProperties: ResourceProperties }),
      'admin',
    );
    assert.equal(updated['PhysicalResourceId'], PhysicalResourceId);
    assert.deepEqual(await slots(), ['pg2kinesis']);
    const removal = await lifecycle('Delete', { PhysicalResourceId });
    assert.equal((await container.invoke(removal)).error?.errorType, 'ADMIN_ONLY', 'not for everybody');
    const deleted = await invoke(removal, 'admin');
    assert.equal(deleted['PhysicalResourceId'], PhysicalResourceId);
    assert.deepEqual(await slots(), []);
  });

  step('fails, by its code and as Lambda reports it, once the slot is gone', async () => {
    const { error } = await container.invoke({ action: 'run', maxSeconds: 50 });
    assert.equal(error?.errorType, 'SLOT_MISSING');
    assert.match(error.errorMessage, /pg2kinesis/);
  });

  step("the formatter of the docs is deployed with the function, and makes the stream's records", async () => {
    // A stack of its own: moto cannot update one.
    stack = 'orders';
    const given = {
      ...settings,
      name: stack,
      slotName: stack,
      format: 'module',
      snapshot: 'none',
      formatter: 'examples/order-events.ts',
    };
    options = optionsOf(given);
    await deploy();
    assert.equal(deployed.Environment.Variables['FORMATTER'], 'formatter.mjs');
    await unpack('with-formatter');
    await container.stop();
    container = await start();
    await server.sql('CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int, total numeric)');
    await invoke({ action: 'create-slot' });
    await server.sql("INSERT INTO orders VALUES (7, 3, 12.50); INSERT INTO users VALUES (77, 'left out')");
    await server.sql('DELETE FROM orders');
    const answer = await invoke({ action: 'run', maxSeconds: 50 });
    assert.deepEqual([answer['records'], (answer['skipped'] as Record<string, number>)['formatter']], [2, 1]);
    // The two are in two lanes.
    assert.deepEqual((await userRecords()).map((text) => text.replace(/"event":"[^"]*",/, '')).sort(), [
      '{"order":7,"what":"delete","total":null}',
      '{"order":7,"what":"insert","total":"12.50"}',
    ]);
  });

  step('a formatter that throws fails the run by its code, and shows no value of the row', async () => {
    writeFileSync(
      join(run.folder, 'formatter.mjs'),
      'export default { format: (change) => { throw new Error(change.row.total); } };\n',
    );
    await container.stop();
    container = await start();
    await server.sql('INSERT INTO orders VALUES (8, 3, 98765)');
    const { error } = await container.invoke({ action: 'run', maxSeconds: 50 });
    assert.equal(error?.errorType, 'FORMAT_FAILED');
    assert.match(error.errorMessage, /threw Error at formatter\.mjs:1:\d+, for the INSERT of a row of public\.orders/);
    assert.ok(!`${JSON.stringify(error)}${container.output()}`.includes('98765'));
  });

  step('cdk destroy removes the stacks', async () => {
    for (const name of ['orders', STACK]) {
      if (name === STACK) options = optionsOf(settings);
      const output = await cdk('destroy', '--force', '--output', join(folder, 'assembly'), '-c', 'slotLifecycle=false');
      assert.ok(output.includes(`${name}: destroyed`), output);
    }
    const { Functions } = JSON.parse((await moto.ask('lambda', '/2015-03-31/functions/')).toString()) as {
      Functions: unknown[];
    };
    assert.deepEqual(Functions, []);
  });
});
