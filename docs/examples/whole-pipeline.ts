// A whole pipeline in one stack: stream, slot, function, alarms and dashboard. The settings are those of docs/settings.md.
import { App } from 'aws-cdk-lib';
import { Pg2KinesisStack } from 'pg2kinesis';

const app = new App();

new Pg2KinesisStack(app, 'app-changes', {
  env: { account: '123456789012', region: 'eu-central-1' },
  settings: {
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    // With subnets and their zones nothing has to be looked up. Without both, the VPC's private subnets are.
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
