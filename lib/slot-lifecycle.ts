/**
 * The replication slot, made with the stack and removed with it. An abandoned slot fills the database's disk, one dropped
 * by mistake loses data: what is done in which case is decided by the function (`lambda/actions/slot-lifecycle.ts`), which is asked here.
 */
import { type CfnResource, CustomResource, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Provider } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeInPacks, INLINE_POLICIES, LOG_ENCRYPTION } from './cdk-nag-suppressions.ts';
import { allowNetworkInterfaces, denyNetworkInterfaces } from './function-role.ts';
import { faultOf, refuse } from './prop-faults.ts';
import { LOGICAL_ID } from './setting-kinds.ts';
import type { SlotPublisher } from './slot-publisher.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';

/** What a `SlotLifecycle` takes. */
export interface SlotLifecycleProps {
  /** The publisher of the slot, of the same stack. Its schedule is made after the slot, and removed before it. */
  readonly publisher: SlotPublisher;
  /** What becomes of a slot that the stack made when the stack goes; one that was there before always stays. @default drop */
  readonly onRemoval?: 'drop' | 'retain';
  /**
   * The slot's name in the template: letters and digits. Where it changes, CloudFormation takes the slot for another one: it
   * is left where it is, and no longer removed with the stack. To move or rename this construct, give the one that it
   * has, and `providerLogicalId`.
   * @default made of the construct's path, as the CDK does
   */
  readonly logicalId?: string;
  /**
   * The name in the template of the function that hands CloudFormation's events on: letters and digits. CloudFormation refuses to
   * give a slot another one than it was made with.
   * @default made of the construct's path, as the CDK does
   */
  readonly providerLogicalId?: string;
  /**
   * Whether the CDK's function that hands CloudFormation's events on runs in the publisher's VPC, subnets and security groups, too:
   * it then needs a way from there to Lambda and S3. @default false: it holds no data, and needs no network
   */
  readonly inVpc?: boolean;
}

/** The slot as a resource of the stack. Leave it out to make the slot by hand, with the action `create-slot`. */
export class SlotLifecycle extends Construct {
  /** The resource; its physical id is `created:<system identifier>@<host>:<port>/<database>/<slot>`, or `adopted:...` if the slot existed before. */
  readonly resource: CustomResource;

  /**
   * @param scope - the construct in which it is made
   * @param id - its id in that scope; a changed one replaces what was deployed
   * @param props - its properties
   * @throws {PropsError} naming every prop whose value is not allowed
   */
  constructor(scope: Construct, id: string, props: SlotLifecycleProps) {
    super(scope, id);
    refuse(
      this,
      faultOf('onRemoval', props.onRemoval, STACK_SETTINGS.onRemoval),
      faultOf('logicalId', props.logicalId, LOGICAL_ID),
      faultOf('providerLogicalId', props.providerLogicalId, LOGICAL_ID),
      Stack.of(props.publisher) === Stack.of(this)
        ? []
        : [
            `publisher cannot be "${props.publisher.node.path}" of another stack: its schedule is made after the slot. Make the slot in the stack of the publisher.`,
          ],
    );
    const { publisher, onRemoval = 'drop' } = props;
    const { logKey } = publisher.props;
    const logGroup = new logs.LogGroup(this, 'Log', {
      retention: logs.RetentionDays.ONE_MONTH,
      ...(logKey === undefined ? {} : { encryptionKey: logKey }),
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // Not the CDK's own, which may write every log.
    const role = new iam.Role(this, 'ProviderRole', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: 'pg2kinesis: lets the function of the provider framework invoke the publisher',
    });
    logGroup.grantWrite(role);
    if (props.inVpc === true) allowNetworkInterfaces(role);
    // The function itself answers: it alone can reach the database.
    const provider = new Provider(this, 'Provider', {
      // Through the alias, so that nobody who may invoke the function can send such events by hand.
      onEventHandler: publisher.adminAlias,
      frameworkOnEventRole: role,
      logGroup,
      ...(props.inVpc === true ? publisher.placement : {}),
    });
    if (props.inVpc === true) denyNetworkInterfaces(provider, role, provider.serviceToken);
    const common = {
      serviceToken: provider.serviceToken,
      // The function's time-out, and a minute. By default CloudFormation would wait an hour for an answer that was lost.
      serviceTimeout: Duration.minutes(16),
    };
    // Under the names that lambda/actions/slot-lifecycle.ts reads.
    const properties = {
      slotName: publisher.props.slotName ?? 'pg2kinesis',
      databaseHost: publisher.props.databaseHost,
      databasePort: publisher.props.databasePort,
      databaseName: publisher.props.databaseName,
      onRemoval,
      ...(publisher.props.slotFailover === undefined ? {} : { slotFailover: publisher.props.slotFailover }),
    };
    // Looks whether the slot is there before it is made. So it is known who made it, even where the answer to its making is lost.
    const claim = new CustomResource(this, 'Claim', {
      ...common,
      resourceType: 'Custom::Pg2KinesisSlotClaim',
      properties,
    });
    this.resource = new CustomResource(this, 'Slot', {
      ...common,
      resourceType: 'Custom::Pg2KinesisSlot',
      properties: { ...properties, claim: claim.ref },
    });
    const slot = this.resource.node.defaultChild as CfnResource;
    if (props.logicalId !== undefined) slot.overrideLogicalId(props.logicalId);
    if (props.providerLogicalId !== undefined) {
      const framework = provider.node.findChild('framework-onEvent').node.defaultChild as CfnResource;
      framework.overrideLogicalId(props.providerLogicalId);
    }
    const logicalId = Stack.of(this).resolve(slot.logicalId) as string;
    (claim.node.defaultChild as CfnResource).overrideLogicalId(`${logicalId}Claim`);
    // A Delete is obeyed only while the function names the resource: one that leaves the template leaves its slot.
    publisher.function.addEnvironment('SLOT_RESOURCE', logicalId);
    // They are deleted after the slot: if its removal fails, its alarms stay.
    claim.node.addDependency(publisher.ready, publisher.watchers);
    this.resource.node.addDependency(publisher.ready, publisher.watchers);
    publisher.schedule.node.addDependency(this.resource);

    acknowledgeFindings(this, provider, role, props.inVpc === true, logKey !== undefined);
  }
}

/** Why what a rule pack objects to is right here. */
function acknowledgeFindings(
  scope: Construct,
  provider: Provider,
  role: iam.Role,
  inVpc: boolean,
  encrypted: boolean,
): void {
  const framework =
    "The CDK's own provider framework, a function that does nothing but hand CloudFormation's events on: ";
  if (inVpc)
    acknowledge(role, {
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'The EC2 actions with which Lambda puts a function into a VPC cannot be limited to a resource.',
    });
  else
    acknowledgeInPacks(
      provider,
      'LambdaInsideVPC',
      `${framework}it holds no data and calls Lambda only. inVpc places it in the VPC.`,
    );
  acknowledgeInPacks(
    provider,
    'LambdaConcurrency',
    `${framework}it runs while the stack is deployed, and once at a time.`,
  );
  acknowledgeInPacks(
    provider,
    'LambdaDLQ',
    `${framework}CloudFormation itself is told of a failure, and sends the event again.`,
  );
  acknowledgeInPacks(scope, 'IAMNoInlinePolicy', INLINE_POLICIES);
  if (!encrypted) acknowledgeInPacks(scope, 'CloudWatchLogGroupEncrypted', LOG_ENCRYPTION);
}
