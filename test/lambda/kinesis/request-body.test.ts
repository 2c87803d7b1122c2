/** The body that is written at once, parsed again and compared with what went in. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RequestBody } from '../../../lambda/kinesis/request-body.ts';

const record = fc.record({
  data: fc.uint8Array({ maxLength: 50 }),
  partitionKey: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  explicitHashKey: fc.option(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(String), { nil: undefined }),
});

describe('RequestBody', () => {
  it('writes the JSON of a PutRecords request, whatever the keys and the data', () => {
    const body = new RequestBody();
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 10 }), fc.string({ minLength: 1 }), (entries, name) => {
        assert.deepEqual(JSON.parse(body.write({ StreamName: name }, entries).toString()), {
          StreamName: name,
          Records: entries.map(({ data, partitionKey, explicitHashKey }) => ({
            Data: Buffer.from(data).toString('base64'),
            PartitionKey: partitionKey,
            ...(explicitHashKey === undefined ? {} : { ExplicitHashKey: explicitHashKey }),
          })),
        });
      }),
    );
  });

  it('writes data that is a part of a larger buffer', () => {
    const data = Buffer.from('--data--').subarray(2, 6);
    const [entry] = (
      JSON.parse(
        new RequestBody()
          .write({ StreamName: 's' }, [{ data, partitionKey: 'k', explicitHashKey: undefined }])
          .toString(),
      ) as { Records: { Data: string }[] }
    ).Records;
    assert.equal(entry?.Data, Buffer.from('data').toString('base64'));
  });

  it('writes data of every length around its pieces', () => {
    for (const length of [0, 1, 49_151, 49_152, 49_153, 98_304, 98_306, 300_000]) {
      const data = Buffer.from(Array.from({ length }, (_, i) => (i * 7) % 256));
      const body = new RequestBody().write({ StreamName: 's' }, [
        { data, partitionKey: 'k', explicitHashKey: undefined },
      ]);
      const [entry] = (JSON.parse(body.toString()) as { Records: { Data: string }[] }).Records;
      assert.equal(entry?.Data, data.toString('base64'), String(length));
    }
  });

  it('takes little more memory than the body has', () => {
    const entry = { data: Buffer.alloc(300_000), partitionKey: 'k', explicitHashKey: undefined };
    const body = new RequestBody().write({ StreamName: 's' }, [entry]);
    assert.ok(body.buffer.byteLength < body.length + 1_000);
  });

  it('uses its memory again, and no more once it is forgotten', () => {
    const body = new RequestBody();
    const entries = [{ data: Buffer.from('x'), partitionKey: 'k', explicitHashKey: '0' }];
    const first = body.write({ StreamName: 's' }, entries);
    assert.equal(body.write({ StreamName: 's' }, entries).buffer, first.buffer);
    body.forget();
    assert.notEqual(body.write({ StreamName: 's' }, entries).buffer, first.buffer);
  });

  it('has room for keys whose every character is escaped', () => {
    // Six characters of JSON for each of these, and three bytes for each of those.
    for (const character of ['\u0001', '\u001f', '"', '\\', '\u2028', '€', '\ud800', 'a']) {
      const partitionKey = character.repeat(256);
      const entries = Array.from({ length: 50 }, (_, i) => ({
        data: Buffer.alloc(i, 0xff),
        partitionKey,
        explicitHashKey: '340282366920938463463374607431768211455',
      }));
      const body = JSON.parse(new RequestBody().write({ StreamName: 's' }, entries).toString()) as {
        Records: { Data: string; PartitionKey: string; ExplicitHashKey: string }[];
      };
      assert.deepEqual(
        body.Records,
        entries.map(({ data, explicitHashKey }) => ({
          Data: data.toString('base64'),
          PartitionKey: partitionKey,
          ExplicitHashKey: explicitHashKey,
        })),
      );
    }
  });
});
