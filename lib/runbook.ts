/** Where alarms and dashboard say that the runbook is. Text only. */
/** The page, as it is in the repository and in the package. */
export const RUNBOOK = 'docs/operations.md';

/**
 * @param url - where the page is kept; undefined: its name is said
 * @param alarm - an alarm's id
 * @returns a sentence that leads to the alarm's section
 */
export function runbookSentence(url: string | undefined, alarm: string): string {
  return `Runbook: ${url ?? RUNBOOK}#alarm-${alarm.toLowerCase()} (npx pg2kinesis explain ${alarm}).`;
}
