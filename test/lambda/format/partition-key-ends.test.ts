/** Every writer of partition keys appends, and shortens its own key only, by its length alone. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import {
  debeziumKeyWriter,
  debeziumMessageKey,
  logicalMessageKeyWriter,
  partitionKeyWriter,
} from '../../../lambda/format/partition-key.ts';
import type { LogicalMessageRecord } from '../../../lambda/format/record.ts';
import { recordOf, TRANSACTION } from '../../support/changes.ts';

const BEFORE = 'b'.repeat(300);
const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');
const change = (id: string) => recordOf(`table public.t: INSERT: id[text]:'${id}'`, { key: ['id'] });
const message = (prefix: string): LogicalMessageRecord => ({
  prefix,
  bytes: Buffer.alloc(0),
  start: 0,
  end: 0,
  lsn: 1n,
  transaction: TRANSACTION,
  ordinal: 0,
  place: 1,
  truncated: false,
});

describe('a partition key', () => {
  const writers: Record<
    string,
    readonly [write: (text: string, out: ByteWriter) => void, key: (text: string) => string]
  > = {
    'of a primary key': [
      (id, out) => partitionKeyWriter('primary-key', 's')(change(id), out),
      (id) => `public.t:${id}`,
    ],
    'of a stream': [(source, out) => partitionKeyWriter('stream', source)(change('1'), out), (source) => source],
    "of Debezium's key": [(id, out) => debeziumKeyWriter('microseconds')(change(id), out), (id) => `{"id":"${id}"}`],
    'of a message': [
      (prefix, out) => logicalMessageKeyWriter('primary-key', 's')(message(prefix), out),
      (prefix) => prefix,
    ],
    'of a message to a stream': [
      (source, out) => logicalMessageKeyWriter('stream', source)(message('p'), out),
      (source) => source,
    ],
    "of Debezium's message": [
      (prefix, out) => debeziumMessageKey(message(prefix), out),
      (prefix) => `{"prefix":"${prefix}"}`,
    ],
  };
  for (const [name, [write, key]] of Object.entries(writers)) {
    it(`${name} is appended, up to 256 characters as it is, and its SHA-256 beyond`, () => {
      const around = key('').length;
      for (const [text, isShort] of [
        ['x', true],
        ['x'.repeat(256 - around), true],
        ['x'.repeat(257 - around), false],
        ['é'.repeat(256 - around), true],
        ['é'.repeat(257 - around), false],
        ['x'.repeat(1_000), false],
      ] as const) {
        const out = new ByteWriter(8);
        out.ascii(BEFORE);
        write(text, out);
        assert.equal(out.toString(), BEFORE + (isShort ? key(text) : sha256(key(text))));
      }
    });
  }

  it('of a transaction is its xid', () => {
    const out = new ByteWriter(8);
    partitionKeyWriter('transaction', 's')(change('1'), out);
    out.ascii(' ');
    logicalMessageKeyWriter('transaction', 's')(message('p'), out);
    assert.equal(out.toString(), '754 754');
  });
});
