/** What a `StreamReplica` takes: one documented field each. Types only. The names are those of a `SlotPublisher`'s props. */
import type { Duration } from 'aws-cdk-lib';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { SlotPublisher } from './slot-publisher.ts';
import type { DatabaseProps, DatabaseSignIn, FunctionProps, NetworkProps } from './slot-publisher-props.ts';

/** Which stream is copied. */
export type ReplicatedStream =
  | {
      /** The publisher whose stream is copied. It needs `marks: 'on'`. */
      readonly publisher: SlotPublisher;
      readonly stream?: never;
    }
  | {
      /** A stream that is there; where it is encrypted with a key of yours, imported with that key. */
      readonly stream: kinesis.IStream;
      readonly publisher?: never;
    };

/** What is copied, and how. */
export interface CopyProps {
  /** Tells copies in one target apart: the name of the copy's position there. @default pg2kinesis */
  readonly replicaName?: string;
  /** The source to copy, where the stream has several. @default the `sourceName` of `publisher`, else that of the first record */
  readonly sourceName?: string;
  /** The target holds everything up to this commit LSN already. Only for a copy that begins. @default it is empty */
  readonly startAfter?: string;
  /**
   * The rows of a copy that begins come by a snapshot of the tables, asked for once it is deployed. Not with `startAfter`.
   * @default false
   */
  readonly awaitSnapshot?: boolean;
  /** Leaves out changes whose old row is not there and was not sent, and counts them. @default false */
  readonly skipMissing?: boolean;
  /** Leaves out changes that were too large for a record, and counts them. @default false: the shard waits at them */
  readonly skipTruncated?: boolean;
  /** Writes to tables whose triggers fire for replicas, too. @default false */
  readonly triggers?: boolean;
  /** The most Kinesis records of a batch, 1 to 10000. @default 100 */
  readonly batchSize?: number;
  /**
   * How often Lambda gives records again that could not be applied, 0 to 10000. Then they go to `failures`, and **the copy is not
   * equal any more**. @default without end: the shard waits until it is mended
   */
  readonly retryAttempts?: number;
  /** How old a record may become that could not be applied, 60 seconds to a week. Then as with `retryAttempts`. @default without limit */
  readonly maxRecordAge?: Duration;
  /** The age of the oldest record that is not applied, above which `behind` is raised, 60 seconds to a day. @default 5 minutes */
  readonly iteratorAge?: Duration;
}

/** Whom the alarms tell. */
export interface ReplicaAlarmProps {
  /** The address that a topic, which is made, mails to. Not with `topic`. @default no topic is made */
  readonly email?: string;
  /** A topic that is there; its policy, and its key's, must admit cloudwatch.amazonaws.com. @default none: alarms show, and tell nobody */
  readonly topic?: sns.ITopic;
  /** Where your engineers on call read docs/operations.md. @default the file's name, without a link */
  readonly runbookUrl?: string;
}

/** What a `StreamReplica` takes. `database` and all that begins with it is the target. */
export type StreamReplicaProps = ReplicatedStream &
  CopyProps &
  ReplicaAlarmProps &
  NetworkProps &
  DatabaseProps &
  DatabaseSignIn &
  Pick<
    FunctionProps,
    | 'pipelineName'
    | 'memoryMib'
    | 'reservedConcurrency'
    | 'tracing'
    | 'logRetention'
    | 'logKey'
    | 'functionName'
    | 'role'
    | 'architecture'
    | 'environmentKey'
    | 'layers'
    | 'code'
  >;
