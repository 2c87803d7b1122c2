/** The answer of `check` for people: a line for each precondition, and for each fault what to do. Pure. */
import type { CheckAnswer } from '../../../lambda/actions/check.ts';
import type { FindingState } from '../../../lambda/health/finding.ts';
import type { EffectiveSetting } from '../../../lambda/settings/effective-settings.ts';
import { type Cell, columns, type Layout } from './layout.ts';
import { counted } from './units.ts';

/** What is worst stands last: there a terminal's eye is. */
const ORDER: readonly FindingState[] = ['ok', 'unknown', 'warning', 'missing', 'fault'];

/**
 * @param answer - of `check`
 * @param layout - colours and width
 */
export function renderCheck(answer: CheckAnswer, layout: Layout): string {
  const { colours } = layout;
  const paint: Record<FindingState, (text: string) => string> = {
    ok: colours.green,
    unknown: colours.yellow,
    warning: colours.yellow,
    missing: colours.red,
    fault: colours.red,
  };
  const rows = answer.findings
    .toSorted((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
    .flatMap(({ check, state, found, todo }): (string | Cell)[][] => [
      [{ text: state, paint: paint[state] }, check, found],
      ...(todo === undefined ? [] : [['', '', { text: `To do: ${todo}`, paint: colours.bold }]]),
    ]);
  return [
    settings(answer.settings, layout),
    '\n',
    columns(rows, layout),
    '\n',
    `${tally(answer, layout)}\n`,
    columns([[conclusion(answer)]], layout),
  ].join('');
}

/** How many of each. */
function tally({ findings }: CheckAnswer, { colours }: Layout): string {
  const having = (state: FindingState): number => findings.filter((each) => each.state === state).length;
  const said = [
    having('fault') > 0 ? colours.red(counted(having('fault'), 'fault')) : '',
    having('missing') > 0 ? colours.red(`${having('missing')} missing`) : '',
    having('warning') > 0 ? colours.yellow(counted(having('warning'), 'warning')) : '',
    having('unknown') > 0 ? colours.yellow(`${having('unknown')} unknown`) : '',
    colours.green(`${having('ok')} ok`),
  ].filter((part) => part !== '');
  return `${said.join(', ')}.`;
}

/** What follows from it. */
function conclusion({ findings, ok, slot }: CheckAnswer): string {
  if (ok) return `Slot ${slot} can be published.`;
  const broken = findings.some(({ state }) => state === 'fault' || state === 'missing');
  return broken
    ? 'Runs fail, or do not publish everything, until the faults are mended.'
    : 'What is unknown could not be checked.';
}

/** The settings in force: those that were given one by one, the defaults together. */
function settings(all: readonly EffectiveSetting[], layout: Layout): string {
  const given = all.filter(({ from }) => from !== 'default');
  const rows = given.map(({ name, value, from }) => [
    name,
    value,
    {
      text: from === 'environment' ? '' : `from ${from === 'secret' ? 'the secret' : from}`,
      paint: layout.colours.dim,
    },
  ]);
  const defaults = all.filter(({ from }) => from === 'default').map(({ name, value }) => `${name}=${value}`);
  return `${columns(rows, layout)}${columns([[{ text: `Defaults: ${defaults.join(', ')}`, paint: layout.colours.dim }]], layout)}`;
}
