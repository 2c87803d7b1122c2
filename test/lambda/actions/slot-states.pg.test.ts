/**
 * Every state that a slot can be in, on a real server: what `status` and `check` call it, and whether a run takes it.
 * None of them may call a slot good that a run refuses.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type pg from 'pg';
import { perform } from '../../../lambda/actions/actions.ts';
import type { CheckAnswer } from '../../../lambda/actions/check.ts';
import type { StatusAnswer } from '../../../lambda/actions/status.ts';
import { systemClock } from '../../../lambda/clock.ts';
import { type Container, createContainer } from '../../../lambda/container.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import { lockKey } from '../../../lambda/postgres/slot-lock.ts';
import type { Action } from '../../../lambda/settings/action-types.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { noMetrics } from '../../../lambda/telemetry/telemetry.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { memoryLog, until } from '../kinesis/publisher-fixtures.ts';
import { eventually } from '../postgres/fixtures.ts';

const SLOT = 'pg2kinesis';

/** How often a run looks whether the slot is free. These waits pass at once, for it waits 2 seconds. */
const POLL_MS = 200;
let skew = 0;
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + skew,
  sleep: async (ms, signal) => {
    if (ms === POLL_MS) skew += ms;
    else await systemClock.sleep(ms, signal);
  },
};

describe('the states of a slot', { concurrency: 1 }, () => {
  let server: PostgresServer;
  let container: Container;
  const log = memoryLog();
  const invoke = (kind: 'status' | 'check' | 'run' | 'create-slot' | 'drop-slot') => {
    const startedAt = clock.now();
    const action: Action =
      kind === 'run'
        ? { kind, maxSeconds: 10, maxBatches: undefined, resume: undefined }
        : kind === 'drop-slot'
          ? { kind, discardUnread: false }
          : kind === 'create-slot'
            ? { kind, onStandby: false }
            : { kind };
    return perform(action, container, {
      startedAt,
      functionDeadline: startedAt + 20_000,
      leaseExpiresAt: startedAt + 22_000,
    });
  };
  /** The code that a run fails with; undefined: it succeeds. */
  const refusal = async (): Promise<string | undefined> => {
    try {
      await invoke('run');
      return undefined;
    } catch (error) {
      assert.ok(error instanceof PipelineError, String(error));
      return error.code;
    }
  };
  const stateIs = async (state: string, refused: string | undefined, said: RegExp): Promise<void> => {
    const status = (await invoke('status')) as StatusAnswer;
    assert.equal(status.slotState, state, JSON.stringify(status));
    assert.match(status.slotDetail, said);
    const { findings, ok } = (await invoke('check')) as CheckAnswer;
    const finding = findings.find(({ check }) => check === 'slot');
    assert.equal(finding?.state === 'ok', refused === undefined, JSON.stringify(finding));
    assert.equal(await refusal(), refused);
    if (refused !== undefined) {
      assert.equal(ok, false);
      assert.ok(status.todo !== undefined);
      for (const { what, detail } of status.retainedBy ?? []) {
        assert.equal(what, 'this slot');
        assert.match(detail, /^No run reads it: /);
      }
    }
  };
  const drop = () => server.sql(`SELECT pg_drop_replication_slot('${SLOT}')`);

  before(async () => {
    server = await startPostgres();
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
    await server.sql('CREATE DATABASE elsewhere');
    const config = readConfig({
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGDATABASE: 'postgres',
      PGUSER: 'postgres',
      PGPASSWORD: 'password',
      PGSSLMODE: 'disable',
    });
    container = {
      ...createContainer(config, { clock, log, metrics: noMetrics, region: 'us-east-1' }),
      publisher: { publish: () => Promise.resolve({ complete: true, throttledEntries: 0 }) },
      requireRegion: () => Promise.resolve(),
      describeStream: () => Promise.resolve({ kind: 'denied', where: '' }),
    };
  });
  after(() => server.stop());

  it('missing: status and check say so, and a run fails with SLOT_MISSING', () =>
    stateIs('missing', 'SLOT_MISSING', /does not exist/));

  it('ok: a run reads it', async () => {
    await server.createSlot(SLOT);
    await server.sql('INSERT INTO t VALUES (1)');
    await stateIs('ok', undefined, /at [0-9A-F]+\//);
    if (TESTED_MAJOR >= 17)
      assert.match(String(((await invoke('status')) as StatusAnswer).inactiveSince), /^\d{4}-\d\d-\d\dT/);
  });

  it('in use: the process is named, and a run fails with SLOT_BUSY', async () => {
    const stranger = await server.client({
      replication: 'database',
      application_name: 'other_reader',
    } as pg.ClientConfig);
    stranger.on('error', () => undefined);
    const over = stranger.query(`START_REPLICATION SLOT ${SLOT} LOGICAL 0/0`).catch(() => undefined);
    await eventually(
      async () => (await server.sql('SELECT 1 FROM pg_replication_slots WHERE active')).length > 0,
      'it reads',
    );
    await stateIs('in-use', 'SLOT_BUSY', /in use by backend \d+ \(user postgres, application other_reader, connected/);
    await server.sql('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
    await over;
    await stranger.end().catch(() => undefined);
    await drop();
  });

  it('half made: the transaction that it waits for is named, and a run fails with SLOT_BUSY', async () => {
    const [open, creating] = [await server.client(), await server.client({ application_name: 'maker' })];
    await open.query('BEGIN; INSERT INTO t VALUES (2)');
    const made = creating.query(`SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding')`);
    await eventually(
      async () => (await server.sql('SELECT 1 FROM pg_replication_slots WHERE restart_lsn IS NOT NULL')).length > 0,
      'it is half made',
    );
    await stateIs('half-made', 'SLOT_BUSY', /half made.* by backend \d+ \(user postgres, application maker/);
    await open.query('ROLLBACK');
    await made;
    await Promise.all([open.end(), creating.end()]);
    await stateIs('ok', undefined, /at /);
    await drop();
  });

  it('create-slot says at once whom it waits for', async () => {
    const open = await server.client({ application_name: 'slow writer' });
    await open.query('BEGIN; INSERT INTO t VALUES (3)');
    const made = invoke('create-slot');
    await until(() => log.lines.some((line) => line.includes('waits for a transaction')));
    await open.query('ROLLBACK');
    await Promise.all([made, open.end()]);
    const said = log.lines.filter((line) => line.includes('waits for a transaction'));
    assert.match(
      String(said[0]),
      /up to \d+ s: backend \d+ \(user postgres, application slow writer.*pg_terminate_backend/,
    );
    assert.equal(said.length, 1, 'once for each');
  });

  it('drop-slot says behind whom it waits, and for how long', async () => {
    const holder = await server.client({ application_name: 'a drain' });
    await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey(SLOT))]);
    const dropped = invoke('drop-slot');
    await until(() => log.lines.some((line) => line.includes('Waiting for the slot')));
    await holder.end();
    await dropped;
    const said = log.lines.find((line) => line.includes('Waiting for the slot'));
    assert.match(
      String(said),
      /held by backend \d+ \(user postgres, application a drain.*: \d+ s so far, up to 60 s\./,
    );
  });

  it('physical: a run fails with WRONG_PLUGIN', async () => {
    await server.sql(`SELECT pg_create_physical_replication_slot('${SLOT}', true)`);
    await stateIs('physical', 'WRONG_PLUGIN', /physical/);
    await drop();
  });

  it('of another plugin: a run fails with WRONG_PLUGIN', async () => {
    await server.createSlot(SLOT, 'pgoutput');
    await stateIs('other-plugin', 'WRONG_PLUGIN', /pgoutput/);
    await drop();
  });

  it('of another database: a run fails with CONFIG_INVALID', async () => {
    const other = await server.client({ database: 'elsewhere' });
    await other.query(`SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding')`);
    await stateIs('other-database', 'CONFIG_INVALID', /belongs to database elsewhere/);
    await other.query(`SELECT pg_drop_replication_slot('${SLOT}')`);
    await other.end();
  });

  it('temporary: a run fails with SLOT_BUSY', async () => {
    const owner = await server.client();
    await owner.query(`SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding', true)`);
    await stateIs('temporary', 'SLOT_BUSY', /temporary/);
    await owner.end();
  });

  if (TESTED_MAJOR >= 14)
    it('made with two_phase: a run fails with WRONG_PLUGIN', async () => {
      await server.sql(`SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding', false, true)`);
      await stateIs('two-phase', 'WRONG_PLUGIN', /two_phase/);
      await drop();
    });

  if (TESTED_MAJOR >= 13)
    it('at risk: a run reads it; then lost: a run fails with SLOT_LOST', async () => {
      await server.createSlot(SLOT);
      await server.sql(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
      await server.sql('SELECT pg_reload_conf()');
      const fill = async () => {
        for (let i = 0; i < 4; i++) {
          await server.sql('INSERT INTO t SELECT max(id) + 1 FROM t');
          await server.sql('SELECT pg_switch_wal()');
        }
      };
      await fill();
      const { slotState } = (await invoke('status')) as StatusAnswer;
      assert.ok(slotState === 'at-risk' || slotState === 'ok', slotState);
      // A checkpoint gives it up, once the server's own process has read the setting, too.
      await eventually(async () => {
        await server.sql('CHECKPOINT');
        return (await server.sql(`SELECT 1 FROM pg_replication_slots WHERE wal_status = 'lost'`)).length > 0;
      }, 'it is lost');
      await stateIs('lost', 'SLOT_LOST', /lost/);
      await drop();
    });
});
