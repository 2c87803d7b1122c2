/** Any action's answer, as it is printed: text for people, or a line of JSON. */
import type { Answer } from '../../../lambda/actions/actions.ts';
import { printableJson } from '../../../lambda/printable.ts';
import { EXIT, type Terminal } from '../terminal.ts';
import { renderCheck } from './check.ts';
import { columns, layoutOf } from './layout.ts';
import { renderRun, sentence } from './run.ts';
import { renderStatus } from './status.ts';
import { renderTables } from './tables.ts';

/**
 * @param answer - of any action
 * @param terminal - where it is printed
 * @param now - milliseconds since 1970
 * @returns text for people, with its line breaks
 */
export function renderAnswer(answer: Answer, terminal: Pick<Terminal, 'stdout' | 'env'>, now: number): string {
  const layout = layoutOf(terminal);
  if ('findings' in answer) return renderCheck(answer, layout);
  if ('slotState' in answer) return renderStatus(answer, layout, now);
  if ('tables' in answer && answer.action === 'tables') return renderTables(answer, layout);
  if ('stopped' in answer) return renderRun(answer, layout);
  const said = sentence(answer);
  return said === undefined ? jsonLine(answer) : columns([[said]], layout);
}

/** @returns one line for programs */
export function jsonLine(answer: unknown): string {
  return `${printableJson(JSON.stringify(answer))}\n`;
}

/** The exit status by which a script may go on: `drain && drop-slot` must not, where the drain left something. */
export function statusOf(answer: Answer): number {
  if ('findings' in answer) {
    if (answer.findings.some(({ state }) => state === 'fault' || state === 'missing')) return EXIT.failed;
    return answer.ok ? EXIT.ok : EXIT.incomplete;
  }
  if ('slotState' in answer) {
    if (answer.slotState === 'ok') return EXIT.ok;
    return answer.slotState === 'at-risk' ? EXIT.incomplete : EXIT.failed;
  }
  return 'caughtUp' in answer && answer.action === 'drain' && !answer.caughtUp ? EXIT.incomplete : EXIT.ok;
}
