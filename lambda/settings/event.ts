/**
 * From an invocation's payload to what is to be done: every field known, or an error that lists what there is.
 * Pure; does nothing itself, and knows neither Lambda nor a command line. The actions are in `payloads.ts`.
 */
import type { PipelineError } from '../errors.ts';
import type { Action, RunAction } from './action-types.ts';
import { readLifecycleEvent } from './lifecycle-event.ts';
import { ACTION_NAMES, type ActionName, brief, eventInvalid, PAYLOADS, RUN_SECONDS } from './payloads.ts';

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
    throw eventInvalid(`The payload is ${Array.isArray(payload) ? 'an array' : `a ${typeof payload}`}, not an object.`);
  }
  const event = payload as Readonly<Record<string, unknown>>;
  if (Object.keys(event).length === 0) return scheduledRun();
  if ('RequestType' in event) return readLifecycleEvent(event, ownArn);
  const { action, source } = event;
  if (action === undefined) {
    if (source === 'aws.events' || source === 'aws.scheduler') return scheduledRun();
    throw eventInvalid(`The payload has no "action" (its fields: ${names(Object.keys(event))}).`);
  }
  const name = ACTION_NAMES.find((known) => known === action);
  if (name === undefined) throw eventInvalid(`The action ${brief(action)} does not exist.`);
  return readAction(name, event);
}

/** What the schedule asks for. */
function scheduledRun(): RunAction {
  return { kind: 'run', maxSeconds: RUN_SECONDS, maxBatches: undefined, resume: undefined };
}

/** Reads the fields of one action; unknown ones are errors. */
function readAction(name: ActionName, event: Readonly<Record<string, unknown>>): Action {
  const given = Object.fromEntries(Object.entries(event).filter(([field]) => field !== 'action'));
  const read = PAYLOADS[name].read(given);
  if (!('kind' in read)) throw faults(name, given, read);
  return read;
}

/** What is wrong with an action's fields, all of it. */
function faults(
  name: ActionName,
  given: Readonly<Record<string, unknown>>,
  issues: readonly { readonly path: readonly PropertyKey[] }[],
): PipelineError {
  const allowed: Readonly<Record<string, string>> = PAYLOADS[name].allowed;
  const said = Object.keys(given)
    .filter((field) => !Object.hasOwn(allowed, field))
    .map((field) => `"${name}" has no field ${brief(field)}.`);
  const bad = new Set(issues.map((issue) => issue.path[0]).filter((field) => typeof field === 'string'));
  for (const field of bad) {
    said.push(
      `"${field}" ${given[field] === undefined ? 'is missing' : `cannot be ${brief(given[field])}`} (allowed: ${allowed[field] ?? ''}).`,
    );
  }
  return eventInvalid(said.join(' '));
}

/** Some names, quoted. */
function names(list: readonly string[]): string {
  return list.slice(0, 10).map(brief).join(', ');
}
