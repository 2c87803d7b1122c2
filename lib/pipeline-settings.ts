/**
 * What a pipeline's settings in the CDK context may be: one documented field each, with those of `publishing-props.ts`. Types only.
 * How they are read is in `settings.ts`; what becomes of them, in `pg2kinesis-stack.ts`.
 */

import type { PublishingProps } from './publishing-props.ts';

/** The settings of one pipeline: one slot of one database, one function, one stream. */
export interface PipelineSettings extends PublishingProps {
  /** Required. The pipeline's name, and its stack's, unique in account and region: a letter, then letters, digits and hyphens, at most 128. */
  readonly name: string;
  /** The AWS account to deploy to, 12 digits. @default the command line's */
  readonly account?: string;
  /** The AWS region to deploy to. @default the command line's */
  readonly region?: string;

  /** The VPC that the database is in. Looked up, which needs an account, unless `subnetIds` and `availabilityZones` are given. */
  readonly vpcId: string;
  /** The subnets of the function, with a route to the database and, without `endpoints`, out. @default the VPC's private subnets */
  readonly subnetIds?: readonly string[];
  /** The availability zone of each of `subnetIds`, in their order. With both, synthesis needs no account and no look-up. @default looked up */
  readonly availabilityZones?: readonly string[];
  /** Interface endpoints to make in the VPC, for subnets that have no route out. @default none */
  readonly endpoints?: readonly Endpoint[];
  /** Services that the subnets reach by a way that is there already: an endpoint of the VPC with private DNS, or a route that the CDK does not see. @default none */
  readonly existingEndpoints?: readonly Endpoint[];
  /** Security groups for the function, instead of one that is made. Rules are added to them. @default one is made */
  readonly securityGroupIds?: readonly string[];

  /** The database's host name or address: the instance's or cluster's writer endpoint, never a pooler's. */
  readonly databaseHost: string;
  /** Its port, 1 to 65535. @default 5432 */
  readonly databasePort: number;
  /** The database that the slot belongs to: an RDS secret does not name one. 1 to 63 characters. */
  readonly databaseName: string;
  /** The security group of the database, which is given a rule that admits the function. @default none: `databaseCidr` */
  readonly databaseSecurityGroupId?: string;
  /** Whether that group is given the rule; false where its rules are kept elsewhere: an output then names the group to admit. @default true */
  readonly databaseIngress?: boolean;
  /** Instead of the group, for a database elsewhere: the addresses that the function may connect to, IPv4, or IPv6 in dual-stack subnets. @default any address, without a group */
  readonly databaseCidr?: string;
  /** How the function signs in: by the secret's password, or by an IAM token. @default secret */
  readonly databaseAuth: 'secret' | 'iam';
  /** The full ARN, with its random suffix, of the secret that holds `username` and `password`. Required with `databaseAuth` secret. */
  readonly databaseSecretArn?: string;
  /** The ARN of the KMS key that the secret is encrypted with. @default the account's aws/secretsmanager, which needs no grant */
  readonly databaseSecretKeyArn?: string;
  /** The role to sign in as. Required with `databaseAuth` iam, else the secret names it. 1 to 63 characters. @default the secret's */
  readonly databaseUser?: string;
  /** With `databaseAuth` iam, required: the resource ID of the instance (db-...), cluster (cluster-...) or proxy (prx-...). */
  readonly databaseResourceId?: string;
  /** What TLS has to prove. @default verify-full */
  readonly databaseSslMode?: 'verify-full' | 'verify-ca' | 'require' | 'disable';
  /** A PEM file, here, of further certificate authorities that the function trusts: it is deployed with it, in a layer. @default Amazon's and the public ones only */
  readonly databaseSslRootCert?: string;

  /** The name or ARN of a stream that is there. @default a stream is made, and kept when the stack goes */
  readonly existingStream?: string;
  /** How long the stream that is made keeps records, 24 to 8760 hours; 168 is recommended: a week to repair a consumer. @default 24 */
  readonly streamRetentionHours?: number;
  /** The ARN of the KMS key of the stream, made or existing. @default aws/kinesis for one that is made; none for an existing one */
  readonly streamKeyArn?: string;

  /** Whether the function runs each minute. @default true */
  readonly schedule: boolean;
  /** The function's memory, 256 to 10240 MiB; its share of a processor grows with it, 1769 being a whole one. @default 1024 */
  readonly memoryMib?: number;
  /** Lambda's reserved concurrency, 3 to 1000: at 3 a scheduled run, a drain and a status call fit side by side. @default none reserved */
  readonly reservedConcurrency?: number;
  /** Whether AWS X-Ray traces the function. @default false */
  readonly tracing?: boolean;
  /** How long the function's log is kept, in days, as CloudWatch Logs allows. @default 30 */
  readonly logRetentionDays?: number;
  /** The ARN of the KMS key that the logs are encrypted with; its policy must admit CloudWatch Logs. @default CloudWatch's own */
  readonly logKeyArn?: string;
  /** The ARN of the KMS key that the function's environment is encrypted with, which holds no secret. @default Lambda's own */
  readonly environmentKeyArn?: string;
  /** The function's name, unique in the account and region. @default generated */
  readonly functionName?: string;
  /** The ARN of a role of this account for the function, which is given the rights that it needs. @default one is made */
  readonly roleArn?: string;
  /** Whether drop-slot and skip-transaction are done through the function's alias `admin` only, so that IAM can grant them apart. @default false */
  readonly separateAdmin?: boolean;
  /** The function's processor. @default arm64 */
  readonly architecture?: 'arm64' | 'x86_64';
  /** Whether the stack refuses to be deleted until this is switched off. @default false */
  readonly terminationProtection?: boolean;

  /** Whether the slot is made with the stack, and removed with it. @default true */
  readonly slotLifecycle: boolean;
  /** What becomes of a slot that the stack made when the stack goes: an adopted slot always stays. @default drop */
  readonly onRemoval?: 'drop' | 'retain';
  /** Whether the CDK's function that passes the slot's events on is placed in the VPC, too: its subnets then need a way to Lambda and S3. @default false */
  readonly slotLifecycleInVpc?: boolean;

  /** Whether the alarms are made. @default true */
  readonly alarms: boolean;
  /** The address that alarms are mailed to, through a topic that is made; to be confirmed by its reader. @default nobody is told */
  readonly alarmEmail?: string;
  /** The ARN of a topic that is there, which CloudWatch may publish to; instead of `alarmEmail`. @default none */
  readonly alarmTopicArn?: string;
  /** The lag above which, when it does not fall, an alarm is raised, 60 to 86400 seconds. @default 300 */
  readonly lagAlarmSeconds?: number;
  /** The retained WAL above which an alarm is raised, 1 to 65536 GiB; below the disk's free space and max_slot_wal_keep_size. @default 10 */
  readonly retainedWalAlarmGib?: number;
  /** Whether changes left out because their key is not known raise an alarm. @default false */
  readonly skippedAlarm?: boolean;
  /** Whether the dashboard is made. @default true */
  readonly dashboard: boolean;
  /** The address at which your engineers on call read docs/operations.md: alarms and dashboard link to it. @default its name is said */
  readonly runbookUrl?: string;
}

/** A service that can be given an interface endpoint. */
export type Endpoint = 'kinesis' | 'secretsmanager';

/** What can be read by a table, each field by itself. */
export type PartialSettings = { -readonly [N in keyof PipelineSettings]?: PipelineSettings[N] };

/** The settings as a program gives them: what has a default may be left out. @see STACK_DEFAULTS in `stack-settings-table.ts` */
export type GivenSettings = Omit<PipelineSettings, Defaulted> & Partial<Pick<PipelineSettings, Defaulted>>;
type Defaulted = 'name' | 'databasePort' | 'databaseAuth' | 'schedule' | 'slotLifecycle' | 'alarms' | 'dashboard';
