/**
 * What `lib/` and `lambda/` both have to know, since neither may import the other: metrics, and the settings' values and
 * defaults. Whoever changes one side is told here what is missing on the other.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { METRICS } from '../../lambda/metrics.ts';
import { FORMAT_FACTS } from '../../lambda/settings/format-facts.ts';
import { type Setting, SETTINGS as VARIABLES } from '../../lambda/settings/settings-table.ts';
import { NAMESPACE as EMITTED_NAMESPACE } from '../../lambda/telemetry/telemetry.ts';
import { FORMAT_FACTS as STACK_FORMAT_FACTS } from '../../lib/format-facts.ts';
import { NAMESPACE, SLOT_METRICS } from '../../lib/slot-metrics.ts';
import { STACK_SETTINGS } from '../../lib/stack-settings-table.ts';
import { readPage } from '../../scripts/docs.ts';

/** The setting of the stack that becomes a variable, where the name is not the same in camelCase; undefined: none does. */
const OTHER_NAMES: Readonly<Record<string, keyof typeof STACK_SETTINGS | undefined>> = {
  PGHOST: 'databaseHost',
  PGPORT: 'databasePort',
  PGDATABASE: 'databaseName',
  PGUSER: 'databaseUser',
  PGSSLMODE: 'databaseSslMode',
  STREAM_NAME: 'existingStream',
  // The stack never writes a password, and a construct only takes a file of authorities.
  PGPASSWORD: undefined,
  PGSSLROOTCERT: undefined,
};

/** Each variable with the stack's setting of the same meaning. */
const pairs = Object.entries<Setting<unknown>>(VARIABLES).flatMap(([variable, setting]) => {
  const camelCase = variable.toLowerCase().replace(/_./g, (part) => part.slice(1).toUpperCase());
  const name = variable in OTHER_NAMES ? OTHER_NAMES[variable] : (camelCase as keyof typeof STACK_SETTINGS);
  return name === undefined ? [] : [{ variable, setting, name }];
});

/** The numbers, or else the words in capitals and small letters, that a text allows. */
function allowedBy(text: string): string[] {
  const numbers = text.match(/\d+/g);
  return (
    numbers ??
    text
      .replace(/^one of /, '')
      .replace(/, in any case$/, '')
      .split(', ')
  );
}

/** Values of every kind that somebody might give: each is tried for each setting, on both sides. */
const SAMPLES: readonly string[] = [
  ...[
    'a',
    'A',
    'a b',
    'a.b',
    'a$b',
    'a*',
    'a?',
    'a_1',
    'a-1',
    'a/b',
    'a\nb',
    'a"b',
    "a'b",
    'ä',
    'a:1',
    'a#b',
    'a@b',
    'a,b',
    '7',
  ],
  ...['x'.repeat(63), 'x'.repeat(64), 'x'.repeat(128), 'x'.repeat(129), 'x'.repeat(256), 'x'.repeat(257)],
  ...[
    'a://b',
    'x://u@h',
    'postgres://u:p@h:5432/app',
    'db.example.com',
    '10.0.0.1',
    'fd00::1',
    '::1',
    'fe80::1%eth0',
    'db:5432',
  ],
  ...['public\\.a', 'public\\..*,b\\.c', '(', 'a)(b', 't_\\d{1,3}', 'a\\,b', '[a,b]', '.*'],
  ...[
    'insert',
    'INSERT,update',
    'INSERT,MERGE',
    'debug',
    'INFO',
    'info ',
    'TRACE',
    'on',
    'true',
    'csv',
    'JSON',
    'json',
  ],
  ...['arn:aws:kinesis:eu-central-1:123456789012:stream/a', 'arn:aws:kinesis:eu-central-1:123456789012:stream/a/b'],
  'arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-AbCdEf',
];

/** What only one side takes, and why. */
const DIFFERENT_ON_PURPOSE: Readonly<Record<string, (sample: string) => boolean>> = {
  // The stack writes an IAM policy with the name, in which these are wildcards.
  databaseUser: (sample) => /[*?]/.test(sample),
  // The stack bundles this file; the function is given the path in its own package.
  formatter: (sample) => sample.includes('://'),
  // A password in the environment of a function is for everybody to read.
  databaseAuth: (sample) => sample === 'password',
};

describe('lib/ and lambda/', () => {
  it('know the same metrics, in the same namespace', () => {
    assert.deepEqual(SLOT_METRICS.toSorted(), Object.keys(METRICS).toSorted());
    assert.equal(NAMESPACE, EMITTED_NAMESPACE);
  });

  it('know the same settings', () => {
    for (const { variable, name } of pairs)
      assert.ok(name in STACK_SETTINGS, `lib/stack-settings-table.ts has no ${name} for ${variable}`);
  });

  for (const { variable, setting, name } of pairs) {
    const { expects } = STACK_SETTINGS[name];
    if (!expects.startsWith('one of ') && !expects.startsWith('a whole number')) continue;
    it(`allow the same for ${variable} and ${name}`, () => {
      if (name === 'lanes') {
        const powers = allowedBy(expects).map(Number);
        assert.deepEqual(
          Array.from({ length: 300 }, (_, i) => i).filter((n) => setting.schema.safeParse(String(n)).success),
          powers,
        );
      } else if (name === 'databaseAuth') {
        // A password in the environment of a function is for everybody to read: the stack has no such setting.
        assert.deepEqual(
          allowedBy(expects),
          allowedBy(setting.allowed).filter((word) => word !== 'password'),
        );
      } else {
        assert.deepEqual(allowedBy(expects), allowedBy(setting.allowed));
      }
    });
  }

  for (const { variable, setting, name } of pairs) {
    it(`take the same texts for ${variable} and ${name}`, () => {
      const differs = DIFFERENT_ON_PURPOSE[name] ?? (() => false);
      const disagreed = SAMPLES.filter(
        (sample) => setting.schema.safeParse(sample).success !== (STACK_SETTINGS[name].read(sample) !== undefined),
      );
      assert.deepEqual(
        disagreed.filter((sample) => !differs(sample)),
        [],
      );
    });
  }

  it('document the same defaults', () => {
    const documented = new Map(
      [...readPage('docs/settings.md').matchAll(/^\| `([a-z]\w+)` \| (.*?) \|/gm)].map(([, name, value]) => [
        name,
        value,
      ]),
    );
    for (const { setting, name } of pairs) {
      if ((setting.default ?? '') === '' || name === 'existingStream' || name === 'operations') continue;
      assert.equal(documented.get(name), setting.default, name);
    }
    for (const page of ['lib/pipeline-settings.ts', 'lib/publishing-props.ts', 'lib/slot-publisher-props.ts']) {
      for (const { setting, name } of pairs) {
        const [, value] = new RegExp(`@default (.*) \\*/\\n +readonly ${name}\\?`).exec(readPage(page)) ?? [];
        if (value === undefined || (setting.default ?? '') === '' || name === 'operations' || name === 'existingStream')
          continue;
        assert.equal(value, setting.default, `${page}: ${name}`);
      }
    }
  });
});

describe('the tables of formats', () => {
  it('name the same formats, and say of each whether it has a record for a logical message', () => {
    const messages = (facts: Readonly<Record<string, { readonly hasMessages: boolean }>>): unknown =>
      Object.entries(facts).map(([name, { hasMessages }]) => [name, hasMessages]);
    assert.deepEqual(messages(STACK_FORMAT_FACTS), messages(FORMAT_FACTS));
  });
});
