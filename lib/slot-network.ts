/**
 * How the function reaches the database, Kinesis and Secrets Manager: subnets, security groups, ingress, endpoints.
 * Opens nothing to anybody but the function. Knows nothing of slots.
 */
import { Fn, Stack, Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct, type IDependable } from 'constructs';
import type { DatabaseProps } from './slot-publisher-props.ts';

/** What a `SlotNetwork` takes. */
export interface SlotNetworkProps extends DatabaseProps {
  /** The AWS services that the function calls. Where `endpoints` has them all, it needs no route out. */
  readonly services: readonly ('kinesis' | 'secretsmanager')[];
}

const SERVICES = {
  kinesis: { service: ec2.InterfaceVpcEndpointAwsService.KINESIS_STREAMS, variable: 'AWS_ENDPOINT_URL_KINESIS' },
  secretsmanager: {
    service: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    variable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  },
} as const;

/** The VPC has no subnets that fit. The message says what to give. */
export class SubnetsError extends Error {
  override readonly name = 'SubnetsError';
}

/** The function's place in the VPC. */
export class SlotNetwork extends Construct {
  /** The function's own security group. */
  readonly securityGroup: ec2.SecurityGroup;
  /** The function's subnets. */
  readonly subnets: ec2.SubnetSelection;
  /** Whether the subnets may be public ones: a function there has no route out, and here needs none. */
  readonly allowPublicSubnet: boolean;
  /** What tells the SDK of the endpoints: environment variables that it reads itself. */
  readonly environment: Readonly<Record<string, string>>;
  /** All that must be there before the function can reach anything. */
  readonly dependencies: readonly IDependable[];

  /** @throws {SubnetsError} where the VPC has none that fit */
  constructor(scope: Construct, id: string, props: SlotNetworkProps) {
    super(scope, id);
    const port = props.databasePort ?? 5432;
    const endpoints = props.endpoints ?? [];
    const closed = props.services.every((service) => endpoints.includes(service));
    this.allowPublicSubnet = closed;
    this.subnets = props.vpcSubnets ?? { subnets: selectSubnets(props.vpc, closed, props.services) };

    this.securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'pg2kinesis: the function that publishes a replication slot',
      allowAllOutbound: false,
    });
    this.securityGroup.addEgressRule(props.databaseSecurityGroup, ec2.Port.tcp(port), 'PostgreSQL');
    // Where no route out is needed, a rule that leads nowhere: a group made without rules in it is given one that allows all.
    if (closed)
      this.securityGroup.addEgressRule(
        ec2.Peer.ipv4('127.0.0.1/32'),
        ec2.Port.tcp(443),
        'Nothing: the endpoints have rules of their own',
      );
    else this.securityGroup.addEgressRule(ec2.Peer.anyIpv4(), ec2.Port.tcp(443), 'Kinesis and Secrets Manager');
    // An L1 of our own, so that others can depend on it, and so that it is made whatever way the group was imported.
    const ingress = new ec2.CfnSecurityGroupIngress(this, 'DatabaseIngress', {
      groupId: props.databaseSecurityGroup.securityGroupId,
      sourceSecurityGroupId: this.securityGroup.securityGroupId,
      ipProtocol: 'tcp',
      fromPort: port,
      toPort: port,
      description: 'pg2kinesis: the function that publishes a replication slot',
    });
    const made = this.makeEndpoints(props.vpc, endpoints);
    this.environment = made.environment;
    this.dependencies = [this.securityGroup, ingress, ...made.dependencies];
  }

  /**
   * Interface endpoints without private DNS: with it, every other client of Kinesis or Secrets Manager in the VPC would be
   * led to them and shut out, since they admit this function only, and making one would fail where the VPC has one. The
   * function is told their own names instead.
   */
  private makeEndpoints(
    vpc: ec2.IVpc,
    endpoints: readonly (keyof typeof SERVICES)[],
  ): { environment: Record<string, string>; dependencies: IDependable[] } {
    const environment: Record<string, string> = {};
    const dependencies: IDependable[] = [];
    if (endpoints.length === 0) return { environment, dependencies };
    const group = new ec2.SecurityGroup(this, 'EndpointSecurityGroup', {
      vpc,
      description: 'pg2kinesis: interface endpoints for the function alone',
      allowAllOutbound: false,
    });
    group.addIngressRule(this.securityGroup, ec2.Port.tcp(443), 'the function');
    this.securityGroup.addEgressRule(group, ec2.Port.tcp(443), 'the endpoints');
    dependencies.push(group);
    // An endpoint takes one subnet of a zone at most.
    const byZone = new Map(vpc.selectSubnets(this.subnets).subnets.map((subnet) => [subnet.availabilityZone, subnet]));
    for (const name of endpoints) {
      const { service, variable } = SERVICES[name];
      const endpoint = new ec2.InterfaceVpcEndpoint(this, `${name}-endpoint`, {
        vpc,
        service,
        subnets: { subnets: [...byZone.values()] },
        securityGroups: [group],
        open: false,
        privateDnsEnabled: false,
      });
      // The first entry, `<hosted zone>:<name>`, is the endpoint's name for all its zones.
      environment[variable] = `https://${Fn.select(1, Fn.split(':', Fn.select(0, endpoint.vpcEndpointDnsEntries)))}`;
      dependencies.push(endpoint);
    }
    return { environment, dependencies };
  }
}

/** Private subnets with a route out; where none is needed, whichever there are, the most private first. */
function selectSubnets(vpc: ec2.IVpc, closed: boolean, services: readonly string[]): ec2.ISubnet[] {
  const choices = closed ? [vpc.privateSubnets, vpc.isolatedSubnets, vpc.publicSubnets] : [vpc.privateSubnets];
  const subnets = choices.find((candidates) => candidates.length > 0);
  if (subnets === undefined) {
    const name = Token.isUnresolved(vpc.vpcId) ? `of stack ${Stack.of(vpc).stackName}` : vpc.vpcId;
    throw new SubnetsError(
      `The VPC ${name} has no private subnets with a route out (through a NAT gateway), which the function needs to reach ` +
        `${services.join(' and ')}, so nothing was synthesised. Either let the stack make interface endpoints: endpoints=${services.join(',')} ` +
        `(in code: endpoints: [${services.map((service) => `'${service}'`).join(', ')}]), which cost about 7 USD a month each in every zone; or name subnets ` +
        'that have such a route: subnetIds=subnet-...,subnet-... (in code: vpcSubnets).',
    );
  }
  return subnets;
}
