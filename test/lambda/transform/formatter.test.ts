/** FORMAT=module in a whole run: what a formatter of the user's own may do, and what ends the run with FORMAT_FAILED. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import { moduleFormat } from '../../../lambda/format/module/module.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { skipFirstTransaction } from '../../../lambda/run/skip-first-transaction.ts';
import type { Formatter } from '../../../lib/formatter/formatter.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const SECRET = 'ssn-123-45';
const INSERT = `table public.orders: INSERT: id[integer]:1 ssn[text]:'${SECRET}'`;

/** Publishes one transaction of these lines, behind one of a row that every formatter here takes. */
async function publish(
  format: unknown,
  lines: readonly string[] = [INSERT],
  options: Partial<RunOptions> & { oneLine?: boolean } = {},
) {
  const slot = new FakeSlot();
  slot.commit('table public.first: INSERT: id[integer]:0');
  const lsn = slot.commit(...lines);
  const { oneLine = false, ...rest } = options;
  const kit = runKit(slot, new FakeKeys({ 'public.orders': {}, 'public.first': {} }));
  const formatter = {
    format: (change) => (change.table === 'first' ? { data: 'first' } : (format as Formatter['format'])(change)),
  } satisfies Formatter;
  const made = moduleFormat({ ...FORMAT_OPTIONS, formatter, oneLine });
  const answer = await run(kit.ports, kit.options({ format: made, ...rest })).then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error: error as Error }),
  );
  return { ...answer, lsn, kit, slot };
}

describe('FORMAT=module', () => {
  it('publishes what the formatter makes, strings and bytes, under its own partition keys', async () => {
    const { value, kit } = await publish(
      (change: { op: string }) => ({
        data: change.op === 'INSERT' ? 'Zoë' : new TextEncoder().encode('bytes'),
        partitionKey: 'k',
      }),
      [INSERT, 'table public.orders: DELETE: id[integer]:1'],
    );
    assert.deepEqual(kit.publisher.acknowledged, ['first', 'Zoë', 'bytes']);
    assert.deepEqual([value?.published, value?.records], [3, 3]);
  });

  it('I9: counts what it leaves out, a key change once, and names no table for it', async () => {
    const { value, kit } = await publish(
      () => undefined,
      [
        INSERT,
        'table public.orders: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2',
        'table public.orders: DELETE: id[integer]:2',
        'table public.orders: TRUNCATE: (no-flags)',
      ],
    );
    assert.deepEqual(kit.publisher.acknowledged, ['first']);
    assert.deepEqual([value?.changes, value?.published, value?.skipped.formatter], [5, 1, 4]);
    assert.ok(!kit.recorder.lines.join('\n').includes('orders'));
  });

  it('counts a key change as published of which it takes one half', async () => {
    const { value } = await publish(
      (change: { op: string }) => (change.op === 'DELETE' ? { data: 'd' } : undefined),
      ['table public.orders: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2'],
    );
    assert.deepEqual([value?.published, value?.records, value?.skipped.formatter], [2, 2, 0]);
    const other = await publish(
      (change: { op: string }) => (change.op === 'INSERT' ? { data: 'i' } : undefined),
      ['table public.orders: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2'],
    );
    assert.deepEqual([other.value?.published, other.value?.records, other.value?.skipped.formatter], [2, 2, 0]);
  });

  it('asks again without the row where the record is too large', async () => {
    const { value, kit } = await publish((change: { truncated?: true }) => ({
      data: change.truncated === true ? 'short' : 'x'.repeat(2 * 1024 * 1024),
    }));
    assert.deepEqual(kit.publisher.acknowledged, ['first', 'short']);
    assert.equal(value?.truncated, 1);
  });

  const throwing = (message: string): never => {
    throw new TypeError(message);
  };
  for (const [name, format, message, options] of [
    [
      'throws, its message quoting a row',
      (c: { row: { ssn: string } }) => throwing(c.row.ssn),
      /threw TypeError at formatter\.test\.ts:\d+:\d+,/,
      {},
    ],
    [
      'throws a value',
      (c: { row: { ssn: string } }) => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- a user's code may
        throw c.row.ssn;
      },
      /threw a string/,
      {},
    ],
    [
      'throws an error whose message looks like a place',
      () => throwing(`\n    at ${SECRET}.ts:1:1\n`),
      /threw TypeError at formatter\.test\.ts/,
      {},
    ],
    [
      'throws an error whose message was changed',
      () => {
        const error = new Error(`\n    at ${SECRET}.ts:1:1\n`);
        // V8 writes the stack when it is first asked for it.
        assert.ok(error.stack);
        throw Object.assign(error, { message: '' });
      },
      /threw Error,/,
      {},
    ],
    [
      'throws an error named by a value',
      () => {
        throw Object.assign(new Error(''), { name: SECRET });
      },
      /threw Error,/,
      {},
    ],
    ['returns null', () => null, /returned null/, {}],
    ['returns a number', () => 7, /returned a number/, {}],
    ['returns a string', () => SECRET, /returned a string/, {}],
    ['returns a promise', () => Promise.resolve({ data: '' }), /returned a promise/, {}],
    ['returns a promise that fails', () => Promise.reject(new Error(SECRET)), /returned a promise/, {}],
    ['returns no data', () => ({ partitionKey: 'k' }), /"data" is neither a string nor bytes/, {}],
    ['returns an object as data', () => ({ data: { a: 1 } }), /"data" is neither a string nor bytes/, {}],
    [
      'has a getter that throws',
      () => ({
        get data() {
          return throwing(SECRET);
        },
      }),
      /threw TypeError at/,
      {},
    ],
    ['returns an empty partition key', () => ({ data: '', partitionKey: '' }), /"partitionKey" is empty/, {}],
    ['returns a number as partition key', () => ({ data: '', partitionKey: 1 }), /"partitionKey" is no string/, {}],
    ['returns 2 MiB', () => ({ data: 'x'.repeat(2 * 1024 * 1024) }), /returned 2097152 bytes, more than/, {}],
    ['returns a line break under lines', () => ({ data: `a\n${SECRET}` }), /returned a line break/, { oneLine: true }],
    [
      'returns a compressed frame under lines',
      () => ({ data: Buffer.from('1f8b00', 'hex') }),
      /begin as a compressed/,
      { oneLine: true },
    ],
  ] as const) {
    it(`fails with FORMAT_FAILED where it ${name}: the slot stays before it, and no value is shown`, async () => {
      const { error, lsn, kit, slot } = await publish(format, [INSERT], options);
      assert.ok(error !== undefined && error.message.startsWith('FORMAT_FAILED'), String(error));
      assert.match(error.message, message);
      assert.match(error.message, /for the INSERT of a row of public\.orders/);
      assert.ok(error.message.includes(formatLsn(lsn)), error.message);
      assert.ok(
        !`${error.message}${JSON.stringify(error)}${String(error.cause)}${kit.recorder.lines.join('')}`.includes(
          SECRET,
        ),
      );
      assert.deepEqual(kit.publisher.acknowledged, ['first'], 'what was committed before is published');
      assert.ok(slot.confirmed < lsn, 'the slot is before it');
    });
  }

  it('lets skip-transaction past the change at which it fails, by the commit LSN that the error names', async () => {
    const failing: Formatter = {
      format: (change) => {
        if (change.key?.['id'] === 1) throw new Error(SECRET);
        return { data: JSON.stringify(change.key?.['id']) };
      },
    };
    const slot = new FakeSlot();
    for (const id of [0, 1, 2]) slot.commit(`table public.orders: INSERT: id[integer]:${id}`);
    const kit = runKit(slot, new FakeKeys({ 'public.orders': {} }));
    const options = { format: moduleFormat({ ...FORMAT_OPTIONS, formatter: failing }) };
    const error = await run(kit.ports, kit.options(options)).then(
      () => assert.fail('it did not fail'),
      (caught: unknown) => caught as Error,
    );
    assert.match(error.message, /^FORMAT_FAILED.*invoke skip-transaction/s);
    const named = parseLsn(/commit LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(error.message)?.[1] ?? '') ?? 0n;
    await skipFirstTransaction(slot, kit.clock, named, kit.clock.now() + 50_000);
    const { caughtUp } = await run(kit.ports, kit.options(options));
    assert.equal(caughtUp, true);
    assert.deepEqual(kit.publisher.acknowledged, ['0', '2']);
  });

  it('takes a line break where a record is one of its own', async () => {
    const { kit } = await publish(() => ({ data: 'a\nb' }));
    assert.deepEqual(kit.publisher.acknowledged, ['first', 'a\nb']);
  });

  it('replaces a partition key of more than 256 characters', async () => {
    const packer = createPacker({ aggregation: 'none', lanes: 1, maxRecordBytes: 1024 * 1024 });
    const { kit } = await publish(() => ({ data: 'x', partitionKey: 'k'.repeat(300) }), [INSERT], { packer });
    assert.equal(kit.publisher.acknowledged.length, 2);
  });
});
