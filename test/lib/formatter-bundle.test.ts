/** A formatter of the user's own at synthesis: the bundle that is deployed, and what is refused before anything is. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadFormatter } from '../../lambda/formatter-module.ts';
import { bundleFormatter, FORMATTER_FILE } from '../../lib/formatter-bundle.ts';
import { readSettings } from '../../lib/settings.ts';
import { SynthesisError } from '../../lib/synthesis-error.ts';
import { MINIMAL } from './synth.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/order-events.ts', import.meta.url));

describe('bundleFormatter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-formatter-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  const write = (text: string, name = `formatter-${count++}.ts`): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  it('makes one module of TypeScript and what it imports, with its map, which the function loads', async () => {
    write("export const greeting: string = 'hello';", 'imported.ts');
    const files = bundleFormatter(
      write("import { greeting } from './imported.ts';\nexport default { format: () => ({ data: greeting }) };"),
    );
    assert.deepEqual([...files.keys()].sort(), [FORMATTER_FILE, `${FORMATTER_FILE}.map`]);
    const formatter = await loadFormatter(write(files.get(FORMATTER_FILE) ?? '', 'bundled.mjs'), false);
    assert.deepEqual(formatter.format(undefined as never), { data: 'hello' });
  });

  it("makes the example of the docs into one, which is the function's", async () => {
    const formatter = await loadFormatter(
      write(bundleFormatter(EXAMPLE, true).get(FORMATTER_FILE) ?? '', 'example.mjs'),
      true,
    );
    assert.deepEqual(
      formatter.formatMessage?.({
        id: '0/1#m',
        source: 's',
        op: 'MESSAGE',
        prefix: 'orders/7',
        content: Buffer.from('paid'),
        transactional: false,
        lsn: '0/1',
      }),
      { data: '{"event":"0/1#m","about":"orders/7","text":"paid"}' },
    );
    const change = {
      id: '0/1@2#3',
      source: 's',
      op: 'INSERT',
      schema: 'public',
      table: 'orders',
      key: { id: 7 },
      row: { id: 7, customer_id: 3, total: '12.50' },
      types: {},
      xid: 1,
      commitLsn: '0/1',
      ordinal: 3,
      commitTime: '',
    } as const;
    assert.deepEqual(formatter.format(change), {
      data: '{"event":"0/1@2#3","order":7,"what":"insert","total":"12.50"}',
      partitionKey: '3',
    });
    assert.equal(formatter.format({ ...change, table: 'users' }), undefined);
  });

  for (const [name, make, message] of [
    ['a file that is not there', () => join(folder, 'missing.ts'), /missing\.ts": there is no such file/],
    ['a syntax error', () => write('export default {'), /cannot be bundled \(.*formatter-\d+\.ts:1/],
    [
      'an import that is not there',
      () => write("import './nowhere.ts'; export default { format: () => undefined };"),
      /cannot be bundled .*nowhere/,
    ],
    [
      'no default export',
      () => write('export const format = () => undefined;'),
      /has no default export with a function "format"/,
    ],
    [
      'a default export that is no formatter',
      () => write('export default { format: 7 };'),
      /has no default export with a function "format"/,
    ],
    [
      'a module that throws as it is loaded',
      () => write("throw new RangeError('as it loads');"),
      /cannot be loaded \(RangeError: as it loads\)/,
    ],
  ] as const) {
    it(`fails on ${name}, and says so`, () => {
      assert.throws(
        () => bundleFormatter(make()),
        (error: unknown) => {
          assert.ok(error instanceof SynthesisError);
          assert.match(error.message, message);
          assert.match(error.message, /Nothing was synthesised/);
          return true;
        },
      );
    });
  }

  it('fails at synthesis on a format without a formatter, and the other way round', () => {
    for (const [settings, message] of [
      [{ format: 'module' }, /formatter is missing: format module needs it/],
      [{ formatter: EXAMPLE }, /formatter has no effect without format module/],
    ] as const)
      assert.throws(() => readSettings({ pg2kinesis: { ...MINIMAL, ...settings } }), message);
  });
});

describe('loadFormatter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-formatter-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, file, text, message] of [
    ['a file that is not there', 'a.mjs', undefined, /is not there/],
    ['an export that is no formatter', 'b.mjs', 'export default () => 1;', /has no default export/],
    ['a syntax error', 'c.mjs', 'export default {', /could not be loaded \(SyntaxError\)/],
    [
      'a module that throws, whose message it does not show',
      'd.mjs',
      "throw new RangeError('hush');",
      /could not be loaded \(RangeError at d\.mjs:1:7\)/,
    ],
    ['a file that Node.js does not load', 'e.txt', '', /loads JavaScript only/],
  ] as const) {
    it(`fails with CONFIG_INVALID on ${name}`, async () => {
      if (text !== undefined) writeFileSync(join(folder, file), text);
      await assert.rejects(loadFormatter(join(folder, file), false), (error: Error) => {
        assert.match(error.message, /^CONFIG_INVALID: The module that FORMATTER names /);
        assert.match(error.message, message);
        assert.ok(!error.message.includes('hush'));
        return true;
      });
    });
  }
});
