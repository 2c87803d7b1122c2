/** Where a publisher's database is: from the construct that was given, or from host, port and security group. Opens nothing. */
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as rds from 'aws-cdk-lib/aws-rds';
import type { DatabaseProps } from './slot-publisher-props.ts';

/** What is known of it. */
export interface DatabaseLocation {
  /** Host name or address; undefined where nothing says it. */
  readonly host: string | undefined;
  readonly port: number;
  readonly securityGroup: ec2.ISecurityGroup | undefined;
}

/**
 * @param props - `databaseHost`, `databasePort` and `databaseSecurityGroup` win over what `database` says
 * @returns the location
 */
export function databaseLocation(props: DatabaseProps): DatabaseLocation {
  const { database, databaseCidr } = props;
  const endpoint = database === undefined ? undefined : endpointOf(database);
  return {
    host: props.databaseHost ?? endpoint?.hostname,
    port: props.databasePort ?? endpoint?.port ?? 5432,
    securityGroup:
      props.databaseSecurityGroup ?? (databaseCidr === undefined ? database?.connections.securityGroups[0] : undefined),
  };
}

/** The writer's endpoint: a slot is read there. */
function endpointOf(database: rds.IDatabaseInstance | rds.IDatabaseCluster): rds.Endpoint {
  return 'clusterEndpoint' in database ? database.clusterEndpoint : database.instanceEndpoint;
}
