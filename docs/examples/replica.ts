// A pipeline, and a second PostgreSQL that a Lambda function keeps equal to the first. See docs/replica.md for what that needs.
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Pg2KinesisStack, StreamReplica } from 'pg2kinesis';

const app = new App();
const env = { account: '123456789012', region: 'eu-central-1' };
const { publisher } = new Pg2KinesisStack(app, 'app-changes', {
  env,
  settings: {
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    subnetIds: ['subnet-0a1b2c3d4e5f60718', 'subnet-1a1b2c3d4e5f60718'],
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    databaseHost: 'app.abcdefghijkl.eu-central-1.rds.amazonaws.com',
    databaseName: 'app',
    databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg2kinesis-AbCdEf',
    databaseSecurityGroupId: 'sg-0a1b2c3d4e5f60718',
    format: 'json',
    marks: 'on',
    streamRetentionHours: 168,
    alarmEmail: 'oncall@example.com',
  },
});

const stack = new Stack(app, 'app-copy', { env });
const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
  vpcId: 'vpc-0a1b2c3d4e5f60718',
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  privateSubnetIds: ['subnet-0a1b2c3d4e5f60718', 'subnet-1a1b2c3d4e5f60718'],
});
// The target, whose tables you have made before: pg_dump --schema-only of the source.
const database = rds.DatabaseInstance.fromDatabaseInstanceAttributes(stack, 'Target', {
  instanceIdentifier: 'copy',
  instanceEndpointAddress: 'copy.abcdefghijkl.eu-central-1.rds.amazonaws.com',
  port: 5432,
  securityGroups: [ec2.SecurityGroup.fromSecurityGroupId(stack, 'TargetGroup', 'sg-1a1b2c3d4e5f60718')],
});

new StreamReplica(stack, 'Copy', {
  publisher,
  vpc,
  database,
  databaseName: 'app',
  databaseSecret: secretsmanager.Secret.fromSecretCompleteArn(
    stack,
    'Secret',
    'arn:aws:secretsmanager:eu-central-1:123456789012:secret:copy-AbCdEf',
  ),
  email: 'oncall@example.com',
});
