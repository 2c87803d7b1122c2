/**
 * What a `SlotPublisher` takes: one documented field each. Types only.
 * The names are those of the function's environment variables in camelCase; what is an AWS resource is given as a construct.
 */
import type { Duration } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type * as rds from 'aws-cdk-lib/aws-rds';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Endpoint } from './pipeline-settings.ts';
import type { PublishingProps } from './publishing-props.ts';
import type { SlotEndpoints } from './slot-endpoints.ts';

/** How the function signs in: by a secret's password, or by an IAM token. */
export type DatabaseSignIn =
  | {
      /** By password. @default secret */
      readonly databaseAuth?: 'secret';
      /** The secret with `username` and `password`; where it is encrypted with a key of yours, imported with that key. */
      readonly databaseSecret: secretsmanager.ISecret;
      /** The role to sign in as. @default the secret's `username` */
      readonly databaseUser?: string;
    }
  | {
      /** By an RDS IAM token. */
      readonly databaseAuth: 'iam';
      /** The role to sign in as, 1 to 63 characters; it must be granted `rds_iam`. */
      readonly databaseUser: string;
      /** The resource ID of the instance (db-...), cluster (cluster-...) or proxy (prx-...). @default the `database`'s, where it is known */
      readonly databaseResourceId?: string;
    };

/** How the function reaches the AWS services that it calls, and from where. */
export interface NetworkProps {
  /** The VPC that the function runs in: the database's, or one with a route to it. */
  readonly vpc: ec2.IVpc;
  /** The function's subnets. @default private subnets with a route out; with all the endpoints it needs, any */
  readonly vpcSubnets?: ec2.SubnetSelection;
  /** Interface endpoints to make, for subnets that have no route out; reached by this function only. @default none */
  readonly endpoints?: readonly Endpoint[];
  /** Interface endpoints that several publishers share. Not with `endpoints` of the same service. @default none */
  readonly sharedEndpoints?: SlotEndpoints;
  /**
   * Services that the subnets reach by a way that is there already: an interface endpoint of the VPC with private DNS, which
   * admits the function, or a route that the CDK does not see, for example through a firewall. @default none
   */
  readonly existingEndpoints?: readonly Endpoint[];
  /** The function's security groups. Rules are added to them, unless they were imported with `mutable: false`. @default one is made */
  readonly securityGroups?: readonly ec2.ISecurityGroup[];
}

/** Where the database is: `database`, or its host with port and security group. */
export interface DatabaseProps {
  /** An RDS instance, or an RDS or Aurora cluster: gives host, port and security group, and with IAM authentication the resource ID; each of them can be given beside it. @default `databaseHost` is given */
  readonly database?: rds.IDatabaseInstance | rds.IDatabaseCluster;
  /** The database's host: the instance's or cluster's writer endpoint, never a pooler's. @default the `database`'s */
  readonly databaseHost?: string;
  /** Its port, 1 to 65535. @default the `database`'s, else 5432 */
  readonly databasePort?: number;
  /** The database that the slot belongs to, 1 to 63 characters. */
  readonly databaseName: string;
  /**
   * The database's security group. It is given an ingress rule that admits the function, unless it was imported with
   * `mutable: false`: then whoever keeps its rules has to admit `publisher.securityGroup`. @default the `database`'s, else none
   */
  readonly databaseSecurityGroup?: ec2.ISecurityGroup;
  /** For a database without a security group here: the addresses that the function may connect to, IPv4, or IPv6 in dual-stack subnets. @default any, without a security group */
  readonly databaseCidr?: string;
  /** What TLS has to prove. @default verify-full */
  readonly databaseSslMode?: 'verify-full' | 'verify-ca' | 'require' | 'disable';
  /** A file of further authorities to trust, as the function sees it: /opt/... in one of `layers`. @default Amazon's and the public ones only */
  readonly databaseSslRootCert?: string;
}

/** The function and its schedule. */
export interface FunctionProps {
  /**
   * The stream to publish to; where it is encrypted with a key of yours, imported with that key. One of another account needs a
   * resource policy there that allows the function's role `kinesis:PutRecords` and `kinesis:DescribeStreamSummary`: it is made
   * where that stream is part of this app.
   */
  readonly stream: kinesis.IStream;
  /** Whether the function runs each minute. @default true */
  readonly schedule?: boolean;
  /** How long a scheduled run may take before it ends by itself: 1 to 840 seconds; over 60, ticks find the slot locked. @default 50 seconds */
  readonly runTime?: Duration;
  /** The function's memory, 256 to 10240 MiB; its share of a processor grows with it, 1769 being a whole one. @default 1024 */
  readonly memoryMib?: number;
  /** Lambda's reserved concurrency, at least 3: a scheduled run, a drain and a status call side by side. @default none reserved */
  readonly reservedConcurrency?: number;
  /** Whether AWS X-Ray traces the function. @default false */
  readonly tracing?: boolean;
  /** How long the function's log is kept. It outlives the stack. @default one month */
  readonly logRetention?: logs.RetentionDays;
  /** The key that the log is encrypted with; its policy must admit CloudWatch Logs. @default CloudWatch's own */
  readonly logKey?: kms.IKey;
  /** The function's name, unique in the account and region. A name stays with the function: it cannot be replaced under it. @default generated */
  readonly functionName?: string;
  /** The function's role. It is given the rights that the function needs, unless it was imported with `mutable: false`. @default one is made */
  readonly role?: iam.IRole;
  /** The function's processor. @default ARM_64 */
  readonly architecture?: lambda.Architecture;
  /** The key that the function's environment is encrypted with, which holds no secret. @default Lambda's own */
  readonly environmentKey?: kms.IKey;
  /**
   * Whether drop-slot and skip-transaction are done through the function's alias `admin` only, so that IAM grants them apart from
   * the rest (`grantAdmin`). @default false: whoever may invoke the function may do them
   */
  readonly separateAdmin?: boolean;
  /** Layers, for example with a file for `databaseSslRootCert`. @default none */
  readonly layers?: readonly lambda.ILayerVersion[];
  /** The pipeline's name in metrics, log lines and alarms: unique in the account and region, 1 to 128 characters. @default made of the construct's path */
  readonly pipelineName?: string;
  /** The function's code. @default the bundle that comes with this package */
  readonly code?: lambda.Code;
}

/** What a `SlotPublisher` takes. */
export type SlotPublisherProps = NetworkProps & DatabaseProps & DatabaseSignIn & PublishingProps & FunctionProps;
