/**
 * The switch of the mutation gate: which mutant is active in this process, and which of them were reached.
 *
 * The instrumented copies of lambda/ import `stryMutAct_9fa48` and `stryCov_9fa48`, the names that StrykerJS gives them.
 * They are called in the innermost loops: keep them short.
 */

/** Mutants that were reached, with how often. */
export type Hits = Record<string, number>;

let active = process.env['MUTANT'];
let limit = Number(process.env['MUTANT_HIT_LIMIT'] ?? 'Infinity');
let count = 0;
let counted: Hits | undefined;

/** Makes a mutant active, or none. @param hitLimit - it throws when it is reached more often: a loop without an end */
export function activate(id: string | undefined, hitLimit = Infinity): void {
  active = id;
  limit = hitLimit;
  count = 0;
}

/** Counts in `hits` what is reached from now on; nothing where there is none. */
export function countIn(hits: Hits | undefined): void {
  counted = hits;
}

/** @returns whether the mutant is the active one */
export function stryMutAct_9fa48(id: string): boolean {
  if (id !== active) return false;
  if (++count > limit) throw new Error(`The mutant was reached ${limit} times: a loop without an end.`);
  return true;
}

/** Counts that a place with these mutants was reached. */
export function stryCov_9fa48(...ids: string[]): void {
  if (counted === undefined) return;
  for (const id of ids) counted[id] = (counted[id] ?? 0) + 1;
}
