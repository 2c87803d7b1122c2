/**
 * Which subnets the function gets, and why some will not do. Knows no security group and no endpoint, only whether a way out is needed.
 */
import { Stack, Token } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Endpoint } from './pipeline-settings.ts';
import { SynthesisError } from './synthesis-error.ts';

/** The subnets do not fit. The message says what to give. */
export class SubnetsError extends SynthesisError {
  override readonly name = 'SubnetsError';
}

/**
 * @param vpc - the VPC
 * @param given - the selection that was asked for, if any
 * @param services - the services that the function calls
 * @param missing - those of them that it has to reach by a route out; none: any subnets will do
 * @throws {SubnetsError} where the VPC is known to have none that fit, or those asked for are known to have no way out
 */
export function functionSubnets(
  vpc: ec2.IVpc,
  given: ec2.SubnetSelection | undefined,
  services: readonly Endpoint[],
  missing: readonly Endpoint[],
): ec2.SubnetSelection {
  if (given === undefined) return { subnets: choose(vpc, services, missing) };
  if (missing.length > 0) refuse(vpc, given, services, missing);
  return given;
}

/** Private subnets with a route out; where none is needed, whichever there are, the most private first. */
function choose(vpc: ec2.IVpc, services: readonly Endpoint[], missing: readonly Endpoint[]): ec2.ISubnet[] {
  const choices =
    missing.length === 0 ? [vpc.privateSubnets, vpc.isolatedSubnets, vpc.publicSubnets] : [vpc.privateSubnets];
  const subnets = choices.find((candidates) => candidates.length > 0);
  if (subnets !== undefined) return subnets;
  const need =
    missing.length === 0
      ? 'no subnets'
      : `no private subnets with a route out (through a NAT gateway), which the function needs to reach ${missing.join(' and ')}`;
  throw new SubnetsError(`The VPC ${vpcName(vpc)} has ${need}, so nothing was synthesised. ${waysOut(services)}`);
}

/** Refuses subnets that the CDK knows to have no way out. Of some it knows nothing: those that were imported one by one. */
function refuse(
  vpc: ec2.IVpc,
  given: ec2.SubnetSelection,
  services: readonly Endpoint[],
  missing: readonly Endpoint[],
): void {
  const { subnets, isPendingLookup } = vpc.selectSubnets(given);
  if (isPendingLookup === true) return;
  for (const [kind, members, why] of [
    ['public', vpc.publicSubnets, 'a function in a public subnet has no public address, and so no way out'],
    ['isolated', vpc.isolatedSubnets, 'they have no route to a NAT gateway or transit gateway'],
  ] as const) {
    const unfit = subnets.filter((subnet) => members.includes(subnet));
    if (unfit.length === 0) continue;
    const names = unfit.map((subnet) => (Token.isUnresolved(subnet.subnetId) ? subnet.node.path : subnet.subnetId));
    throw new SubnetsError(
      `The subnets ${names.join(', ')} of the VPC ${vpcName(vpc)} are ${kind}: ${why}. The function has to reach ` +
        `${missing.join(' and ')}, so nothing was synthesised. ${waysOut(services)}`,
    );
  }
}

function vpcName(vpc: ec2.IVpc): string {
  return Token.isUnresolved(vpc.vpcId) ? `of stack ${Stack.of(vpc).stackName}` : vpc.vpcId;
}

function waysOut(services: readonly Endpoint[]): string {
  const inCode = `[${services.map((service) => `'${service}'`).join(', ')}]`;
  return (
    `Either let the stack make interface endpoints: endpoints=${services.join(',')} (in code: endpoints: ${inCode}), which cost about ` +
    '7 USD a month each in every zone; or name subnets that have a route out: subnetIds=subnet-...,subnet-... (in code: vpcSubnets); or, ' +
    `where these subnets have a way that is not seen here (an endpoint with private DNS, a firewall), say so: existingEndpoints=${services.join(',')} ` +
    `(in code: existingEndpoints: ${inCode}).`
  );
}
