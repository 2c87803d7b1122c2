/**
 * The topic that alarms go to: encrypted, mailed to one address, and open to CloudWatch's alarms of this account.
 * Knows no alarm.
 */
import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as subscriptions from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { faultOf, refuse } from './prop-faults.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';

/** What an `AlarmTopic` takes. */
export interface AlarmTopicProps {
  /** The address; its reader has to confirm the subscription once. */
  readonly email: string;
}

/** A topic that mails. */
export class AlarmTopic extends Construct {
  /** The topic. */
  readonly topic: sns.Topic;

  constructor(scope: Construct, id: string, props: AlarmTopicProps) {
    super(scope, id);
    refuse(this, faultOf('email', props.email, STACK_SETTINGS.alarmEmail));
    const cloudwatch = new iam.ServicePrincipal('cloudwatch.amazonaws.com');
    // A key of its own: the policy of the AWS-managed aws/sns does not admit CloudWatch, whose alarms then vanish.
    const key = new kms.Key(this, 'Key', {
      description: 'pg2kinesis: encrypts alarm messages',
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // The topic's policy says who may publish. The key's cannot: it is not documented that CloudWatch names the source account to KMS.
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AllowAlarms',
        principals: [cloudwatch],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
      }),
    );
    this.topic = new sns.Topic(this, 'Topic', { displayName: 'pg2kinesis alarms', masterKey: key, enforceSSL: true });
    // enforceSSL alone gives a policy that only denies, and a policy that allows nobody shuts CloudWatch out.
    this.topic.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'AllowAlarms',
        principals: [cloudwatch],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    this.topic.addSubscription(new subscriptions.EmailSubscription(props.email));
  }
}
