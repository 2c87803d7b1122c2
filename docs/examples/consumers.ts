// Who reads the stream: a Lambda function, an application with a role of its own, and people who invoke the publisher.
import { App, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Pg2KinesisStack } from 'pg2kinesis';

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
    alarmEmail: 'oncall@example.com',
  },
});

const readers = new Stack(app, 'app-readers', { env });
const consumer = new lambda.Function(readers, 'Consumer', {
  runtime: lambda.Runtime.NODEJS_22_X,
  handler: 'index.handler',
  // In place of yours: docs/records.md has one to copy.
  code: lambda.Code.fromInline('exports.handler = async (event) => console.log(event.Records.length);'),
});
consumer.addEventSource(publisher.eventSource({ batchSize: 500 }));

const application = new iam.Role(readers, 'Application', {
  assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com'),
});
publisher.grantRead(application);

// May invoke run, drain, status, check and the rest. With separateAdmin, grantAdmin gives drop-slot and skip-transaction.
const onCall = new iam.Role(readers, 'OnCall', { assumedBy: new iam.AccountRootPrincipal() });
publisher.grantInvoke(onCall);
