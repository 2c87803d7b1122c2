/**
 * A second PostgreSQL that a Lambda function keeps equal to the source, from the stream: the function, the mapping of the stream
 * to it, its grants, the queue of what it had to leave out, and its alarms. Knows no slot.
 */
import { Duration, Names, RemovalPolicy } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as actions from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { KinesisEventSource, SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import * as logs from 'aws-cdk-lib/aws-logs';
import type * as sns from 'aws-cdk-lib/aws-sns';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { AlarmTopic } from './alarm-topic.ts';
import { acknowledge, acknowledgeInPacks, INLINE_POLICIES, LOG_ENCRYPTION } from './cdk-nag-suppressions.ts';
import { checkReplica } from './check-replica.ts';
import { databaseLocation } from './database-location.ts';
import { bundleFolder, HANDLER } from './function-code.ts';
import {
  allowNetworkInterfaces,
  allowSignIn,
  denyNetworkInterfaces,
  makeRole,
  secretResources,
} from './function-role.ts';
import { IAM_ACTIONS } from './iam-actions.ts';
import { replicaEnvironment } from './replica-environment.ts';
import { runbookSentence } from './runbook.ts';
import { allowThrough } from './slot-endpoints.ts';
import { SlotNetwork } from './slot-network.ts';
import type { StreamReplicaProps } from './stream-replica-props.ts';

/** By its name, which older releases of the CDK do not have as a constant yet. */
const RUNTIME = new lambda.Runtime('nodejs24.x', lambda.RuntimeFamily.NODEJS, { supportsInlineCode: true });
const MINUTE = Duration.minutes(1);

/**
 * Keeps the tables of another PostgreSQL equal to those of the source, for tables where changes of different
 * rows may be applied in another order than they were committed in. docs/replica.md says which these are, and what is not promised.
 *
 * @example
 * new StreamReplica(this, 'Copy', {
 *   publisher, vpc, database: copy, databaseName: 'app', databaseSecret: secret, email: 'oncall@example.com',
 * });
 */
export class StreamReplica extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function. */
  readonly function: lambda.Function;
  /** Its log. */
  readonly logGroup: logs.LogGroup;
  /** The stream that is copied. */
  readonly stream: kinesis.IStream;
  /** Where Lambda says what it gave up: which records of which shard. What is in it is not in the copy. */
  readonly failures: sqs.Queue;
  /** What the function may connect to. */
  readonly connections: ec2.Connections;
  /** The function's role. */
  readonly grantPrincipal: iam.IPrincipal;
  /** The function's security group: its own, or the first that was given. */
  readonly securityGroup: ec2.ISecurityGroup;
  /** The topic that the alarms go to. */
  readonly topic: sns.ITopic | undefined;
  /** Records are not applied, or too slowly. */
  readonly behind: cloudwatch.Alarm;
  /** Lambda gives the function nothing, not even the marks that come each hour. */
  readonly silent: cloudwatch.Alarm;
  /** Records were left out: the copy is not equal any more. */
  readonly leftOut: cloudwatch.Alarm;

  /**
   * @param scope - the construct in which it is made
   * @param id - its id in that scope; a changed one replaces what was deployed
   * @param props - its properties
   * @throws {PropsError} naming every prop whose value is not allowed
   * @throws {SubnetsError} where the VPC has no subnets that fit
   */
  constructor(scope: Construct, id: string, props: StreamReplicaProps) {
    super(scope, id);
    checkReplica(this, props);
    const location = databaseLocation(props);
    this.stream = props.publisher === undefined ? props.stream : props.publisher.stream;
    const network = new SlotNetwork(this, 'Network', {
      ...props,
      databaseHost: location.host,
      databasePort: location.port,
      ...(location.securityGroup === undefined ? {} : { databaseSecurityGroup: location.securityGroup }),
      purpose: 'the function that keeps a replica',
      // Lambda reads the stream by itself, from outside the VPC.
      services: props.databaseAuth === 'iam' ? [] : ['secretsmanager'],
    });
    [this.securityGroup] = network.securityGroups;
    this.logGroup = new logs.LogGroup(this, 'Log', {
      retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      ...(props.logKey === undefined ? {} : { encryptionKey: props.logKey }),
      // It tells why a copy has stopped, so it outlives the stack.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const role = props.role ?? makeRole(this, 'pg2kinesis: what the function of a replica may do');
    this.grantPrincipal = role;
    this.logGroup.grantWrite(role);
    allowNetworkInterfaces(role);
    allowSignIn(this, role, props, location.resourceId);
    this.function = new lambda.Function(this, 'Function', {
      description: 'pg2kinesis: keeps a replica from a stream',
      runtime: RUNTIME,
      ...(props.functionName === undefined ? {} : { functionName: props.functionName }),
      architecture: props.architecture ?? lambda.Architecture.ARM_64,
      code: props.code ?? lambda.Code.fromAsset(bundleFolder(import.meta.url, 'replica-function')),
      handler: HANDLER,
      role,
      memorySize: props.memoryMib ?? 512,
      timeout: Duration.minutes(5),
      environment: {
        ...replicaEnvironment(
          props,
          location,
          props.pipelineName ?? Names.uniqueResourceName(this, { maxLength: 100, separator: '-' }),
        ),
        ...network.environment,
        NODE_OPTIONS: '--enable-source-maps',
      },
      vpc: props.vpc,
      vpcSubnets: network.subnets,
      allowPublicSubnet: network.allowPublicSubnet,
      ...(network.ipv6 ? { ipv6AllowedForDualStack: true } : {}),
      securityGroups: [...network.securityGroups],
      logGroup: this.logGroup,
      tracing: props.tracing === true ? lambda.Tracing.ACTIVE : lambda.Tracing.DISABLED,
      ...(props.reservedConcurrency === undefined ? {} : { reservedConcurrentExecutions: props.reservedConcurrency }),
      ...(props.environmentKey === undefined ? {} : { environmentEncryption: props.environmentKey }),
      ...(props.layers === undefined ? {} : { layers: [...props.layers] }),
    });
    this.connections = this.function.connections;
    denyNetworkInterfaces(this, role, this.function.functionArn);
    for (const [service, endpoint] of network.endpoints?.endpoints ?? []) {
      const resources = secretResources(props);
      if (service === 'secretsmanager' && resources.length > 0)
        allowThrough(endpoint, IAM_ACTIONS[service], resources, { ArnEquals: { 'aws:PrincipalArn': role.roleArn } });
    }
    this.failures = new sqs.Queue(this, 'Failures', {
      retentionPeriod: Duration.days(14),
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    this.map(props, network);
    const own = props.email === undefined ? undefined : new AlarmTopic(this, 'Topic', { email: props.email });
    this.topic = own?.topic ?? props.topic;
    const age = props.iteratorAge ?? Duration.minutes(5);
    this.behind = this.alarm('Behind', {
      metric: this.function.metric('IteratorAge', { period: MINUTE, statistic: cloudwatch.Stats.MAXIMUM }),
      threshold: age.toMilliseconds(),
      periods: 5,
      // Without an invocation there is no data: that does not mean that the copy has caught up.
      missing: cloudwatch.TreatMissingData.IGNORE,
      runbook: props.runbookUrl,
      description: `The oldest record that is not applied is over ${age.toSeconds()} seconds old: records cannot be applied, or more is published than is applied. First: read the newest error in the function's log: its code and message say what to do.`,
    });
    this.silent = this.alarm('Silent', {
      metric: this.function.metricInvocations({ period: Duration.hours(1), statistic: cloudwatch.Stats.SUM }),
      threshold: 1,
      isBelow: true,
      // Marks come each hour and a little later.
      periods: 3,
      missing: cloudwatch.TreatMissingData.BREACHING,
      runbook: props.runbookUrl,
      description:
        'Lambda has given the function nothing for three hours, though a pipeline writes marks each hour: the event source mapping is disabled, may not read the stream any more, or the pipeline does not run. First: aws lambda list-event-source-mappings for the function, and read its state and last result.',
    });
    this.leftOut = this.alarm('LeftOut', {
      metric: this.failures.metricApproximateNumberOfMessagesVisible({
        period: MINUTE,
        statistic: cloudwatch.Stats.MAXIMUM,
      }),
      threshold: 0,
      periods: 1,
      missing: cloudwatch.TreatMissingData.NOT_BREACHING,
      runbook: props.runbookUrl,
      description:
        'Lambda gave up records that could not be applied, so the copy is not equal any more. First: read a message of the queue, which names shard and sequence numbers, and the error in the log. Then make the copy anew.',
    });
    this.acknowledge(role);
  }

  /** Makes Lambda give the function the stream's records, a shard's in order. */
  private map(props: StreamReplicaProps, network: SlotNetwork): void {
    const source = new KinesisEventSource(this.stream, {
      // Nothing that is in the stream is missed. What the target holds already is dropped.
      startingPosition: lambda.StartingPosition.TRIM_HORIZON,
      batchSize: props.batchSize ?? 100,
      // One invocation at a time for a shard: several would get the changes of a lane out of order.
      parallelizationFactor: 1,
      reportBatchItemFailures: true,
      bisectBatchOnError: true,
      onFailure: new SqsDlq(this.failures),
      ...(props.retryAttempts === undefined ? {} : { retryAttempts: props.retryAttempts }),
      ...(props.maxRecordAge === undefined ? {} : { maxRecordAge: props.maxRecordAge }),
    });
    this.function.addEventSource(source);
    // Lambda gives it no records before it can reach the target.
    const mapping = this.function.node.findAll().find((child) => child instanceof lambda.CfnEventSourceMapping);
    mapping?.node.addDependency(...network.dependencies);
  }

  private alarm(
    id: string,
    rule: {
      readonly metric: cloudwatch.IMetric;
      readonly threshold: number;
      readonly periods: number;
      /** @default false */
      readonly isBelow?: boolean;
      readonly missing: cloudwatch.TreatMissingData;
      readonly runbook: string | undefined;
      readonly description: string;
    },
  ): cloudwatch.Alarm {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription: `${rule.description} ${runbookSentence(rule.runbook, `Replica${id}`)}`,
      metric: rule.metric,
      threshold: rule.threshold,
      comparisonOperator:
        rule.isBelow === true
          ? cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
          : cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: rule.periods,
      datapointsToAlarm: rule.periods,
      treatMissingData: rule.missing,
    });
    if (this.topic !== undefined) {
      alarm.addAlarmAction(new actions.SnsAction(this.topic));
      alarm.addOkAction(new actions.SnsAction(this.topic));
    }
    return alarm;
  }

  /** Why what a rule pack objects to is right here. */
  private acknowledge(role: iam.IRole): void {
    acknowledge(role, {
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The EC2 actions with which Lambda puts a function into a VPC, and those of X-Ray, cannot be limited to a resource.',
    });
    acknowledge(this.failures, {
      id: 'AwsSolutions-SQS3',
      reason: 'It is itself the queue of what could not be done.',
    });
    acknowledgeInPacks(this, 'IAMNoInlinePolicy', INLINE_POLICIES);
    acknowledgeInPacks(this.logGroup, 'CloudWatchLogGroupEncrypted', LOG_ENCRYPTION);
    acknowledgeInPacks(
      this.function,
      'LambdaConcurrency',
      'There is one invocation a shard at most. Reserved concurrency is taken from the account, and is given where asked for: reservedConcurrency.',
    );
    acknowledgeInPacks(
      this.function,
      'LambdaDLQ',
      'It is invoked with records of the stream only, and the mapping has a queue for those that are given up.',
    );
  }
}
