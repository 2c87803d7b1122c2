/**
 * What the function may do: exactly its log, its stream, its secret or database role, and what Lambda needs to put it into a VPC.
 * Without managed policies, which allow every log group.
 */
import { ArnFormat, PhysicalName, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { IAM_ACTIONS } from './iam-actions.ts';
import type { Endpoint } from './pipeline-settings.ts';
import type { DatabaseSignIn, FunctionProps } from './slot-publisher-props.ts';

/** What Lambda itself needs to put a function into a VPC; none of it can be limited to a resource. */
const NETWORK_INTERFACES = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

/** @returns a role for the function, without rights */
export function makeRole(scope: Construct, description = 'pg2kinesis: what the function may do'): iam.Role {
  return new iam.Role(scope, 'Role', {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    description,
    // A name only where a stream of another account has to name it in its policy.
    roleName: PhysicalName.GENERATE_IF_NEEDED,
  });
}

/**
 * Gives a role what the function needs.
 *
 * @param scope - the publisher
 * @param role - its function's role
 * @param props - what the publisher was given
 * @param logGroup - the function's log
 * @param resourceId - the database's, with IAM authentication
 */
export function grantRights(
  scope: Construct,
  role: iam.IRole,
  props: FunctionProps & DatabaseSignIn,
  logGroup: logs.ILogGroup,
  resourceId = '',
): void {
  logGroup.grantWrite(role);
  allowNetworkInterfaces(role);
  // Of a stream of this app, but of another account, this makes the resource policy as well.
  props.stream.grant(role, ...IAM_ACTIONS.kinesis);
  allowKey(scope, role, props.stream.encryptionKey, 'kms:GenerateDataKey', 'kinesis', props.stream.env.region);
  allowSignIn(scope, role, props, resourceId);
}

/**
 * Lets a function sign in at its database, and read its environment.
 *
 * @param scope - the construct whose function it is
 * @param role - the function's
 * @param props - how it signs in
 * @param resourceId - the database's, with IAM authentication
 */
export function allowSignIn(
  scope: Construct,
  role: iam.IRole,
  props: DatabaseSignIn & Pick<FunctionProps, 'environmentKey'>,
  resourceId = '',
): void {
  const stack = Stack.of(scope);
  const allow = (actions: string[], resources: string[]): void => {
    role.addToPrincipalPolicy(new iam.PolicyStatement({ actions, resources }));
  };
  if (props.databaseAuth === 'iam') {
    allow(['rds-db:connect'], [databaseUserArn(stack, resourceId, props.databaseUser)]);
  } else {
    allow([...IAM_ACTIONS.secretsmanager], secretResources(props));
    const { encryptionKey, env } = props.databaseSecret;
    allowKey(scope, role, encryptionKey, 'kms:Decrypt', 'secretsmanager', env.region);
  }
  allowKey(scope, role, props.environmentKey, 'kms:Decrypt', 'lambda', stack.region);
}

/** Lets a role use a key through a service: in the key's own policy, too, where the key is another account's. */
function allowKey(
  scope: Construct,
  role: iam.IRole,
  key: kms.IKey | undefined,
  action: string,
  service: string,
  region: string,
): void {
  if (key === undefined) return;
  iam.Grant.addToPrincipalOrResource({
    grantee: role,
    actions: [action],
    resourceArns: [key.keyArn],
    resource: key,
    resourceSelfArns: ['*'],
    conditions: { StringEquals: { 'kms:ViaService': `${service}.${region}.${Stack.of(scope).urlSuffix}` } },
  });
}

/**
 * Lets Lambda put a function into a VPC.
 *
 * @param role - the function's
 */
export function allowNetworkInterfaces(role: iam.IRole): void {
  role.addToPrincipalPolicy(new iam.PolicyStatement({ actions: NETWORK_INTERFACES, resources: ['*'] }));
}

/**
 * Takes from the function's own code what only Lambda needs: its calls carry the function's ARN, Lambda's own do not.
 * A policy of its own, since the function is made after the role's.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
 */
export function denyNetworkInterfaces(scope: Construct, role: iam.IRole, functionArn: string): void {
  role.attachInlinePolicy(
    new iam.Policy(scope, 'FunctionCode', {
      statements: [
        new iam.PolicyStatement({
          effect: iam.Effect.DENY,
          actions: NETWORK_INTERFACES,
          resources: ['*'],
          conditions: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
        }),
      ],
    }),
  );
}

/** @returns what the function calls each service for */
export function rightsResources(props: FunctionProps & DatabaseSignIn): Record<Endpoint, string[]> {
  return { kinesis: [props.stream.streamArn], secretsmanager: secretResources(props) };
}

/** @returns the secret that a function reads; none with IAM authentication */
export function secretResources(props: DatabaseSignIn): string[] {
  const secret = props.databaseAuth === 'iam' ? undefined : props.databaseSecret;
  return secret === undefined ? [] : [secret.secretFullArn ?? `${secret.secretArn}-??????`];
}

function databaseUserArn(stack: Stack, resourceId: string, user: string): string {
  return stack.formatArn({
    service: 'rds-db',
    resource: 'dbuser',
    resourceName: `${resourceId}/${user}`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
