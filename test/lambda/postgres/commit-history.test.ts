/** How the WAL is asked where transactions committed: how far, within which time, and what an answer means. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WalCommitHistory } from '../../../lambda/postgres/commit-history.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { pgoutput, type SlotPlugin, TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';
import { refusal } from './scripted-server.ts';

const MAX_BEHIND = 256n * 1024n * 1024n;
const NAME = 'a_slot_with_a_name_that_is_longer_than_forty_characters';

/** A server that has flushed everything, unless told otherwise. */
function history(over: { plugin?: SlotPlugin; versionNum?: number; fails?: string } = {}) {
  const clock = new TestClock();
  const begun = clock.time;
  const log = new Recorder();
  const server = { flush: 0x500n, written: 0x500n, delay: 200, rows: [] as Record<string, unknown>[] };
  const asked: string[] = [];
  const question: { text: string; values: unknown }[] = [];
  let looks = 0;
  const hex = (lsn: bigint): string => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`;
  const query = (text: string, values?: unknown[]) => {
    const fail = over.fails !== undefined && text.includes(over.fails);
    if (fail) return Promise.reject(refusal('58P01'));
    if (text.includes('wal_writer_delay')) {
      looks++;
      return Promise.resolve({
        rows: [{ flush: hex(server.flush), written: hex(server.written), delay: server.delay }],
      });
    }
    if (text.includes('statement_timeout')) asked.push(`within ${String(values?.[0])}`);
    else if (text.includes('pg_copy_logical')) asked.push(`copy ${String(values?.[1])}`);
    else if (text.includes('pg_drop')) asked.push(`drop ${String(values?.[0])}`);
    else {
      asked.push('ask');
      question.push({ text, values });
      return Promise.resolve({ rows: server.rows });
    }
    return Promise.resolve({ rows: [] });
  };
  const control = { query, plugin: over.plugin ?? TEST_DECODING, versionNum: over.versionNum ?? 180004, pid: 4711 };
  const commits = new WalCommitHistory({
    control: control as unknown as Connection,
    slotName: NAME,
    deadline: begun + 60_000,
    clock,
    log,
  });
  const read = (batchEnd = 0x400n) => commits.read([650, 700], batchEnd, begun + 9_000);
  return { read, server, clock, log, asked, question, looks: () => looks };
}

describe('where transactions committed', () => {
  it('is asked of the WAL up to its end, within the time that is given, which is taken back', async () => {
    const { read, server, asked, question } = history();
    server.rows = [
      { xid: '650', exact: '1024', bound: null },
      { xid: '700', exact: null, bound: '512' },
    ];
    assert.deepEqual(
      await read(),
      new Map([
        [650, 1024n],
        [700, 512n],
      ]),
    );
    assert.deepEqual(asked, ['within 9000', 'ask', 'within 60000']);
    assert.ok(question[0]?.text.includes(`'${NAME}', '0/500', NULL, 'skip-empty-xacts', '0'`));
    assert.deepEqual(question[0]?.values, [[650, 700]]);
  });

  it('is before what is unread where the WAL to its end shows none', async () => {
    const { read, server } = history();
    server.rows = [{ xid: '650', exact: null, bound: null }];
    assert.deepEqual(await read(), new Map([[650, 0n]]));
  });

  it('is not known of a transaction that none shows, where not all of the WAL was read', async () => {
    const { read, server, question } = history();
    server.flush = server.written = 0x400n + MAX_BEHIND + 1n;
    server.rows = [
      { xid: '650', exact: '1024', bound: null },
      { xid: '700', exact: null, bound: '512' },
    ];
    assert.deepEqual(await read(), new Map([[650, 1024n]]));
    assert.ok(question[0]?.text.includes("'0/10000400'"), 'so much is read at most');
    const near = history();
    near.server.flush = near.server.written = 0x400n + MAX_BEHIND - 1n;
    near.server.rows = [{ xid: '700', exact: null, bound: '512' }];
    assert.deepEqual(await near.read(), new Map([[700, 512n]]));
  });

  it('waits until what is written is flushed', async () => {
    const { read, server, clock, looks, question } = history();
    server.flush = 0x480n;
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async (ms) => {
      await sleep(ms);
      if (clock.slept.length === 3) server.flush = 0x500n;
    };
    await read();
    assert.deepEqual([clock.slept, looks()], [[50, 50, 50], 4]);
    assert.ok(question[0]?.text.includes("'0/500'"));
  });

  it('waits four times the delay of the server’s WAL writer: what is not flushed then is of open transactions', async () => {
    const { read, server, clock, question } = history();
    server.flush = 0x480n;
    server.delay = 50;
    server.rows = [{ xid: '700', exact: null, bound: '512' }];
    assert.deepEqual(await read(), new Map([[700, 512n]]));
    assert.equal(clock.slept.length, 5, 'four delays are not over by 200 ms exactly');
    assert.ok(question[0]?.text.includes("'0/480'"));
  });

  it('does not wait for two seconds: then nothing is known to be all', async () => {
    const { read, server, clock, question } = history();
    server.flush = 0x480n;
    server.delay = 10_000;
    server.rows = [{ xid: '700', exact: null, bound: '512' }];
    assert.deepEqual(await read(), new Map());
    assert.equal(clock.slept.length, 41);
    assert.ok(question[0]?.text.includes("'0/10000400'"));
  });

  it('is asked of a copy of the slot where its plugin does not show all transactions', async () => {
    const { read, asked, question } = history({ plugin: pgoutput(['cdc']), versionNum: 150000 });
    await read();
    const copy = `${NAME.slice(0, 40)}_commits_4711`;
    assert.deepEqual(asked, ['within 9000', `copy ${copy}`, 'ask', `drop ${copy}`, 'within 60000']);
    assert.ok(question[0]?.text.includes(`'${copy}', '0/500', NULL, 'skip-empty-xacts', '0'`));
    const old = history({ plugin: pgoutput(['cdc']), versionNum: 140000 });
    await old.read();
    assert.deepEqual(old.asked, ['within 9000', 'ask', 'within 60000']);
  });

  it('takes the answer of the question, not of the copy', async () => {
    const { read, server } = history({ plugin: pgoutput(['cdc']), versionNum: 150000 });
    server.rows = [{ xid: '650', exact: '1024', bound: null }];
    assert.deepEqual(await read(), new Map([[650, 1024n]]));
  });

  for (const fails of ['wal_writer_delay', 'unnest($1::bigint[])', 'statement_timeout'])
    it(`is not known where the server does not say, which the log tells with the reason: ${fails}`, async () => {
      const { read, log } = history({ fails });
      assert.equal(await read(), undefined);
      assert.match(log.lines[0] ?? '', /^info The server could not say whether rows were written before their table/);
      assert.deepEqual(log.fieldsOf('could not say'), [{ sqlState: '58P01' }]);
    });
});
