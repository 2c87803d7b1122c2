/** The address of a replica's target, and which of its errors may be over when it is tried again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pg from 'pg';
import { ReplicaError } from '../../../replica/errors.ts';
import { parseAddress } from '../../../replica/postgres/address.ts';
import {
  connectSource,
  connectTarget,
  createClient,
  isTransient,
  sourceRefused,
  unreachable,
} from '../../../replica/postgres/connection.ts';
import { beginShared } from '../../../replica/postgres/fast/fast-target.ts';
import { usingOwnTables } from '../../../replica/postgres/own-tables.ts';
import { PositionStore } from '../../../replica/postgres/position-store.ts';
import { readSequences } from '../../../replica/postgres/sequences.ts';
import { PostgresTarget } from '../../../replica/postgres/target.ts';

describe("the address of a replica's target", () => {
  it('is read, with what it leaves open', () => {
    const read = parseAddress('--to', 'postgres://a%20b:p%40ss@db.example:6543/my%20db?sslmode=require', undefined);
    assert.deepEqual(read, {
      host: 'db.example',
      port: 6543,
      database: 'my db',
      user: 'a b',
      password: 'p@ss',
      sslMode: 'require',
      sslRootCert: undefined,
    });
    assert.equal(parseAddress('--to', 'postgres://me@[::1]:5432/app', undefined).host, '::1');
    const { port, password, sslMode } = parseAddress('--to', 'postgresql://me@db/app', 'given');
    assert.deepEqual({ port, password, sslMode }, { port: 5432, password: 'given', sslMode: 'verify-full' });
  });

  for (const [text, fault] of [
    ['', /is not given/],
    ['secret', /is no address/],
    ['mysql://me:secret@db/app', /does not begin with postgres/],
    ['postgres://me:secret@db', /lacks a host, a database or a user/],
    ['postgres://me:p%secret@db/app', /has a % without two hexadecimal digits behind it: write %25/],
    ['postgres://me%@db/app?secret', /has a % without/],
    ['postgres://me@db/secret%', /has a % without/],
    ['postgres://db/app?secret', /lacks a host, a database or a user/],
    ['postgres://me@db/app?sslmode=disable&host=secret', /has a parameter that is none of sslmode, sslrootcert/],
    [
      'postgres://me:secret@db/app?sslmode=prefer',
      /an sslmode that is none of verify-full, verify-ca, require, disable/,
    ],
  ] as const) {
    it(`fails where it ${fault.source}, and shows nothing of it`, () => {
      assert.throws(
        () => parseAddress('--to', text, undefined),
        (error: Error) =>
          error.name === 'REPLICA_USAGE' && fault.test(error.message) && !error.message.includes('secret'),
      );
    });
  }
});

it('lets a password be hashed more often than node-postgres does by itself', () => {
  const client = createClient(parseAddress('--to', 'postgres://me@db/app', undefined));
  assert.ok((client as unknown as { scramMaxIterations: number }).scramMaxIterations > 1_000_000);
});

describe('the log-in of a replica', () => {
  const address = parseAddress('--to', 'postgres://me@127.0.0.1:1/app?sslrootcert=/none.pem', undefined);

  it('fails as used wrongly where the file of an authority cannot be used', async () => {
    for (const connecting of [connectTarget(address), connectSource(address)])
      await assert.rejects(connecting, (error: Error) => {
        assert.ok(error instanceof ReplicaError);
        assert.equal(error.exit, 2);
        assert.match(error.message, /^REPLICA_USAGE: The file \/none\.pem of sslrootcert .*cannot be read/);
        return true;
      });
  });

  for (const [error, remedy] of [
    [Object.assign(new Error('it'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' }), /\?sslrootcert=/],
    [Object.assign(new Error('it'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }), /\?sslmode=verify-ca/],
    [new Error('The server does not support SSL connections'), /\?sslmode=disable/],
    [Object.assign(new Error('it'), { code: '28P01' }), /REPLICATE_PASSWORD or REPLICATE_FROM_PASSWORD/],
  ] as const)
    it(`says what helps where TLS or the log-in fails: ${remedy.source}`, () => {
      assert.match(unreachable(address, error).message, remedy);
      assert.match(sourceRefused(address, error).message, remedy);
    });
});

describe("an error of a replica's target", () => {
  const errorOf = (code: string): pg.DatabaseError =>
    Object.assign(new pg.DatabaseError('secret', 1, 'error'), { code });
  const address = parseAddress('--to', 'postgres://me@db/app', undefined);
  const client = new pg.Client({ host: 'db' });
  const target = new PostgresTarget(
    { client, address, versionNum: 180_000, isReplicaRole: true },
    new PositionStore(client, 'copy'),
    { allowTriggers: false, skipMissing: false },
  );

  for (const [codes, transient] of [
    [['08006', '25006', '25P02', '25P03', '40001', '40P01', '53100', '53300', '55006', '55P03'], true],
    [['57014', '57P01', '58030', '72000', 'XX000'], true],
    [['0A000', '21000', '22003', '23505', '26000', '27000', '2F005', '3F000', '42501', '42P01', '44000'], false],
    [['54000', '55000', '55P04', 'HV000', 'P0001'], false],
  ] as const)
    for (const code of codes)
      it(`of SQLSTATE ${code} ${transient ? 'is worth another start' : 'needs somebody'}`, async () => {
        assert.equal(isTransient(errorOf(code)), transient);
        const failed = await target
          .translatingErrors(() => Promise.reject(errorOf(code)))
          .catch((error: unknown) => error);
        assert.ok(failed instanceof ReplicaError);
        assert.deepEqual([failed.name, failed.exit], transient ? ['TARGET_UNREACHABLE', 1] : ['TARGET_REFUSED', 3]);
        assert.match(failed.message, new RegExp(code));
        assert.doesNotMatch(failed.message, /secret/);
      });

  it('says of a standby, and of whoever else writes there, what to do, also where the position is read', async () => {
    const begin = (code: string) => usingOwnTables(client, () => Promise.reject(errorOf(code)));
    await assert.rejects(begin('25006'), /TARGET_UNREACHABLE: .*\(25006\).* Give its primary with --to/);
    await assert.rejects(begin('40P01'), /TARGET_UNREACHABLE: .*\(40P01\).* Somebody else works on the same rows/);
    const shared = (code: string) =>
      beginShared({ query: () => Promise.reject(errorOf(code)), user: 'me' } as unknown as pg.Client, {
        name: 'copy',
        streamArn: 'arn',
      });
    await assert.rejects(shared('57P01'), /TARGET_UNREACHABLE: .*\(57P01\)/);
    await assert.rejects(shared('42501'), /TARGET_REFUSED: .* GRANT SELECT, INSERT, UPDATE, DELETE .* TO "me"/);
  });
});

describe('the sequences of a source', () => {
  it('ask for a right only where one is missing, and else say that the source cannot be read', async () => {
    const address = parseAddress('--from', 'postgres://me@db/app', undefined);
    const read = (failing: string, code: string): Promise<unknown> => {
      const query = (sql: string): Promise<unknown> =>
        sql.includes(failing)
          ? Promise.reject(Object.assign(new Error('it'), { code }))
          : Promise.resolve({ rows: [{ sql: 'public.a' }] });
      return readSequences({ client: { query } as unknown as pg.Client, address });
    };
    await assert.rejects(read('FROM public.a', '42501'), /SOURCE_UNREACHABLE: .*GRANT SELECT ON SEQUENCE public\.a/);
    for (const failing of ['FROM public.a', 'pg_class'])
      await assert.rejects(read(failing, '57P01'), (error: Error) => {
        assert.match(error.message, /SOURCE_UNREACHABLE: The source .*57P01/);
        assert.doesNotMatch(error.message, /GRANT/);
        return true;
      });
  });
});
