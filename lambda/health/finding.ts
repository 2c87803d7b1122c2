/**
 * What `check` says of one precondition. Types, and what all checks share.
 */

/**
 * `ok`: nothing to do. `missing`: it is not there. `fault`: changes cannot be captured, or not all of them.
 * `warning`: they can, and something is worth doing. `unknown`: it could not be found out.
 */
export type FindingState = 'ok' | 'missing' | 'fault' | 'warning' | 'unknown';

/** The result for one precondition. */
export interface Finding {
  readonly check: string;
  readonly state: FindingState;
  /** What was found. */
  readonly found: string;
  /** What to do; undefined: nothing. */
  readonly todo?: string;
}

/** How many tables or patterns a finding names. */
const MAX_NAMES_SHOWN = 20;

/** @returns that there is nothing to do */
export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found };
}

/** Some names, the rest counted. */
export function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES_SHOWN;
  return names.slice(0, MAX_NAMES_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** An identifier, as SQL needs it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
