/**
 * One pipeline as a stack: from settings to constructs, and nothing else. What each does is in its own file.
 */
import { Annotations, CfnOutput, Duration, Stack, type StackProps, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { SHARED_PROPS } from './check-props.ts';
import { invokeCommand } from './invoke-command.ts';
import { given, pick } from './optional-fields.ts';
import type { GivenSettings, PipelineSettings } from './pipeline-settings.ts';
import { PropsError } from './prop-faults.ts';
import { rootCertificates } from './root-certificates.ts';
import { completeSettings, SettingsError } from './settings.ts';
import { SlotAlarms } from './slot-alarms.ts';
import { SlotDashboard } from './slot-dashboard.ts';
import { SlotLifecycle } from './slot-lifecycle.ts';
import { SlotPublisher } from './slot-publisher.ts';
import type { DatabaseSignIn, FunctionProps, NetworkProps } from './slot-publisher-props.ts';
import { importStream, SlotStream } from './slot-stream.ts';
import { addSynthesisNotices } from './synthesis-notices.ts';

/**
 * The names of stream, slot and the slot's provider in the template, as they were first deployed. They must never change:
 * CloudFormation would leave the old stream and take a new, empty one, take the slot for another, and refuse another provider.
 */
const LOGICAL_IDS = {
  stream: 'Stream862536A4',
  slot: 'SlotCF8C3CD8',
  provider: 'SlotProviderframeworkonEventEAEDE4C6',
} as const;

/** CloudWatch Logs' periods: the enum's values are days. */
const RETENTIONS = Object.values(logs.RetentionDays).filter((value) => typeof value === 'number');

/** What a `Pg2KinesisStack` takes besides its settings. */
export interface Pg2KinesisStackProps extends StackProps {
  /** What is deployed, and to where: `account` and `region` are the stack's `env`. @default `name` is the stack's name */
  readonly settings: GivenSettings;
  /** The function's code. @default the bundle that comes with this package */
  readonly code?: lambda.Code;
}

/** A pipeline: stream, function, slot, alarms, dashboard. */
export class Pg2KinesisStack extends Stack {
  /** The publisher. */
  readonly publisher: SlotPublisher;
  /** The slot as a resource, unless switched off. */
  readonly lifecycle: SlotLifecycle | undefined;
  /** The alarms, unless switched off. */
  readonly alarms: SlotAlarms | undefined;
  /** The dashboard, unless switched off. */
  readonly dashboard: SlotDashboard | undefined;

  /**
   * @param scope - the app
   * @param id - the stack's name there
   * @param props - its properties
   * @throws {PropsError} naming every setting whose value is not allowed
   * @throws {SettingsError} where the VPC has to be looked up and there is no account to do it in
   * @throws {Error} where the VPC has no subnets that fit
   */
  constructor(scope: Construct, id: string, props: Pg2KinesisStackProps) {
    super(scope, id, {
      description: 'pg2kinesis: publishes the committed changes of a PostgreSQL database to a Kinesis data stream',
      ...given('terminationProtection', props.settings.terminationProtection),
      ...props,
      env: { ...pick(props.settings, ['account', 'region']), ...props.env },
    });
    const { settings, faults } = completeSettings(props.settings, {
      name: this.stackName,
      account: Token.isUnresolved(this.account) ? undefined : this.account,
      region: Token.isUnresolved(this.region) ? undefined : this.region,
    });
    if (faults.length > 0) throw new PropsError(this, faults, 'setting');
    const { code } = props;
    addSynthesisNotices(this, settings);
    const streamKey =
      settings.streamKeyArn === undefined ? undefined : kms.Key.fromKeyArn(this, 'StreamKey', settings.streamKeyArn);
    const stream =
      settings.existingStream === undefined
        ? new SlotStream(this, 'Stream', {
            logicalId: LOGICAL_IDS.stream,
            ...given(
              'retention',
              settings.streamRetentionHours === undefined ? undefined : Duration.hours(settings.streamRetentionHours),
            ),
            ...given('key', streamKey),
            ...given('maxRecordKib', settings.maxRecordKib),
          }).stream
        : importStream(this, 'Stream', settings.existingStream, streamKey);

    this.publisher = new SlotPublisher(this, 'Publisher', {
      ...pick(settings, SHARED_PROPS),
      ...this.network(settings),
      ...this.signIn(settings),
      ...this.databaseGroup(settings),
      ...this.functionParts(settings),
      stream,
      pipelineName: settings.name,
      ...given(
        'logRetention',
        RETENTIONS.find((days) => `${days}` === `${settings.logRetentionDays ?? ''}`),
      ),
      ...given('code', code),
    });
    this.lifecycle = settings.slotLifecycle
      ? new SlotLifecycle(this, 'Slot', {
          publisher: this.publisher,
          logicalId: LOGICAL_IDS.slot,
          providerLogicalId: LOGICAL_IDS.provider,
          ...given('onRemoval', settings.onRemoval),
          ...given('inVpc', settings.slotLifecycleInVpc),
        })
      : undefined;
    this.alarms = settings.alarms ? this.makeAlarms(settings) : undefined;
    this.dashboard = settings.dashboard
      ? new SlotDashboard(this, 'Dashboard', {
          publisher: this.publisher,
          ...given('alarms', this.alarms),
          ...given('runbookUrl', settings.runbookUrl),
        })
      : undefined;

    if (!this.publisher.admitted) {
      new CfnOutput(this, 'FunctionSecurityGroupId', {
        value: this.publisher.securityGroup.securityGroupId,
        description: `The group that the database's has to admit, at TCP port ${settings.databasePort}`,
      });
    }
    const { functionName } = this.publisher.function;
    new CfnOutput(this, 'StreamName', { value: stream.streamName, description: 'The Kinesis data stream to consume' });
    new CfnOutput(this, 'StreamArn', { value: stream.streamArn, description: 'Its ARN' });
    new CfnOutput(this, 'FunctionName', { value: functionName, description: 'The function, to be invoked by hand' });
    new CfnOutput(this, 'LogGroupName', {
      value: this.publisher.logGroup.logGroupName,
      description: 'The log group of the function',
    });
    new CfnOutput(this, 'FirstCheckCommand', {
      value: invokeCommand(functionName, this.region, 'check'),
      description: 'Checks every precondition, and says what to do',
    });
    new CfnOutput(this, 'DrainCommand', {
      value: invokeCommand(functionName, this.region, 'drain'),
      description: 'Works off a backlog, for up to 15 minutes',
    });
    if (settings.marks === 'on') {
      new CfnOutput(this, 'ReplicateCommand', {
        value: `npx pg2kinesis replicate --stream ${stream.streamArn} --to postgres://user@host:5432/database`,
        description: 'Keeps another PostgreSQL equal to the source: MARKS is on',
      });
    }
    new CfnOutput(this, 'StatusCommand', {
      value: invokeCommand(functionName, this.region, 'status'),
      description: 'Tells lag, retained WAL and what holds it',
    });
  }

  /** The database's group; where its rules are kept elsewhere, an output with what they need. */
  private databaseGroup(settings: PipelineSettings): { databaseSecurityGroup?: ec2.ISecurityGroup } {
    const { databaseSecurityGroupId, databaseIngress = true } = settings;
    if (databaseSecurityGroupId === undefined) return {};
    return {
      databaseSecurityGroup: ec2.SecurityGroup.fromSecurityGroupId(
        this,
        'DatabaseSecurityGroup',
        databaseSecurityGroupId,
        { mutable: databaseIngress },
      ),
    };
  }

  /** What the account already has for the function: role, security groups, keys, authorities. */
  private functionParts(settings: PipelineSettings): Partial<FunctionProps & Pick<NetworkProps, 'securityGroups'>> & {
    databaseSslRootCert?: string;
  } {
    const { roleArn, securityGroupIds, logKeyArn, environmentKeyArn, architecture, databaseSslRootCert } = settings;
    return {
      ...given('role', roleArn === undefined ? undefined : iam.Role.fromRoleArn(this, 'Role', roleArn)),
      ...given(
        'securityGroups',
        securityGroupIds?.map((id, index) =>
          ec2.SecurityGroup.fromSecurityGroupId(this, `SecurityGroup${index + 1}`, id, { allowAllOutbound: false }),
        ),
      ),
      ...given('logKey', logKeyArn === undefined ? undefined : kms.Key.fromKeyArn(this, 'LogKey', logKeyArn)),
      ...given(
        'environmentKey',
        environmentKeyArn === undefined ? undefined : kms.Key.fromKeyArn(this, 'EnvironmentKey', environmentKeyArn),
      ),
      ...given(
        'architecture',
        architecture === undefined
          ? undefined
          : architecture === 'arm64'
            ? lambda.Architecture.ARM_64
            : lambda.Architecture.X86_64,
      ),
      ...(databaseSslRootCert === undefined ? {} : rootCertificates(this, 'RootCertificates', databaseSslRootCert)),
    };
  }

  /** The VPC and the function's subnets: imported where the settings say all there is to know, else looked up. */
  private network(settings: PipelineSettings): { vpc: ec2.IVpc; vpcSubnets?: ec2.SubnetSelection } {
    const { vpcId, subnetIds, availabilityZones } = settings;
    if (subnetIds !== undefined && availabilityZones !== undefined) {
      const zones = [...new Set(availabilityZones)];
      const subnets = subnetIds.map((subnetId, index) => {
        const subnet = ec2.Subnet.fromSubnetAttributes(this, `Subnet${index + 1}`, {
          subnetId,
          ...given('availabilityZone', availabilityZones[index]),
        });
        // Nothing here asks for its route table.
        Annotations.of(subnet).acknowledgeWarning('@aws-cdk/aws-ec2:noSubnetRouteTableId');
        return subnet;
      });
      return {
        vpc: ec2.Vpc.fromVpcAttributes(this, 'Vpc', { vpcId, availabilityZones: zones }),
        vpcSubnets: { subnets },
      };
    }
    if (this.environment.includes('unknown-')) {
      throw new SettingsError([
        `vpcId ${vpcId} has to be looked up, which needs an account and a region: sign in (aws configure, or AWS_PROFILE), or set account and region. ` +
          'With subnetIds and availabilityZones no look-up is needed.',
      ]);
    }
    const vpc = ec2.Vpc.fromLookup(this, 'Vpc', { vpcId });
    if (subnetIds === undefined) return { vpc };
    // Before the VPC is looked up, the CDK uses a placeholder with another id and other subnets.
    const known = [...vpc.privateSubnets, ...vpc.isolatedSubnets, ...vpc.publicSubnets].map(({ subnetId }) => subnetId);
    const strangers = vpc.vpcId === vpcId ? subnetIds.filter((subnetId) => !known.includes(subnetId)) : [];
    // The filter would leave them out silently: the function would get too few subnets, or none.
    if (strangers.length > 0)
      throw new SettingsError([
        `subnetIds cannot have ${strangers.join(', ')}: VPC ${vpcId} has ${known.join(', ') || 'no subnets'}.`,
      ]);
    return { vpc, vpcSubnets: { subnetFilters: [ec2.SubnetFilter.byIds([...subnetIds])] } };
  }

  /** What the function signs in with. */
  private signIn(settings: PipelineSettings): DatabaseSignIn {
    const { databaseAuth, databaseUser, databaseResourceId, databaseSecretArn, databaseSecretKeyArn } = settings;
    if (databaseAuth === 'iam' && databaseUser !== undefined && databaseResourceId !== undefined)
      return { databaseAuth, databaseUser, databaseResourceId };
    if (databaseAuth === 'iam' || databaseSecretArn === undefined)
      throw new SettingsError(['The settings were not read by readSettings, which refuses what cannot sign in.']);
    const encryptionKey =
      databaseSecretKeyArn === undefined ? undefined : kms.Key.fromKeyArn(this, 'SecretKey', databaseSecretKeyArn);
    const databaseSecret = secretsmanager.Secret.fromSecretAttributes(this, 'Secret', {
      secretCompleteArn: databaseSecretArn,
      ...given('encryptionKey', encryptionKey),
    });
    return { databaseAuth, databaseSecret, ...given('databaseUser', databaseUser) };
  }

  private makeAlarms(settings: PipelineSettings): SlotAlarms {
    const topic =
      settings.alarmTopicArn === undefined
        ? undefined
        : sns.Topic.fromTopicArn(this, 'AlarmTopic', settings.alarmTopicArn);
    if (settings.alarmEmail === undefined && topic === undefined) {
      Annotations.of(this).addWarningV2(
        'pg2kinesis:alarmsTellNobody',
        'The alarms tell nobody: set alarmEmail or alarmTopicArn (or alarms=false to make none).',
      );
    }
    return new SlotAlarms(this, 'Alarms', {
      publisher: this.publisher,
      ...given('email', settings.alarmEmail),
      ...given('topic', topic),
      ...given('lag', settings.lagAlarmSeconds === undefined ? undefined : Duration.seconds(settings.lagAlarmSeconds)),
      ...given('retainedWalGib', settings.retainedWalAlarmGib),
      ...given('skipped', settings.skippedAlarm),
      ...given('runbookUrl', settings.runbookUrl),
    });
  }
}
