/**
 * What an invocation asks for, once its payload was read. Types only; `payloads.ts` has what a payload may hold.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { ResumePosition } from '../decode/resume-position.ts';

/** What an invocation asks for. */
export type Action =
  | RunAction
  | StatusAction
  | { readonly kind: 'check' | 'tables' | 'refresh-keys' }
  | CreateSlotAction
  | CopySlotAction
  | DropSlotAction
  | SkipTransactionAction
  | SnapshotAction
  | SnapshotStopAction
  | LifecycleAction;

/** Publish, for a while. `drain` waits for the lock, and uses all the time there is. */
export interface RunAction {
  readonly kind: 'run' | 'drain';
  /** Undefined: as long as the function may. */
  readonly maxSeconds: number | undefined;
  readonly maxBatches: number | undefined;
  readonly resume: ResumePosition | undefined;
  /** A snapshot is what it is for. @default false */
  readonly isSnapshot?: boolean;
}

/** Publish the rows that tables have, beside their changes. */
export interface SnapshotAction {
  readonly kind: 'snapshot';
  /** `schema.table` each; undefined: go on with what is under way. */
  readonly tables: readonly string[] | undefined;
  /** Undefined: as long as the function may. */
  readonly maxSeconds: number | undefined;
}

/** End a snapshot. */
export interface SnapshotStopAction {
  readonly kind: 'snapshot-stop';
  /** `schema.table` each; undefined: all. */
  readonly tables: readonly string[] | undefined;
}

/** Tell where the slot is. */
export interface StatusAction {
  readonly kind: 'status';
  /** Whether to find out how old the first unread commit is, which reads WAL. @default true */
  readonly lagSeconds?: boolean;
}

/** Advance over exactly one transaction that cannot be published. */
export interface SkipTransactionAction {
  readonly kind: 'skip-transaction';
  readonly commitLsn: Lsn;
}

/** Make the slot. */
export interface CreateSlotAction {
  readonly kind: 'create-slot';
  /** Whether a standby is meant. */
  readonly onStandby: boolean;
}

/** Make the slot where another one stands. */
export interface CopySlotAction {
  readonly kind: 'copy-slot';
  /** The other one. */
  readonly from: string;
}

/** Drop the slot. */
export interface DropSlotAction {
  readonly kind: 'drop-slot';
  /** Whether changes that nobody has read may go with it. */
  readonly discardUnread: boolean;
}

/** What CloudFormation says of the stack's slot, through the CDK's provider framework. */
export interface LifecycleAction {
  readonly kind: 'lifecycle';
  readonly requestType: 'Create' | 'Update' | 'Delete';
  /** The same in every repeat of one request. */
  readonly requestId: string | undefined;
  /** The resource's name in the template. */
  readonly logicalResourceId: string | undefined;
  /** For example `Custom::Pg2KinesisSlot`. */
  readonly resourceType: string | undefined;
  /** What an earlier event answered; undefined for Create. */
  readonly physicalResourceId: string | undefined;
  /** The resource's properties, as the template has them. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** For Update: as the template had them before. */
  readonly oldProperties: Readonly<Record<string, unknown>>;
}
