/** The checks of `check` and `status`: each fact, what it means, and what to do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StandbyFacts } from '../../../lambda/health/failover-health.ts';
import type { Finding } from '../../../lambda/health/finding.ts';
import { explainRetention } from '../../../lambda/health/retained-wal.ts';
import { checkServer, type ServerFacts } from '../../../lambda/health/server-health.ts';
import { checkSlot, type SlotFacts, type SlotState } from '../../../lambda/health/slot-health.ts';
import { checkStream, type StreamFacts } from '../../../lambda/health/stream-health.ts';
import type { TableFacts } from '../../../lambda/health/tables-health.ts';
import { readConfig } from '../../../lambda/settings/config.ts';

const SLOT: SlotFacts = {
  plugin: 'test_decoding',
  type: 'logical',
  database: 'app',
  temporary: false,
  confirmedFlush: 16n,
  restart: 8n,
  walStatus: 'reserved',
  twoPhase: false,
  invalidationReason: undefined,
  failover: false,
  synced: false,
};
const STANDBY: StandbyFacts = { name: 'phys', active: true, behindBytes: 0, fault: undefined };
const TABLE: TableFacts = {
  name: 'public.users',
  ancestors: [],
  partitioned: false,
  columns: ['id', 'name'],
  key: ['id'],
  deferrable: false,
  replicaIdentity: 'd',
  identityCoversKey: false,
};
const SERVER: ServerFacts = {
  serverVersion: '18.4',
  serverVersionNum: 180_004,
  database: 'app',
  encoding: 'UTF8',
  standby: false,
  walLevel: 'logical',
  maxReplicationSlots: 10,
  slotsInUse: 1,
  maxSlotWalKeepMib: 1024,
  awaited: [],
  standbySlotFaults: [],
  physicalSlots: [],
  role: { name: 'cdc', superuser: false, replication: true, rdsReplication: undefined },
  slot: SLOT,
  slotReader: undefined,
  tables: [TABLE],
};
const config = (env: Record<string, string> = {}) =>
  readConfig({ PGHOST: 'h', PGDATABASE: 'app', PGUSER: 'u', ...env });
const find = (findings: Finding[], check: string): Finding => {
  const found = findings.find((finding) => finding.check === check);
  assert.ok(found, check);
  return found;
};

describe('checkServer', () => {
  it('finds nothing to do where all is well', () => {
    for (const finding of checkServer(SERVER, config()))
      assert.deepEqual([finding.check, finding.state, finding.todo], [finding.check, 'ok', undefined]);
  });

  const role = SERVER.role;
  const cases: [what: string, facts: Partial<ServerFacts>, check: string, state: string, said: RegExp][] = [
    ['an old server', { serverVersionNum: 90_624, serverVersion: '9.6' }, 'server version', 'fault', /10 to 18/],
    [
      'a server newer than tried',
      { serverVersionNum: 190_000, serverVersion: '19' },
      'server version',
      'warning',
      /newest tried/,
    ],
    ['wal_level replica', { walLevel: 'replica' }, 'wal_level', 'fault', /rds\.logical_replication = 1/],
    [
      'a role without rights',
      { role: { ...role, replication: false } },
      'role',
      'fault',
      /ALTER ROLE "cdc" REPLICATION/,
    ],
    [
      'a role without rights on RDS',
      { role: { ...role, replication: false, rdsReplication: false } },
      'role',
      'fault',
      /GRANT rds_replication TO "cdc"/,
    ],
    ['a superuser', { role: { ...role, replication: false, superuser: true } }, 'role', 'ok', /superuser/],
    [
      'a member of rds_replication',
      { role: { ...role, replication: false, rdsReplication: true } },
      'role',
      'ok',
      /rds_replication/,
    ],
    ['bytes of unknown meaning', { encoding: 'SQL_ASCII' }, 'encoding', 'warning', /faithfully/],
    ['another encoding', { encoding: 'LATIN1' }, 'encoding', 'ok', /LATIN1/],
    ['no slot', { slot: undefined }, 'slot', 'missing', /create-slot/],
    ['no slot to tell the plugin by', { slot: undefined }, 'plugin', 'unknown', /create-slot/],
    ['no slot and no room for one', { slot: undefined, slotsInUse: 10 }, 'max_replication_slots', 'fault', /10 of 10/],
    ['a full house, ourselves in it', { slotsInUse: 10 }, 'max_replication_slots', 'ok', /10 of 10/],
    ['another plugin', { slot: { ...SLOT, plugin: 'pgoutput' } }, 'plugin', 'fault', /pgoutput/],
    [
      'a plugin that the server does not allow',
      { outputPlugins: ['pgoutput', 'wal2json'] },
      'plugin',
      'fault',
      /does not allow test_decoding: output_plugin_libraries has pgoutput, wal2json.*copy-slot/,
    ],
    [
      'the same before there is a slot',
      { slot: undefined, outputPlugins: [] },
      'plugin',
      'fault',
      /output_plugin_libraries has none/,
    ],
    ['a plugin that it allows', { outputPlugins: ['pgoutput', 'test_decoding'] }, 'plugin', 'ok', /test_decoding/],
    ['another database', { slot: { ...SLOT, database: 'x' } }, 'slot', 'fault', /belongs to database x/],
    ['a physical slot', { slot: { ...SLOT, type: 'physical' } }, 'slot', 'fault', /physical/],
    ['a temporary slot', { slot: { ...SLOT, temporary: true } }, 'slot', 'fault', /temporary/],
    ['a two-phase slot', { slot: { ...SLOT, twoPhase: true } }, 'slot', 'fault', /two_phase/],
    ['a lost slot', { slot: { ...SLOT, walStatus: 'lost' } }, 'slot', 'fault', /lost.*reload/],
    [
      'an invalidated slot',
      { slot: { ...SLOT, invalidationReason: 'wal_removed' } },
      'slot',
      'fault',
      /lost \(wal_removed\)/,
    ],
    ['a slot about to be lost', { slot: { ...SLOT, walStatus: 'unreserved' } }, 'slot', 'warning', /Drain it now/],
    ['no limit on WAL', { maxSlotWalKeepMib: -1 }, 'max_slot_wal_keep_size', 'warning', /fills the disk/],
    [
      'no such limit before 13',
      { maxSlotWalKeepMib: undefined },
      'max_slot_wal_keep_size',
      'warning',
      /before PostgreSQL 13/,
    ],
    [
      'a standby that is away',
      { slot: { ...SLOT, failover: true }, awaited: [{ ...STANDBY, active: false, behindBytes: 4096 }] },
      'standbys',
      'warning',
      /phys: not connected, 4096 bytes behind .*gone for good/,
    ],
    ['a standby that is well', { awaited: [STANDBY] }, 'standbys', 'ok', /phys: connected, 0 bytes/],
    ['a bad STANDBY_SLOTS', { standbySlotFaults: ['there is no slot "x"'] }, 'standbys', 'fault', /no slot "x"/],
    [
      'a failover slot without a bound',
      { slot: { ...SLOT, failover: true } },
      'standbys',
      'warning',
      /stream can hold changes that the new primary does not have .*synchronized_standby_slots/,
    ],
    [
      'a slot that a failover loses',
      { physicalSlots: ['phys'] },
      'failover',
      'warning',
      /phys; a failover to one of them loses this slot.*SLOT_FAILOVER=on/,
    ],
    [
      'the same before 17',
      { physicalSlots: ['phys'], serverVersionNum: 160_004 },
      'failover',
      'warning',
      /come with PostgreSQL 17/,
    ],
    ['a failover slot', { slot: { ...SLOT, failover: true } }, 'failover', 'ok', /synchronised to standbys/],
    ['no standby at all', {}, 'standbys', 'ok', /none/],
    [
      'a standby in place of the primary',
      { standby: true, slot: undefined },
      'server role',
      'fault',
      /a standby.*Connect to the primary/,
    ],
    [
      "a standby's copy",
      { standby: true, slot: { ...SLOT, synced: true, temporary: true } },
      'slot',
      'fault',
      /not ready yet.*Connect to the primary/,
    ],
    ['a slot on a standby', { standby: true }, 'server role', 'ok', /the slot is its own/],
    [
      'a slot on a standby, and a standby that cannot be waited for',
      { standby: true, standbySlotFaults: ['there is no slot "x"'] },
      'standbys',
      'fault',
      /STANDBY_SLOTS: there is no slot "x"/,
    ],
    ['a slot on a standby of 15', { standby: true, serverVersionNum: 150_000 }, 'server role', 'fault', /a standby/],
    ['a table without key', { tables: [{ ...TABLE, key: [] }] }, 'primary keys', 'warning', /public\.users/],
    [
      'IDENTITY NOTHING',
      { tables: [{ ...TABLE, replicaIdentity: 'n' }] },
      'REPLICA IDENTITY',
      'fault',
      /public\.users \(NOTHING\)/,
    ],
    ['a deferrable key', { tables: [{ ...TABLE, deferrable: true }] }, 'REPLICA IDENTITY', 'fault', /deferrable/],
    [
      'a deferrable key, FULL',
      { tables: [{ ...TABLE, deferrable: true, replicaIdentity: 'f' }] },
      'primary keys',
      'warning',
      /1 of 1 tables have none and are not published: public\.users \(a deferrable key/,
    ],
    [
      'a slot that another process reads',
      { slotReader: { description: 'backend 7 (user x)', ours: false } },
      'slot',
      'fault',
      /in use by backend 7 \(user x\) No run can read it/,
    ],
    ['a slot that a run reads', { slotReader: { description: 'backend 7', ours: true } }, 'slot', 'ok', /by a run/],
    [
      'a slot half made',
      { slot: { ...SLOT, confirmedFlush: undefined }, slotReader: { description: 'backend 7', ours: true } },
      'slot',
      'fault',
      /half made.*backend 7.*waits/,
    ],
    [
      'an index without the key',
      { tables: [{ ...TABLE, replicaIdentity: 'i' }] },
      'REPLICA IDENTITY',
      'fault',
      /USING INDEX/,
    ],
    [
      'an index with the key',
      { tables: [{ ...TABLE, replicaIdentity: 'i', identityCoversKey: true }] },
      'REPLICA IDENTITY',
      'ok',
      /every/,
    ],
    [
      'tables of other tools',
      { tables: [TABLE, { ...TABLE, name: 'repack.log_1', key: [] }, { ...TABLE, name: 'squeeze.log' }] },
      'tables of pg_repack, pg_squeeze and replicas',
      'ok',
      /left out by default: repack\.log_1, squeeze\.log/,
    ],
    [
      'a partitioned table, which holds no rows',
      { tables: [{ ...TABLE, partitioned: true, key: [], replicaIdentity: 'n' }] },
      'primary keys',
      'ok',
      /no table is selected/,
    ],
  ];
  for (const [what, facts, check, state, said] of cases) {
    it(`tells ${what}: ${state}`, () => {
      const finding = find(checkServer({ ...SERVER, ...facts }, config()), check);
      assert.equal(finding.state, state);
      assert.match(`${finding.found} ${finding.todo ?? ''}`, said);
    });
  }

  it('lets tables be that filters exclude, also by a partition’s ancestors', () => {
    const tables = [{ ...TABLE, name: 'a.leaf', ancestors: ['a.parent'], replicaIdentity: 'n' }];
    assert.equal(
      find(checkServer({ ...SERVER, tables }, config({ TABLE_EXCLUDE_LIST: 'a\\.parent' })), 'REPLICA IDENTITY').state,
      'ok',
    );
    assert.equal(
      find(checkServer({ ...SERVER, tables }, config({ TABLE_INCLUDE_LIST: 'b\\..*' })), 'REPLICA IDENTITY').state,
      'ok',
    );
    assert.equal(
      find(checkServer({ ...SERVER, tables }, config({ TABLE_EXCLUDE_LIST: 'leaf' })), 'REPLICA IDENTITY').state,
      'fault',
    );
  });

  for (const [what, env, state, said] of [
    [
      'an include list that leaves nothing',
      { TABLE_INCLUDE_LIST: 'users' },
      'fault',
      /no table is left.*INCLUDE_LIST users/,
    ],
    ['an exclude list that leaves nothing', { TABLE_EXCLUDE_LIST: '.*' }, 'fault', /no table is left/],
    [
      'a key that is not to be published',
      { COLUMN_EXCLUDE_LIST: '.*\\.id', FORMAT: 'json' },
      'fault',
      /public\.users\.id/,
    ],
  ] as const) {
    it(`tells ${what}: ${state}`, () => {
      const finding = find(checkServer(SERVER, config(env)), 'filters');
      assert.equal(finding.state, state);
      assert.match(finding.found, said);
    });
  }

  it('is content with a database that has no table yet, and no list', () => {
    assert.equal(find(checkServer({ ...SERVER, tables: [] }, config()), 'filters').state, 'ok');
    const listed = config({ TABLE_INCLUDE_LIST: 'a\\.b' });
    assert.equal(find(checkServer({ ...SERVER, tables: [] }, listed), 'filters').state, 'fault');
  });

  it('names each filter that matches nothing', () => {
    const finding = find(
      checkServer(
        SERVER,
        config({
          TABLE_INCLUDE_LIST: 'public\\..*,Users',
          TABLE_EXCLUDE_LIST: 'x\\..*',
          COLUMN_EXCLUDE_LIST: 'public\\.users\\.name,public\\.users\\.nam',
          FORMAT: 'json',
        }),
      ),
      'filters',
    );
    assert.equal(finding.state, 'warning');
    assert.equal(
      finding.found,
      'matching nothing: TABLE_INCLUDE_LIST Users, TABLE_EXCLUDE_LIST x\\..*, COLUMN_EXCLUDE_LIST public\\.users\\.nam',
    );
  });
});

describe('checkSlot', () => {
  const stranger = { description: 'backend 7', ours: false };
  for (const [state, slot, reader] of [
    ['ok', SLOT, undefined],
    ['ok', SLOT, { description: 'backend 7', ours: true }],
    ['missing', undefined, undefined],
    ['at-risk', { ...SLOT, walStatus: 'unreserved' }, undefined],
    ['in-use', { ...SLOT, walStatus: 'unreserved' }, stranger],
    ['physical', { ...SLOT, type: 'physical', plugin: undefined, database: undefined }, undefined],
    ['other-plugin', { ...SLOT, plugin: 'pgoutput' }, stranger],
    ['other-database', { ...SLOT, database: 'x' }, undefined],
    ['temporary', { ...SLOT, temporary: true }, stranger],
    ['two-phase', { ...SLOT, twoPhase: true }, undefined],
    ['lost', { ...SLOT, walStatus: 'lost', confirmedFlush: undefined }, undefined],
    ['half-made', { ...SLOT, confirmedFlush: undefined }, stranger],
  ] satisfies [SlotState, SlotFacts | undefined, { description: string; ours: boolean } | undefined][]) {
    it(`tells ${state}${reader === undefined ? '' : reader.ours ? ', read by a run' : ', read by another'}`, () => {
      const health = checkSlot(slot, reader, 'app', 'test_decoding');
      assert.equal(health.state, state);
      assert.equal(health.todo === undefined, state === 'ok');
      assert.doesNotMatch(health.todo ?? '', /pg_drop|drop that/i);
    });
  }
});

describe('checkStream', () => {
  const where = ' in eu-west-1 (localhost:4567)';
  const found: StreamFacts & { kind: 'found' } = {
    kind: 'found',
    where,
    status: 'ACTIVE',
    encrypted: true,
    shards: 4,
    onDemand: true,
    retentionHours: 24,
    maxRecordKib: 1024,
  };
  const cases: [what: string, facts: StreamFacts, env: Record<string, string>, state: string, said?: RegExp][] = [
    ['an active stream', found, {}, 'ok', /PutRecords is allowed is not known/],
    ['one that is being resharded', { ...found, status: 'UPDATING' }, {}, 'ok'],
    ['one that is going', { ...found, status: 'DELETING' }, {}, 'fault'],
    ['records larger than it takes', found, { MAX_RECORD_KIB: '2048' }, 'fault'],
    ['a limit it does not tell', { ...found, maxRecordKib: undefined }, { MAX_RECORD_KIB: '2048' }, 'ok'],
    ['as many shards as lanes', { ...found, shards: 64 }, {}, 'ok'],
    ['more shards than lanes', { ...found, shards: 65 }, {}, 'warning'],
    ['more shards than lanes, where lanes do not matter', { ...found, shards: 65 }, { AGGREGATION: 'none' }, 'ok'],
    ['shards among which the lanes are uneven', { ...found, shards: 48 }, {}, 'warning'],
    ['shards among which they are nearly even', { ...found, shards: 20 }, {}, 'ok'],
    ['no shards known', { ...found, shards: 0 }, {}, 'ok'],
    ['none', { kind: 'missing', where }, {}, 'missing', /in eu-west-1 \(localhost:4567\)/],
    ['one that may not be described', { kind: 'denied', where }, {}, 'unknown', /PutRecords is allowed is not known/],
    [
      'one that is not reached',
      { kind: 'unreachable', where, reason: 'ECONNREFUSED' },
      {},
      'fault',
      /localhost:4567.*ECONNREF/,
    ],
    ['one that does not answer', { kind: 'silent', where, seconds: 10 }, {}, 'fault', /within 10 s/],
    ['no region', { kind: 'no-region' }, {}, 'fault', /AWS_REGION/],
    [
      'no credentials',
      { kind: 'no-credentials', where, reason: 'ExpiredToken', remedy: 'sign in' },
      {},
      'fault',
      /ExpiredToken.*sign in/,
    ],
    ['another answer', { kind: 'failed', where, reason: 'ValidationException' }, {}, 'unknown', /ValidationException/],
  ];
  for (const [what, facts, env, state, said = /./] of cases)
    it(`tells ${what}: ${state}`, () => {
      const finding = checkStream(facts, config(env));
      assert.equal(finding.state, state);
      assert.match(`${finding.found} ${finding.todo ?? ''}`, said);
    });
});

describe('explainRetention', () => {
  const facts = { flush: 100n, confirmedFlush: 90n, restart: 40n, oldestTransaction: undefined, olderSlots: [] };
  it('tells unread changes, and the decoding position behind them', () => {
    assert.deepEqual(
      explainRetention(facts).map(({ what, bytes }) => [what, bytes]),
      [
        ['unread changes', 10],
        ['decoding position', 50],
      ],
    );
  });
  it('names an open transaction, and other slots', () => {
    const reasons = explainRetention({
      ...facts,
      oldestTransaction: 'backend 7',
      olderSlots: [{ name: 'old', restart: 5n, active: false }],
    });
    assert.deepEqual(
      reasons.map(({ what, bytes }) => [what, bytes]),
      [
        ['unread changes', 10],
        ['open transaction', 50],
        ['other slot', 95],
      ],
    );
    assert.match(reasons.map(({ detail }) => detail).join(), /backend 7.*"old" keeps more than this one/);
  });
  it('says when another slot was read last, where that is known, and never that nobody needs it', () => {
    const detail = (slot: { active: boolean; inactiveSince?: string }): string =>
      explainRetention({ ...facts, olderSlots: [{ name: 'old', restart: 5n, ...slot }] }).at(-1)?.detail ?? '';
    assert.match(detail({ active: true }), /being read just now/);
    assert.match(
      detail({ active: false, inactiveSince: '2026-01-02T03:04:05+00' }),
      /last read at 2026-01-02T03:04:05/,
    );
    assert.match(detail({ active: false }), /says nothing: between two runs that is so/);
    assert.doesNotMatch(detail({ active: false }), /drop/);
  });
  it('says that a run that lingers is slow where much is decoded again, and of no other', () => {
    const mib = 1024n * 1024n;
    const much = { ...facts, flush: 500n * mib, confirmedFlush: 500n * mib, restart: 100n * mib };
    const detail = (more: Partial<Parameters<typeof explainRetention>[0]>) =>
      explainRetention({ ...much, ...more })[0]?.detail ?? '';
    const slow =
      /decodes these bytes again\. It reads less often, so that this takes at most 15% of a core \(LINGER_DUTY\)/;
    assert.match(detail({ lingerDutyPercent: 15 }), slow);
    assert.match(detail({ lingerDutyPercent: 15, oldestTransaction: 'backend 7.' }), /backend 7\. Each read/);
    assert.doesNotMatch(detail({}), /lingers/);
    assert.doesNotMatch(detail({ lingerDutyPercent: 15, restart: 490n * mib }), /lingers/);
  });
  it('says of a slot that no run reads that no run will let it go', () => {
    assert.deepEqual(explainRetention({ ...facts, refused: 'of the plugin pgoutput' }), [
      { what: 'this slot', bytes: 60, detail: 'No run reads it: of the plugin pgoutput.' },
    ]);
  });
  it('tells nothing where nothing is kept', () =>
    assert.deepEqual(explainRetention({ ...facts, confirmedFlush: 100n, restart: 100n }), []));
});

describe('what check says of tables under wal2json', () => {
  const checked = (table: Partial<TableFacts>): Finding =>
    find(
      checkServer({ ...SERVER, tables: [{ ...TABLE, ...table }] }, config({ PLUGIN: 'wal2json' })),
      'REPLICA IDENTITY',
    );

  it('names those whose UPDATEs and DELETEs the plugin leaves out', () => {
    for (const table of [{ replicaIdentity: 'n' }, { deferrable: true }]) {
      const { state, found, todo } = checked(table);
      assert.equal(state, 'fault');
      assert.match(found, /wal2json leaves out every UPDATE and DELETE of: public\.users/);
      assert.match(todo ?? '', /REPLICA IDENTITY DEFAULT/);
    }
  });

  it('says of an index that is not the key what it says under every plugin', () => {
    assert.match(checked({ replicaIdentity: 'i' }).found, /does not send the old key of: public\.users/);
  });
});

describe('what check says of tables under pgoutput', () => {
  const PUBLISHABLE = { sql: '', hasKey: true, hasIdentity: true, rowFilter: false, columnList: false };
  const OTHER = { ...PUBLISHABLE, name: 'public.others', published: true, leavesOutKey: false };
  const checked = (
    table: Partial<TableFacts>,
    publishable: { published: boolean; leavesOutKey: boolean },
    env = {},
    others = [OTHER],
  ) =>
    checkServer(
      {
        ...SERVER,
        slot: { ...SLOT, plugin: 'pgoutput' },
        tables: [{ ...TABLE, ...table }],
        publications: {
          found: [{ name: 'pub', lacks: [], viaRoot: false, isNewerThanSlot: false }],
          tables: [{ ...PUBLISHABLE, ...publishable, name: TABLE.name }, ...others],
        },
      },
      config({ PLUGIN: 'pgoutput', PUBLICATIONS: 'pub', ...env }),
    );

  it('finds a key that a publication lacks where the lists name the table above', () => {
    const lists = { TABLE_INCLUDE_LIST: 'public\\.all' };
    const findings = checked({ ancestors: ['public.all'] }, { published: true, leavesOutKey: true }, lists);
    assert.equal(find(findings, 'publications').state, 'fault');
  });

  it('finds no fault in a table that no publication has: nothing of it is read', () => {
    const table = { replicaIdentity: 'n' };
    const lists = { COLUMN_EXCLUDE_LIST: 'public\\.users\\.id' };
    const faults = (published: boolean, others = [OTHER]) =>
      checked(table, { published, leavesOutKey: false }, lists, others)
        .filter(({ state }) => state === 'fault')
        .map(({ check }) => check);
    assert.deepEqual(faults(false), []);
    assert.deepEqual(faults(true), ['REPLICA IDENTITY', 'filters']);
    // Before it has any table.
    assert.deepEqual(faults(false, []), ['REPLICA IDENTITY', 'filters']);
  });
});
