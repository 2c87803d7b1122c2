/** Logical messages as records of each format that has them, their ids and their partition keys. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { debeziumMessageKey, logicalMessageKeyWriter } from '../../../lambda/format/partition-key.ts';
import type { Format, LogicalMessageRecord } from '../../../lambda/format/record.ts';
import type { FormatterMessage } from '../../../lib/formatter/formatter.ts';
import { FORMAT_OPTIONS, TRANSACTION } from '../../support/changes.ts';
import { goldenFile } from '../../support/golden.ts';

/** A transactional message, the second behind the change of ordinal 3. */
function message(content: string | Buffer, over: Partial<LogicalMessageRecord> = {}): LogicalMessageRecord {
  const bytes = Buffer.concat([Buffer.from('xx'), Buffer.from(content), Buffer.from('yy')]);
  return {
    prefix: 'orders/42',
    bytes,
    start: 2,
    end: bytes.length - 2,
    lsn: 0x16b3700n,
    transaction: TRANSACTION,
    ordinal: 3,
    place: 2,
    truncated: false,
    ...over,
  };
}

function writeLogicalMessage(format: Format, record: LogicalMessageRecord): string {
  const out = new ByteWriter(16);
  assert.equal(format.writeLogicalMessage?.(record, out, new ByteWriter(16)), true);
  return out.toString();
}

describe('a logical message in the format json', () => {
  const format = FORMATS.json(FORMAT_OPTIONS);
  const tail =
    '"transactional":true,"lsn":"0/16B3700","xid":754,"commitLsn":"0/16B3748","ordinal":3,"commitTime":"2026-01-02T03:04:05.678901Z"}';
  const head = '{"id":"0/16B3748@1767323045678901#3.2","source":"app/pg2kinesis","op":"MESSAGE","prefix":"orders/42",';

  it('has its content as text where it is UTF-8, zeros, quotes and line breaks included', () => {
    assert.equal(
      writeLogicalMessage(format, message('{"a":\n"é\0"}')),
      `${head}"content":"{\\"a\\":\\n\\"é\\u0000\\"}",${tail}`,
    );
    assert.equal(writeLogicalMessage(format, message('')), `${head}"content":"",${tail}`);
    assert.equal(writeLogicalMessage(format, message("''")), `${head}"content":"''",${tail}`);
  });

  it('has it in base64 where it is not', () => {
    assert.equal(
      writeLogicalMessage(format, message(Buffer.from([0xff, 0, 0x80]))),
      `${head}"content":"/wCA","encoding":"base64",${tail}`,
    );
  });

  it('says that it is too large in place of its content', () => {
    assert.equal(writeLogicalMessage(format, message('x', { truncated: true })), `${head}"truncated":true,${tail}`);
  });

  it('has its own position alone where it is in no transaction', () => {
    assert.equal(
      writeLogicalMessage(format, message('x', { transaction: undefined, prefix: 'a "b"' })),
      '{"id":"0/16B3700#m","source":"app/pg2kinesis","op":"MESSAGE","prefix":"a \\"b\\"","content":"x","transactional":false,"lsn":"0/16B3700"}',
    );
  });
});

describe('a logical message in the format debezium', () => {
  const golden = (name: string): string => goldenFile('debezium', name);
  const format = FORMATS.debezium({ ...FORMAT_OPTIONS, source: 'depot', database: 'depot' });
  const transaction = { xid: 760, commitLsn: 24_023_000n, commitTimeMicros: 1_767_323_045_678_901n };

  it('is what Debezium writes', () => {
    const record = message('{"x":1}', { prefix: 'parcels/42', transaction, lsn: 24_023_700n });
    assert.equal(writeLogicalMessage(format, record), golden('message.json'));
  });

  it('outside a transaction has no txId, its own position twice, and the time of writing as its own', () => {
    const bytes = Buffer.from([0, 0xff]);
    const record = message(bytes, { prefix: 'parcels/43', transaction: undefined, lsn: 24_023_800n });
    const expected = golden('message-non-transactional.json')
      .replaceAll('1767323045678901', '1767323046000000')
      .replace('"ts_ms":1767323045678,', '"ts_ms":1767323046000,')
      .replace('24023000', '24023800');
    assert.equal(writeLogicalMessage(format, record), expected);
  });

  it('has a null for content that is too large', () => {
    assert.match(
      writeLogicalMessage(format, message('x', { truncated: true })),
      /"message":\{"prefix":"orders\/42","content":null\},"truncated":true\}$/,
    );
  });

  it('has its prefix as its partition key, as the sink makes it', () => {
    const out = new ByteWriter(8);
    debeziumMessageKey(message('x', { prefix: 'parcels/42' }), out);
    assert.equal(out.toString(), golden('key-message.txt'));
    out.clear();
    debeziumMessageKey(message('x', { prefix: 'p'.repeat(300) }), out);
    assert.match(out.toString(), /^[0-9a-f]{64}$/);
  });
});

describe('a logical message in the format module', () => {
  it('is given to formatMessage, with what json has of it and its content as bytes', () => {
    const given: FormatterMessage[] = [];
    const format = FORMATS.module({
      ...FORMAT_OPTIONS,
      formatter: {
        format: () => undefined,
        formatMessage: (each) => {
          given.push(each);
          return { data: each.content ?? 'none', partitionKey: 'k' };
        },
      },
    });
    const out = new ByteWriter(16);
    const key = new ByteWriter(16);
    assert.equal(format.writeLogicalMessage?.(message(Buffer.from([0xff])), out, key), true);
    assert.deepEqual([[...out.view()], key.toString()], [[0xff], 'k']);
    assert.equal(writeLogicalMessage(format, message('x', { truncated: true, transaction: undefined })), 'none');
    assert.deepEqual(given, [
      {
        id: '0/16B3748@1767323045678901#3.2',
        source: 'app/pg2kinesis',
        op: 'MESSAGE',
        prefix: 'orders/42',
        content: Buffer.from([0xff]),
        transactional: true,
        lsn: '0/16B3700',
        xid: 754,
        commitLsn: '0/16B3748',
        ordinal: 3,
        commitTime: '2026-01-02T03:04:05.678901Z',
      },
      {
        id: '0/16B3700#m',
        source: 'app/pg2kinesis',
        op: 'MESSAGE',
        prefix: 'orders/42',
        truncated: true,
        transactional: false,
        lsn: '0/16B3700',
      },
    ]);
  });
});

describe("a logical message's partition key", () => {
  const keyOf = (mode: Parameters<typeof logicalMessageKeyWriter>[0], record: LogicalMessageRecord): string => {
    const out = new ByteWriter(8);
    logicalMessageKeyWriter(mode, 'app/slot')(record, out);
    return out.toString();
  };
  const outside = { transaction: undefined };

  it('is its prefix, unless PARTITION_BY names something else that it has', () => {
    assert.equal(keyOf('primary-key', message('x')), 'orders/42');
    assert.equal(keyOf('table', message('x')), 'orders/42');
    assert.equal(keyOf('transaction', message('x')), '754');
    assert.equal(keyOf('transaction', message('x', outside)), 'orders/42');
    assert.equal(keyOf('stream', message('x')), 'app/slot');
  });

  it('is never empty nor too long for Kinesis', () => {
    assert.equal(keyOf('primary-key', message('x', { prefix: '' })), 'message');
    assert.match(keyOf('primary-key', message('x', { prefix: 'p'.repeat(257) })), /^[0-9a-f]{64}$/);
  });
});
