/** The app that the proof of a deployed `StreamReplica` deploys: a pipeline with marks, and a copy. What differs is in the context. */
import { App } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import { StreamReplica } from '../../lib/stream-replica.ts';
import { bundleFunction, bundleReplicaFunction } from '../../scripts/bundle.ts';

/** Where everything is. */
export interface ReplicaApp {
  readonly account: string;
  readonly region: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly zone: string;
  readonly groupId: string;
  readonly host: string;
  readonly port: number;
  readonly source: string;
  readonly target: string;
  readonly secretArn: string;
}

await bundleFunction();
await bundleReplicaFunction();
const app = new App();
const made = JSON.parse(app.node.getContext('made') as string) as ReplicaApp;
const env = { account: made.account, region: made.region };
// One stack: moto does not know how the CDK hands an ARN from one stack to another.
const stack = new Pg2KinesisStack(app, 'changes', {
  env,
  settings: {
    vpcId: made.vpcId,
    subnetIds: [made.subnetId],
    availabilityZones: [made.zone],
    databaseHost: made.host,
    databasePort: made.port,
    databaseName: made.source,
    databaseSslMode: 'disable',
    databaseSecretArn: made.secretArn,
    databaseSecurityGroupId: made.groupId,
    format: 'json',
    marks: 'on',
    alarmEmail: 'oncall@example.com',
    dashboard: false,
    slotLifecycle: false,
  },
});
new StreamReplica(stack, 'Copy', {
  publisher: stack.publisher,
  vpc: ec2.Vpc.fromVpcAttributes(stack, 'CopyVpc', {
    vpcId: made.vpcId,
    availabilityZones: [made.zone],
    privateSubnetIds: [made.subnetId],
  }),
  databaseHost: made.host,
  databasePort: made.port,
  databaseName: made.target,
  databaseSslMode: 'disable',
  databaseSecurityGroup: ec2.SecurityGroup.fromSecurityGroupId(stack, 'CopyGroup', made.groupId),
  databaseSecret: secretsmanager.Secret.fromSecretCompleteArn(stack, 'CopySecret', made.secretArn),
  awaitSnapshot: true,
  email: 'oncall@example.com',
});
