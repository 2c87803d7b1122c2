// An Aurora cluster, a stream and a VPC that are there already. The function signs in by IAM: there is no password.
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as rds from 'aws-cdk-lib/aws-rds';
import { importStream, SlotLifecycle, SlotPublisher } from 'pg2kinesis';

const app = new App();
const stack = new Stack(app, 'orders-changes', { env: { account: '123456789012', region: 'eu-central-1' } });

const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
  vpcId: 'vpc-0a1b2c3d4e5f60718',
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  privateSubnetIds: ['subnet-0a1b2c3d4e5f60718', 'subnet-1a1b2c3d4e5f60718'],
  privateSubnetRouteTableIds: ['rtb-0a1b2c3d4e5f60718', 'rtb-1a1b2c3d4e5f60718'],
});
const database = rds.DatabaseCluster.fromDatabaseClusterAttributes(stack, 'Database', {
  clusterIdentifier: 'orders',
  // The writer's endpoint. A slot is read there.
  clusterEndpointAddress: 'orders.cluster-abcdefghijkl.eu-central-1.rds.amazonaws.com',
  port: 5432,
  securityGroups: [ec2.SecurityGroup.fromSecurityGroupId(stack, 'DatabaseGroup', 'sg-0a1b2c3d4e5f60718')],
});
const key = kms.Key.fromKeyArn(
  stack,
  'Key',
  'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000',
);

const publisher = new SlotPublisher(stack, 'Publisher', {
  pipelineName: 'orders-changes',
  vpc,
  database,
  databaseName: 'orders',
  databaseAuth: 'iam',
  databaseUser: 'pg2kinesis',
  databaseResourceId: 'cluster-ABCDEFGHIJKL01234',
  stream: importStream(stack, 'Stream', 'orders', key),
  format: 'json',
});
// The slot stays when the stack is removed, and keeps WAL until somebody drops it.
new SlotLifecycle(stack, 'Slot', { publisher, onRemoval: 'retain' });
