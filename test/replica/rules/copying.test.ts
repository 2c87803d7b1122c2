/** What marks tell a replica of a snapshot, and for how long rows may be missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Copying, tableId } from '../../../replica/rules/copying.ts';
import { readRecord } from '../../../replica/rules/record.ts';

const A = tableId('public', 'a');
const B = tableId('public', 'b');

describe('tables that a snapshot brings', () => {
  it('may lack rows from what is applied to the next mark, whichever of both names them', () => {
    const copying = new Copying([A]);
    copying.take(10n, { reading: [], read: [] }, 0n);
    copying.take(20n, { reading: [B], read: [] }, 0n);
    const names = (cut: bigint): string[] => ['a', 'b'].filter((table) => copying.until(cut)('public', table));
    assert.deepEqual(names(10n), ['a']);
    assert.deepEqual(names(15n), ['a', 'b']);
    assert.deepEqual(copying.at(10n), []);
    assert.deepEqual(copying.at(20n), [B]);
    copying.release(10n);
    assert.deepEqual(names(15n), ['b']);
    // A snapshot that began and ended between two marks.
    copying.release(20n);
    copying.take(30n, { reading: [], read: [A] }, 20n);
    assert.deepEqual(names(30n), ['a', 'b']);
    assert.deepEqual(copying.at(30n), []);
  });

  it('are any while one is awaited: until a mark names tables, and a later one none', () => {
    const copying = new Copying('awaited');
    copying.take(10n, { reading: [], read: [] }, 0n);
    assert.equal(copying.at(10n), 'awaited');
    assert.ok(copying.until(10n)('any', 'table'));
    copying.take(20n, { reading: 'all', read: [] }, 0n);
    assert.equal(copying.at(20n), 'all');
    copying.take(30n, { reading: [], read: 'all' }, 0n);
    assert.deepEqual(copying.at(30n), []);
    copying.release(30n);
    assert.ok(!copying.until(40n)('any', 'table'));
  });

  it('are those that were known, and those that it names, where a mark may lack some', () => {
    const copying = new Copying([A], 5n);
    assert.equal(copying.knownUpto, 5n);
    const partial = { read: [], isPartial: true };
    copying.take(10n, { ...partial, reading: [] }, 5n);
    copying.take(20n, { ...partial, reading: [B] }, 5n);
    assert.deepEqual([copying.at(10n), copying.at(20n)], [[A], [A, B]]);
    assert.ok(copying.until(10n)('public', 'b'), 'the next one that lacks none may name others');
    assert.equal(copying.knownUpto, 5n, 'so a row that is missing may be one of a table that is still to be named');
    copying.release(20n);
    assert.deepEqual(copying.at(20n), [A, B]);
    copying.take(30n, { reading: [B], read: [] }, 20n);
    assert.deepEqual([copying.at(30n), copying.knownUpto], [[B], 30n]);
    copying.forget(25n);
    assert.equal(copying.knownUpto, 25n);
  });

  it('are any, where one is awaited and a mark names some that may not be all', () => {
    const copying = new Copying('awaited');
    copying.take(10n, { reading: [], read: [], isPartial: true }, 0n);
    assert.equal(copying.at(10n), 'awaited');
    copying.take(20n, { reading: [A], read: [], isPartial: true }, 0n);
    assert.equal(copying.at(20n), 'all');
  });

  it('are not told by what is applied already, and not by a history that is lost', () => {
    const copying = new Copying([]);
    copying.take(5n, { reading: [A], read: [] }, 5n);
    assert.deepEqual(copying.at(5n), []);
    copying.take(20n, { reading: [A], read: [] }, 5n);
    copying.forget(10n);
    assert.deepEqual(copying.at(20n), []);
  });

  it('are told by marks that no run began with', () => {
    const mark = (over: object): unknown => {
      const fields = {
        op: 'MARK',
        source: 's',
        commitLsn: '0/1',
        commitTime: '2026-01-02T03:04:05Z',
        lane: 0,
        lanes: 2,
      };
      const record = readRecord(JSON.stringify({ ...fields, system: '7', timeline: 1, ...over }));
      return record.kind === 'mark' ? record.snapshot : assert.fail();
    };
    assert.deepEqual(mark({}), { reading: [], read: [] });
    assert.deepEqual(mark({ reading: [['public', 'a']], read: 'all' }), { reading: [A], read: 'all' });
    assert.deepEqual(mark({ lane: 1, reading: 'all' }), { reading: 'all', read: [] });
    assert.deepEqual(mark({ partial: true }), { reading: [], read: [], isPartial: true });
    assert.equal(mark({ forks: [] }), undefined);
  });
});
