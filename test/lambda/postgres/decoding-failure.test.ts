/** Errors of decoding: which they are, where, and what may be shown of them (I10). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  isDecodingFailure,
  isInconvertible,
  isSpilling,
  isUnreadableWal,
  lsnNear,
  shownReport,
} from '../../../lambda/postgres/decoding-failure.ts';

describe('an error of the server', () => {
  for (const [code, is] of [
    ['XX000', true],
    ['22P02', true],
    ['58P01', true],
    ['08006', false],
    ['25P02', false],
    ['28000', false],
    ['3D000', false],
    ['40001', false],
    ['57014', false],
    ['ECONNRESET', false],
    ['xx000', false],
    ['XX0000', false],
    ['XX00', false],
    [17, false],
    [undefined, false],
  ] as const)
    it(`of ${code} is ${is ? 'one' : 'none'} of decoding`, () => assert.equal(isDecodingFailure({ code }), is));

  it('may be anything that was thrown', () => {
    for (const thrown of [undefined, null, 'XX000', 7]) {
      assert.equal(isDecodingFailure(thrown), false);
      assert.equal(isInconvertible(thrown), false);
      assert.equal(isUnreadableWal(thrown), false);
      assert.equal(isSpilling(thrown), false);
      assert.equal(lsnNear(thrown), undefined);
    }
  });

  it('is one of a text without an equivalent in UTF-8, by either code', () => {
    assert.deepEqual(
      ['22021', '22P05', '22P02'].map((code) => isInconvertible({ code })),
      [true, true, false],
    );
  });

  it('is one of WAL where a file of WAL is missing, or the loop over records fails', () => {
    for (const file of ['xlog.c', 'xlogreader.c', 'xlogutils.c', 'xlogrecovery.c', 'walsender.c'])
      assert.equal(isUnreadableWal({ code: '58P01', file }), true, file);
    assert.equal(isUnreadableWal({ code: '58P01', file: 'dfmgr.c' }), false);
    assert.equal(isUnreadableWal({ code: '58P01', routine: 'pg_logical_slot_get_changes_guts' }), false);
    for (const routine of [
      'pg_logical_slot_get_changes_guts',
      'pg_logical_replication_slot_advance',
      'LogicalSlotAdvanceAndCheckSnapState',
    ])
      assert.equal(isUnreadableWal({ code: 'XX000', routine }), true, routine);
    assert.equal(isUnreadableWal({ code: 'XX000', file: 'xlog.c', routine: 'XLogRead' }), false);
    assert.equal(isUnreadableWal({ code: 'XX001', routine: 'pg_logical_slot_get_changes_guts' }), false);
  });

  it('is one of spilling by its file', () => {
    assert.deepEqual([isSpilling({ file: 'reorderbuffer.c' }), isSpilling({ file: 'snapbuild.c' })], [true, false]);
  });
});

describe('what is shown of an error', () => {
  it('I10: is its message only where the file can quote no value', () => {
    const message = 'could not open "1234"';
    for (const file of ['aset.c', 'heapam.c', 'reorderbuffer.c', 'format_type.c', 'tuptoaster.c', 'pgoutput.c'])
      assert.equal(shownReport({ code: 'XX000', message, file }), `SQLSTATE XX000: ${message}`);
    for (const file of ['numeric.c', '', undefined]) {
      const shown = shownReport({ code: 'XX000', message, file, routine: 'numeric_out' });
      assert.equal(shown, 'SQLSTATE XX000, raised in numeric_out');
    }
    assert.equal(shownReport({ code: 'XX000', message: 7, file: 'aset.c' }), 'SQLSTATE XX000');
  });

  it('I10: names a routine only where that is a word', () => {
    assert.equal(shownReport({ code: 'XX000', routine: 'a b' }), 'SQLSTATE XX000');
    assert.equal(shownReport({ code: 'XX000', routine: ' ab' }), 'SQLSTATE XX000');
    assert.equal(shownReport({ code: 'XX000', routine: 7 }), 'SQLSTATE XX000');
  });

  it('I10: shows nothing of a text that cannot be converted', () => {
    const shown = shownReport({ code: '22021', message: 'invalid byte 0xff', file: 'aset.c', routine: 'report' });
    assert.equal(
      shown,
      "SQLSTATE 22021: a text is invalid in the database's own encoding, or has no equivalent in UTF-8",
    );
  });
});

describe('where the server was', () => {
  for (const [where, lsn] of [
    ['slot "s", output plugin "p", in the change callback, associated LSN 0/16B3748', 0x16b3748n],
    ['Slot »s«, LSN FFFFFFFF/1', 0xffffffff00000001n],
    ['0/1', 1n],
    ['no position', undefined],
    ['123456789/0', undefined],
    ['a/b', undefined],
    ['', undefined],
  ] as const)
    it(`is ${String(lsn)} by ${JSON.stringify(where)}`, () => assert.equal(lsnNear({ where }), lsn));
  it('is not known where the error does not say', () => assert.equal(lsnNear({ where: 7 }), undefined));
});
