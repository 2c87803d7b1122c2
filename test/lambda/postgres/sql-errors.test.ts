/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import type { ErrorContext } from '../../../lambda/postgres/error-context.ts';
import { translate } from '../../../lambda/postgres/sql-errors.ts';

const CONTEXT: ErrorContext = { host: 'db.example', port: 5432, database: 'app', user: 'cdc', auth: 'password' };
const coded = (code: string, message = 'as the server says it, in its own language') =>
  Object.assign(new Error(message), { code });

describe('translate', () => {
  for (const [error, code, message] of [
    [coded('ECONNREFUSED'), 'DATABASE_UNREACHABLE', /db\.example:5432 \(ECONNREFUSED\)/],
    [Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' }), 'DATABASE_UNREACHABLE', /ECONNREFUSED/],
    [coded('ENOTFOUND'), 'DATABASE_UNREACHABLE', /ENOTFOUND/],
    [new Error('timeout expired'), 'DATABASE_UNREACHABLE', /did not answer in time/],
    [new Error('Connection terminated unexpectedly'), 'DATABASE_UNREACHABLE', /was lost/],
    [coded('57P01'), 'DATABASE_UNREACHABLE', /failover/],
    [coded('08006'), 'DATABASE_UNREACHABLE', /08006/],
    [coded('SELF_SIGNED_CERT_IN_CHAIN'), 'DATABASE_UNREACHABLE', /PGSSLROOTCERT/],
    [coded('CERT_HAS_EXPIRED'), 'DATABASE_UNREACHABLE', /CERT_HAS_EXPIRED/],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'DATABASE_UNREACHABLE', /another host name/],
    [coded('57014'), 'NO_PROGRESS', /time-out/],
    [coded('42501'), 'DATABASE_AUTH_FAILED', /has no right.*as the server says it.*Grant user "cdc" the right to what/],
    [coded('53100'), 'NO_PROGRESS', /has no disk space left.*as the server says it.*Give the server what it lacks/],
    [coded('40001'), 'NO_PROGRESS', /a standby, ended a statement.*\(40001\).*max_standby_streaming_delay higher/],
    [coded('40P01'), 'NO_PROGRESS', /a standby, ended a statement.*\(40P01\).*max_standby_streaming_delay higher/],
  ] as const) {
    it(`${error.message || 'AggregateError'} ${'code' in error ? error.code : ''} is ${code}`, () => {
      const told = translate(error, CONTEXT);
      assert.equal(told?.code, code);
      assert.match(told.message, message);
      assert.match(told.message, /not advanced/);
      assert.equal(told.cause, error);
    });
  }

  for (const code of ['42883', '42P01', '42703'])
    it(`takes ${code} for another kind of server, or an older one, where nothing but who it is was asked`, () => {
      const told = translate(coded(code), { ...CONTEXT, isNew: true });
      assert.equal(told?.code, 'CONFIG_INVALID');
      assert.match(
        told.message,
        new RegExp(`lacks something that PostgreSQL has from 10 on\\. .*\\(SQLSTATE ${code}\\)`),
      );
      assert.equal(translate(coded(code), CONTEXT), undefined);
    });

  describe('of a statement on a slot', () => {
    const slot = { ...CONTEXT, slot: 's' };
    for (const [sqlState, from, sound, code, message] of [
      ['42704', {}, false, 'SLOT_MISSING', /no replication slot "s"/],
      ['42704', {}, true, 'NO_PROGRESS', /Keep the slot/],
      ['58P01', { file: 'xlogutils.c', routine: 'wal_segment_open' }, false, 'SLOT_LOST', /WAL that slot "s" needs/],
      ['58P01', { file: 'walsender.c', routine: 'XLogRead' }, true, 'SLOT_LOST', /WAL that slot "s" needs/],
      ['58P01', { file: 'dfmgr.c', routine: 'internal_load_library' }, true, 'NO_PROGRESS', /slot is healthy: keep it/],
      ['58P01', { file: 'snapbuild.c', routine: 'SnapBuildRestore' }, true, 'NO_PROGRESS', /Keep the slot/],
      ['58P01', {}, false, 'NO_PROGRESS', /Keep the slot/],
      [
        'XX000',
        { routine: 'pg_logical_slot_get_changes_guts' },
        false,
        'SLOT_LOST',
        /cannot be read.*put it into pg_wal/,
      ],
      ['XX000', { routine: 'LogicalSlotAdvanceAndCheckSnapState' }, false, 'SLOT_LOST', /cannot be read/],
      ['55006', {}, false, 'SLOT_BUSY', /Another process/],
      ['53100', {}, true, 'NO_PROGRESS', /has no disk space left\. .*Give the server what it lacks\. The slot is kept/],
      ['53200', {}, true, 'NO_PROGRESS', /has no memory left\. .*Give the server what it lacks\. The slot is kept/],
      ['53400', {}, true, 'NO_PROGRESS', /reached a limit of its configuration\. .*Give the server what it lacks/],
      ['55000', { routine: 'pg_replication_slot_advance' }, true, 'SLOT_BUSY', /Somebody else has advanced/],
      [
        '55000',
        { routine: 'CheckLogicalDecodingRequirements' },
        true,
        'NO_PROGRESS',
        /^(?=.*Keep the slot).*The server cannot read slot "[^"]+" as it is now\./s,
      ],
      ['42501', { routine: 'CheckSlotPermissions' }, false, 'DATABASE_AUTH_FAILED', /rds_replication/],
      ['42501', { routine: 'check_permissions' }, false, 'DATABASE_AUTH_FAILED', /rds_replication/],
      [
        '42501',
        { routine: 'aclcheck_error' },
        false,
        'DATABASE_AUTH_FAILED',
        /^(?=.*revoked from PUBLIC).*has no right to something that a run needs\./s,
      ],
      [
        '42501',
        { file: 'logical.c' },
        true,
        'CONFIG_INVALID',
        /does not allow this output plugin.*output_plugin_libraries/,
      ],
    ] as const)
      it(`${sqlState} of ${JSON.stringify(from)} is ${code} ${sound ? 'where the slot is sound' : ''}`, () => {
        const told = translate(Object.assign(coded(sqlState), from), { ...slot, slotIsSound: sound });
        assert.equal(told?.code, code);
        assert.match(told.message, message);
        assert.match(told.message, /not advanced/);
        assert.doesNotMatch(told.message, code === 'SLOT_LOST' ? /keep it/ : /drop it with drop-slot/);
        assert.equal(translate(Object.assign(coded(sqlState), from), CONTEXT)?.code === 'SLOT_LOST', false);
      });
  });

  it('I10: repeats no text of a row that could not be converted', () => {
    for (const sqlState of ['22021', '22P05']) {
      const told = translate(coded(sqlState, 'invalid byte sequence: 0x736563726574'), CONTEXT);
      assert.equal(told?.code, 'DECODE_FAILED');
      assert.ok(!told.message.includes('0x73') && told.cause === undefined);
    }
  });

  it('leaves alone what it does not know, and what is told already', () => {
    assert.equal(translate(coded('XX000'), CONTEXT), undefined);
    assert.equal(translate('text', CONTEXT), undefined);
    const told = new PipelineError('SLOT_LOST', 'x');
    assert.equal(translate(told, CONTEXT), told);
  });
});
