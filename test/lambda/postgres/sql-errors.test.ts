/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { type ErrorContext, translate } from '../../../lambda/postgres/sql-errors.ts';

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
    [coded('57P03'), 'DATABASE_UNREACHABLE', /starting up/],
    [coded('53300'), 'DATABASE_UNREACHABLE', /no connection left/],
    [coded('08006'), 'DATABASE_UNREACHABLE', /08006/],
    [coded('SELF_SIGNED_CERT_IN_CHAIN'), 'DATABASE_UNREACHABLE', /PGSSLROOTCERT/],
    [coded('CERT_HAS_EXPIRED'), 'DATABASE_UNREACHABLE', /CERT_HAS_EXPIRED/],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'DATABASE_UNREACHABLE', /another host name/],
    [coded('28P01'), 'DATABASE_AUTH_FAILED', /refused the password of user "cdc"/],
    [coded('28000'), 'DATABASE_AUTH_FAILED', /pg_hba/],
    [coded('3D000'), 'CONFIG_INVALID', /PGDATABASE/],
    [coded('57014'), 'NO_PROGRESS', /time-out/],
  ] as const) {
    it(`${error.message || 'AggregateError'} ${'code' in error ? error.code : ''} is ${code}`, () => {
      const told = translate(error, CONTEXT);
      assert.equal(told?.code, code);
      assert.match(told.message, message);
      assert.match(told.message, /not advanced/);
      assert.equal(told.cause, error);
    });
  }

  it('tells what concerns a slot only where one is concerned', () => {
    const slot = { ...CONTEXT, slot: 's' };
    for (const [sqlState, code] of [
      ['42704', 'SLOT_MISSING'],
      ['58P01', 'SLOT_LOST'],
      ['55006', 'SLOT_BUSY'],
    ] as const) {
      assert.equal(translate(coded(sqlState), CONTEXT), undefined);
      assert.equal(translate(coded(sqlState), slot)?.code, code);
    }
    assert.match(translate(coded('42501'), slot)?.message ?? '', /rds_replication/);
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
