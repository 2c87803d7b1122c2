// A database and its pipeline in one app. Deploy app-database, make the role with the password of the secret (docs/deploy.md,
// step 2), then deploy app-changes: it makes the slot, which needs the role.
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as rds from 'aws-cdk-lib/aws-rds';
import { SlotLifecycle, SlotPublisher, SlotStream } from 'pg2kinesis';

const app = new App();

const data = new Stack(app, 'app-database');
const vpc = new ec2.Vpc(data, 'Vpc', { maxAzs: 2 });
const engine = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 });
const database = new rds.DatabaseInstance(data, 'Database', {
  vpc,
  engine,
  databaseName: 'app',
  parameterGroup: new rds.ParameterGroup(data, 'Parameters', {
    engine,
    // In MB: what a slot that nobody reads may keep on the disk.
    parameters: { 'rds.logical_replication': '1', max_slot_wal_keep_size: '20480' },
  }),
});
const role = new rds.DatabaseSecret(data, 'Role', { username: 'pg2kinesis' });

const changes = new Stack(app, 'app-changes');
const { stream } = new SlotStream(changes, 'Stream', { retention: Duration.days(7) });
const publisher = new SlotPublisher(changes, 'Publisher', {
  pipelineName: 'app-changes',
  vpc,
  // Gives host, port and security group. The group is given a rule that admits the function.
  database,
  databaseName: 'app',
  databaseSecret: role,
  stream,
  format: 'json',
});
new SlotLifecycle(changes, 'Slot', { publisher });
