/**
 * The function that publishes a replication slot, with its schedule and exactly the grants it needs.
 * Knows neither alarms nor the slot's making and dropping: those are constructs beside it, to be taken or left.
 */
import { Duration, Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { KinesisEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as scheduler from 'aws-cdk-lib/aws-scheduler';
import * as targets from 'aws-cdk-lib/aws-scheduler-targets';
import { Construct, DependencyGroup, type IDependable } from 'constructs';
import { acknowledge, acknowledgeInPacks, INLINE_POLICIES, LOG_ENCRYPTION } from './cdk-nag-suppressions.ts';
import { checkPublisher } from './check-props.ts';
import { databaseHere, databaseLocation } from './database-location.ts';
import { fitEnvironment, refuseLargeEnvironment } from './environment-size.ts';
import { functionCode, HANDLER } from './function-code.ts';
import { functionEnvironment } from './function-environment.ts';
import { denyNetworkInterfaces, grantRights, makeRole, rightsResources } from './function-role.ts';
import { IAM_ACTIONS } from './iam-actions.ts';
import { refuseShortTimeout } from './linger-timeout.ts';
import { refuseClashes } from './pipeline-clashes.ts';
import { allowThrough, environmentOfExisting } from './slot-endpoints.ts';
import { type SlotMetric, slotMetric } from './slot-metrics.ts';
import { SlotNetwork } from './slot-network.ts';
import type { SlotPublisherProps } from './slot-publisher-props.ts';
import { eventSourceOf, type SlotEventSourceProps } from './stream-consumers.ts';

/** By its name, which older releases of the CDK do not have as a constant yet. */
const RUNTIME = new lambda.Runtime('nodejs24.x', lambda.RuntimeFamily.NODEJS, { supportsInlineCode: true });

/** A publisher's props with what its `database` says filled in. */
type PlacedPublisherProps = SlotPublisherProps & { readonly databaseHost: string; readonly databasePort: number };

/**
 * One function that publishes one replication slot to one Kinesis data stream, each minute.
 *
 * @example
 * const publisher = new SlotPublisher(this, 'Publisher', {
 *   vpc, databaseHost: database.dbInstanceEndpointAddress, databaseName: 'app',
 *   databaseSecret: secret, databaseSecurityGroup: group, stream,
 * });
 * new SlotLifecycle(this, 'Slot', { publisher });
 * new SlotAlarms(this, 'Alarms', { publisher, email: 'oncall@example.com' });
 */
export class SlotPublisher extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function. Grants that `grantInvoke` does not cover are made on it. */
  readonly function: lambda.Function;
  /** The function again, for the stack's own events, and with `separateAdmin` for what destroys. */
  readonly adminAlias: lambda.IAlias;
  /** The function's log. */
  readonly logGroup: logs.LogGroup;
  /** The function's security group: its own, or the first that was given. */
  readonly securityGroup: ec2.ISecurityGroup;
  /** Whether the database's group admits the function; false where it was imported with `mutable: false`. */
  readonly admitted: boolean;
  /** What the function may connect to. */
  readonly connections: ec2.Connections;
  /** The function's role. */
  readonly grantPrincipal: iam.IPrincipal;
  /** The schedule. */
  readonly schedule: scheduler.Schedule;
  /** Whether the schedule is on. */
  readonly scheduled: boolean;
  /** The stream that is published to. */
  readonly stream: kinesis.IStream;
  /** The value of the metrics' one dimension, `service`. */
  readonly pipelineName: string;
  /** What must be there before the function can do anything: database, ingress, endpoints, invoke configuration. */
  readonly ready: IDependable;
  /** What watches the slot, and so must be there for as long as it is: it is made before the slot, and removed after it. */
  readonly watchers = new DependencyGroup();
  /** Where the function runs: for another that has to run there, too. */
  readonly placement: {
    readonly vpc: ec2.IVpc;
    readonly vpcSubnets: ec2.SubnetSelection;
    readonly securityGroups: ec2.ISecurityGroup[];
  };
  /** What it was given, and where its database is. */
  readonly props: PlacedPublisherProps;

  /**
   * @param scope - the construct in which it is made
   * @param id - its id in that scope; a changed one replaces what was deployed
   * @param props - its properties
   * @throws {PropsError} naming every prop whose value is not allowed
   * @throws {SubnetsError} where the VPC has no subnets that fit
   */
  constructor(scope: Construct, id: string, props: SlotPublisherProps) {
    super(scope, id);
    checkPublisher(this, props);
    const location = databaseLocation(props);
    this.props = { ...props, databaseHost: location.host ?? '', databasePort: location.port };
    this.stream = props.stream;
    this.scheduled = props.schedule ?? true;
    this.pipelineName = props.pipelineName ?? Names.uniqueResourceName(this, { maxLength: 100, separator: '-' });
    const network = new SlotNetwork(this, 'Network', {
      ...props,
      databaseHost: location.host,
      databasePort: location.port,
      ...(location.securityGroup === undefined ? {} : { databaseSecurityGroup: location.securityGroup }),
      services: props.databaseAuth === 'iam' ? ['kinesis'] : ['kinesis', 'secretsmanager'],
    });
    [this.securityGroup] = network.securityGroups;
    this.admitted = network.admitted;
    this.placement = {
      vpc: props.vpc,
      vpcSubnets: network.subnets,
      securityGroups: [...network.securityGroups],
    };

    this.logGroup = new logs.LogGroup(this, 'Log', {
      retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      ...(props.logKey === undefined ? {} : { encryptionKey: props.logKey }),
      // The log says what became of the slot when the stack was deleted, and why a creation failed. So it is kept after both.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const role = props.role ?? makeRole(this);
    this.grantPrincipal = role;
    grantRights(this, role, props, this.logGroup, location.resourceId);
    const { environment, layers } = fitEnvironment(this, {
      ...functionEnvironment(this.props, this.pipelineName),
      ...environmentOfExisting(this, props.existingEndpoints ?? [], props.stream),
      ...network.environment,
      NODE_OPTIONS: '--enable-source-maps',
      ADMIN_ONLY: props.separateAdmin === true ? 'lifecycle,drop-slot,skip-transaction' : 'lifecycle',
    });
    this.function = new lambda.Function(this, 'Function', {
      description: `pg2kinesis: publishes the replication slot of ${this.pipelineName}`,
      runtime: RUNTIME,
      ...(props.functionName === undefined ? {} : { functionName: props.functionName }),
      architecture: props.architecture ?? lambda.Architecture.ARM_64,
      code: props.code ?? functionCode(this, props.formatter, props.messages !== undefined),
      handler: HANDLER,
      role,
      memorySize: props.memoryMib ?? 1024,
      timeout: Duration.minutes(15),
      environment,
      vpc: props.vpc,
      vpcSubnets: network.subnets,
      allowPublicSubnet: network.allowPublicSubnet,
      ...(network.ipv6 ? { ipv6AllowedForDualStack: true } : {}),
      securityGroups: [...network.securityGroups],
      logGroup: this.logGroup,
      tracing: props.tracing === true ? lambda.Tracing.ACTIVE : lambda.Tracing.DISABLED,
      ...(props.reservedConcurrency === undefined ? {} : { reservedConcurrentExecutions: props.reservedConcurrency }),
      ...(props.environmentKey === undefined ? {} : { environmentEncryption: props.environmentKey }),
      ...(props.layers === undefined && layers.length === 0 ? {} : { layers: [...(props.layers ?? []), ...layers] }),
    });
    const resource = this.function.node.defaultChild as lambda.CfnFunction;
    refuseLargeEnvironment(this, resource);
    if (props.linger === 'on') refuseShortTimeout(this, resource);
    refuseClashes(this, {
      name: this.pipelineName,
      host: this.props.databaseHost,
      port: location.port,
      slot: props.slotName ?? 'pg2kinesis',
    });
    this.adminAlias = new lambda.Alias(this, 'Admin', {
      aliasName: 'admin',
      version: this.function.latestVersion,
      description: 'pg2kinesis: for what only the stack and administrators may do',
    }) as lambda.IAlias;
    this.connections = this.function.connections;
    denyNetworkInterfaces(this, role, this.function.functionArn);
    for (const [service, endpoint] of network.endpoints?.endpoints ?? []) {
      const resources = rightsResources(props)[service];
      if (resources.length > 0)
        allowThrough(endpoint, IAM_ACTIONS[service], resources, { ArnEquals: { 'aws:PrincipalArn': role.roleArn } });
    }
    // A run that failed is not repeated: the next minute's does its work. Nor does one wait in the queue while another runs.
    const invocation = new lambda.EventInvokeConfig(this, 'Invocation', {
      function: this.function,
      retryAttempts: 0,
      maxEventAge: Duration.seconds(60),
    });
    this.ready = new DependencyGroup(...network.dependencies, ...databaseHere(this, props.database), invocation);
    this.schedule = this.makeSchedule(props.runTime ?? Duration.seconds(50));
    this.schedule.node.addDependency(this.ready);
    this.acknowledge(role);
  }

  /**
   * Lets somebody invoke the function: drain, status, check and the rest; with `separateAdmin` not what destroys.
   *
   * @param grantee - who may invoke it
   */
  grantInvoke(grantee: iam.IGrantable): iam.Grant {
    return this.function.grantInvokeLatestVersion(grantee);
  }

  /**
   * Lets somebody invoke the function's alias `admin`, which with `separateAdmin` alone drops slots and skips transactions.
   *
   * @param grantee - who may invoke it
   */
  grantAdmin(grantee: iam.IGrantable): iam.Grant {
    return this.adminAlias.grantInvoke(grantee);
  }

  /**
   * Lets a consumer read the stream, and decrypt it where the stream was made or imported with its key.
   *
   * @param grantee - who may read it
   */
  grantRead(grantee: iam.IGrantable): iam.Grant {
    return this.stream.grantRead(grantee);
  }

  /**
   * Makes Lambda invoke a consumer with the stream's records, from the oldest one on, and lets it read them.
   *
   * @param props - the CDK's own, each of them optional @default from the oldest record on; Lambda's own values for the rest
   * @throws {PropsError} where `filters` would make Lambda discard records that it cannot look into
   *
   * @example consumer.addEventSource(publisher.eventSource({ batchSize: 500 }));
   */
  eventSource(props: SlotEventSourceProps = {}): KinesisEventSource {
    return eventSourceOf(this, props);
  }

  /**
   * A metric that the function emits.
   *
   * @param name - which
   * @param options - what to change @default the statistic that says most of it, over 60 seconds
   */
  metric(name: SlotMetric, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return slotMetric(this.pipelineName, name, options).attachTo(this);
  }

  /** EventBridge Scheduler, each minute. */
  private makeSchedule(runTime: Duration): scheduler.Schedule {
    return new scheduler.Schedule(this, 'Schedule', {
      description: `pg2kinesis: runs the function of ${this.pipelineName}`,
      schedule: scheduler.ScheduleExpression.rate(Duration.minutes(1)),
      enabled: this.scheduled,
      target: new targets.LambdaInvoke(this.function, {
        input: scheduler.ScheduleTargetInput.fromObject({ action: 'run', maxSeconds: runTime.toSeconds() }),
        // An invocation that Lambda refused is not repeated either: the next one is a minute away.
        retryAttempts: 0,
        maxEventAge: Duration.seconds(60),
        role: new iam.Role(this, 'ScheduleRole', {
          description: 'pg2kinesis: lets the schedule invoke the function',
          assumedBy: new iam.ServicePrincipal('scheduler.amazonaws.com', {
            conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
          }),
        }),
      }),
    });
  }

  /** Why what a rule pack objects to is right here. */
  private acknowledge(role: iam.IRole): void {
    acknowledge(role, {
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The EC2 actions with which Lambda puts a function into a VPC, and those of X-Ray, cannot be limited to a resource.',
    });
    const resource = this.function.node.defaultChild as lambda.CfnFunction;
    acknowledge(this, {
      id: `AwsSolutions-IAM5[Resource::<${Stack.of(this).getLogicalId(resource)}.Arn>:*]`,
      reason: 'The schedule may invoke any version of the one function, as the CDK grants it, and there are none.',
    });
    acknowledgeInPacks(this, 'IAMNoInlinePolicy', INLINE_POLICIES);
    if (this.props.logKey === undefined)
      acknowledgeInPacks(this.logGroup, 'CloudWatchLogGroupEncrypted', LOG_ENCRYPTION);
    if (this.props.reservedConcurrency === undefined)
      acknowledgeInPacks(
        this.function,
        'LambdaConcurrency',
        'One run at a time publishes, by a lock in the database. Reserved concurrency is taken from the account, and is given where asked for: reservedConcurrency.',
      );
    acknowledgeInPacks(
      this.function,
      'LambdaDLQ',
      "An event that failed holds nothing that is lost with it: the next minute's run does its work, and alarms tell of failures.",
    );
  }
}
