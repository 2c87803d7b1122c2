/**
 * Interface endpoints for the services that a publisher calls: for one publisher, or shared by several.
 * Knows nothing of databases.
 */
import { Fn, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import { Construct, type IDependable } from 'constructs';
import { IAM_ACTIONS } from './iam-actions.ts';
import type { Endpoint } from './pipeline-settings.ts';
import { faultOf, refuse } from './prop-faults.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';

const SERVICES = {
  kinesis: { service: ec2.InterfaceVpcEndpointAwsService.KINESIS_STREAMS, variable: 'AWS_ENDPOINT_URL_KINESIS' },
  secretsmanager: {
    service: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    variable: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  },
} as const;

/** What a `SlotEndpoints` takes. */
export interface SlotEndpointsProps {
  /** The VPC. */
  readonly vpc: ec2.IVpc;
  /** The subnets of the endpoints, one of each zone being taken: those of the publishers. */
  readonly vpcSubnets: ec2.SubnetSelection;
  /** The services. @default both */
  readonly services?: readonly Endpoint[];
}

/**
 * Interface endpoints without private DNS: with it, every other client of Kinesis or Secrets Manager in the VPC would be
 * led to them and shut out, since they admit publishers only, and making one would fail where the VPC has one. The
 * functions are given their own names instead.
 *
 * @example
 * const sharedEndpoints = new SlotEndpoints(this, 'Endpoints', { vpc, vpcSubnets });
 * new SlotPublisher(this, 'Orders', { vpc, vpcSubnets, sharedEndpoints, ... });
 */
export class SlotEndpoints extends Construct implements EndpointSet {
  readonly endpoints: ReadonlyMap<Endpoint, ec2.InterfaceVpcEndpoint>;
  readonly environment: Readonly<Record<string, string>>;
  readonly dependencies: readonly IDependable[];
  readonly securityGroup: ec2.ISecurityGroup;

  /**
   * @param scope - where it is placed
   * @param id - its id in that scope; a changed one replaces what was deployed
   * @param props - its properties
   */
  constructor(scope: Construct, id: string, props: SlotEndpointsProps) {
    super(scope, id);
    refuse(this, faultOf('services', props.services, STACK_SETTINGS.endpoints));
    const made = makeEndpoints(this, props);
    this.endpoints = made.endpoints;
    this.environment = made.environment;
    this.dependencies = made.dependencies;
    this.securityGroup = made.securityGroup;
    // Not by role and stream: those may be in stacks that depend on this one.
    for (const [service, endpoint] of this.endpoints) {
      allowThrough(endpoint, IAM_ACTIONS[service], ['*'], {
        StringEquals: { 'aws:PrincipalAccount': Stack.of(this).account },
      });
    }
  }
}

/** Endpoints and what belongs to them. */
export interface EndpointSet {
  /** The endpoints, by service. */
  readonly endpoints: ReadonlyMap<Endpoint, ec2.InterfaceVpcEndpoint>;
  /** What tells the SDK of the endpoints: environment variables that it reads itself. */
  readonly environment: Readonly<Record<string, string>>;
  /** What has to be there before anybody reaches a service through them. */
  readonly dependencies: readonly IDependable[];
  /** Their security group. */
  readonly securityGroup: ec2.ISecurityGroup;
}

/**
 * Makes endpoints and their security group as children of a construct.
 *
 * @param scope - whose children they become: a publisher's own network, or a `SlotEndpoints`
 * @param props - where, and for which services
 */
export function makeEndpoints(scope: Construct, props: SlotEndpointsProps): EndpointSet {
  const { vpc } = props;
  const environment: Record<string, string> = {};
  const securityGroup = new ec2.SecurityGroup(scope, 'EndpointSecurityGroup', {
    vpc,
    description: 'pg2kinesis: interface endpoints for the function alone',
    allowAllOutbound: false,
  });
  // An endpoint takes one subnet of a zone at most.
  const byZone = new Map(
    vpc.selectSubnets(props.vpcSubnets).subnets.map((subnet) => [subnet.availabilityZone, subnet]),
  );
  const endpoints = new Map<Endpoint, ec2.InterfaceVpcEndpoint>();
  for (const name of props.services ?? (['kinesis', 'secretsmanager'] as const)) {
    const { service, variable } = SERVICES[name];
    const endpoint = new ec2.InterfaceVpcEndpoint(scope, `${name}-endpoint`, {
      vpc,
      service,
      subnets: { subnets: [...byZone.values()] },
      securityGroups: [securityGroup],
      open: false,
      privateDnsEnabled: false,
    });
    // The first entry, `<hosted zone>:<name>`, is the endpoint's name for all its zones.
    environment[variable] = `https://${Fn.select(1, Fn.split(':', Fn.select(0, endpoint.vpcEndpointDnsEntries)))}`;
    endpoints.set(name, endpoint);
  }
  return { endpoints, environment, dependencies: [securityGroup, ...endpoints.values()], securityGroup };
}

/**
 * What the function needs to be told of endpoints that are there already.
 *
 * @param scope - where the function is
 * @param existing - the services that they lead to
 * @param stream - the function's
 * @returns environment variables that the SDK reads itself
 */
export function environmentOfExisting(
  scope: Construct,
  existing: readonly Endpoint[],
  stream: kinesis.IStream,
): Readonly<Record<string, string>> {
  const { region, urlSuffix } = Stack.of(scope);
  if (!existing.includes('kinesis') || stream.env.region !== region) return {};
  // Addressed by its ARN, a stream has a host name with its account, which the private zones of older endpoints do not have.
  return { [SERVICES.kinesis.variable]: `https://kinesis.${region}.${urlSuffix}` };
}

/**
 * Gives an endpoint a policy: without one, anything may be done through it.
 *
 * @param endpoint - the endpoint
 * @param actions - what may be done
 * @param resources - the ARNs that may be reached
 * @param conditions - restrict who may use it
 */
export function allowThrough(
  endpoint: ec2.InterfaceVpcEndpoint,
  actions: readonly string[],
  resources: readonly string[],
  conditions: Readonly<Record<string, unknown>>,
): void {
  endpoint.addToPolicy(
    new iam.PolicyStatement({
      principals: [new iam.AnyPrincipal()],
      actions: [...actions],
      resources: [...resources],
      conditions,
    }),
  );
}
