/** How the WAL is asked for keys as they were, and what becomes of each way in which the server cannot tell. Over a server that a test writes down. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KeyQuestion } from '../../../lambda/ports/catalogs.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { type KeyHistoryState, WalKeyHistory } from '../../../lambda/postgres/wal-key-history.ts';
import { TestClock } from '../../support/run-kit.ts';
import { type Reply, startScriptedPostgres } from '../../support/scripted-postgres.ts';
import { databaseAt, eventually, memoryLog } from './fixtures.ts';

const COPY = 'pg_copy_logical_replication_slot';
const READ = 'WITH lines AS MATERIALIZED';
const LINE = {
  commit: '0/30',
  lsn: '0/28',
  inserted: true,
  schema: Buffer.from('public'),
  table: Buffer.from('t'),
  pk: Buffer.from('{"name":"id"}'),
};

interface Case {
  readonly replies?: readonly (readonly [string, Reply])[];
  readonly question?: Partial<KeyQuestion>;
  readonly versionNum?: number;
  readonly slotName?: string;
  readonly state?: KeyHistoryState;
  readonly encoding?: string;
  readonly system?: string;
  /** Whether the time for a connection to come about passes once something was asked. */
  readonly isLate?: boolean;
}

/** Asks once. The clock passes as it is slept. */
async function asked({
  replies = [],
  question = {},
  versionNum = 160004,
  slotName = 's',
  state = { refused: undefined, isRefusalLogged: false },
  encoding = 'UTF8',
  system = '7',
  isLate = false,
}: Case = {}) {
  const identity = { started: 'then', recovery: false, system: '7', timeline: '00000001', wal_end: '0/30' };
  await using server = await startScriptedPostgres([
    ...replies,
    ['pg_backend_pid() AS pid', ({ pid }) => [{ pid }]],
    ['AS encoding', [{ version: '160004', encoding }]],
    ['AS started', [identity]],
    [READ, [LINE]],
  ]);
  const clock = new TestClock();
  // A connection's end and its farewell are waited for by signal: they never pass by themselves here.
  const patient = Object.assign(clock, {
    sleep: (ms: number, signal?: AbortSignal) => {
      if (isLate && ms === 10_000) {
        const before = server.sent.length;
        return eventually(() => server.sent.length > before, 'something is asked');
      }
      if (signal !== undefined)
        return new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          signal.addEventListener('abort', () => resolve());
        });
      clock.slept.push(ms);
      clock.time += ms;
      return Promise.resolve();
    },
  });
  const log = memoryLog();
  const history = new WalKeyHistory({
    database: databaseAt(server, patient),
    control: { versionNum, identity: { systemIdentifier: system, startedAt: 'then', inRecovery: false } } as Connection,
    slotName,
    state,
    clock: patient,
    log,
  });
  const answer = await history.read({
    upto: 0x1_00000020n,
    tables: undefined,
    except: [],
    insertsOnly: false,
    deadline: clock.time + 60_000,
    ...question,
  });
  await eventually(() => server.visitors.every(({ isGone }) => isGone()), 'its connection is closed');
  const { sent, valuesOf, visitors } = server;
  return { answer, lines: log.lines, state, slept: clock.slept, sent, valuesOf, visitors };
}

describe('the WAL, asked for keys as they were', () => {
  it('is read by a temporary copy of the slot under wal2json, which is dropped', async () => {
    const { answer, valuesOf, lines, sent, visitors } = await asked();
    assert.deepEqual(answer, [
      { commitLsn: 0x30n, lsn: 0x28n, inserted: true, schema: 'public', table: 't', key: ['id'] },
    ]);
    assert.deepEqual(valuesOf(COPY), [['s', 's_keys_101']]);
    assert.match(sent.find(({ text }) => text.includes(COPY))?.text ?? '', /\(\$1, \$2, true, 'wal2json'\)/);
    assert.deepEqual(valuesOf('pg_drop_replication_slot'), [['s_keys_101']]);
    assert.match(
      sent.find(({ text }) => text.includes('AS encoding'))?.text ?? '',
      /'statement_timeout', '60000ms'.*'logical_decoding_work_mem', '64MB'/s,
    );
    assert.equal(
      sent.filter(({ text }) => text === `SELECT set_config('client_min_messages', 'error', false)`).length,
      1,
    );
    assert.deepEqual([lines, visitors.length, visitors[0]?.saidFarewell()], [[], 1, true]);
  });

  it('is not waited for behind a pool without a free backend: twice for 10 s at most', async () => {
    const { answer, lines, visitors } = await asked({
      isLate: true,
      replies: [['pg_backend_pid() AS pid', () => undefined]],
    });
    assert.deepEqual([answer, visitors.length, lines.length], [undefined, 2, 1]);
  });

  it('by a name that fits, however long the slot’s is', async () => {
    const { valuesOf } = await asked({ slotName: 'x'.repeat(63) });
    assert.deepEqual(valuesOf(COPY)[0]?.[1], `${'x'.repeat(40)}_keys_101`);
  });

  const statementOf = async (given: Case) =>
    (await asked(given)).sent.find(({ text }) => text.includes(READ))?.text ?? '';

  it('up to where it is asked, with the options that its lines are read by', async () => {
    const text = await statementOf({});
    assert.ok(
      text.includes(
        `pg_logical_slot_peek_binary_changes('s_keys_101', '1/20', NULL, 'format-version', '2', 'include-pk', '1', 'include-types', '0', 'include-transaction', '1', 'actions', 'insert,update,delete', 'add-msg-prefixes', 'pg2kinesis-none')`,
      ),
      text,
    );
    assert.ok(text.includes(String.raw` E'^,"pk":\\[(.*)\\]\\}$'`), text);
    assert.match(text, /LIMIT 50001$/);
    assert.match(await statementOf({ question: { insertsOnly: true } }), /'actions', 'insert', 'add-msg/);
  });

  it('of the tables asked for, and without those excepted, whatever their names hold', async () => {
    const odd = { schema: 'a b', name: `x\\y'z,1.2*` };
    const plain = { schema: 'public', name: 't' };
    assert.ok(
      (await statementOf({ question: { tables: [plain, odd] } })).includes(
        String.raw`'pg2kinesis-none', 'add-tables',  E'public.t,a\\ b.x\\\\y\\''z\\,1\\.2\\*')`,
      ),
      await statementOf({ question: { tables: [plain, odd] } }),
    );
    assert.ok((await statementOf({ question: { except: [plain] } })).includes(`'filter-tables', 'public.t')`));
    assert.ok(!(await statementOf({})).includes('-tables'));
  });

  it('has names converted where the database is in another encoding', async () => {
    for (const [encoding, name] of [
      ['UTF8', `decode(f.pk, 'escape') AS pk`],
      ['SQL_ASCII', `decode(f.pk, 'escape') AS pk`],
      ['LATIN1', `convert(decode(f.pk, 'escape'), 'LATIN1', 'UTF8') AS pk`],
    ] as const)
      assert.ok((await statementOf({ encoding })).includes(name), encoding);
  });

  it('is not asked before 12, nor of another server', async () => {
    const old = await asked({ versionNum: 119999 });
    assert.deepEqual([old.answer, old.visitors.length, old.lines], [undefined, 0, []]);
    assert.notEqual((await asked({ versionNum: 120000 })).answer, undefined);
    const other = await asked({ system: '8' });
    assert.deepEqual([other.answer, other.valuesOf(COPY)], [undefined, []]);
    assert.match(other.lines[0] ?? '', /"sqlState":"none","lasting":false/);
  });

  for (const code of ['53400', '53300', '55000', '55006', '57P01', '08006'])
    it(`is asked once more where ${code} may pass`, async () => {
      let tries = 0;
      const { answer, slept, lines } = await asked({ replies: [[COPY, () => (tries++ === 0 ? code : [])]] });
      assert.deepEqual([answer?.length, tries, slept, lines], [1, 2, [300], []]);
    });

  it('is asked twice at most, and once where there is no time', async () => {
    let tries = 0;
    const replies = [[COPY, () => (tries++, '53400')]] as const;
    const twice = await asked({ replies });
    assert.deepEqual([twice.answer, tries, twice.state.refused], [undefined, 2, undefined]);
    assert.match(twice.lines.join('\n'), /wal2json can tell the key.*"sqlState":"53400","lasting":false/);
    assert.equal(twice.lines.length, 1);
    // Connecting fails by then, or the copy: both pass.
    for (const [ms, slept] of [
      [300, []],
      [301, [300]],
    ] as const)
      assert.deepEqual((await asked({ replies, question: { deadline: new TestClock().time + ms } })).slept, slept);
  });

  for (const code of ['58P01', '42501', '42704', '22023', '0A000', '42883'])
    it(`is not asked again once it refused with ${code}, and says so once`, async () => {
      const { answer, state, slept, lines, visitors } = await asked({ replies: [[COPY, code]] });
      assert.deepEqual([answer, state, slept], [undefined, { refused: code, isRefusalLogged: true }, []]);
      assert.match(lines.join('\n'), new RegExp(`"sqlState":"${code}","lasting":true`));
      assert.equal(visitors.length, 1);
      const again = await asked({ state });
      assert.deepEqual([again.answer, again.visitors.length, again.lines], [undefined, 0, []]);
    });

  it('that lacks the plugin is no news of tables that never had a key, until others are asked for', async () => {
    const inserts = { tables: [{ schema: 'public', name: 't' }], insertsOnly: true };
    const { state, lines } = await asked({ replies: [[COPY, '58P01']], question: inserts });
    assert.deepEqual([state, lines], [{ refused: '58P01', isRefusalLogged: false }, []]);
    assert.deepEqual((await asked({ state, question: inserts })).lines, []);
    assert.equal((await asked({ state, question: { ...inserts, insertsOnly: false } })).lines.length, 1);
    assert.equal(state.isRefusalLogged, true);
    const other = { refused: '58P01', isRefusalLogged: false };
    assert.equal((await asked({ state: other, question: { insertsOnly: true } })).lines.length, 1);
    // One that passes is news: the plugin may be there.
    assert.equal((await asked({ replies: [[COPY, 'XX000']], question: inserts })).lines.length, 1);
  });

  it('is not believed where a line is not wal2json’s, or there are too many', async () => {
    const odd = await asked({ replies: [[READ, [LINE, { ...LINE, commit: 'x' }]]] });
    assert.deepEqual([odd.answer, odd.lines.length, odd.state.refused], [undefined, 1, undefined]);
    const many = (count: number) => asked({ replies: [[READ, Array.from({ length: count }, () => LINE)]] });
    assert.equal((await many(50_000)).answer?.length, 50_000);
    assert.equal((await many(50_001)).answer, undefined);
  });
});
