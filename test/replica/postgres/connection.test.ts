/** The address of a replica's target. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAddress } from '../../../replica/postgres/connection.ts';

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
    const { port, password, sslMode } = parseAddress('--to', 'postgresql://me@db/app', 'given');
    assert.deepEqual({ port, password, sslMode }, { port: 5432, password: 'given', sslMode: 'verify-full' });
  });

  for (const [text, fault] of [
    ['secret', /is no address/],
    ['mysql://me:secret@db/app', /does not begin with postgres/],
    ['postgres://me:secret@db', /lacks a host, a database or a user/],
    ['postgres://db/app?secret', /lacks a host, a database or a user/],
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
