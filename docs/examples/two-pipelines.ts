// Two databases of one server, in subnets without a way out: the pipelines share the interface endpoints and the alarm mail.
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import {
  AlarmTopic,
  SlotAlarms,
  SlotDashboard,
  SlotEndpoints,
  SlotLifecycle,
  SlotPublisher,
  SlotStream,
} from 'pg2kinesis';

const app = new App();
const stack = new Stack(app, 'changes', { env: { account: '123456789012', region: 'eu-central-1' } });
const runbookUrl = 'https://wiki.example.com/pg2kinesis';

const vpc = ec2.Vpc.fromVpcAttributes(stack, 'Vpc', {
  vpcId: 'vpc-0a1b2c3d4e5f60718',
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  isolatedSubnetIds: ['subnet-0a1b2c3d4e5f60718', 'subnet-1a1b2c3d4e5f60718'],
  isolatedSubnetRouteTableIds: ['rtb-0a1b2c3d4e5f60718', 'rtb-1a1b2c3d4e5f60718'],
});
const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_ISOLATED };
const sharedEndpoints = new SlotEndpoints(stack, 'Endpoints', { vpc, vpcSubnets });
const { topic } = new AlarmTopic(stack, 'OnCall', { email: 'oncall@example.com' });
const databaseSecurityGroup = ec2.SecurityGroup.fromSecurityGroupId(stack, 'DatabaseGroup', 'sg-0a1b2c3d4e5f60718');
const databaseSecret = secretsmanager.Secret.fromSecretCompleteArn(
  stack,
  'Secret',
  'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg2kinesis-AbCdEf',
);

for (const name of ['orders', 'users']) {
  const publisher = new SlotPublisher(stack, `Publisher-${name}`, {
    pipelineName: `${name}-changes`,
    // The slots of a server share their names, whatever their database.
    slotName: `pg2kinesis_${name}`,
    vpc,
    vpcSubnets,
    sharedEndpoints,
    databaseHost: 'app.abcdefghijkl.eu-central-1.rds.amazonaws.com',
    databaseName: name,
    databaseSecret,
    databaseSecurityGroup,
    stream: new SlotStream(stack, `Stream-${name}`).stream,
    format: 'json',
  });
  new SlotLifecycle(stack, `Slot-${name}`, { publisher });
  const alarms = new SlotAlarms(stack, `Alarms-${name}`, { publisher, topic, lag: Duration.minutes(15), runbookUrl });
  new SlotDashboard(stack, `Dashboard-${name}`, { publisher, alarms, runbookUrl });
}
