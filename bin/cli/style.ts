/** Colours, for terminals that show them. Knows nothing of what is coloured. */
import pc from 'picocolors';
import type { Output, Terminal } from './terminal.ts';

/** Colours by their names; each takes a text and returns it as it is where there are none. */
export type Colours = ReturnType<typeof pc.createColors>;

/**
 * @param output - where the text goes
 * @param env - NO_COLOR and FORCE_COLOR win, as in other tools
 */
export function coloursFor(output: Output, env: Terminal['env']): Colours {
  const given = (name: string): boolean => (env[name] ?? '') !== '';
  if (given('NO_COLOR')) return pc.createColors(false);
  if (given('FORCE_COLOR')) return pc.createColors(env['FORCE_COLOR'] !== '0');
  return pc.createColors(output.isTTY === true && env['TERM'] !== 'dumb');
}
