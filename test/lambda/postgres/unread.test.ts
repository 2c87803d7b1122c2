/** What a slot holds that nobody has read: how that is found out, and what is said where it cannot be. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { readUnread } from '../../../lambda/postgres/unread.ts';
import { readFirstUnread } from '../../../lambda/postgres/unread-age.ts';
import { refusal, scriptedServer } from './scripted-server.ts';

const SLOT = { plugin: 'test_decoding', confirmed_flush_lsn: '0/20' };
type Answers = Parameters<typeof scriptedServer>[0];

describe('what is unread in a slot', () => {
  const unread = async (slot: object | null, flush: string | null, ...answers: Answers) => {
    const script = scriptedServer([...answers, ['to_jsonb(s)', [{ slot }]], ['AS flush', [{ flush }]]]);
    const connection = { client: script.client, plugin: TEST_DECODING } as unknown as Connection;
    return { found: await readUnread(connection, 's'), ...script };
  };

  it('is so much WAL, and the time of the first commit in it', async () => {
    const { found, valuesOf, sent } = await unread(SLOT, '0/90', ['AS commit', [{ commit: '2026-01-02 03:04:05+00' }]]);
    assert.deepEqual(found, { walBytes: 0x70, since: '2026-01-02 03:04:05+00' });
    assert.deepEqual(valuesOf('AS commit'), [['s', '0/90']]);
    assert.deepEqual(
      sent.map(({ text }) => text).filter((text) => text.startsWith('SET')),
      ['SET statement_timeout = 10000', 'SET statement_timeout = 60000'],
    );
  });

  it('is nothing where there is no slot, or nothing behind its position, or no transaction', async () => {
    for (const [slot, flush] of [
      [null, '0/90'],
      [{ ...SLOT, confirmed_flush_lsn: null }, '0/90'],
      [SLOT, null],
      [SLOT, '0/20'],
      [SLOT, '0/10'],
      [SLOT, '0/90'],
    ] as const)
      assert.equal((await unread(slot, flush)).found, undefined);
  });

  it('is nothing that anybody could read where the slot is lost', async () => {
    for (const over of [{ wal_status: 'lost' }, { invalidation_reason: 'wal_removed' }]) {
      const { found, sent } = await unread({ ...SLOT, ...over }, '0/90', ['AS commit', [{ commit: 'x' }]]);
      assert.deepEqual([found, sent.length], [undefined, 2]);
    }
  });

  it('is not known to be nothing where it cannot be read in time', async () => {
    for (const answer of [refusal('57014'), [{ commit: null }]]) {
      const { found, sent } = await unread(SLOT, '0/90', ['AS commit', answer]);
      assert.deepEqual(found, { walBytes: 0x70, since: undefined });
      assert.equal(sent.at(-1)?.text, 'SET statement_timeout = 60000');
    }
  });
});

describe('the age of what is unread', () => {
  const age = async (versionNum: number, ...answers: Answers) => {
    const script = scriptedServer([...answers, ['pg_backend_pid', [{ pid: 4711 }]]]);
    const copies: string[] = [];
    const connection = { client: script.client, plugin: TEST_DECODING, versionNum } as unknown as Connection;
    const name = 'a_slot_with_a_name_that_is_longer_than_forty_characters';
    const found = await readFirstUnread(connection, name, (copy) => Promise.resolve(void copies.push(copy)));
    return { found, copies, name, ...script };
  };

  it('is that of the first commit, read from a copy that goes again', async () => {
    const { found, copies, valuesOf, name, sent } = await age(120000, ['AS committed', [{ committed: 1767323045.5 }]]);
    assert.deepEqual(found, { kind: 'found', committedMs: 1767323045500 });
    const copy = `${name.slice(0, 40)}_age_4711`;
    assert.deepEqual(copies, [copy]);
    assert.deepEqual(valuesOf('pg_copy_logical'), [[name, copy, 'test_decoding']]);
    assert.deepEqual(valuesOf('AS committed'), [[copy]]);
    assert.deepEqual(valuesOf('pg_drop'), [[copy]]);
    assert.equal(sent[0]?.text, 'SET statement_timeout = 1500');
  });

  it('is none where nothing is unread, and not known where the first has no time', async () => {
    assert.deepEqual((await age(180000)).found, { kind: 'none' });
    assert.equal((await age(180000, ['AS committed', [{ committed: null }]])).found, undefined);
  });

  it('is not known before 12, and where anything fails', async () => {
    const old = await age(119999);
    assert.deepEqual([old.found, old.sent], [undefined, []]);
    for (const part of ['SET statement_timeout', 'pg_copy_logical', 'AS committed', 'pg_drop'])
      assert.equal((await age(180000, [part, refusal('53400')])).found, undefined);
  });
});
