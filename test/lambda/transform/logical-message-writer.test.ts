/** A logical message becomes a record, whole or without its content, or is left out; and how that is counted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogicalMessage } from '../../../lambda/decode/messages.ts';
import type { Format } from '../../../lambda/format/record.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { compilePatterns } from '../../../lambda/settings/filters.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import {
  LogicalMessageWriter,
  type LogicalMessageWriterParts,
} from '../../../lambda/transform/logical-message-writer.ts';
import { LogicalMessages } from '../../../lambda/transform/logical-messages.ts';
import { Rounds } from '../../../lambda/transform/rounds.ts';
import { SkippedLog } from '../../../lambda/transform/skipped-log.ts';
import { TransactionCursor } from '../../../lambda/transform/transaction-cursor.ts';
import { Recorder } from '../../support/run-kit.ts';

/** Writes the prefix, and the content where it is there. */
const format: Format = {
  supportsDeleteWithoutKey: false,
  showsRow: true,
  write: () => undefined,
  writeLogicalMessage: ({ prefix, bytes, start, end, truncated }, out) => {
    out.ascii(truncated ? `${prefix} -` : `${prefix} ${bytes.toString('utf8', start, end)}`);
    return true;
  },
};
const messages: LogicalMessageWriterParts['messages'] = {
  prefixes: compilePatterns('orders,audit'),
  partitionKey: ({ prefix }, out) => out.ascii(`key of ${prefix}`),
};
const AT = { lsn: 0x10n, transaction: undefined, ordinal: 0, place: 1 };

function message(prefix: string, content: string, size = content.length): LogicalMessage {
  const bytes = Buffer.from(`message: ${content}.`);
  const start = 'message: '.length;
  return { kind: 'message', transactional: false, prefix, bytes, start, end: start + content.length, size };
}

/** A writer of records of so many bytes. */
function writerOf(most: number, over: Partial<LogicalMessageWriterParts> = {}) {
  const packer = { fits: (_key: number, data: number) => data <= most };
  const writer = new LogicalMessageWriter({ format, messages, packer, oversize: 'key-only', ...over });
  const write = (...args: Parameters<typeof message>) => [
    writer.write(message(...args), AT),
    writer.data.toString(),
    writer.partitionKey.toString(),
  ];
  return { writer, write };
}

describe('a logical message', () => {
  it('is written under a key of its own where any expression has its prefix', () => {
    const { writer, write } = writerOf(100);
    assert.deepEqual(write('orders', 'c'), ['whole', 'orders c', 'key of orders']);
    assert.deepEqual(write('audit', ''), ['whole', 'audit ', 'key of audit']);
    assert.equal(writer.write(message('other', 'c'), AT), 'left-out');
  });

  it('goes without its content where that was not kept, or does not fit', () => {
    const { write } = writerOf(10);
    assert.deepEqual(write('orders', '', 5), ['shortened', 'orders -', 'key of orders']);
    assert.deepEqual(write('orders', 'abcd'), ['shortened', 'orders -', 'key of orders']);
    assert.deepEqual(write('orders', 'abc'), ['whole', 'orders abc', 'key of orders']);
  });

  it('is left out where it does not fit without its content either; a formatter has failed then', () => {
    const { writer } = writerOf(7);
    assert.equal(writer.write(message('orders', 'c'), AT), 'left-out');
    const own = writerOf(7, { format: { ...format, decide: () => true } });
    assert.throws(() => own.writer.write(message('orders', 'c'), AT), {
      code: 'FORMAT_FAILED',
      message: /The formatter returned 8 bytes, more than a Kinesis record may have, for the logical message at 0\/10,/,
    });
  });
});

describe('logical messages', () => {
  function take(wanted: LogicalMessageWriterParts['messages'], taken: LogicalMessage) {
    const packer = createPacker({ aggregation: 'none', lanes: 1, maxRecordBytes: 1024 * 1024 });
    const counts = noCounts();
    const cursor = new TransactionCursor(undefined);
    const log = new Recorder();
    const skippedLog = new SkippedLog(log, new Set());
    const parts = { format, messages: wanted, packer, oversize: 'key-only', skippedLog } as const;
    new LogicalMessages(parts, counts, cursor, new Rounds(packer, counts, cursor)).take(taken, 0x10n);
    skippedLog.report();
    return [counts.messages, counts.messagesSkipped, counts.truncated, log.lines.length];
  }

  it('are counted as published, as left out, and as shortened, which is told', () => {
    assert.deepEqual(take(messages, message('orders', 'c')), [1, 0, 0, 0]);
    assert.deepEqual(take(messages, message('orders', '', 5)), [1, 0, 1, 1]);
    assert.deepEqual(take(messages, message('other', 'c')), [0, 1, 0, 0]);
  });

  it('are not counted at all where none are asked for', () => {
    assert.deepEqual(take(undefined, message('orders', 'c')), [0, 0, 0, 0]);
  });
});
