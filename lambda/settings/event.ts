/**
 * From an invocation's payload to what is to be done: every field known, or an error that lists what there is.
 * Pure; does nothing itself, and knows neither Lambda nor a command line.
 */
import * as z from 'zod/mini';
import { type Lsn, parseLsn } from '../decode/lsn.ts';
import type { ResumePosition } from '../decode/resume-position.ts';
import { PipelineError } from '../errors.ts';

/** How long the scheduled run may take where the payload does not say, in seconds: the schedule invokes every 60. */
const RUN_SECONDS = 50;
/** In less no run can publish: it has to connect, to read, and to leave a request the time to be answered. */
export const MIN_SECONDS = 3;
/** Lambda's own longest time-out, in seconds. */
const MAX_SECONDS = 900;

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

const seconds = z.number().check(z.minimum(MIN_SECONDS), z.maximum(MAX_SECONDS));
const lsnText = z.string().check(z.refine((text) => parseLsn(text) !== undefined));
const tableNames = z.array(z.string().check(z.minLength(1), z.maxLength(300))).check(z.minLength(1));
const resume = z.strictObject({
  commitLsn: lsnText,
  xid: z.int().check(z.minimum(0)),
  commitTimeMicros: z.string().check(z.regex(/^-?\d{1,19}$/)),
  ordinal: z.int().check(z.minimum(0)),
  rows: z.int().check(z.minimum(0)),
  messages: z.optional(z.int().check(z.minimum(1))),
  evidence: z.string(),
});

/**
 * @param text - a position as the answer of a run has it, as JSON
 * @returns undefined: it is none
 */
export function readResume(text: string): ResumePosition | undefined {
  try {
    return resume.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Each action: its fields, what they may be, and a payload to copy. */
const ACTIONS = {
  run: {
    fields: {
      maxSeconds: z.optional(seconds),
      maxBatches: z.optional(z.int().check(z.minimum(1))),
      resume: z.optional(resume),
    },
    allowed: {
      maxSeconds: `a number, ${MIN_SECONDS} to ${MAX_SECONDS}`,
      maxBatches: 'a whole number, 1 or more',
      resume: 'the "resume" of an earlier answer, as it is',
    },
    example: '{"action":"run","maxSeconds":50,"maxBatches":n,"resume":{...}}',
  },
  drain: {
    fields: { maxSeconds: z.optional(seconds), resume: z.optional(resume) },
    allowed: {
      maxSeconds: `a number, ${MIN_SECONDS} to ${MAX_SECONDS}`,
      resume: 'the "resume" of an earlier answer, as it is',
    },
    example: '{"action":"drain","maxSeconds":n,"resume":{...}}',
  },
  status: {
    fields: { lagSeconds: z.optional(z.boolean()) },
    allowed: { lagSeconds: 'true or false' },
    example: '{"action":"status"}',
  },
  tables: { fields: {}, allowed: {}, example: '{"action":"tables"}' },
  check: { fields: {}, allowed: {}, example: '{"action":"check"}' },
  'create-slot': {
    fields: { onStandby: z.optional(z.boolean()) },
    allowed: { onStandby: 'true or false' },
    example: '{"action":"create-slot"}',
  },
  'copy-slot': {
    fields: { from: z.string().check(z.regex(/^[a-z0-9_]{1,63}$/)) },
    allowed: { from: "a slot's name: 1 to 63 lower-case letters, digits and underscores" },
    example: '{"action":"copy-slot","from":"old_slot"}',
  },
  'drop-slot': {
    fields: { discardUnread: z.optional(z.boolean()) },
    allowed: { discardUnread: 'true or false' },
    example: '{"action":"drop-slot"}',
  },
  'refresh-keys': { fields: {}, allowed: {}, example: '{"action":"refresh-keys"}' },
  'skip-transaction': {
    fields: { commitLsn: lsnText },
    allowed: { commitLsn: 'an LSN such as "0/16B3748"' },
    example: '{"action":"skip-transaction","commitLsn":"0/16B3748"}',
  },
  snapshot: {
    fields: { tables: z.optional(tableNames), maxSeconds: z.optional(seconds) },
    allowed: {
      tables: 'names of tables as "schema.table", 1 or more',
      maxSeconds: `a number, ${MIN_SECONDS} to ${MAX_SECONDS}`,
    },
    example: '{"action":"snapshot","tables":["public.orders"]}',
  },
  'snapshot-stop': {
    fields: { tables: z.optional(tableNames) },
    allowed: { tables: 'names of tables as "schema.table", 1 or more' },
    example: '{"action":"snapshot-stop"}',
  },
} as const;

/** An action's name, as payloads and the command line give it. */
export type ActionName = keyof typeof ACTIONS;

/** The names of all actions. */
export const ACTION_NAMES = Object.keys(ACTIONS) as readonly ActionName[];

/**
 * Reads a payload.
 *
 * An empty one, and one from EventBridge, is a run. One with `RequestType` comes from CloudFormation.
 *
 * @param payload - parsed JSON of unknown origin
 * @param ownArn - the ARN by which the function was invoked, to know an event that was not sent by the provider framework
 * @throws {PipelineError} EVENT_INVALID, which lists the actions, or the fields of the one that was meant
 *
 * @example readEvent({ action: 'run', maxSeconds: 50 }).kind // 'run'
 */
export function readEvent(payload: unknown, ownArn?: string): Action {
  if (payload === undefined || payload === null) return scheduledRun();
  if (typeof payload !== 'object' || Array.isArray(payload)) {
    throw invalid(`The payload is ${Array.isArray(payload) ? 'an array' : `a ${typeof payload}`}, not an object.`);
  }
  const event = payload as Readonly<Record<string, unknown>>;
  if (Object.keys(event).length === 0) return scheduledRun();
  if ('RequestType' in event) return readLifecycle(event, ownArn);
  const { action, source } = event;
  if (action === undefined) {
    if (source === 'aws.events' || source === 'aws.scheduler') return scheduledRun();
    throw invalid(`The payload has no "action" (its fields: ${names(Object.keys(event))}).`);
  }
  const name = ACTION_NAMES.find((known) => known === action);
  if (name === undefined) throw invalid(`The action ${brief(action)} does not exist.`);
  return readAction(name, event);
}

/** What the schedule asks for. */
function scheduledRun(): RunAction {
  return { kind: 'run', maxSeconds: RUN_SECONDS, maxBatches: undefined, resume: undefined };
}

/** Reads the fields of one action; unknown ones are errors. */
function readAction(name: ActionName, event: Readonly<Record<string, unknown>>): Action {
  const { fields, allowed } = ACTIONS[name];
  const given = Object.fromEntries(Object.entries(event).filter(([field]) => field !== 'action'));
  const result = z.strictObject(fields).safeParse(given);
  if (!result.success) throw faults(name, given, Object.keys(fields), allowed, result.error.issues);
  const data = result.data as {
    maxSeconds?: number;
    maxBatches?: number;
    resume?: ResumePosition;
    commitLsn?: string;
    onStandby?: boolean;
    discardUnread?: boolean;
    lagSeconds?: boolean;
    from?: string;
    tables?: string[];
  };
  switch (name) {
    case 'run':
      return {
        kind: name,
        maxSeconds: data.maxSeconds ?? RUN_SECONDS,
        maxBatches: data.maxBatches,
        resume: data.resume,
      };
    case 'drain':
      return { kind: name, maxSeconds: data.maxSeconds, maxBatches: undefined, resume: data.resume };
    case 'status':
      return { kind: name, ...(data.lagSeconds === undefined ? {} : { lagSeconds: data.lagSeconds }) };
    case 'copy-slot':
      return { kind: name, from: data.from ?? '' };
    case 'drop-slot':
      return { kind: name, discardUnread: data.discardUnread ?? false };
    case 'create-slot':
      return { kind: name, onStandby: data.onStandby ?? false };
    case 'snapshot':
      return { kind: name, tables: data.tables, maxSeconds: data.maxSeconds };
    case 'snapshot-stop':
      return { kind: name, tables: data.tables };
    case 'skip-transaction':
      return { kind: name, commitLsn: parseLsn(data.commitLsn ?? '') ?? 0n };
    default:
      return { kind: name };
  }
}

/** What is wrong with an action's fields, all of it. */
function faults(
  name: ActionName,
  given: Readonly<Record<string, unknown>>,
  known: readonly string[],
  allowed: Readonly<Record<string, string>>,
  issues: readonly { readonly path: readonly PropertyKey[] }[],
): PipelineError {
  const said = Object.keys(given)
    .filter((field) => !known.includes(field))
    .map((field) => `"${name}" has no field ${brief(field)}.`);
  const bad = new Set(issues.map((issue) => issue.path[0]).filter((field) => typeof field === 'string'));
  for (const field of bad) {
    said.push(
      `"${field}" ${given[field] === undefined ? 'is missing' : `cannot be ${brief(given[field])}`} (allowed: ${allowed[field] ?? ''}).`,
    );
  }
  return invalid(said.join(' '));
}

/** An event of the CDK's provider framework. */
function readLifecycle(event: Readonly<Record<string, unknown>>, ownArn: string | undefined): LifecycleAction {
  const requestType = (['Create', 'Update', 'Delete'] as const).find((type) => type === event['RequestType']);
  if (requestType === undefined) {
    throw invalid(`The RequestType ${brief(event['RequestType'])} does not exist (allowed: Create, Update, Delete).`);
  }
  // CloudFormation's own event names the function that must answer to its ResponseURL, which this one does not do.
  const token = event['ServiceToken'];
  if (ownArn !== undefined && typeof token === 'string' && isSameFunction(token, ownArn)) {
    throw invalid(
      "The event comes straight from CloudFormation: the custom resource's ServiceToken is this function. CloudFormation would wait for an answer that this function never sends. Use the construct SlotLifecycle, or the CDK's Provider with this function as onEventHandler.",
    );
  }
  return {
    kind: 'lifecycle',
    requestType,
    requestId: text(event['RequestId']),
    logicalResourceId: text(event['LogicalResourceId']),
    resourceType: text(event['ResourceType']),
    physicalResourceId: text(event['PhysicalResourceId']),
    properties: record(event['ResourceProperties']),
    oldProperties: record(event['OldResourceProperties']),
  };
}

/** Whether two ARNs name one function, whatever version or alias they end in. */
function isSameFunction(one: string, other: string): boolean {
  const base = (arn: string): string => arn.split(':').slice(0, 7).join(':');
  return base(one) === base(other);
}

/** A text; undefined where it is none. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** An object's fields; none where it is no object. */
function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** The error, with what there is to send. */
function invalid(what: string): PipelineError {
  const payloads = Object.values(ACTIONS).map(({ example }) => example);
  return new PipelineError('EVENT_INVALID', `${what} Nothing was done.`, {
    remedy: `Send one of these payloads: ${payloads.join(' ')}.`,
  });
}

/** A value as a message shows it: short. */
function brief(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** Some names, quoted. */
function names(list: readonly string[]): string {
  return list.slice(0, 10).map(brief).join(', ');
}
