/** How the catalogs' rows are understood: each column for what it is, and what a server does not have for unknown. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCheck, readTables } from '../../../lambda/postgres/check-queries.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { readHandedOver, writeHandedOver } from '../../../lambda/postgres/handed-over-position.ts';
import { readPublications, requirePublications } from '../../../lambda/postgres/publication-queries.ts';
import {
  describeTransaction,
  readBlocker,
  readFlushLsn,
  readOldestTransaction,
  readSession,
  readSlotRow,
  readStatus,
  toSlotRow,
} from '../../../lambda/postgres/status-queries.ts';
import { TypeCatalog } from '../../../lambda/postgres/type-catalog.ts';
import { TypeNames } from '../../../lambda/postgres/type-names.ts';
import { refusal, scriptedServer, withEach } from './scripted-server.ts';

const SLOT = {
  plugin: 'pgoutput',
  slot_type: 'logical',
  database: 'app',
  temporary: false,
  active_pid: 4711,
  restart_lsn: '0/10',
  confirmed_flush_lsn: '0/20',
  wal_status: 'extended',
  safe_wal_size: 4_096,
  two_phase: false,
  invalidation_reason: 'wal_removed',
  synced: false,
  failover: false,
  inactive_since: '2026-01-02T03:04:05Z',
};

const SLOT_ROW = {
  name: 's',
  plugin: 'pgoutput',
  type: 'logical',
  database: 'app',
  temporary: false,
  activePid: 4711,
  restart: 0x10n,
  confirmedFlush: 0x20n,
  walStatus: 'extended',
  safeWalBytes: 4_096,
  twoPhase: false,
  invalidationReason: 'wal_removed',
  synced: false,
  failover: false,
  inactiveSince: '2026-01-02T03:04:05Z',
};

/** The fields of two objects that differ. */
function differences(a: object, b: object): Record<string, unknown> {
  const other: Record<string, unknown> = { ...b };
  return Object.fromEntries(Object.entries(a).filter(([name, value]) => value !== other[name]));
}

describe('a row of pg_replication_slots', () => {
  it('is told by each of its columns', () => {
    assert.deepEqual(toSlotRow('s', SLOT), SLOT_ROW);
  });

  it('has its properties one by one', () => {
    for (const [column, field] of [
      ['temporary', 'temporary'],
      ['two_phase', 'twoPhase'],
      ['synced', 'synced'],
      ['failover', 'failover'],
    ] as const)
      assert.deepEqual(differences(toSlotRow('s', { ...SLOT, [column]: true }) ?? {}, SLOT_ROW), { [field]: true });
  });

  it('of an old server lacks columns, and then is a logical slot of which the rest is not known', () => {
    assert.deepEqual(toSlotRow('s', { plugin: 'test_decoding' }), {
      ...Object.fromEntries(Object.keys(SLOT_ROW).map((field) => [field, undefined])),
      name: 's',
      plugin: 'test_decoding',
      type: 'logical',
      temporary: false,
      twoPhase: false,
      synced: false,
      failover: false,
    });
    const empty = { ...SLOT, active_pid: null, safe_wal_size: '', restart_lsn: null };
    assert.deepEqual(differences(toSlotRow('s', empty) ?? {}, SLOT_ROW), {
      activePid: undefined,
      safeWalBytes: undefined,
      restart: undefined,
    });
  });

  it('of PostgreSQL 16 says only that there was a conflict', () => {
    for (const [conflicting, reason] of [
      [true, 'conflict'],
      [false, undefined],
    ] as const) {
      const row = { ...SLOT, invalidation_reason: null, conflicting };
      assert.equal(toSlotRow('s', row)?.invalidationReason, reason);
    }
  });

  it('is none where there is no slot', async () => {
    for (const json of [null, undefined]) assert.equal(toSlotRow('s', json), undefined);
    const { client, valuesOf } = scriptedServer([['to_jsonb(s)', [{ slot: SLOT }]]]);
    assert.deepEqual(await readSlotRow(client, 's'), SLOT_ROW);
    assert.deepEqual(valuesOf('slot_name = $1'), [['s']]);
    assert.equal(await readSlotRow(scriptedServer([]).client, 's'), undefined);
  });
});

describe('what status reads', () => {
  const OLDER = { name: 'other', restart: '0/8', active: true, inactive: '2026-01-01' };
  const OPEN = { pid: 7, prepared: null, user: 'app', application: 'psql', age: '12.34', state: 'active' };

  it('is the server, the slot, what keeps more WAL, and the oldest transaction', async () => {
    const { client, valuesOf } = scriptedServer([
      ["current_setting('server_version') AS version", [{ version: '18.1', num: 180001, flush: '0/99' }]],
      ['to_jsonb(s) FROM', [{ slot: SLOT }]],
      ['o.restart_lsn < s.restart_lsn', [OLDER, { ...OLDER, name: 'idle', active: false, inactive: null }]],
      ['backend_xid IS NOT NULL', [OPEN]],
    ]);
    assert.deepEqual(await readStatus(client, 's'), {
      serverVersion: '18.1',
      serverVersionNum: 180001,
      flush: 0x99n,
      slot: SLOT_ROW,
      olderSlots: [
        { name: 'other', restart: 8n, active: true, inactiveSince: '2026-01-01' },
        { name: 'idle', restart: 8n, active: false, inactiveSince: undefined },
      ],
      oldestTransaction: {
        pid: 7,
        prepared: undefined,
        user: 'app',
        application: 'psql',
        ageSeconds: 12.3,
        state: 'active',
      },
    });
    assert.deepEqual(valuesOf('o.restart_lsn'), [['s']]);
  });

  it('is nothing that the server does not tell', async () => {
    const { client } = scriptedServer([]);
    assert.deepEqual(await readStatus(client, 's'), {
      serverVersion: '',
      serverVersionNum: NaN,
      flush: 0n,
      slot: undefined,
      olderSlots: [],
      oldestTransaction: undefined,
    });
    assert.equal(await readFlushLsn(client), undefined);
    for (const read of [readBlocker(client, 7), readSession(client, 7), readOldestTransaction(client)])
      assert.equal(await read, undefined);
    assert.equal(await readFlushLsn(scriptedServer([['AS flush', [{ flush: '1/0' }]]]).client), 1n << 32n);
  });

  it('of a session that others hide is only who it is', async () => {
    const { client, valuesOf } = scriptedServer([
      ['pg_blocking_pids', [{ ...OPEN, application: '', state: null, age: null }]],
      ['backend_start', [{ ...OPEN, pid: undefined }]],
    ]);
    assert.deepEqual(await readBlocker(client, 9), {
      pid: 7,
      prepared: undefined,
      user: 'app',
      application: undefined,
      ageSeconds: undefined,
      state: undefined,
    });
    assert.deepEqual(valuesOf('pg_blocking_pids'), [[9]]);
    assert.equal((await readSession(client, 9))?.pid, 9);
    assert.deepEqual(valuesOf('backend_start'), [[9]]);
  });

  it('is named so that an operator finds it', () => {
    const known = { pid: 7, prepared: undefined, user: 'app', application: 'psql', ageSeconds: 12, state: 'active' };
    assert.equal(describeTransaction(known), 'backend 7 (user app, application psql, open for 12 s, active)');
    const hidden = { ...known, pid: undefined, user: undefined, application: undefined, ageSeconds: undefined };
    assert.equal(
      describeTransaction({ ...hidden, state: undefined }),
      'backend unknown (user unknown, application unnamed, of unknown age, state not visible to this role)',
    );
    assert.equal(
      describeTransaction({ ...known, prepared: 'a"b' }),
      'prepared transaction "a\\"b" (user app, application psql, open for 12 s)',
    );
  });
});

describe('what check reads', () => {
  const SERVER = {
    version: '16.4',
    num: 160004,
    database: 'app',
    encoding: 'UTF8',
    standby: false,
    wal_level: 'logical',
    max_slots: 10,
    slots: 3,
    keep: 512,
    physical: ['near'],
    role: 'cdc',
    rolsuper: false,
    rolreplication: false,
    rds: false,
  };
  const check = (server: Readonly<Record<string, unknown>>, slot: object | null = null) => {
    const script = scriptedServer([
      ["current_setting('server_version') AS version", [server]],
      ['active_pid IS NOT NULL', []],
      ['AS standbys', [{ readable: '0/9', flush: '0/9', standbys: [] }]],
      ['AS readable', [{ readable: '0/9', flush: '0/9' }]],
      ['to_jsonb(s) FROM', [{ slot }]],
    ]);
    return { ...script, rows: readCheck(script.client, 's') };
  };
  const EXPECTED = {
    serverVersion: '16.4',
    serverVersionNum: 160004,
    database: 'app',
    encoding: 'UTF8',
    standby: false,
    walLevel: 'logical',
    outputPlugins: undefined,
    maxReplicationSlots: 10,
    slotsInUse: 3,
    maxSlotWalKeepMib: 512,
    awaited: [],
    standbySlotFaults: [],
    physicalSlots: ['near'],
    role: { name: 'cdc', superuser: false, replication: false, rdsReplication: false },
    slot: undefined,
    slotReader: undefined,
    tables: [],
  };

  it('is told by each of its columns', async () => {
    assert.deepEqual(await check(SERVER).rows, EXPECTED);
    const role = EXPECTED.role;
    for (const [column, changed] of [
      ['standby', { standby: true }],
      ['rolsuper', { role: { ...role, superuser: true } }],
      ['rolreplication', { role: { ...role, replication: true } }],
      ['rds', { role: { ...role, rdsReplication: true } }],
    ] as const)
      assert.deepEqual(await check({ ...SERVER, [column]: true }).rows, { ...EXPECTED, ...changed });
    for (const [list, names] of [
      ['pgoutput, "test_decoding"', ['pgoutput', 'test_decoding']],
      ['', []],
    ] as const)
      assert.deepEqual((await check({ ...SERVER, plugins: list }).rows).outputPlugins, names);
  });

  it('leaves open what an old server, or one that is not of RDS, does not have', async () => {
    const { maxSlotWalKeepMib, physicalSlots, role } = await check({ ...SERVER, keep: null, rds: null, physical: null })
      .rows;
    assert.deepEqual([maxSlotWalKeepMib, physicalSlots, role.rdsReplication], [undefined, [], undefined]);
  });

  it('asks for the standbys of the server’s own list where the slot is a failover slot, and else not', async () => {
    for (const [failover, asked] of [
      [true, [[[], true]]],
      [false, []],
    ] as const) {
      const { rows, valuesOf } = check(SERVER, { ...SLOT, failover });
      assert.equal((await rows).slot?.failover, failover);
      assert.deepEqual(valuesOf('AS standbys'), asked);
    }
  });

  const TABLE = {
    name: 'public.t',
    ancestors: ['public.p'],
    partitioned: false,
    columns: ['id', 'v'],
    key: ['id'],
    deferrable: false,
    identity: 'd',
    covered: false,
  };
  const TOLD = {
    name: 'public.t',
    ancestors: ['public.p'],
    partitioned: false,
    columns: ['id', 'v'],
    key: ['id'],
    deferrable: false,
    replicaIdentity: 'd',
    identityCoversKey: false,
  };

  it('of a table is told by each of its columns', async () => {
    const read = async (row: Readonly<Record<string, unknown>>) =>
      (await readTables(scriptedServer([['pg_class', [row]]]).client))[0] ?? {};
    assert.deepEqual(await read(TABLE), TOLD);
    for (const [column, field] of [
      ['partitioned', 'partitioned'],
      ['deferrable', 'deferrable'],
      ['covered', 'identityCoversKey'],
    ] as const)
      assert.deepEqual(await read({ ...TABLE, [column]: true }), { ...TOLD, [field]: true });
    const bare = await read({ ...TABLE, ancestors: null, columns: null, key: null });
    assert.deepEqual(bare, { ...TOLD, ancestors: [], columns: [], key: [] });
  });
});

describe('what the catalogs say of publications', () => {
  const PUBLICATION = { name: 'cdc', lacks: ['TRUNCATE'], via_root: false, newer: false };
  const TABLE = {
    name: 'public.t',
    sql: 'public.t',
    keyed: false,
    identity: false,
    published: false,
    row_filter: false,
    column_list: false,
    leaves_out_key: false,
  };
  const server = (publications: readonly object[], tables: readonly object[]) =>
    scriptedServer([
      ['FROM pg_publication p', publications as Record<string, unknown>[]],
      ['pg_publication_tables', tables as Record<string, unknown>[]],
    ]);

  it('is told by each of their columns', async () => {
    const { client, valuesOf } = server([PUBLICATION], [TABLE]);
    const told = await readPublications(client, ['cdc'], 's');
    assert.deepEqual(told.found, [{ name: 'cdc', lacks: ['TRUNCATE'], viaRoot: false, isNewerThanSlot: false }]);
    const table = {
      name: 'public.t',
      sql: 'public.t',
      hasKey: false,
      hasIdentity: false,
      published: false,
      rowFilter: false,
      columnList: false,
      leavesOutKey: false,
    };
    assert.deepEqual(told.tables, [table]);
    assert.deepEqual(valuesOf('pg_publication p'), [[['cdc'], 's']]);
    assert.deepEqual(valuesOf('pg_publication_tables'), [[['cdc']]]);
    const each = await withEach(
      TABLE,
      (value) => (value === false ? true : value),
      async (row) =>
        differences((await readPublications(server([], [row]).client, ['cdc'], 's')).tables[0] ?? {}, table),
    );
    assert.deepEqual(Object.fromEntries(each), {
      name: {},
      sql: {},
      keyed: { hasKey: true },
      identity: { hasIdentity: true },
      published: { published: true },
      row_filter: { rowFilter: true },
      column_list: { columnList: true },
      leaves_out_key: { leavesOutKey: true },
    });
  });

  it('leaves open whether one is newer where there is no slot', async () => {
    const { client } = server([{ ...PUBLICATION, lacks: null, newer: null, via_root: true }], []);
    assert.deepEqual((await readPublications(client, ['cdc'], 's')).found, [
      { name: 'cdc', lacks: [], viaRoot: true, isNewerThanSlot: undefined },
    ]);
  });

  const connection = (publications: readonly string[], script: ReturnType<typeof server>) =>
    ({ ...script.client, plugin: { publications } }) as unknown as Connection;

  it('is required before a slot is made, where the plugin reads any', async () => {
    const script = server([PUBLICATION], [TABLE]);
    await requirePublications(connection([], script), 's');
    assert.equal(script.sent.length, 0);
    await requirePublications(connection(['cdc'], script), 's');
  });

  it('fails with PUBLICATION_MISSING, the SQL that makes what is missing, and what that leaves out', async () => {
    const whole = { ...TABLE, keyed: true, identity: true };
    await assert.rejects(requirePublications(connection(['cdc', 'Two'], server([PUBLICATION], [whole])), 's'), {
      code: 'PUBLICATION_MISSING',
      what: 'The slot "s" cannot be made: it is to read "Two", which does not exist (PUBLICATIONS; upper and lower case matter). No slot was made.',
      remedy: 'Make it first, as the tables\' owner: CREATE PUBLICATION "Two" FOR ALL TABLES; Then create-slot.',
    });
    const bare = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ ...TABLE, name: `public.n${i}`, sql: `public.n${i}` }));
    const refused = async (count: number): Promise<string> => {
      const error: unknown = await requirePublications(
        connection(['a', 'b'], server([], [whole, ...bare(count)])),
        's',
      ).catch((caught: unknown) => caught);
      assert.match((error as { what: string }).what, /to read "a", "b", which/);
      return (error as { remedy: string }).remedy;
    };
    const names = Array.from({ length: 20 }, (_, i) => `public.n${i}`).join(', ');
    assert.equal(
      await refused(2),
      'Make it first, as the tables\' owner: CREATE PUBLICATION "a" FOR TABLE public.t; CREATE PUBLICATION "b" FOR TABLE public.t; Then create-slot.' +
        " Not among them, because PostgreSQL would refuse your application's UPDATE and DELETE of it: public.n0, public.n1." +
        ' Give it a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL.',
    );
    assert.ok((await refused(20)).includes(`of it: ${names}. Give`));
    assert.ok((await refused(23)).includes(`of it: ${names} and 3 more. Give`));
  });
});

describe('what the catalogs say of types', () => {
  const connectionTo = (script: ReturnType<typeof scriptedServer>) =>
    ({ ...script.client, context: { host: 'h', port: 1, database: 'd', user: 'u' } }) as unknown as Connection;

  it('is a delimiter that is no comma, and what a domain is made of; the rest is as usual', async () => {
    const types = new TypeCatalog();
    const script = scriptedServer([
      [
        'typdelim',
        [
          { type: 'box', delimiter: ';', base: null },
          { type: 'amount', delimiter: ',', base: 'numeric' },
        ],
      ],
    ]);
    assert.deepEqual([types.delimiterOf('box'), types.baseOf('amount')], [',', 'amount']);
    await types.read(connectionTo(script), 0n);
    assert.deepEqual([types.delimiterOf('box'), types.baseOf('amount')], [';', 'numeric']);
    assert.deepEqual([types.delimiterOf('amount'), types.baseOf('box')], [',', 'box']);
  });

  it('stays of a type that was dropped until the slot has passed that, and no longer', async () => {
    const types = new TypeCatalog();
    const names = new TypeNames();
    /** Reads both, of a server with these types whose WAL ends there. @returns how often that was asked */
    const read = async (oids: readonly number[], lsn: string, consumed: bigint) => {
      const script = scriptedServer([
        ['AS lsn', [{ lsn }]],
        ['typdelim', oids.map((oid) => ({ type: `t${oid}`, delimiter: ';', base: 'text' }))],
        ['AS digest', [{ digest: oids.join() }]],
        ['AS oid', oids.map((oid) => ({ oid, name: `t${oid}` }))],
      ]);
      await types.read(connectionTo(script), consumed);
      await names.read(connectionTo(script), consumed);
      return script.valuesOf('AS lsn').length;
    };
    const known = (oid: number) => [types.delimiterOf(`t${oid}`), types.baseOf(`t${oid}`), names.typeName(oid)];
    const all = (oid: number) => [';', 'text', `t${oid}`];
    const none = (oid: number) => [',', `t${oid}`, undefined];
    assert.equal(await read([1, 2], '0/100', 0n), 0, 'nothing is gone');
    assert.equal(await read([2], '0/200', 0x1ffn), 2, 'asked once by each');
    assert.deepEqual([known(1), known(2)], [all(1), all(2)]);
    await read([2], '0/300', 0x1ffn);
    assert.deepEqual(known(1), all(1), 'rows of it may still come');
    await read([2], '0/300', 0x200n);
    assert.deepEqual([known(1), known(2)], [none(1), all(2)]);
    await read([3], '0/400', 0x200n);
    assert.deepEqual([known(2), known(3)], [all(2), all(3)]);
    await read([3], '0/400', 0x400n);
    assert.deepEqual([known(2), known(3)], [none(2), all(3)]);
  });

  it('fails where something is gone and the server does not say how far its WAL is', async () => {
    const types = new TypeCatalog();
    await types.read(connectionTo(scriptedServer([['typdelim', [{ type: 'box', delimiter: ';', base: null }]]])), 0n);
    await assert.rejects(types.read(connectionTo(scriptedServer([])), 0n), /gave no position/);
    assert.equal(types.delimiterOf('box'), ';');
  });

  it('is read again only where types were made or dropped', async () => {
    const names = new TypeNames();
    let digest = 'one';
    const answers = [
      [
        'AS digest',
        [
          {
            get digest() {
              return digest;
            },
          },
        ],
      ],
      ['AS oid', [{ oid: 23, name: 'integer' }]],
      ['pg_get_keywords', [{ word: 'user' }]],
    ] as const;
    const script = scriptedServer(answers);
    for (let i = 0; i < 3; i++) await names.read(connectionTo(script), 0n);
    assert.equal(script.sent.length, 5);
    assert.deepEqual([names.typeName(23), names.typeName(24)], ['integer', undefined]);
    assert.deepEqual([names.isKeyword('user'), names.isKeyword('cdc')], [true, false]);
    digest = 'two';
    await names.read(connectionTo(script), 0n);
    assert.equal(script.sent.length, 8);
  });

  it('fails in the operator’s words', async () => {
    for (const types of [new TypeCatalog(), new TypeNames()]) {
      const lost = scriptedServer([['SELECT', refusal('57P01')]]);
      await assert.rejects(types.read(connectionTo(lost), 0n), { code: 'DATABASE_UNREACHABLE' });
    }
  });
});

describe('a position that is handed over', () => {
  it('is a statement that shows it, and is read back by whoever waits', async () => {
    const { client, sent } = scriptedServer([]);
    await writeHandedOver(client, '{"rows":7}');
    const text = sent[0]?.text ?? '';
    assert.match(text, /^SELECT 'pg2kinesis left off at [A-Za-z0-9+/=]+' AS position$/);
    const next = scriptedServer([['a.query', [{ query: text }]]]);
    assert.equal(await readHandedOver(next.client, 'lock'), '{"rows":7}');
    assert.match(String(next.sent[0]?.values?.[0]), /^-?\d+$/);
  });

  it('is none where the holder has left none, or it was cut off', async () => {
    const text = `SELECT 'pg2kinesis left off at ${'A'.repeat(1_000)}`;
    for (const rows of [[], [{ query: null }], [{ query: 'SELECT 1' }], [{ query: text }]]) {
      assert.equal(await readHandedOver(scriptedServer([['a.query', rows]]).client, 'lock'), undefined);
    }
  });
});
