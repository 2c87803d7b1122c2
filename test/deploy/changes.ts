/**
 * Asks `cdk diff` of each setting's change against the template that is deployed before it, and writes the table of
 * docs/deploy.md: `npm run docs:changes`, which takes a few minutes and needs no account. Settings that are named after it are
 * asked for alone (`npm run docs:changes -- lanes format`), and the other rows stay.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CHANGES,
  describeEffects,
  type Effect,
  isKept,
  OTHER_STACK,
  sidesOf,
  type Template,
  templateOf,
} from './setting-changes.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(ROOT, 'docs/deploy.md');
const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-diff-'));

/** What `cdk diff` says of one change. */
async function diff(name: string): Promise<string> {
  const [before, after] = sidesOf(CHANGES[name as keyof typeof CHANGES]);
  const deployed = join(folder, `${name}.json`);
  const template = templateOf(before);
  writeFileSync(deployed, JSON.stringify(template));
  const assembly = join(folder, name);
  templateOf(after, assembly);
  const args = ['diff', '--app', assembly, '--template', deployed, '--no-color', 'pg2kinesis'];
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [join(ROOT, 'node_modules/aws-cdk/bin/cdk'), ...args],
    { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder, CDK_DISABLE_CLI_TELEMETRY: 'true' } },
  );
  const text = stdout + stderr;
  assert.match(text, /Number of stacks with differences: [01]/, text);
  return describeEffects(readEffects(text, template));
}

/** The resources of a `cdk diff`: `[~] AWS::Lambda::Function Publisher/Function PublisherFunction1938950E replace`. */
function readEffects(text: string, before: Template): readonly (readonly [Effect, string])[] {
  const lines = [
    ...text.matchAll(/^\[([-+~])\] (\S+::\S+) (?:\S+\/\S+ |\S+ (?=[A-Z]\w*[0-9A-F]{8}))?(\S+)(?: (.+))?$/gm),
  ];
  return lines.map(([, sign, type = '', id = '', what = '']) => {
    if (sign === '+') return ['+', type];
    // It says "destroy" of what CloudFormation keeps by RetainExceptOnCreate.
    if (sign === '-') return [isKept(before, id) ? 'left' : '-', type];
    return [what.includes('replace') ? '±' : '~', type];
  });
}

try {
  const page = readFileSync(PAGE, 'utf8');
  const asked = process.argv.slice(2);
  const rows: string[] = [];
  for (const [name, { note }] of Object.entries(CHANGES)) {
    const present =
      asked.length === 0 || asked.includes(name)
        ? undefined
        : new RegExp(`^\\| \`${name}\` \\| (.+) \\| .+ \\|$`, 'm').exec(page)?.[1];
    const effects = present ?? (OTHER_STACK.includes(name) ? 'another stack' : await diff(name));
    if (present === undefined) console.log(`${name}: ${effects}`);
    rows.push(`| \`${name}\` | ${effects} | ${note} |`);
  }
  const table = `<!-- setting-changes -->\n| setting | \`cdk diff\` | what is lost, left behind, or to be seen to |\n|---|---|---|\n${rows.join('\n')}\n<!-- /setting-changes -->`;
  assert.match(page, /<!-- setting-changes -->/);
  const written = page.replace(/<!-- setting-changes -->[^]*<!-- \/setting-changes -->/, () => table);
  writeFileSync(PAGE, written);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
