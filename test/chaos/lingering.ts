/** Runs that linger, in the place of the schedule: whoever has given the slot away and does not go on is invoked anew. */
import type { RunAnswer } from '../../lambda/run/answer.ts';
import type { Container, Ending } from './container.ts';

/** A run of the schedule. */
export const RUN = { action: 'run', maxSeconds: 50 } as const;

/**
 * Invokes a run that lingers, and anew where it has ended because whoever it gave the slot to was at work for long, as the
 * schedule does.
 *
 * @returns how it ended else, and how often it was invoked anew
 */
export async function linger(container: Container, remainingMs: number): Promise<{ ending: Ending; again: number }> {
  for (let again = 0; ; again++) {
    const ending = await container.invoke(RUN, remainingMs);
    const { stopped } = (ending === 'killed' ? {} : (ending.answer ?? {})) as Partial<RunAnswer>;
    if (stopped !== 'handed-over') return { ending, again };
  }
}

/** @returns how often a run went on by itself after it had handed over */
export function goneOn({ output }: Container): number {
  return output.match(/handed over, and nobody has it any more: this run goes on/g)?.length ?? 0;
}
