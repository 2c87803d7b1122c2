/**
 * The table of payloads: each action's fields, what they may be, a payload to copy, and the action that it becomes. Pure.
 * A new action is a row here and a type in `action-types.ts`.
 */
import * as z from 'zod/mini';
import { parseLsn } from '../decode/lsn.ts';
import type { ResumePosition } from '../decode/resume-position.ts';
import { PipelineError } from '../errors.ts';
import type { Action } from './action-types.ts';

/** How long the scheduled run may take where the payload does not say, in seconds: the schedule invokes every 60. */
export const RUN_SECONDS = 50;
/** In less no run can publish: it has to connect, to read, and to leave a request the time to be answered. */
export const MIN_SECONDS = 3;
/** Lambda's own longest time-out, in seconds. */
const MAX_SECONDS = 900;

const seconds = z.number().check(z.minimum(MIN_SECONDS), z.maximum(MAX_SECONDS));
const lsn = z.pipe(
  z.string().check(z.refine((text) => parseLsn(text) !== undefined)),
  z.transform((text) => parseLsn(text) ?? 0n),
);
const tableNames = z.array(z.string().check(z.minLength(1), z.maxLength(300))).check(z.minLength(1));
const resume = z.strictObject({
  commitLsn: z.string().check(z.refine((text) => parseLsn(text) !== undefined)),
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

/** A field that a schema did not take. */
interface Issue {
  readonly path: readonly PropertyKey[];
}

/** A row of the table. */
interface Payload<Name extends string = string> {
  /** Each field, and what it may be. */
  readonly allowed: Readonly<Record<Name, string>>;
  /** A payload to copy. */
  readonly example: string;
  /** @returns the action, or what is wrong with the fields; one that there is not is an error */
  read(fields: Readonly<Record<string, unknown>>): Action | readonly Issue[];
}

function payload<F extends Readonly<Record<string, z.core.$ZodType>>>(
  fields: F,
  row: Omit<Payload<keyof F & string>, 'read'> & {
    readonly toAction: (fields: z.core.output<z.ZodMiniObject<F, z.core.$strict>>) => Action;
  },
): Payload<keyof F & string> {
  const schema = z.strictObject(fields);
  return {
    allowed: row.allowed,
    example: row.example,
    read(given) {
      const { success, data, error } = schema.safeParse(given);
      return success ? row.toAction(data) : error.issues;
    },
  };
}

const SECONDS_ALLOWED = `a number, ${MIN_SECONDS} to ${MAX_SECONDS}`;
const RESUME_ALLOWED = 'the "resume" of an earlier answer, as it is';
const TABLES_ALLOWED = 'names of tables as "schema.table", 1 or more';

/** Each action by its name. */
export const PAYLOADS = {
  run: payload(
    {
      maxSeconds: z.optional(seconds),
      maxBatches: z.optional(z.int().check(z.minimum(1))),
      resume: z.optional(resume),
    },
    {
      allowed: { maxSeconds: SECONDS_ALLOWED, maxBatches: 'a whole number, 1 or more', resume: RESUME_ALLOWED },
      example: '{"action":"run","maxSeconds":50,"maxBatches":n,"resume":{...}}',
      toAction: ({ maxSeconds = RUN_SECONDS, maxBatches, resume }) => ({ kind: 'run', maxSeconds, maxBatches, resume }),
    },
  ),
  drain: payload(
    { maxSeconds: z.optional(seconds), resume: z.optional(resume) },
    {
      allowed: { maxSeconds: SECONDS_ALLOWED, resume: RESUME_ALLOWED },
      example: '{"action":"drain","maxSeconds":n,"resume":{...}}',
      toAction: ({ maxSeconds, resume }) => ({ kind: 'drain', maxSeconds, maxBatches: undefined, resume }),
    },
  ),
  status: payload(
    { lagSeconds: z.optional(z.boolean()) },
    {
      allowed: { lagSeconds: 'true or false' },
      example: '{"action":"status"}',
      toAction: ({ lagSeconds }) => ({ kind: 'status', ...(lagSeconds === undefined ? {} : { lagSeconds }) }),
    },
  ),
  tables: payload({}, { allowed: {}, example: '{"action":"tables"}', toAction: () => ({ kind: 'tables' }) }),
  check: payload({}, { allowed: {}, example: '{"action":"check"}', toAction: () => ({ kind: 'check' }) }),
  'create-slot': payload(
    { onStandby: z.optional(z.boolean()) },
    {
      allowed: { onStandby: 'true or false' },
      example: '{"action":"create-slot"}',
      toAction: ({ onStandby = false }) => ({ kind: 'create-slot', onStandby }),
    },
  ),
  'copy-slot': payload(
    { from: z.string().check(z.regex(/^[a-z0-9_]{1,63}$/)) },
    {
      allowed: { from: "a slot's name: 1 to 63 lower-case letters, digits and underscores" },
      example: '{"action":"copy-slot","from":"old_slot"}',
      toAction: ({ from }) => ({ kind: 'copy-slot', from }),
    },
  ),
  'drop-slot': payload(
    { discardUnread: z.optional(z.boolean()) },
    {
      allowed: { discardUnread: 'true or false' },
      example: '{"action":"drop-slot"}',
      toAction: ({ discardUnread = false }) => ({ kind: 'drop-slot', discardUnread }),
    },
  ),
  'refresh-keys': payload(
    {},
    { allowed: {}, example: '{"action":"refresh-keys"}', toAction: () => ({ kind: 'refresh-keys' }) },
  ),
  'skip-transaction': payload(
    { commitLsn: lsn },
    {
      allowed: { commitLsn: 'an LSN such as "0/16B3748"' },
      example: '{"action":"skip-transaction","commitLsn":"0/16B3748"}',
      toAction: ({ commitLsn }) => ({ kind: 'skip-transaction', commitLsn }),
    },
  ),
  snapshot: payload(
    { tables: z.optional(tableNames), maxSeconds: z.optional(seconds) },
    {
      allowed: { tables: TABLES_ALLOWED, maxSeconds: SECONDS_ALLOWED },
      example: '{"action":"snapshot","tables":["public.orders"]}',
      toAction: ({ tables, maxSeconds }) => ({ kind: 'snapshot', tables, maxSeconds }),
    },
  ),
  'snapshot-stop': payload(
    { tables: z.optional(tableNames) },
    {
      allowed: { tables: TABLES_ALLOWED },
      example: '{"action":"snapshot-stop"}',
      toAction: ({ tables }) => ({ kind: 'snapshot-stop', tables }),
    },
  ),
} as const;

/** An action's name, as payloads and the command line give it. */
export type ActionName = keyof typeof PAYLOADS;

/** A field of any payload. */
export type PayloadField = { [N in ActionName]: keyof (typeof PAYLOADS)[N]['allowed'] }[ActionName];

/** The names of all actions. */
export const ACTION_NAMES = Object.keys(PAYLOADS) as readonly ActionName[];

/** @param what - what is wrong with a payload @returns the error, with what there is to send */
export function eventInvalid(what: string): PipelineError {
  const payloads = Object.values(PAYLOADS).map(({ example }) => example);
  return new PipelineError('EVENT_INVALID', `${what} Nothing was done.`, {
    remedy: `Send one of these payloads: ${payloads.join(' ')}.`,
  });
}

/** A value as a message shows it: short. */
export function brief(value: unknown): string {
  const text = value === undefined ? 'undefined' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
