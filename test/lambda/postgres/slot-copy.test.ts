/** What a copy of a slot asks of the server, and how each refusal is told. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { pgoutput, type SlotPlugin, TEST_DECODING, wal2json } from '../../../lambda/postgres/plugins.ts';
import { copySlot } from '../../../lambda/postgres/slot-copy.ts';
import { decodeSnapshotMessage, encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { refusal, scriptedServer } from './scripted-server.ts';

const SLOT = {
  plugin: 'test_decoding',
  slot_type: 'logical',
  database: 'app',
  temporary: false,
  confirmed_flush_lsn: '0/20',
};
const COPY = 'pg_copy_logical_replication_slot';
const DROP = 'pg_drop_replication_slot';
const PUBLICATION = { code: '42704', routine: 'get_publication_oid', message: 'no publication' };

interface Case {
  readonly answers?: Parameters<typeof scriptedServer>[0];
  readonly slot?: object | null;
  readonly plugin?: SlotPlugin;
  readonly versionNum?: number;
  /** A notice that comes with the reading of the copy. */
  readonly notice?: object;
}

function copying({ answers = [], slot = {}, plugin = TEST_DECODING, versionNum = 160004, notice }: Case = {}) {
  const row = slot === null ? null : { ...SLOT, ...slot };
  const script = scriptedServer([
    ...answers,
    ['AS level', [{ level: 'logical', recovery: false, num: versionNum, slot: { ...SLOT, plugin: plugin.name } }]],
    ['SELECT (SELECT to_jsonb', [{ slot: row }]],
    ['AS flush', [{ flush: '0/40' }]],
    ['pg_logical_emit_message', [{ xid: 7, micros: '5' }]],
  ]);
  const client = Object.assign(new EventEmitter(), {
    query: async (text: string, values?: unknown[]) => {
      if (notice !== undefined && text.includes('count(*) FROM pg_logical_slot_peek')) client.emit('notice', notice);
      return await script.client.query(text, values);
    },
  });
  const connection = {
    ...script.client,
    client,
    pid: 4711,
    versionNum,
    identity: { inRecovery: false },
    plugin,
    context: { host: 'db', port: 5432, database: 'app', user: 'cdc', auth: 'password', plugin: plugin.name },
  } as unknown as Connection;
  const copy = () => copySlot(connection, connection, 'old', 'new', 30_000);
  return { ...script, client, copy };
}

/** The publications are there. */
const PUBLISHED = ['pg_publication', [{ name: 'cdc' }, { name: 'b' }]] as const;

describe('a copy of a slot', () => {
  it('is the server’s, of the plugin that is read, and not temporary', async () => {
    const { copy, valuesOf, sent } = copying();
    await copy();
    assert.deepEqual(valuesOf(COPY), [['old', 'new', 'test_decoding']]);
    assert.match(sent.find(({ text }) => text.includes(COPY))?.text ?? '', /\(\$1, \$2, false, \$3\)/);
    assert.equal(valuesOf(DROP).length, 0);
    assert.equal(valuesOf('count(*) FROM pg_logical_slot_peek').length, 0);
  });

  it('of none is none: it would hide what is missing', async () => {
    const { copy, valuesOf } = copying({ slot: null });
    await assert.rejects(copy, {
      code: 'SLOT_MISSING',
      what: 'The slot "old", whose position "new" is to take over, does not exist. The slot "new" was not made: it would hide what is missing.',
    });
    assert.equal(valuesOf(COPY).length, 0);
  });

  it('of one that is not ours, or lost, is refused', async () => {
    for (const [slot, code] of [
      [{ plugin: 'decoderbufs' }, 'WRONG_PLUGIN'],
      [{ database: 'other' }, 'WRONG_PLUGIN'],
      [{ slot_type: 'physical' }, 'WRONG_PLUGIN'],
      [{ wal_status: 'lost' }, 'SLOT_LOST'],
    ] as const) {
      const { copy, valuesOf } = copying({ slot });
      await assert.rejects(copy, { code }, JSON.stringify(slot));
      assert.equal(valuesOf(COPY).length, 0);
    }
  });

  it('that the server refuses says what was not made', async () => {
    const { copy, valuesOf } = copying({ answers: [[COPY, refusal('53400')]] });
    await assert.rejects(copy, { what: /The slot "new" was not made\./ });
    assert.equal(valuesOf(DROP).length, 0);
  });

  it('of another plugin is read once, up to the end of the WAL, by that plugin', async () => {
    const { copy, sent, valuesOf, client } = copying({ answers: [PUBLISHED], plugin: pgoutput(['cdc']) });
    await copy();
    const reading = sent.find(({ text }) => text.includes('count(*) FROM pg_logical_slot_peek'));
    assert.deepEqual(reading?.values, ['new', '0/40']);
    assert.match(reading.text, /\(\$1, \$2, NULL, 'proto_version', '1', 'publication_names', '"cdc"'/);
    assert.deepEqual([client.listenerCount('notice'), valuesOf(DROP).length], [0, 0]);
    const unknown = copying({ answers: [PUBLISHED, ['AS flush', []]], plugin: pgoutput(['cdc']) });
    await unknown.copy();
    assert.deepEqual(unknown.valuesOf('count(*) FROM pg_logical_slot_peek'), [['new', null]]);
    // Of its own plugin nothing is new.
    const same = copying({ answers: [PUBLISHED], plugin: pgoutput(['cdc']), slot: { plugin: 'pgoutput' } });
    await same.copy();
    assert.equal(same.valuesOf('count(*) FROM pg_logical_slot_peek').length, 0);
    const none = copying({ plugin: wal2json() });
    await none.copy();
    assert.equal(none.valuesOf('count(*) FROM pg_logical_slot_peek').length, 0);
  });

  for (const [what, more] of [
    ['a warning', { notice: PUBLICATION }],
    [
      'an error',
      { answers: [PUBLISHED, ['count(*) FROM pg_logical_slot_peek', refusal('42704', PUBLICATION)]] as const },
    ],
  ] as const)
    it(`goes again where ${what} says that a publication was not there yet`, async () => {
      const { copy, valuesOf, client } = copying({ answers: [PUBLISHED], plugin: pgoutput(['cdc', 'b']), ...more });
      await assert.rejects(copy, {
        code: 'PUBLICATION_MISSING',
        what: 'The slot "old" still holds changes from before the publications "cdc", "b" were made, which pgoutput could not read. The slot "new" was not made, and "old" stands where it stood.',
        remedy: /^Let runs publish them from "old", once every transaction has ended that was open/,
      });
      assert.deepEqual([valuesOf(DROP), client.listenerCount('notice')], [[['new']], 0]);
      assert.equal(valuesOf('SELECT').length > 0, true);
    });

  it('that the new plugin cannot decode goes again, and the way on is told', async () => {
    const answers = [
      PUBLISHED,
      ['count(*) FROM pg_logical_slot_peek', refusal('XX000', { severity: 'ERROR' })],
    ] as const;
    const { copy, valuesOf } = copying({ answers, plugin: pgoutput(['cdc']) });
    await assert.rejects(copy, {
      code: 'TRANSACTION_UNDECODABLE',
      what: /^The slot "old" still holds a transaction that pgoutput cannot decode \(.+\)\. The slot "new" was not made, and "old" stands where it stood\.$/,
      remedy: /^Drain "old" by its own plugin.*skip-transaction\. Then try again\.$/,
    });
    assert.deepEqual(valuesOf(DROP), [['new']]);
  });

  it('that cannot be read for another reason goes again, and says which', async () => {
    const answers = [PUBLISHED, ['count(*) FROM pg_logical_slot_peek', refusal('57014')]] as const;
    const { copy, valuesOf } = copying({ answers, plugin: pgoutput(['cdc']) });
    await assert.rejects(copy, (error: { code?: string; what?: string }) => {
      assert.notEqual(error.code, 'TRANSACTION_UNDECODABLE');
      assert.match(error.what ?? '', /The slot "new" was not made\./);
      return true;
    });
    assert.deepEqual(valuesOf(DROP), [['new']]);
  });

  describe('before 12, when the server cannot copy,', () => {
    const versionNum = 110022;
    const MADE = [['pg_create_logical_replication_slot', []]] as const;
    const fresh = ['AS level', [{ level: 'logical', recovery: false, num: versionNum, slot: null }]] as const;

    it('is a new slot, where the old one has nothing left up to there', async () => {
      const { copy, valuesOf, sent } = copying({ versionNum, answers: [...MADE, fresh] });
      await copy();
      assert.deepEqual(valuesOf('pg_create_logical_replication_slot'), [['new', 'test_decoding']]);
      const reading = sent.find(({ text }) => text.includes('$1, $2, 1,'));
      assert.deepEqual(reading?.values, ['old', '0/20']);
      assert.deepEqual([valuesOf(COPY), valuesOf(DROP)], [[], []]);
    });

    it('is dropped where the old one has', async () => {
      let looks = 0;
      const row = { level: 'logical', recovery: false, num: versionNum };
      const script = copying({ versionNum, answers: [['$1, $2, 1,', [{ lsn: '0/18' }]]] });
      // It is there when it is to be dropped, and not before.
      const { query } = script.client;
      script.client.query = async (text, values) =>
        text.includes('AS level')
          ? { rows: [{ ...row, slot: looks++ === 0 ? null : SLOT }] }
          : await query(text, values);
      await assert.rejects(script.copy, {
        code: 'NO_PROGRESS',
        what: 'The slot "old" still holds changes, and PostgreSQL before 12 cannot copy a slot\'s position. The slot "new" was not made. Drain "old" while nobody writes, then rename it.',
      });
      assert.deepEqual(script.valuesOf(DROP), [['new']]);
    });

    it('is not of another plugin', async () => {
      const { copy, valuesOf } = copying({ versionNum, answers: [PUBLISHED], plugin: pgoutput(['cdc']) });
      await assert.rejects(copy, {
        code: 'CONFIG_INVALID',
        what: 'PostgreSQL before 12 cannot copy a slot to another plugin: "old" is of test_decoding, and PLUGIN is pgoutput. The slot "new" was not made.',
        remedy: 'Stop every writer, drain "old", make "new" with create-slot, let the writers go on, then drop "old".',
      });
      assert.equal(valuesOf('pg_create_logical_replication_slot').length, 0);
    });
  });
});

describe('a snapshot under way at a slot that is copied', () => {
  const state = (tables: readonly string[]) =>
    Buffer.from(encodeSnapshotMessage('old', { kind: 'begin', id: 'i', begunAt: 5, tables, anew: false } as never));
  const FIRST = 'AS content';

  it('goes on at the copy, its tables anew', async () => {
    const answers = [
      [FIRST, [{ content: null }, { content: Buffer.from('other') }, { content: state(['public.a', 'public.b']) }]],
    ] as const;
    const { copy, valuesOf, sent } = copying({ answers });
    await copy();
    const looks = sent.filter(({ text }) => text.includes(FIRST));
    assert.deepEqual(
      looks.map(({ values }) => values),
      [['new']],
    );
    assert.match(looks[0]?.text ?? '', /\(\$1, NULL, 100000, .*WHERE at IS NOT NULL LIMIT 100$/s);
    const [[content] = []] = valuesOf('pg_logical_emit_message') as (readonly unknown[])[];
    const message = decodeSnapshotMessage('new', String(content));
    assert.deepEqual(message, { kind: 'begin', id: 'i', begunAt: 5, tables: ['public.a', 'public.b'], anew: true });
  });

  it('is none where nothing says so, or wal2json reads, and nothing is written', async () => {
    for (const given of [
      {},
      { answers: [[FIRST, [{ content: state([]) }]]] as const },
      { plugin: wal2json(), slot: { plugin: 'wal2json' } },
    ]) {
      const { copy, valuesOf } = copying(given);
      await copy();
      assert.equal(valuesOf('pg_logical_emit_message').length, 0);
      assert.equal(valuesOf(FIRST).length, 'plugin' in given ? 0 : 1);
    }
  });

  it('that could not go on keeps the slot from being copied', async () => {
    const answers = [[FIRST, [{ content: state(['public.a']) }]]] as const;
    const { copy, valuesOf } = copying({ answers, plugin: wal2json() });
    await assert.rejects(copy, {
      code: 'CONFIG_INVALID',
      what: 'A snapshot is under way at the slot "old", and wal2json could not go on with it. The slot "new" was not made.',
      remedy: /snapshot-stop\. Then try again\.$/,
    });
    assert.deepEqual([valuesOf(COPY), valuesOf(FIRST)], [[], [['old']]]);
  });

  it('that cannot be written down takes the copy with it', async () => {
    const answers = [
      [FIRST, [{ content: state(['public.a']) }]],
      ['pg_logical_emit_message', refusal('53100')],
    ] as const;
    const { copy, valuesOf } = copying({ answers });
    await assert.rejects(copy, { code: 'NO_PROGRESS', what: /The slot "new" was not made\./ });
    assert.deepEqual(valuesOf(DROP), [['new']]);
  });
});
