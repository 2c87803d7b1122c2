/** What a command acts on: the pipeline of this environment's settings, or a deployed function. */
import type { Answer } from '../../../lambda/actions/actions.ts';
import type { Log } from '../../../lambda/ports/runtime.ts';
import type { SnapshotAnswer } from '../../../lambda/run/snapshot-answer.ts';

/** A payload, as the function takes it. */
export type Payload = Readonly<Record<string, unknown>> & { readonly action: string };

/** What a run has done so far. */
export interface RunProgress {
  readonly published: number;
  readonly throttledEntries: number;
  /** Where there is one under way. */
  readonly snapshot?: SnapshotAnswer | undefined;
}

/** Does what a payload asks for. */
export interface Target {
  /** The slot's, or the function's. */
  readonly name: string;
  readonly log: Log;
  /** Whether it is a function, which ends after 15 minutes, and goes on when the caller does not wait. */
  readonly deployed: boolean;
  /**
   * @param payload - as the function takes it
   * @returns the action's answer
   * @throws {Error} what made it fail, in words for the reader
   */
  invoke(payload: Payload): Promise<Answer>;
  /** @returns what the run under way has done; undefined: it is not known before its answer */
  readonly progress?: () => RunProgress | undefined;
}
