/**
 * The README's tables against the code they tell of, and its examples against what the code writes.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { REMEDIES } from '../lambda/errors.ts';
import { FORMATS } from '../lambda/format/formats.ts';
import { readConfig } from '../lambda/settings/config.ts';
import { readEvent } from '../lambda/settings/event.ts';
import { SETTINGS } from '../lambda/settings/settings.ts';
import { SLOT_METRICS } from '../lib/slot-metrics.ts';
import { recordOf, truncateOf, written } from './support/changes.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** What stands between a pair of marks. */
function section(name: string): string {
  const [, rest] = readme.split(`<!-- ${name} -->\n`);
  const [text] = (rest ?? '').split(`<!-- /${name} -->`);
  assert.ok(text !== undefined && text.trim() !== '', `the README has no section ${name}`);
  return text;
}

describe('README', () => {
  it('lists every setting with its default, what it is for and what is allowed', () => {
    const rows = Object.entries(SETTINGS).map(
      ([name, { default: fallback, about, allowed }]) =>
        `| \`${name}\` | ${fallback === undefined || fallback === '' ? '' : `\`${fallback}\``} | ${about}: ${allowed.replaceAll('|', '\\|')} |\n`,
    );
    assert.equal(section('settings'), `| variable | default | |\n|---|---|---|\n${rows.join('')}`);
  });

  it('lists every error code with what to do', () => {
    const rows = Object.entries(REMEDIES).map(([code, remedy]) => `| \`${code}\` | ${remedy} |\n`);
    assert.equal(section('errors'), `| code | what to do |\n|---|---|\n${rows.join('')}`);
  });

  it('names every metric, and every alarm of the stack', () => {
    const told = readme.slice(readme.indexOf('## Metrics and alarms'), readme.indexOf('## Guarantees'));
    for (const metric of SLOT_METRICS) assert.ok(told.includes(`\`${metric}\``), metric);
    const alarms = [...section('alarms').matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name);
    const made = [
      ...readFileSync(new URL('../lib/slot-alarms.ts', import.meta.url), 'utf8').matchAll(/this\.add\('(\w+)'/g),
    ].map(([, name = '']) => name);
    assert.deepEqual(alarms, made);
  });

  it('shows payloads that the function takes', () => {
    const table = readme.slice(readme.indexOf('| payload | does |'), readme.indexOf('An empty payload is a run'));
    const payloads = [...table.matchAll(/`(\{"action".*?\})`/g)].map(([, text]) => text ?? '');
    assert.ok(payloads.length >= 8);
    for (const payload of payloads) assert.doesNotThrow(() => readEvent(JSON.parse(payload)), payload);
  });

  it('shows records as the formats write them', () => {
    const transaction = { xid: 754, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n };
    const users = (xid: number, name: 'csv' | 'csv-payload'): string =>
      written(
        FORMATS[name]({ source: '' }),
        recordOf('table public.users: INSERT: id[integer]:42', { key: ['id'], transaction: { ...transaction, xid } }),
      );
    const line = "table public.order_lines: UPDATE: order_id[integer]:7 product[text]:'a b'";
    for (const name of ['csv', 'csv-payload'] as const) {
      const format = FORMATS[name]({ source: '' });
      const shown = [
        users(754, name),
        written(format, recordOf(line, { key: ['order_id', 'product'], transaction: { ...transaction, xid: 755 } })),
        written(format, {
          ...truncateOf({ printed: 'public.users', schema: 'public', name: 'users' }),
          transaction: { ...transaction, xid: 756 },
        }),
      ];
      assert.ok(readme.includes(`\`\`\`text\n${shown.join('\n')}\n\`\`\``), `${name}:\n${shown.join('\n')}`);
    }
    const update =
      "table public.users: UPDATE: id[integer]:42 name[text]:'Ada' balance[numeric]:12.50 bio[text]:unchanged-toast-datum";
    const json = written(
      FORMATS.json({ source: 'app/pg2kinesis' }),
      recordOf(update, { key: ['id'], ordinal: 3, transaction }),
    );
    const [, shown = ''] = /```json\n(\{"id":"0\/16B3748[^`]*)\n```/.exec(readme) ?? [];
    assert.equal(shown.replaceAll('\n ', ''), json);
  });

  it('says in which of its variables a database is named', () => {
    const [, exported = ''] = /\$ export (.*)\n/.exec(readme) ?? [];
    const env = Object.fromEntries(exported.split(' ').map((pair) => pair.split('=') as [string, string]));
    assert.equal(readConfig(env).database.database, 'app');
  });
});
