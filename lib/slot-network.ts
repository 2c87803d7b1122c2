/**
 * How the function reaches the database, Kinesis and Secrets Manager: subnets, security groups, ingress, endpoints.
 * Opens nothing to anybody but the function. It knows no replication slot: `Slot` begins the name of every construct of this package.
 */
import { isIPv6 } from 'node:net';
import { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct, type IDependable } from 'constructs';
import type { Endpoint } from './pipeline-settings.ts';
import { type EndpointSet, makeEndpoints } from './slot-endpoints.ts';
import type { NetworkProps } from './slot-publisher-props.ts';
import { functionSubnets } from './slot-subnets.ts';

/** What a `SlotNetwork` takes. */
export interface SlotNetworkProps extends NetworkProps {
  /** The database's host name or address. */
  readonly databaseHost?: string | undefined;
  /** The port that the database listens on. */
  readonly databasePort: number;
  /** The database's group. @default none: `databaseCidr`, else any address */
  readonly databaseSecurityGroup?: ec2.ISecurityGroup;
  /** The addresses of a database without a group here. @default any */
  readonly databaseCidr?: string;
  /** What the function is, for descriptions. @default the function that publishes a replication slot */
  readonly purpose?: string;
  /** The AWS services that the function calls. Where endpoints have them all, it needs no route out. */
  readonly services: readonly Endpoint[];
}

/** The function's place in the VPC. */
export class SlotNetwork extends Construct {
  /** The function's security groups: the one that was made, or those that were given. */
  readonly securityGroups: readonly [ec2.ISecurityGroup, ...ec2.ISecurityGroup[]];
  /** The function's subnets. */
  readonly subnets: ec2.SubnetSelection;
  /** Whether the subnets may be public ones: a function there has no route out, and here needs none. */
  readonly allowPublicSubnet: boolean;
  /** The endpoints that were made for this function alone. */
  readonly endpoints: EndpointSet | undefined;
  /** Whether the database's group admits the function; false where whoever keeps its rules has to see to it. */
  readonly admitted: boolean;
  /** Whether the database is known to have an IPv6 address, which Lambda gives a function no way to unless it is told to. */
  readonly ipv6: boolean;
  /** What tells the SDK of the endpoints: environment variables that it reads itself. */
  readonly environment: Readonly<Record<string, string>>;
  /** All that must be there before the function can reach anything. */
  readonly dependencies: readonly IDependable[];

  /** @throws {SubnetsError} where the VPC has none that fit */
  constructor(scope: Construct, id: string, props: SlotNetworkProps) {
    super(scope, id);
    const purpose = `pg2kinesis: ${props.purpose ?? 'the function that publishes a replication slot'}`;
    const { vpc, databasePort: port, endpoints = [], existingEndpoints = [], sharedEndpoints: shared } = props;
    const hasEndpoint = (service: Endpoint): boolean =>
      endpoints.includes(service) || shared?.endpoints.has(service) === true;
    const hasAllEndpoints = props.services.every(hasEndpoint);
    this.allowPublicSubnet = props.services.every(
      (service) => hasEndpoint(service) || existingEndpoints.includes(service),
    );
    this.subnets = functionSubnets(
      vpc,
      props.vpcSubnets,
      props.services,
      props.services.filter((service) => !hasEndpoint(service) && !existingEndpoints.includes(service)),
    );

    const [first, ...others] = props.securityGroups ?? [];
    this.securityGroups =
      first === undefined
        ? [
            new ec2.SecurityGroup(this, 'SecurityGroup', {
              vpc,
              description: purpose,
              allowAllOutbound: false,
            }),
          ]
        : [first, ...others];
    this.ipv6 = isIPv6(props.databaseHost ?? '') || props.databaseCidr?.includes(':') === true;
    const database = props.databaseSecurityGroup ?? address(props.databaseCidr, this.ipv6);
    this.allowOut(database, port, 'PostgreSQL');
    if (!hasAllEndpoints)
      this.allowOut(
        ec2.Peer.anyIpv4(),
        443,
        `${props.services.includes('kinesis') ? 'Kinesis and ' : ''}Secrets Manager`,
      );
    // No way out is needed. The CDK gives a group without rules one that allows everything, so this one leads nowhere.
    else if (first === undefined)
      this.allowOut(ec2.Peer.ipv4('127.0.0.1/32'), 443, 'Nothing: the endpoints have rules of their own');
    this.admitted = props.databaseSecurityGroup === undefined || takesRules(props.databaseSecurityGroup);
    const ingress =
      this.admitted && props.databaseSecurityGroup ? this.admit(props.databaseSecurityGroup, port, purpose) : [];
    this.endpoints =
      endpoints.length === 0 ? undefined : makeEndpoints(this, { vpc, vpcSubnets: this.subnets, services: endpoints });
    const sets = [this.endpoints, shared].filter((set) => set !== undefined);
    for (const set of sets) {
      for (const group of this.securityGroups)
        set.securityGroup.addIngressRule(
          group,
          ec2.Port.tcp(443),
          'the function',
          isElsewhere(this, set.securityGroup),
        );
      this.allowOut(set.securityGroup, 443, 'the endpoints');
    }
    this.environment = Object.assign({}, ...sets.map((set) => set.environment)) as Record<string, string>;
    this.dependencies = [...this.securityGroups, ...ingress, ...sets.flatMap((set) => set.dependencies)];
  }

  /** A rule for the function's groups, but for those that allow everything anyway. */
  private allowOut(peer: ec2.IPeer, port: number, description: string): void {
    for (const group of this.securityGroups)
      if (!group.allowAllOutbound) group.addEgressRule(peer, ec2.Port.tcp(port), description, isElsewhere(this, group));
  }

  /** Lets the function in at the database's group. L1s of our own, so that others can depend on them. */
  private admit(database: ec2.ISecurityGroup, port: number, description: string): ec2.CfnSecurityGroupIngress[] {
    return this.securityGroups.map(
      (group, index) =>
        new ec2.CfnSecurityGroupIngress(this, index === 0 ? 'DatabaseIngress' : `DatabaseIngress${index + 1}`, {
          groupId: database.securityGroupId,
          sourceSecurityGroupId: group.securityGroupId,
          ipProtocol: 'tcp',
          fromPort: port,
          toPort: port,
          description,
        }),
    );
  }
}

/**
 * Whether a group is of another stack than the function. A rule of it is then made where its peer is: most often that stack
 * depends on the group's, which can then not depend on it.
 */
function isElsewhere(scope: Construct, group: ec2.ISecurityGroup): boolean {
  return Stack.of(group) !== Stack.of(scope);
}

/** Where a database without a group may be. */
function address(cidr: string | undefined, ipv6: boolean): ec2.IPeer {
  if (cidr === undefined) return ipv6 ? ec2.Peer.anyIpv6() : ec2.Peer.anyIpv4();
  return cidr.includes(':') ? ec2.Peer.ipv6(cidr) : ec2.Peer.ipv4(cidr);
}

/**
 * Whether a group takes rules. One that was imported with `mutable: false` ignores them, and has no field that says so. So it is
 * given a rule that throws when it is read, which a group that ignores rules does not do. No rule is made.
 */
function takesRules(group: ec2.ISecurityGroup): boolean {
  const looked = new Error('The rule was looked at.');
  const peer: ec2.IPeer = {
    canInlineRule: false,
    uniqueId: 'pg2kinesis-probe',
    connections: new ec2.Connections(),
    toIngressRuleConfig: () => {
      throw looked;
    },
    toEgressRuleConfig: () => ({}),
  };
  try {
    group.addIngressRule(peer, ec2.Port.tcp(1), 'never made');
    return false;
  } catch (error) {
    if (error === looked) return true;
    throw error;
  }
}
