/** FORMAT=module: what becomes of a formatter's answer, byte for byte, and what is refused of it. No run. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteWriter } from '../../../../lambda/format/byte-writer.ts';
import { FormatterError, moduleFormat } from '../../../../lambda/format/module/module.ts';
import { FORMAT_OPTIONS, recordOf } from '../../../support/changes.ts';

const RECORD = recordOf('table public.t: INSERT: id[integer]:1', { key: ['id'] });

/** What is written behind other bytes, and the partition key, where there was another before. */
function answered(answer: unknown, oneLine = false) {
  const format = moduleFormat({ ...FORMAT_OPTIONS, formatter: { format: () => answer as never }, oneLine });
  const out = new ByteWriter(4);
  const key = new ByteWriter(4);
  out.utf8('before\n');
  key.utf8('public.t:1');
  const isTaken = format.decide?.(RECORD, out, key);
  return { isTaken, data: out.view().subarray('before\n'.length).toString('latin1'), key: key.toString() };
}

describe('what a formatter answers', () => {
  it('is a record, in text or bytes, and keeps the partition key unless it names one', () => {
    assert.deepEqual(answered({ data: 'Zoë' }), { isTaken: true, data: 'Zo\xc3\xab', key: 'public.t:1' });
    const bytes = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4);
    assert.deepEqual(answered({ data: bytes, partitionKey: 'ü' }), { isTaken: true, data: '\x01\x02\x03', key: 'ü' });
    assert.deepEqual(answered({ data: '' }), { isTaken: true, data: '', key: 'public.t:1' });
  });

  it('is nothing: the record is left out', () => {
    assert.deepEqual(answered(undefined), { isTaken: false, data: '', key: 'public.t:1' });
  });

  it('may have a partition key of any length: one of more than 256 characters becomes its SHA-256', () => {
    assert.equal(answered({ data: '', partitionKey: 'k'.repeat(256) }).key, 'k'.repeat(256));
    assert.match(answered({ data: '', partitionKey: 'k'.repeat(257) }).key, /^[0-9a-f]{64}$/);
  });

  for (const [what, answer, message] of [
    ['null', null, 'returned null'],
    ['a number', 7, 'returned a number'],
    ['a function', () => undefined, 'returned a function'],
    ['no data', {}, 'returned a record whose "data" is neither a string nor bytes'],
    ['data of another kind', { data: [1] }, 'returned a record whose "data" is neither a string nor bytes'],
    ['an empty key', { data: '', partitionKey: '' }, 'returned a record whose "partitionKey" is empty'],
    ['a key that is no text', { data: '', partitionKey: 1 }, 'returned a record whose "partitionKey" is no string'],
    ['a promise', Promise.resolve({ data: '' }), 'returned a promise, but nothing waits for one'],
  ] as const)
    it(`fails where it is ${what}`, () => {
      assert.throws(
        () => answered(answer),
        (error: unknown) => error instanceof FormatterError && String(error) === `FormatterError: ${message}`,
      );
    });

  it('fails where there is no formatter', () => {
    const { formatter, ...without } = FORMAT_OPTIONS;
    assert.ok(formatter !== undefined);
    assert.throws(() => moduleFormat(without), { message: 'there is no formatter' });
  });

  it('is written as the only answer where nobody asks for a partition key', () => {
    const format = moduleFormat({ ...FORMAT_OPTIONS, formatter: { format: () => ({ data: 'x', partitionKey: 'k' }) } });
    const out = new ByteWriter(4);
    format.write(RECORD, out);
    assert.equal(out.toString(), 'x');
    // No lines unless asked for.
    out.clear();
    moduleFormat({ ...FORMAT_OPTIONS, formatter: { format: () => ({ data: '\n' }) } }).write(RECORD, out);
    assert.equal(out.toString(), '\n');
    assert.deepEqual([format.supportsDeleteWithoutKey, format.showsRow], [true, true]);
  });
});

describe('a record of a formatter between others on one line each', () => {
  it('may hold anything but a line break, and no beginning of a compressed block', () => {
    for (const data of ['', 'a\rb', '\x1f', '\x1f\x8a', '\x28', '(\xb4', 'x\x1f\x8b'])
      assert.equal(answered({ data: Buffer.from(data, 'latin1') }, true).data, data);
    for (const data of ['\n', 'a\n', 'a\nb'])
      assert.throws(() => answered({ data }, true), {
        message: 'returned a line break, which ends a record of AGGREGATION=lines',
      });
    for (const data of ['\x1f\x8b', '\x1f\x8brest', '(\xb5'])
      assert.throws(() => answered({ data: Buffer.from(data, 'latin1') }, true), {
        message: 'returned bytes that begin as a compressed block of AGGREGATION=lines does',
      });
  });

  it('may hold each of these where it is a record of its own', () => {
    for (const data of ['a\nb', '\x1f\x8b']) assert.equal(answered({ data: Buffer.from(data, 'latin1') }).data, data);
  });
});
