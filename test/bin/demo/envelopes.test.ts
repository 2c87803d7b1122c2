/** What the demo's consumer makes of the envelopes: docs/records.md, debezium and dms. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { passedSettings, validateSettings } from '../../../bin/demo/function-settings.ts';
import { parseRecord } from '../../../bin/demo/parse-record.ts';

const debezium = (over: object): string =>
  JSON.stringify({
    before: null,
    after: null,
    source: { schema: 'shop', table: 'customers', txId: 7, ts_us: 1 },
    transaction: null,
    ...over,
  });
const dms = (data: object, operation: string): string =>
  JSON.stringify({
    data,
    metadata: { operation, 'schema-name': 'shop', 'table-name': 'customers', 'transaction-id': 7 },
  });

describe('an envelope', () => {
  it('of Debezium says operation, row, and what was not sent', () => {
    const after = { id: 1, joined: '2026-01-02T03:04:05.500000Z', bio: '__debezium_unavailable_value' };
    assert.deepEqual(parseRecord(debezium({ op: 'u', after }), 'debezium'), {
      identity: '7 UPDATE shop.customers 1',
      contents:
        '{"op":"UPDATE","row":{"id":1,"joined":"2026-01-02T03:04:05.5Z"},"schema":"shop","table":"customers","unchanged":["bio"]}',
      id: undefined,
    });
    const deleted = parseRecord(debezium({ op: 'd', before: { id: 1 }, transaction: { total_order: 3 } }), 'debezium');
    assert.deepEqual([deleted.identity, deleted.id], ['7 DELETE shop.customers 1', '7 1 3']);
    assert.equal(parseRecord(debezium({ op: 't' }), 'debezium').identity, '7 TRUNCATE shop.customers ');
  });

  it('of DMS says operation and row, in its own values', () => {
    const data = { id: 1, balance: 12.5, active: 'true', tags: '{a,"say \\"hi\\"",NULL,"new\nline"}' };
    assert.deepEqual(parseRecord(dms(data, 'insert'), 'dms'), {
      identity: '7 INSERT shop.customers 1',
      contents:
        '{"op":"INSERT","row":{"active":true,"balance":"12.50","id":1,"tags":["a","say \\"hi\\"",null,"new\\nline"]},"schema":"shop","table":"customers"}',
      id: undefined,
    });
  });

  for (const format of ['debezium', 'dms'] as const) {
    it(`of ${format} fails where it is of no table of the demo, or none`, () => {
      const other = {
        ...(JSON.parse(debezium({ op: 'c', after: {} })) as object),
        source: { schema: 'x', table: 'y' },
      };
      const data = format === 'dms' ? dms({}, 'insert').replace('customers', 'others') : JSON.stringify(other);
      assert.throws(() => parseRecord(data, format), /no table of the demo/);
      assert.throws(() => parseRecord('{', format));
    });
  }
});

describe("the demo's settings", () => {
  it('give FORMAT=module the formatter that its consumer reads, and refuse another one', () => {
    const settings = passedSettings({ FORMAT: 'module' }, {});
    assert.match(settings['FORMATTER'] ?? '', /bin\/demo\/formatter\.ts$/);
    assert.equal(validateSettings(settings).format, 'module');
    assert.throws(() => validateSettings(passedSettings({ FORMAT: 'module', FORMATTER: 'mine.js' }, {})), {
      code: 'CONFIG_INVALID',
      message: /FORMATTER cannot be set in the demo.*Nothing was started/,
    });
  });
});
