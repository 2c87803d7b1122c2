// The KPL's aggregation format: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { deaggregateSync } from 'aws-kinesis-agg';
import fc from 'fast-check';
import { lineRecords, userRecords } from '../../../lib/consumer/deaggregate.ts';

/** The package has it; its types do not. */
const { RecordAggregator } = createRequire(import.meta.url)('aws-kinesis-agg') as {
  RecordAggregator: new () => {
    addUserRecord(record: { partitionKey: string; data: Buffer }): void;
    build(): { data: Buffer };
  };
};

/** A protobuf field; `value`: a varint, or bytes. */
const field = (number: number, value: number | Buffer): Buffer => {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
  return typeof value === 'number'
    ? Buffer.from([...varint(number * 8), ...varint(value)])
    : Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(value.length)]), value]);
};
const seal = (...body: readonly Buffer[]): Buffer => {
  const message = Buffer.concat(body);
  return Buffer.concat([Buffer.from('f3899ac2', 'hex'), message, createHash('md5').update(message).digest()]);
};
const read = (data: Buffer) =>
  userRecords({ partitionKey: 'outer', data }).map((user) => ({ ...user, data: user.data.toString('latin1') }));

describe('userRecords', () => {
  it('reads what the reference packer wrote', () => {
    // It keeps its keys in an object, whose integer-like members come first: keys that look like integers confuse it.
    const partitionKey = fc.string({ maxLength: 40, unit: 'grapheme-ascii' }).map((text) => `k${text}`);
    const record = fc.record({ partitionKey, data: fc.string({ minLength: 1, maxLength: 300, unit: 'binary-ascii' }) });
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 50 }), (records) => {
        const aggregator = new RecordAggregator();
        for (const { partitionKey, data } of records)
          aggregator.addUserRecord({ partitionKey, data: Buffer.from(data) });
        assert.deepEqual(
          read(aggregator.build().data),
          records.map((each, place) => ({ ...each, place })),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('reads what the reference reader reads', () => {
    const records = fc.array(fc.record({ key: fc.nat(2), hash: fc.nat(1), data: fc.uint8Array({ maxLength: 200 }) }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(records, (users) => {
        const data = seal(
          ...['a', 'é', 'c'].map((key) => field(1, Buffer.from(key))),
          ...['0', '340282366920938463463374607431768211455'].map((hash) => field(2, Buffer.from(hash))),
          ...users.map((user) =>
            field(3, Buffer.concat([field(1, user.key), field(2, user.hash), field(3, Buffer.from(user.data))])),
          ),
        );
        const theirs: unknown[] = [];
        deaggregateSync(
          {
            partitionKey: 'outer',
            sequenceNumber: '1',
            data: data.toString('base64'),
            kinesisSchemaVersion: '1',
            approximateArrivalTimestamp: 0,
          },
          true,
          (error, got) => {
            assert.ifError(error);
            for (const each of got ?? []) theirs.push([each.partitionKey, each.data]);
          },
        );
        assert.deepEqual(
          userRecords({ partitionKey: 'outer', data }).map((user) => [user.partitionKey, user.data.toString('base64')]),
          theirs,
        );
      }),
      { numRuns: 50 },
    );
  });

  it('reads data of every length that its length takes a byte more for', () => {
    const lengths = [0, 1, 127, 128, 300, 16_383, 16_384, 1_000_000];
    const data = seal(
      field(1, Buffer.from('k')),
      ...lengths.map((length) => field(3, Buffer.concat([field(1, 0), field(3, Buffer.alloc(length, 'x'))]))),
    );
    assert.deepEqual(
      userRecords({ partitionKey: 'outer', data }).map((user) => user.data.length),
      lengths,
    );
  });

  it('gives the explicit hash key, also when the tables follow the records', () => {
    const data = seal(
      field(3, Buffer.concat([field(1, 0), field(2, 0), field(3, Buffer.from('x'))])),
      field(1, Buffer.from('k')),
      field(2, Buffer.from('42')),
    );
    assert.deepEqual(read(data), [{ partitionKey: 'k', explicitHashKey: '42', place: 0, data: 'x' }]);
  });

  it('passes over tags, which the format has and nobody uses', () => {
    const tag = field(4, field(1, Buffer.from('t')));
    assert.deepEqual(
      read(seal(field(1, Buffer.from('k')), field(3, Buffer.concat([field(1, 0), tag, field(3, Buffer.from('x'))])))),
      [{ partitionKey: 'k', place: 0, data: 'x' }],
    );
  });

  const plain = {
    'an empty record': Buffer.alloc(0),
    text: Buffer.from('0,CDC,{"xid": "1"}'),
    'the magic number alone': Buffer.from('f3899ac2', 'hex'),
    'an aggregate with a broken checksum': Buffer.concat([
      seal(field(1, Buffer.from('k'))).subarray(0, -1),
      Buffer.from([0]),
    ]),
  };
  for (const [name, data] of Object.entries(plain)) {
    it(`passes on ${name} as it is`, () => {
      assert.deepEqual(userRecords({ partitionKey: 'outer', data }), [{ partitionKey: 'outer', data }]);
    });
  }

  const broken = {
    'a key index beyond the table': [
      field(1, Buffer.from('k')),
      field(3, Buffer.concat([field(1, 1), field(3, Buffer.from('x'))])),
    ],
    'a hash key index beyond the table': [
      field(1, Buffer.from('k')),
      field(3, Buffer.concat([field(1, 0), field(2, 0), field(3, Buffer.from('x'))])),
    ],
    'a field longer than the message': [Buffer.from([0x0a, 0x05, 0x61])],
    'a number without an end': [Buffer.from([0x0a, 0x80])],
    'a wire type that the format does not have': [Buffer.from([0x0d, 0, 0, 0, 0])],
  };
  for (const [name, body] of Object.entries(broken)) {
    it(`fails on ${name}`, () => {
      assert.throws(() => read(seal(...body)), /aggregate/);
    });
  }
});

describe('lineRecords', () => {
  for (const [data, lines] of [
    ['', []],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\nb', ['a', 'b']],
    ['a\n\nb\n', ['a', '', 'b']],
    ['é\n日本\n', ['é', '日本']],
  ] as const) {
    it(`splits ${JSON.stringify(data)}`, () => {
      const split = lineRecords({ partitionKey: 'k', data: Buffer.from(data) });
      assert.deepEqual(
        split.map((user) => user.data.toString()),
        lines,
      );
      assert.deepEqual(
        split.map((user) => user.place),
        lines.map((_, place) => place),
      );
      assert.ok(split.every((user) => user.partitionKey === 'k'));
    });
  }
});
