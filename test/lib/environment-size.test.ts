/** The 4 KB that Lambda takes of an environment: long lists go into a file of a layer, the rest is refused by its prop. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { readConfig } from '../../lambda/settings/config.ts';
import { withSettingsFile } from '../../lambda/settings/settings-file.ts';
import { Pg2KinesisStack } from '../../lib/pg2kinesis-stack.ts';
import { readSettings } from '../../lib/settings.ts';
import { MINIMAL } from './synth.ts';

const tables = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `public\\.customer_orders_and_what_belongs_to_them_${index}`);

/** Synthesises, and gives the function's variables with the file that the layer brings, if any. */
function synthesise(settings: Readonly<Record<string, unknown>>): {
  readonly variables: Readonly<Record<string, string>>;
  readonly file: string | undefined;
  readonly layers: unknown;
} {
  const outdir = mkdtempSync(join(tmpdir(), 'pg2kinesis-environment-'));
  try {
    const app = new App({ outdir, builtinCloudFormationValidation: false });
    const [read] = readSettings({ pg2kinesis: { ...MINIMAL, alarmEmail: 'oncall@example.com', ...settings } });
    assert.ok(read);
    const stack = new Pg2KinesisStack(app, read.name, {
      settings: read,
      code: lambda.Code.fromInline('exports.handler = async () => {};'),
    });
    const [own] = Object.values(
      Template.fromStack(stack).findResources('AWS::Lambda::Function', { Properties: { Handler: 'handler.handler' } }),
    ) as { Properties: { Environment: { Variables: Record<string, string> }; Layers?: unknown } }[];
    assert.ok(own);
    const layer = readdirSync(outdir).find(
      (folder) => folder.startsWith('asset.') && readdirSync(join(outdir, folder)).includes('pg2kinesis-settings.json'),
    );
    return {
      variables: own.Properties.Environment.Variables,
      file: layer === undefined ? undefined : readFileSync(join(outdir, layer, 'pg2kinesis-settings.json'), 'utf8'),
      layers: own.Properties.Layers,
    };
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

describe("the function's environment", () => {
  it('holds lists that fit', () => {
    const { variables, file, layers } = synthesise({ tableIncludeList: tables(20) });
    assert.equal(variables['TABLE_INCLUDE_LIST'], tables(20).join(','));
    assert.equal(variables['SETTINGS_FILE'], undefined);
    assert.deepEqual([file, layers], [undefined, undefined]);
  });

  it('leaves lists that do not fit to a file, from which the function reads what was given', () => {
    const { variables, file, layers } = synthesise({
      tableIncludeList: tables(500),
      columnExcludeList: ['a\\.b\\.c{1,2}'],
      format: 'json',
    });
    assert.equal(variables['TABLE_INCLUDE_LIST'], undefined);
    assert.ok(JSON.stringify(variables).length < 4096);
    assert.equal(variables['SETTINGS_FILE'], '/opt/pg2kinesis-settings.json');
    assert.equal((layers as unknown[]).length, 1);
    assert.ok(file !== undefined);
    const login = { PGHOST: 'db', PGDATABASE: 'app', PGUSER: 'cdc', PGPASSWORD: 'x', DATABASE_AUTH: 'password' };
    const config = readConfig(withSettingsFile({ ...login, SETTINGS_FILE: '/opt/x' }, () => file));
    assert.equal(config.filters.tableInclude.length, 500);
    assert.equal(config.filters.columnExclude.length, 1);
  });

  it('counts what is only known when it is deployed', () => {
    const least = Array.from({ length: 25 }, (_, index) => 45 + index).find(
      (count) => synthesise({ tableIncludeList: tables(count) }).file !== undefined,
    );
    assert.ok(least !== undefined && least > 45);
    const list = { tableIncludeList: tables(least - 1) };
    assert.equal(synthesise(list).file, undefined);
    assert.notEqual(synthesise({ ...list, endpoints: 'kinesis,secretsmanager' }).file, undefined);
  });

  it('is refused where it is too large all the same, by the longest props', () => {
    const app = new App({ builtinCloudFormationValidation: false });
    const [read] = readSettings({
      pg2kinesis: { ...MINIMAL, alarmEmail: 'oncall@example.com', sourceName: '\u{1f418}'.repeat(128) },
    });
    assert.ok(read);
    const stack = new Pg2KinesisStack(app, read.name, {
      settings: read,
      code: lambda.Code.fromInline('exports.handler = async () => {};'),
    });
    stack.publisher.function.addEnvironment('OF_ONES_OWN', 'x'.repeat(3500));
    assert.throws(
      () => app.synth(),
      /\[pg2kinesis\/Publisher\] The environment of the function has about \d{4} bytes, and Lambda takes 4096\. The longest are ofOnesOwn \(OF_ONES_OWN\) with 3\d{3}, sourceName \(SOURCE_NAME\) with 5\d\d, \w+ \(\w+\) with \d+\. Shorten them\./,
    );
  });
});
