/** The messages in the WAL: written, read, and told from others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeSnapshotMessage, encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { SLOT, TABLE } from './reading.ts';

describe('a message of a snapshot', () => {
  it('is read as it was written', () => {
    const progress = {
      id: 'a',
      begunAt: 5,
      barrier: 2n ** 40n,
      current: { name: TABLE, key: 'k', cursor: ['1', 'ü"'], atEnd: false, again: [['2', '3']], rows: 7 },
      pending: ['public."Order items"'],
      doneTables: 1,
      doneRows: 9,
    };
    for (const message of [
      { kind: 'state', mark: 'm', progress },
      { kind: 'state', mark: 'm', publications: ['"One"', 'two'], progress },
      { kind: 'state', mark: 'm', progress: { ...progress, barrier: undefined, current: undefined } },
      { kind: 'begin', id: 'a', begunAt: 1, tables: [TABLE], anew: true },
      { kind: 'stop', tables: undefined },
      { kind: 'stop', tables: [TABLE] },
      { kind: 'stop', id: 'a', tables: [TABLE] },
    ] as const)
      assert.deepEqual(decodeSnapshotMessage(SLOT, encodeSnapshotMessage(SLOT, message)), message);
  });

  it('is none of ours where it is for another slot, or anything else', () => {
    const stop = encodeSnapshotMessage('other', { kind: 'stop', tables: undefined });
    for (const content of [
      stop,
      '',
      '{',
      'null',
      '[]',
      '{"kind":"stop"}',
      '{"slot":"test","kind":"begin","tables":"t"}',
    ])
      assert.equal(decodeSnapshotMessage(SLOT, content), undefined, content);
  });
});
