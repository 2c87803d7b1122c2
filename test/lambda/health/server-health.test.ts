/** The judge of `check` and `status`: each fact, what it means, and what to do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainRetention } from '../../../lambda/health/retained-wal.ts';
import {
  type Finding,
  judgeServer,
  type ServerFacts,
  type SlotFacts,
  type TableFacts,
} from '../../../lambda/health/server-health.ts';
import { judgeStream, type StreamFacts } from '../../../lambda/health/stream-health.ts';
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
};
const TABLE: TableFacts = {
  name: 'public.users',
  ancestors: [],
  partitioned: false,
  columns: ['id', 'name'],
  hasPrimaryKey: true,
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
  synchronizedStandbySlots: '',
  role: { name: 'cdc', superuser: false, replication: true, rdsReplication: undefined },
  slot: SLOT,
  tables: [TABLE],
};
const config = (env: Record<string, string> = {}) =>
  readConfig({ PGHOST: 'h', PGDATABASE: 'app', PGUSER: 'u', ...env });
const find = (findings: Finding[], check: string): Finding => {
  const found = findings.find((finding) => finding.check === check);
  assert.ok(found, check);
  return found;
};

describe('judgeServer', () => {
  it('finds nothing to do where all is well', () => {
    for (const finding of judgeServer(SERVER, config()))
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
      'standbys waited for',
      { slot: { ...SLOT, failover: true }, synchronizedStandbySlots: 'sb1' },
      'failover',
      'warning',
      /sb1/,
    ],
    ['a failover slot that waits for none', { slot: { ...SLOT, failover: true } }, 'failover', 'ok', /waits for none/],
    [
      'a table without key',
      { tables: [{ ...TABLE, hasPrimaryKey: false }] },
      'primary keys',
      'warning',
      /public\.users/,
    ],
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
      'REPLICA IDENTITY',
      'ok',
      /every/,
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
      'a partitioned table, which holds no rows',
      { tables: [{ ...TABLE, partitioned: true, hasPrimaryKey: false, replicaIdentity: 'n' }] },
      'primary keys',
      'ok',
      /0 tables/,
    ],
  ];
  for (const [what, facts, check, state, said] of cases) {
    it(`tells ${what}: ${state}`, () => {
      const finding = find(judgeServer({ ...SERVER, ...facts }, config()), check);
      assert.equal(finding.state, state);
      assert.match(`${finding.found} ${finding.todo ?? ''}`, said);
    });
  }

  it('lets tables be that filters exclude, also by a partition’s ancestors', () => {
    const tables = [{ ...TABLE, name: 'a.leaf', ancestors: ['a.parent'], replicaIdentity: 'n' }];
    assert.equal(
      find(judgeServer({ ...SERVER, tables }, config({ TABLE_EXCLUDE_LIST: 'a\\.parent' })), 'REPLICA IDENTITY').state,
      'ok',
    );
    assert.equal(
      find(judgeServer({ ...SERVER, tables }, config({ TABLE_INCLUDE_LIST: 'b\\..*' })), 'REPLICA IDENTITY').state,
      'ok',
    );
    assert.equal(
      find(judgeServer({ ...SERVER, tables }, config({ TABLE_EXCLUDE_LIST: 'leaf' })), 'REPLICA IDENTITY').state,
      'fault',
    );
  });

  it('names each filter that matches nothing', () => {
    const finding = find(
      judgeServer(
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

describe('judgeStream', () => {
  const found: StreamFacts = {
    kind: 'found',
    status: 'ACTIVE',
    encrypted: true,
    shards: 4,
    onDemand: true,
    retentionHours: 24,
    maxRecordKib: 1024,
  };
  const cases: [what: string, facts: StreamFacts, env: Record<string, string>, state: string][] = [
    ['an active stream', found, {}, 'ok'],
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
    ['none', { kind: 'missing' }, {}, 'missing'],
    ['one that may not be described', { kind: 'denied' }, {}, 'unknown'],
    ['one that does not answer', { kind: 'unreachable', reason: 'ETIMEDOUT' }, {}, 'unknown'],
  ];
  for (const [what, facts, env, state] of cases)
    it(`tells ${what}: ${state}`, () => assert.equal(judgeStream(facts, config(env)).state, state));
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
    assert.match(reasons.map(({ detail }) => detail).join(), /backend 7.*"old", which nobody reads/);
  });
  it('tells nothing where nothing is kept', () =>
    assert.deepEqual(explainRetention({ ...facts, confirmedFlush: 100n, restart: 100n }), []));
});
