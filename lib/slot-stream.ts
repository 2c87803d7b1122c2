/**
 * The stream: one that is made, or one that is there. Knows nothing of who publishes to it.
 */
import { Arn, ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { acknowledge } from './cdk-nag-suppressions.ts';
import { arnFaults, durationFaults, faultOf, refuse } from './prop-faults.ts';
import { LOGICAL_ID, text } from './setting-kinds.ts';
import { STACK_SETTINGS } from './stack-settings-table.ts';

/** What a `SlotStream` takes. */
export interface SlotStreamProps {
  /** Its name, unique in the account and region; needed where a stack of another account or region uses it. Where it changes, it is another stream. @default generated */
  readonly streamName?: string;
  /** How long it keeps records, 24 to 8760 hours; 168 is recommended: a week to repair a consumer. @default 24 hours */
  readonly retention?: Duration;
  /** The key that it is encrypted with. @default aws/kinesis, which costs nothing to keep */
  readonly key?: kms.IKey;
  /** The largest record that it takes, 1024 to 10240 KiB. @default 1024 */
  readonly maxRecordKib?: number;
  /**
   * The stream's name in the template: letters and digits. Where it changes, CloudFormation makes a new, empty stream and
   * leaves the old one. Give one of your own to move or rename this construct freely.
   * @default made of the construct's path, as the CDK does
   */
  readonly logicalId?: string;
}

const STREAM_NAME = text('1 to 128 letters, digits, _, . and -', /^[\w.-]{1,128}$/);

/** A stream fit for the publisher: on-demand, encrypted, kept when the stack goes. */
export class SlotStream extends Construct {
  /** The stream. */
  readonly stream: kinesis.Stream;

  constructor(scope: Construct, id: string, props: SlotStreamProps = {}) {
    super(scope, id);
    refuse(
      this,
      faultOf('streamName', props.streamName, STREAM_NAME),
      durationFaults('retention', props.retention, 24 * 3600, 8760 * 3600),
      faultOf('maxRecordKib', props.maxRecordKib, STACK_SETTINGS.maxRecordKib),
      faultOf('logicalId', props.logicalId, LOGICAL_ID),
      arnFaults(this, 'streamKeyArn', 'key', props.key?.keyArn),
    );
    this.stream = new kinesis.Stream(this, 'Stream', {
      ...(props.streamName === undefined ? {} : { streamName: props.streamName }),
      streamMode: kinesis.StreamMode.ON_DEMAND,
      retentionPeriod: props.retention ?? Duration.hours(24),
      // The stream is kept when the stack is deleted. If the stack's creation fails, it is deleted: it is empty, and would cost by the hour.
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
      ...(props.key === undefined
        ? { encryption: kinesis.StreamEncryption.MANAGED }
        : { encryption: kinesis.StreamEncryption.KMS, encryptionKey: props.key }),
    });
    if (props.key !== undefined) {
      acknowledge(this.stream, {
        id: 'AwsSolutions-KDS3',
        reason: 'The rule prefers aws/kinesis because it is cheaper; a key of its own was asked for.',
      });
    }
    const resource = this.stream.node.defaultChild as kinesis.CfnStream;
    // As an override: older releases of the CDK would drop a property that they do not know, and say nothing.
    if (props.maxRecordKib !== undefined && props.maxRecordKib > 1024)
      resource.addPropertyOverride('MaxRecordSizeInKiB', props.maxRecordKib);
    if (props.logicalId !== undefined) resource.overrideLogicalId(props.logicalId);
  }
}

/**
 * A stream that is there.
 *
 * @param scope - the construct in which it is made
 * @param id - its id in that scope; a changed one replaces what was deployed
 * @param nameOrArn - a name in the stack's account and region, or an ARN
 * @param key - the key that it is encrypted with @default none, or one that needs no grant
 */
export function importStream(scope: Construct, id: string, nameOrArn: string, key?: kms.IKey): kinesis.IStream {
  const streamArn = nameOrArn.startsWith('arn:')
    ? nameOrArn
    : Arn.format(
        { service: 'kinesis', resource: 'stream', resourceName: nameOrArn, arnFormat: ArnFormat.SLASH_RESOURCE_NAME },
        Stack.of(scope),
      );
  return kinesis.Stream.fromStreamAttributes(scope, id, {
    streamArn,
    ...(key === undefined ? {} : { encryptionKey: key }),
  });
}
