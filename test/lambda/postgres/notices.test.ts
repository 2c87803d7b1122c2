/** A notice's fields, and which of them say that a publication is missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseNotice } from '../../../lambda/postgres/notices.ts';
import { isAboutPublication, publicationMissing } from '../../../lambda/postgres/publication-errors.ts';

const notice = (...fields: string[]): Buffer => Buffer.from(`${fields.map((field) => `${field}\0`).join('')}\0`);

describe('a notice', () => {
  it('has its SQLSTATE, routine and text, in whatever order and language', () => {
    const body = notice('SWARNUNG', 'C55000', 'MVeröffentlichung fehlt', 'RLoadPublications', 'Fpgoutput.c');
    assert.deepEqual(parseNotice(body), {
      code: '55000',
      routine: 'LoadPublications',
      message: 'Veröffentlichung fehlt',
      count: 1,
    });
    assert.deepEqual(parseNotice(notice('Rr', 'Mm', 'Cc')), { code: 'c', routine: 'r', message: 'm', count: 1 });
  });

  it('may lack each of them', () => {
    assert.deepEqual(parseNotice(notice()), { code: '', routine: '', message: '', count: 1 });
    assert.deepEqual(parseNotice(Buffer.alloc(0)), { code: '', routine: '', message: '', count: 1 });
    assert.deepEqual(parseNotice(notice('M')), { code: '', routine: '', message: '', count: 1 });
  });

  it('ends at its zero byte, and where it is cut', () => {
    assert.equal(parseNotice(Buffer.from('C1\0\0M2\0')).message, '');
    assert.equal(parseNotice(Buffer.from('\0\0C1\0')).code, '');
    assert.deepEqual(parseNotice(Buffer.from('C55000\0Mcut')), { code: '55000', routine: '', message: '', count: 1 });
  });
});

describe('a publication that is missing', () => {
  for (const [code, routine, is] of [
    ['42704', 'get_publication_oid', true],
    ['42704', 'GetPublicationByName', true],
    ['55000', 'LoadPublications', true],
    ['55000', 'CheckLogicalDecodingRequirements', false],
    ['42704', 'ReplicationSlotAcquire', false],
    ['01000', 'LoadPublications', false],
    ['', '', false],
  ] as const)
    it(`is ${is ? '' : 'not '}told by ${code} of ${routine}`, () =>
      assert.equal(isAboutPublication({ code, routine }), is));

  it('is said with the slot, its publications and the words of the server', () => {
    const cause = new Error('x');
    const error = publicationMissing('orders', { publications: ['a', 'b c'] }, 'it is missing', cause);
    assert.equal(error.code, 'PUBLICATION_MISSING');
    assert.equal(error.cause, cause);
    assert.match(
      error.message,
      /Slot "orders" holds changes from when a publication of it did not exist \(PUBLICATIONS is "a", "b c"\).*PostgreSQL says: it is missing\. Nothing was published/,
    );
  });
});
