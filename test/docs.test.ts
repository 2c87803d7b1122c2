/**
 * README and docs/ against the code they describe: generated parts, examples, and links.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { REMEDIES } from '../lambda/errors.ts';
import { ByteWriter } from '../lambda/format/byte-writer.ts';
import { FORMATS } from '../lambda/format/formats.ts';
import { readConfig } from '../lambda/settings/config.ts';
import { readEvent } from '../lambda/settings/event.ts';
import { ACTION_NAMES } from '../lambda/settings/payloads.ts';
import { SLOT_METRICS } from '../lib/slot-metrics.ts';
import { STACK_SETTINGS } from '../lib/stack-settings-table.ts';
import { generate, PAGES, PARTS, pictures, readPage } from '../scripts/docs.ts';
import { FORMAT_OPTIONS, recordOf, truncateOf, written } from './support/changes.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What is between a pair of marks on a page. */
function section(page: string, name: string): string {
  const [, rest] = readPage(page).split(`<!-- ${name} -->\n`);
  const [text] = (rest ?? '').split(`<!-- /${name} -->`);
  assert.ok(text !== undefined && text.trim() !== '', `${page} has no section ${name}`);
  return text;
}

/** A page without its code blocks, whose text is no link and no heading. */
const prose = (page: string): string => readPage(page).replace(/^ *```[^]*?^ *```$/gm, '');

/** The anchors of a page, as GitHub makes them of its headings. */
function anchors(page: string): Set<string> {
  const slugs = new Set<string>();
  for (const [, heading = ''] of prose(page).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-');
    assert.ok(!slugs.has(slug), `${page} has two headings "${heading}": a link to one of them would be unclear`);
    slugs.add(slug);
  }
  return slugs;
}

/** Every file of a folder whose name ends so. */
function files(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

describe('docs', () => {
  it('have their generated parts up to date, each once', () => {
    const found: string[] = [];
    for (const page of PAGES) {
      const text = readPage(page);
      assert.equal(text, generate(text), `${page} is not up to date: npm run docs`);
      found.push(...[...text.matchAll(/<!-- generated:(.+) -->/g)].map(([, name = '']) => name));
    }
    assert.deepEqual(found.toSorted(), Object.keys(PARTS).toSorted());
  });

  it('have their pictures up to date', () => {
    for (const [path, text] of pictures())
      assert.equal(readPage(path), text, `${path} is not up to date: npm run docs`);
  });

  it('list every setting of the stack', () => {
    const named = [...section('docs/settings.md', 'generated:stack-settings').matchAll(/^\| `(\w+)` \|/gm)];
    assert.deepEqual(
      named.map(([, name]) => name).toSorted(),
      Object.keys(STACK_SETTINGS).toSorted(),
      'lib/pipeline-settings.ts or lib/publishing-props.ts describes each in a comment of one line',
    );
  });

  it('have one section for each error code, in the order of the table, and for nothing else', () => {
    const codes = [...section('docs/operations.md', 'errors').matchAll(/^### (.+)$/gm)].map(([, code]) => code);
    assert.deepEqual(codes, Object.keys(REMEDIES), 'in the order of lambda/errors.ts');
  });

  it('have one section for each alarm of the stack', () => {
    const described = [...section('docs/operations.md', 'alarms').matchAll(/^### Alarm (\w+)$/gm)].map(([, id]) => id);
    const source = readFileSync(join(root, 'lib/slot-alarms.ts'), 'utf8');
    const made = [...source.matchAll(/this\.add\('(\w+)'/g)].map(([, id]) => id);
    assert.ok(made.length > 0);
    assert.deepEqual(described.toSorted(), made.toSorted());
  });

  it('have a trial for each procedure of the runbook, under its heading', () => {
    const [, events = ''] = readPage('docs/operations.md').split('\n## Events\n');
    const headings = [...(events.split(/\n## /)[0] ?? '').matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
    assert.ok(headings.length > 10);
    const trials = files('test/runbook', '.ts').map((file) => readFileSync(join(root, file), 'utf8'));
    const tried = trials.flatMap((text) => [...text.matchAll(/^describe\('(.+)', /gm)].map(([, title]) => title));
    assert.deepEqual(tried.toSorted(), headings.toSorted());
  });

  it('price as many metrics as there are', () => {
    assert.match(section('docs/deploy.md', 'cost'), new RegExp(`^\\| Metrics \\| ${SLOT_METRICS.length} x `, 'm'));
  });

  it('say of each column of a table what is in it', () => {
    const unnamed = PAGES.flatMap((page) =>
      [...prose(page).matchAll(/^(\|.*\|)\n\|[-:| ]+\|$/gm)]
        .filter(([, head = '']) => /\| *\|/.test(head))
        .map(([, head]) => `${page}: ${head}`),
    );
    assert.deepEqual(unnamed, []);
  });

  it('link to what is there', () => {
    const broken: string[] = [];
    for (const page of PAGES) {
      for (const [, target = ''] of prose(page).matchAll(/(?:\]\(|src(?:set)?=")([^)"\s]+)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? page : normalize(join(dirname(page), path));
        if (!existsSync(join(root, file))) broken.push(`${page}: ${target}`);
        else if (anchor !== undefined && !anchors(file).has(anchor))
          broken.push(`${page}: ${target} (no such heading)`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('are in the package, as far as the README links to them', () => {
    const { files: packed } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] };
    const missing = [...prose('README.md').matchAll(/(?:\]\(|src(?:set)?=")([^)"\s#:]+)/g)]
      .map(([, target = '']) => target)
      .filter(
        (target) => !target.startsWith('http') && !packed.some((entry) => target === entry || target.startsWith(entry)),
      );
    assert.deepEqual(missing, []);
  });

  it('name only files that are there', () => {
    const missing = PAGES.filter((page) => page.startsWith('docs/')).flatMap((page) =>
      [...prose(page).matchAll(/`((?:lambda|lib|bin|test|scripts)\/[a-z0-9/.-]+)`/g)]
        .filter(([, file = '']) => !existsSync(join(root, file)))
        .map(([, file]) => `${page}: ${file}`),
    );
    assert.deepEqual(missing, []);
  });

  it('are found where the code says they are', () => {
    const broken: string[] = [];
    for (const file of ['lambda', 'lib', 'bin', 'replica', 'scripts', 'test'].flatMap((folder) =>
      files(folder, '.ts'),
    )) {
      for (const [, page = '', , anchor] of readFileSync(join(root, file), 'utf8').matchAll(
        /\b((?:docs\/[a-z-]+|README|ARCHITECTURE)\.md)(#([a-z0-9_-]+))?/g,
      )) {
        if (!PAGES.includes(page) || (anchor !== undefined && !anchors(page).has(anchor)))
          broken.push(`${file}: ${page}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it('can all be reached from the README', () => {
    const linked = new Set([...prose('README.md').matchAll(/\]\((docs\/[a-z-]+\.md)/g)].map(([, page]) => page));
    assert.deepEqual(
      PAGES.filter((page) => page.startsWith('docs/') && !linked.has(page)),
      [],
      'add a row to the table "Where to read on"',
    );
  });

  it('show payloads that the function takes, one for each action', () => {
    const table = section('docs/operations.md', 'payloads');
    const payloads = [...table.matchAll(/`(\{"action".*?\})`/g)].map(([, text]) => text ?? '');
    const shown = payloads.map((payload) => readEvent(JSON.parse(payload)).kind);
    assert.deepEqual(shown.toSorted(), ACTION_NAMES.toSorted(), 'give each action a row in "Invoke it by hand"');
  });

  it('have a section for each format', () => {
    for (const name of Object.keys(FORMATS))
      assert.match(
        readPage('docs/records.md'),
        new RegExp(`^## ${name === 'module' ? 'Your own formatter' : name}$`, 'm'),
      );
  });

  it('show records as the formats write them', () => {
    const page = readPage('docs/records.md');
    const transaction = { xid: 754, commitLsn: 0x16b3748n, commitTimeMicros: 1_767_323_045_678_901n };
    const users = (xid: number, name: 'csv' | 'csv-payload'): string =>
      written(
        FORMATS[name]({ ...FORMAT_OPTIONS, source: '' }),
        recordOf('table public.users: INSERT: id[integer]:42', { key: ['id'], transaction: { ...transaction, xid } }),
      );
    const line = "table public.order_lines: UPDATE: order_id[integer]:7 product[text]:'a b'";
    for (const name of ['csv', 'csv-payload'] as const) {
      const format = FORMATS[name]({ ...FORMAT_OPTIONS, source: '' });
      const shown = [
        users(754, name),
        written(format, recordOf(line, { key: ['order_id', 'product'], transaction: { ...transaction, xid: 755 } })),
        written(format, {
          ...truncateOf({ printed: 'public.users', schema: 'public', name: 'users' }),
          transaction: { ...transaction, xid: 756 },
        }),
      ];
      assert.ok(page.includes(`\`\`\`text\n${shown.join('\n')}\n\`\`\``), `${name}:\n${shown.join('\n')}`);
    }
    const update =
      "table public.users: UPDATE: id[integer]:42 name[text]:'Ada' balance[numeric]:12.50 bio[text]:unchanged-toast-datum";
    const json = written(
      FORMATS.json({ ...FORMAT_OPTIONS, source: 'app/pg2kinesis' }),
      recordOf(update, { key: ['id'], ordinal: 3, transaction }),
    );
    const [, shown = ''] = /```json\n(\{"id":"0\/16B3748[^`]*)\n```/.exec(page) ?? [];
    assert.equal(shown.replaceAll('\n ', ''), json);
    const out = new ByteWriter();
    const bytes = Buffer.from('{"paid":true}');
    const message = { prefix: 'orders/42', bytes, start: 0, end: bytes.length, lsn: 0x16b3700n, transaction };
    FORMATS.json({ ...FORMAT_OPTIONS, source: 'app/pg2kinesis' }).writeLogicalMessage?.(
      { ...message, ordinal: 3, place: 1, truncated: false },
      out,
      new ByteWriter(),
    );
    const [, shownMessage = ''] = /```json\n(\{"id":"[^`]*"op":"MESSAGE"[^`]*)\n```/.exec(page) ?? [];
    assert.equal(shownMessage.replaceAll('\n ', ''), out.toString());
  });

  it('show the formatter that is tested', () => {
    assert.ok(readPage('docs/records.md').includes(`\`\`\`ts\n${readPage('examples/order-events.ts')}\`\`\``));
  });

  it('export variables that are settings, in the example of the command line', () => {
    const [, exported = ''] = /\$ export (.*)\n/.exec(readPage('docs/deploy.md')) ?? [];
    const env = Object.fromEntries(exported.split(' ').map((pair) => pair.split('=') as [string, string]));
    assert.equal(readConfig(env).database.database, 'app');
  });
});
