/**
 * Mutants that no test can kill, because what the product does is the same with them. The score does not count them.
 *
 * A row names the file, the line as it is, the line as the mutant has it, and why nobody can tell the two apart.
 * Rows whose mutant is killed, or is not there any more, are reported and have to go.
 */

/** One such mutant. */
export interface EqualMutant {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const EQUAL_IN_EFFECT: readonly EqualMutant[] = [];
