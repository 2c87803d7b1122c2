/** The primary-key cache over catalogs that a test writes down: when it reads again, what it keeps, and what it says of time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { TableName } from '../../../lambda/decode/messages.ts';
import { ConnectedKeys } from '../../../lambda/postgres/connected-keys.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { PrimaryKeyCache } from '../../../lambda/postgres/primary-key-cache.ts';
import { Recorder, TestClock } from '../../support/run-kit.ts';
import { refusal } from './scripted-server.ts';

const TABLE: TableName = { printed: 'public.t', schema: 'public', name: 't' };
const ROW = {
  oid: 20_000,
  printed: 'public.t',
  schema: 'public',
  name: 'public.t',
  is_table: true,
  key: ['id'],
  ancestors: null,
  virtual: null,
  changed: null,
  ages: null,
  next: 900,
  key_since: 700,
  holds: true,
};

/** A server whose catalogs a test changes. */
function catalogs(over: { ttlMs?: number; hasExclusions?: boolean } = {}) {
  const clock = new TestClock();
  const log = new Recorder();
  const server = {
    rows: [ROW] as readonly Readonly<Record<string, unknown>>[],
    print: 'one',
    lsn: 0x100n,
    snapshot: '800:900:850',
    over: null as number | null,
    error: undefined as Error | undefined,
    /** Called when the tables were read. */
    onRead: () => {},
  };
  const asked: string[] = [];
  const texts: string[] = [];
  const query = (text: string) => {
    texts.push(text);
    if (server.error !== undefined) return Promise.reject(server.error);
    const lsn = `0/${server.lsn.toString(16)}`;
    if (text.endsWith(') AS print')) {
      asked.push('look');
      return Promise.resolve({ rows: [{ snapshot: server.snapshot, lsn, over: server.over, print: server.print }] });
    }
    if (text.includes('WITH RECURSIVE')) {
      asked.push('read');
      const rows = [...server.rows];
      server.onRead();
      return Promise.resolve({ rows });
    }
    asked.push('end');
    return Promise.resolve({ rows: [{ lsn, snapshot: server.snapshot }] });
  };
  const cache = new PrimaryKeyCache({ ttlMs: 3_600_000, clock, log, ...over });
  const connection = { query, versionNum: 180004, context: { host: 'h', port: 1, database: 'd', user: 'u' } };
  const keys = new ConnectedKeys(cache, connection as unknown as Connection, 'orders');
  /** @returns what was asked since the last time */
  const calls = () => asked.splice(0);
  return { server, clock, log, keys, calls, texts };
}

const READ = ['look', 'read', 'end'];

describe('the cache of primary keys', () => {
  it('is read once, then looked at for each batch, and read again where the look shows a change', async () => {
    const { server, keys, calls, texts } = catalogs();
    await keys.refreshIfStale(0n);
    assert.deepEqual([calls(), keys.version], [READ, 1]);
    assert.ok(texts[0]?.includes("'orders'"));
    await keys.refreshIfStale(0n);
    assert.deepEqual([calls(), keys.version], [['look'], 1]);
    server.print = 'two';
    server.rows = [{ ...ROW, key: ['id', 'v'] }];
    await keys.refreshIfStale(0n);
    assert.deepEqual([calls(), keys.version], [['look', ...READ], 2]);
    assert.deepEqual(keys.current(TABLE)?.key, ['id', 'v']);
  });

  it('is read again when its time is over, and the same entries are no new version', async () => {
    const { clock, keys, calls } = catalogs({ ttlMs: 1_000 });
    await keys.refreshIfStale(0n);
    const entry = keys.current(TABLE);
    calls();
    clock.time += 999;
    await keys.refreshIfStale(0n);
    assert.deepEqual(calls(), ['look']);
    clock.time += 1;
    await keys.refreshIfStale(0n);
    assert.deepEqual([calls(), keys.version], [READ, 1]);
    assert.equal(keys.current(TABLE), entry, 'the very same');
  });

  it('says what a table is, by each of its columns', async () => {
    const { server, keys } = catalogs();
    await keys.reload();
    const usual = {
      oid: 20_000,
      printed: 'public.t',
      schema: 'public',
      name: 'public.t',
      isTable: true,
      key: ['id'],
      ancestors: [],
      ancestorsSince: undefined,
      alteredBy: [],
      keySince: 700,
      seenFrom: 900,
      virtualColumns: [],
      identityHoldsKey: true,
    };
    assert.deepEqual(keys.current(TABLE), usual);
    server.rows = [
      {
        ...ROW,
        is_table: false,
        holds: false,
        ancestors: ['public.p'],
        changed: 650,
        virtual: ['w'],
        ages: [10, null, 2_147_483_647, 250, 10, 950],
      },
    ];
    await keys.reload();
    assert.deepEqual(keys.current(TABLE), {
      ...usual,
      isTable: false,
      identityHoldsKey: false,
      ancestors: ['public.p'],
      ancestorsSince: 650,
      virtualColumns: ['w'],
      // As 32 bits; each once, and none for ids that belong to no transaction.
      alteredBy: [650, 890, 2 ** 32 - 50],
    });
    server.rows = [{ ...ROW, key: null }];
    await keys.reload();
    assert.deepEqual([keys.current(TABLE)?.key, keys.current(TABLE)?.keySince], [[], undefined]);
  });

  it('is looked up by name and by number, and goes through all', async () => {
    const { server, keys } = catalogs();
    server.rows = [ROW, { ...ROW, oid: 20_001, printed: 'public.u' }];
    assert.equal(await keys.reload(), 2, 'so many have a key');
    assert.equal(keys.byOid(20_001)?.printed, 'public.u');
    assert.equal(keys.byOid(7), undefined);
    assert.deepEqual(
      [...keys.tables()].map(({ printed }) => printed),
      ['public.t', 'public.u'],
    );
    server.rows = [{ ...ROW, key: null }];
    assert.equal(await keys.reload(), 0);
    assert.equal(keys.byOid(20_001), undefined, 'it is gone');
  });

  it('knows no table before it was read', () => {
    const { keys } = catalogs();
    assert.deepEqual([keys.current(TABLE), keys.earlier(TABLE), keys.overBefore], [undefined, [], undefined]);
    assert.equal(keys.isOver(1), false);
  });

  it('says what its log line says: how many tables, how many with a key, and how long it took', async () => {
    const { server, log, keys } = catalogs();
    server.rows = [ROW, { ...ROW, printed: 'public.k', key: null }];
    await keys.reload();
    assert.deepEqual(log.lines, ['debug Read the primary keys.']);
    assert.deepEqual(log.fieldsOf('Read'), [{ tables: 2, keyed: 1, version: 1, milliseconds: 0 }]);
  });

  it('fails in the operator’s words', async () => {
    const { server, keys } = catalogs();
    server.error = refusal('57P01');
    await assert.rejects(keys.reload(), { code: 'DATABASE_UNREACHABLE' });
    server.error = new TypeError('of ours');
    await assert.rejects(keys.reload(), server.error);
  });
});

describe('transactions, by the last look', () => {
  it('are over where its snapshot says so, which the next look renews', async () => {
    const { server, keys } = catalogs();
    server.over = 777;
    await keys.refreshIfStale(0n);
    assert.deepEqual([keys.isOver(849), keys.isOver(850), keys.isOver(900)], [true, false, false]);
    assert.equal(keys.overBefore, 777);
    server.snapshot = '900:901:';
    server.over = null;
    await keys.refreshIfStale(0n);
    assert.deepEqual([keys.isOver(850), keys.isOver(900), keys.isOver(901)], [true, true, false]);
    assert.equal(keys.overBefore, undefined);
  });

  it('I11: are not over where they ended behind the reading of the tables', async () => {
    const { server, keys } = catalogs();
    server.onRead = () => {
      server.snapshot = '900:900:';
    };
    await keys.refreshIfStale(0n);
    assert.equal(keys.isOver(850), false, 'the tables were read without it');
    await keys.refreshIfStale(0n);
    assert.equal(keys.isOver(850), true);
  });
});

describe('what was true of a table before', () => {
  it('is kept with how far it may have been, and how far it was seen to be', async () => {
    const { server, keys } = catalogs();
    await keys.refreshIfStale(0n);
    server.lsn = 0x200n;
    await keys.refreshIfStale(0n);
    server.lsn = 0x300n;
    server.print = 'two';
    server.rows = [{ ...ROW, key: ['v'] }];
    await keys.refreshIfStale(0n);
    const [before, ...more] = keys.earlier(TABLE);
    assert.deepEqual([before?.key, before?.until, before?.knownUntil, more.length], [['id'], 0x300n, 0x100n, 0]);
    server.lsn = 0x400n;
    server.print = 'three';
    server.rows = [];
    await keys.refreshIfStale(0n);
    assert.deepEqual(
      keys.earlier(TABLE).map(({ key, until }) => [key, until]),
      [
        [['v'], 0x400n],
        [['id'], 0x300n],
      ],
      'of a table that is gone, too; the newest first',
    );
  });

  for (const [what, change] of [
    ['its number', { oid: 20_009 }],
    ['what it is', { is_table: false }],
    ['its replica identity', { holds: false }],
    ['its key', { key: ['id', 'v'] }],
    ['the order of its key', { key: ['di'] }],
    ['its ancestors', { ancestors: ['public.p'] }],
    ['its virtual columns', { virtual: ['w'] }],
    ['when its key was made', { key_since: 701 }],
    ['when its ancestors changed', { changed: 701 }],
    ['who has altered it', { ages: [10] }],
  ] as const)
    it(`is kept where ${what} is another`, async () => {
      const { server, keys } = catalogs();
      await keys.reload();
      server.rows = [{ ...ROW, ...change }];
      await keys.reload();
      assert.deepEqual([keys.earlier(TABLE).length, keys.version], [1, 2]);
      await keys.reload();
      assert.deepEqual([keys.earlier(TABLE).length, keys.version], [1, 2], 'once');
    });

  it('is forgotten once the slot has passed it, and 16 are kept at most', async () => {
    const { server, keys } = catalogs();
    for (let i = 0; i <= 20; i++) {
      server.lsn = 0x100n + BigInt(i);
      server.rows = [{ ...ROW, key: [`k${i}`] }];
      await keys.reload();
    }
    assert.equal(keys.earlier(TABLE).length, 16);
    assert.deepEqual(keys.earlier(TABLE)[0]?.key, ['k19']);
    const version = keys.version;
    await keys.refreshIfStale(0x113n);
    assert.deepEqual(
      keys.earlier(TABLE).map(({ key }) => key),
      [['k19']],
    );
    assert.equal(keys.version, version + 1, 'what is decided by it is decided anew');
    await keys.refreshIfStale(0x113n);
    assert.equal(keys.version, version + 1);
    await keys.refreshIfStale(0x114n);
    assert.deepEqual([keys.earlier(TABLE), keys.version], [[], version + 2]);
  });

  it('I8: takes no memory once it is forgotten, not even for the names of tables that are gone', async () => {
    const { server, keys, texts, calls } = catalogs();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const held = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const rounds = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        server.lsn++;
        const names = Array.from({ length: 1_000 }, (_, n) => `staging.t_${server.lsn}_${n}`);
        server.rows = names.map((printed, oid) => ({ ...ROW, oid, printed }));
        await keys.reload();
        await keys.refreshIfStale(server.lsn);
        texts.length = calls().length = 0;
      }
    };
    await rounds(5);
    const before = held();
    await rounds(100);
    const grown = held() - before;
    assert.ok(grown < 4 * 1024 * 1024, `${grown} bytes are kept of 100,000 tables`);
  });
});

describe('what the catalogs are asked', () => {
  it('is of virtual columns where there are any, and a first one is looked at in that form', async () => {
    const { server, keys, calls, texts } = catalogs();
    server.rows = [{ ...ROW, virtual: ['w'] }];
    await keys.reload();
    assert.deepEqual(calls(), ['look', 'read', ...READ]);
    const looks = texts
      .filter((text) => text.endsWith(') AS print'))
      .map((text) => text.includes("attgenerated = 'v'"));
    assert.deepEqual(looks, [false, true]);
    await keys.refreshIfStale(0n);
    assert.deepEqual(calls(), ['look']);
  });

  it('is of each alteration where lists say what must not be seen', async () => {
    for (const hasExclusions of [true, false]) {
      const { keys, texts } = catalogs({ hasExclusions });
      await keys.reload();
      assert.deepEqual(
        [texts.some((text) => text.includes('ARRAY[h.made')), texts.some((text) => text.includes('sum(xmin::text'))],
        [hasExclusions, hasExclusions],
      );
    }
  });
});
