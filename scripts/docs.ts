/**
 * Writes the generated parts of docs/, and its pictures, from the tables in the code: `npm run docs`. `test/docs.test.ts` fails where they
 * are not up to date. A part is between `<!-- generated:name -->` and `<!-- /generated:name -->`; the rest is written by hand.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { REMEDIES } from '../lambda/errors.ts';
import { METRICS } from '../lambda/metrics.ts';
import { SETTINGS } from '../lambda/settings/settings-table.ts';
import { STACK_SETTINGS } from '../lib/stack-settings-table.ts';
import { type Cost, costArithmetic, costTable } from './cost.ts';
import { type Speed, speedSummary, speedTables } from './speed.ts';
import { barsOf, drawBars, THEMES } from './speed-plot.ts';

const root = new URL('..', import.meta.url);

/** Every page, relative to the repository. */
export const PAGES: readonly string[] = [
  'README.md',
  'ARCHITECTURE.md',
  ...readdirSync(new URL('docs/', root))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/**
 * @param page - its path in the repository
 * @returns its text
 */
export function readPage(page: string): string {
  return readFileSync(new URL(page, root), 'utf8');
}

/** Each generated part's text, by name. */
export const PARTS: Readonly<Record<string, () => string>> = {
  settings: settingsTable,
  'stack-settings': stackSettingsTable,
  metrics: metricsTable,
  speed: () => speedTables(readSpeed()),
  'speed-summary': () => speedSummary(readSpeed()),
  cost: () => costTable(readCost()),
  'cost-arithmetic': () => costArithmetic(readCost()),
  ...Object.fromEntries(Object.entries(REMEDIES).map(([code, remedy]) => [`remedy ${code}`, () => `**${remedy}**\n`])),
};

/** What the benchmark measured last: `npm run bench -- --save`. */
function readSpeed(): Speed {
  return JSON.parse(readPage('docs/speed.json')) as Speed;
}

/** What a minute's changes took last: `npm run bench -- --only cost --save`. */
function readCost(): Cost {
  return JSON.parse(readPage('docs/cost.json')) as Cost;
}

/** The pictures that are drawn from the benchmark: their texts by path. */
export function pictures(): ReadonlyMap<string, string> {
  const bars = barsOf(readSpeed());
  const themes = Object.keys(THEMES) as (keyof typeof THEMES)[];
  return new Map(themes.map((theme) => [`docs/images/speed-${theme}.svg`, drawBars(bars, theme)]));
}

/**
 * @param text - a page
 * @returns the page with its generated parts as they have to be; an error code that has no section is given one
 * @throws {Error} where it has a part that nothing generates
 */
export function generate(text: string): string {
  return withMissingCodes(text).replace(
    /<!-- generated:(.+) -->\n[^]*?<!-- \/generated:\1 -->\n/g,
    (_all, name: string) => {
      const part = PARTS[name];
      if (part === undefined) throw new Error(`Nothing generates "${name}".`);
      return `<!-- generated:${name} -->\n${part()}<!-- /generated:${name} -->\n`;
    },
  );
}

/** The page of errors, with a section for each code. */
function withMissingCodes(text: string): string {
  const end = '<!-- /errors -->\n';
  if (!text.includes(end)) return text;
  const missing = Object.keys(REMEDIES).filter((code) => !text.includes(`\n### ${code}\n`));
  const sections = missing.map(
    (code) => `\n### ${code}\n\n<!-- generated:remedy ${code} -->\n<!-- /generated:remedy ${code} -->\n`,
  );
  return text.replace(end, `${sections.join('')}${end}`);
}

function settingsTable(): string {
  const rows = Object.entries(SETTINGS).map(
    ([name, { default: fallback, about, allowed }]) =>
      `| \`${name}\` | ${code(fallback ?? '')} | ${about} | ${cell(allowed)} |\n`,
  );
  return `| variable | default | what it is | allowed |\n|---|---|---|---|\n${rows.join('')}`;
}

/** The fields of `PipelineSettings` and of what it extends, each with its comment; in the order of their table. */
function stackSettingsTable(): string {
  const bodies = ['lib/pipeline-settings.ts', 'lib/publishing-props.ts'].map(
    (page) =>
      /export interface (?:PipelineSettings|PublishingProps)\b.*\{\n([^]*?)\n\}\n/.exec(readPage(page))?.[1] ?? '',
  );
  const names = Object.keys(STACK_SETTINGS);
  const fields = [...bodies.join('\n').matchAll(/\/\*\* (.*) \*\/\n {2}readonly (\w+)(\??): (.*);/g)];
  const place = ([, , name = '']: RegExpExecArray): number => names.indexOf(name);
  const rows = fields
    .toSorted((one, other) => place(one) - place(other))
    .map(([, comment = '', name = '', optional, type = '']) => {
      const [about = '', fallback] = comment.split(' @default ');
      const words = [...type.matchAll(/'([^']+)'/g)].map(([, word = '']) => `\`${word}\``);
      const list = type.startsWith('readonly ') ? 'a list of ' : '';
      const values = words.length === 0 ? '' : ` Allowed: ${list}${words.join(', ')}.`;
      const need = fallback ?? (optional === '?' ? '' : '**required**');
      return `| \`${name}\` | ${cell(need)} | ${cell(about)}${values} |\n`;
    });
  return `| setting | default | what it is |\n|---|---|---|\n${rows.join('')}`;
}

function metricsTable(): string {
  const rows = Object.entries(METRICS).map(([name, { unit, about }]) => `| \`${name}\` | ${unit} | ${cell(about)} |\n`);
  return `| metric | unit | what it says |\n|---|---|---|\n${rows.join('')}`;
}

/** A text as a table's cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** A text in a code span; nothing where there is none. */
function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(new URL('docs/images/', root), { recursive: true });
  const made = [...PAGES.map((page) => [page, generate(readPage(page))] as const), ...pictures()];
  for (const [path, text] of made) {
    if (existsSync(new URL(path, root)) && readPage(path) === text) continue;
    writeFileSync(new URL(path, root), text);
    console.log(`${path} was brought up to date.`);
  }
}
