/** Where alarms and dashboard say that the runbook is. Text only. */
import { type Kind, text } from './setting-kinds.ts';

/** The page, as it is in the repository and in the package. */
export const RUNBOOK = 'docs/operations.md';

/** Where a team keeps that page for its engineers on call. */
export const RUNBOOK_URL: Kind<string> = text('the address of that page, https://...', /^https?:\/\/\S{1,400}$/);

/**
 * @param url - where the page is kept; undefined: its name is said
 * @param alarm - an alarm's id
 * @returns a sentence that leads to the alarm's section
 */
export function runbookSentence(url: string | undefined, alarm: string): string {
  return `Runbook: ${url ?? RUNBOOK}#alarm-${alarm.toLowerCase()} (npx pg2kinesis explain ${alarm}).`;
}
