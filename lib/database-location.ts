/** Where a publisher's database is: from the construct that was given, or from host, port and security group. Opens nothing. */
import { Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as rds from 'aws-cdk-lib/aws-rds';
import type { IConstruct } from 'constructs';
import type { DatabaseProps } from './slot-publisher-props.ts';

/** What is known of it. */
export interface DatabaseLocation {
  /** Host name or address; undefined where nothing says it. */
  readonly host: string | undefined;
  readonly port: number;
  readonly securityGroup: ec2.ISecurityGroup | undefined;
  /** The resource ID, for IAM authentication; undefined where nothing says it. */
  readonly resourceId: string | undefined;
}

type Database = rds.IDatabaseInstance | rds.IDatabaseCluster;

/**
 * @param props - `databaseHost`, `databasePort`, `databaseSecurityGroup` and `databaseResourceId` win over what `database` says
 * @returns the location
 */
export function databaseLocation(props: DatabaseProps & { readonly databaseResourceId?: string }): DatabaseLocation {
  const { database, databaseCidr } = props;
  const endpoint = database === undefined ? undefined : ifKnown(() => endpointOf(database));
  return {
    host: props.databaseHost ?? endpoint?.hostname,
    port: props.databasePort ?? endpoint?.port ?? 5432,
    securityGroup:
      props.databaseSecurityGroup ?? (databaseCidr === undefined ? database?.connections.securityGroups[0] : undefined),
    resourceId:
      props.databaseResourceId ?? (database === undefined ? undefined : ifKnown(() => resourceIdOf(database))),
  };
}

/**
 * @param database - what was given
 * @returns a sentence where it is known to be of another engine
 */
export function engineFaults(database: Database | undefined): string[] {
  const engine = database?.engine?.engineType;
  if (engine === undefined || /postgres/.test(engine)) return [];
  return [`database cannot be of the engine ${engine}: it must be PostgreSQL.`];
}

/**
 * What has to be there before a function can connect, and for as long as it has to. A cluster's host is there before its
 * instances are. What another stack makes is there before this one.
 *
 * @param scope - the function's construct
 * @param database - what was given
 * @returns the database where it is of the same stack
 */
export function databaseHere(scope: IConstruct, database: Database | undefined): Database[] {
  return database === undefined || Stack.of(database) !== Stack.of(scope) ? [] : [database];
}

/** The writer's endpoint: a slot is read there. */
function endpointOf(database: Database): rds.Endpoint {
  return 'clusterEndpoint' in database ? database.clusterEndpoint : database.instanceEndpoint;
}

function resourceIdOf(database: Database): string | undefined {
  return 'clusterEndpoint' in database ? database.clusterResourceIdentifier : database.instanceResourceId;
}

/** An imported cluster throws an error where it is asked for what it was not given. */
function ifKnown<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}
