/** LSNs: what PostgreSQL prints, both ways, and what is none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatLsn, parseLsn } from '../../../lambda/decode/lsn.ts';

const PRINTED: readonly (readonly [text: string, lsn: bigint])[] = [
  ['0/0', 0n],
  ['0/1', 1n],
  ['0/A', 10n],
  ['0/FFFFFFFF', 0xffffffffn],
  ['1/0', 0x100000000n],
  ['0/16B3748', 0x16b3748n],
  ['16/B374D848', 0x16b374d848n],
  ['FFFFFFFF/FFFFFFFF', 0xffffffffffffffffn],
];

const NONE: readonly string[] = [
  '',
  '/',
  '0',
  '0/',
  '/0',
  '0/0/0',
  ' 0/0',
  '0/0 ',
  '0/G',
  'x/0',
  '0x0/0',
  '-1/0',
  '0/-1',
  '+0/0',
  '123456789/0',
  '0/123456789',
  '0/1.0',
  '0 /0',
  '0/0\n',
];

describe('parseLsn and formatLsn', () => {
  for (const [text, lsn] of PRINTED) {
    it(`reads and prints ${text}`, () => {
      assert.equal(parseLsn(text), lsn);
      assert.equal(formatLsn(lsn), text);
    });
  }

  for (const text of NONE) {
    it(`fails on ${JSON.stringify(text)}`, () => assert.equal(parseLsn(text), undefined));
  }

  it('reads lower case and leading zeros', () => {
    assert.equal(parseLsn('00000016/b374d848'), 0x16b374d848n);
  });

  it('orders as integers, not as text', () => {
    const [nine, ten] = [parseLsn('0/9') ?? -1n, parseLsn('0/10') ?? -1n];
    assert.ok(nine < ten);
  });

  it('reads what it prints, over all 64 bits', () => {
    fc.assert(fc.property(fc.bigInt(0n, 0xffffffffffffffffn), (lsn) => assert.equal(parseLsn(formatLsn(lsn)), lsn)));
  });
});
