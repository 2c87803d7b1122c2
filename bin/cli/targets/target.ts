/** What a command acts on: the pipeline of this environment's settings, or a deployed function. */
import type { Answer } from '../../../lambda/actions/actions.ts';
import type { Log } from '../../../lambda/ports.ts';

/** A payload, as the function takes it. */
export type Payload = Readonly<Record<string, unknown>> & { readonly action: string };

/** Does what a payload asks for. */
export interface Target {
  /** What the slot's pipeline is called in messages. */
  readonly name: string;
  readonly log: Log;
  /**
   * @param payload - as the function takes it
   * @returns the action's answer
   * @throws {Error} what made it fail, in words for the reader
   */
  invoke(payload: Payload): Promise<Answer>;
}
