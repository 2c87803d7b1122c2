/**
 * The connection is cut at each statement of each action in turn. The action fails by a code of the table, or has done
 * its work; no rejection is left unhandled, no backend and no lock is left behind, and the next call works.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { perform } from '../../lambda/actions/actions.ts';
import { type Container, createContainer } from '../../lambda/container.ts';
import { PipelineError } from '../../lambda/errors.ts';
import { readConfig } from '../../lambda/settings/config.ts';
import { readEvent } from '../../lambda/settings/event.ts';
import { noMetrics } from '../../lambda/telemetry/telemetry.ts';
import { clock, memoryLog } from '../lambda/postgres/fixtures.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/protocol-proxy.ts';
import { eventually } from './environment.ts';

describe('a connection that is cut', () => {
  let server: PostgresServer;
  let proxy: CuttingProxy;
  let container: Container;
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  before(async () => {
    server = await startPostgres();
    await server.sql('CREATE TABLE t (id serial PRIMARY KEY, note text)');
    proxy = await startCuttingProxy(server.port);
    const config = readConfig({
      PGHOST: '127.0.0.1',
      PGPORT: String(proxy.port),
      PGDATABASE: 'postgres',
      PGUSER: 'postgres',
      PGPASSWORD: 'password',
      PGSSLMODE: 'disable',
    });
    container = {
      ...createContainer(config, { clock, log: memoryLog(), metrics: noMetrics, region: 'us-east-1' }),
      publisher: { publish: () => Promise.resolve({ complete: true, throttledEntries: 0 }) },
      requireRegion: () => Promise.resolve(),
      describeStream: () => Promise.resolve({ kind: 'unreachable', where: '', reason: 'none is asked' }),
    };
    process.on('unhandledRejection', note);
  });
  after(async () => {
    process.off('unhandledRejection', note);
    await proxy.stop();
    await server.stop();
  });

  const drop = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`;
  const make = `SELECT pg_create_logical_replication_slot('pg2kinesis', 'test_decoding') WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots)`;
  const write = `INSERT INTO t (note) VALUES ('a'), ('b')`;
  const lifecycle = {
    RequestType: 'Create',
    ResourceType: 'Custom::ReplicationSlot',
    ResourceProperties: { slotName: 'pg2kinesis' },
  };
  const actions: readonly [event: unknown, prepare: readonly string[], uncut?: string, every?: number][] = [
    [{ action: 'check' }, [make]],
    [{ action: 'status' }, [make]],
    [{ action: 'refresh-keys' }, [make]],
    [{ action: 'run' }, [make, write]],
    [{ action: 'drain' }, [make, write]],
    [{ action: 'skip-transaction', commitLsn: '0/1' }, [make, write], 'EVENT_INVALID'],
    [{ action: 'create-slot' }, [drop]],
    [
      { action: 'copy-slot', from: 'other' },
      [drop, `SELECT pg_create_logical_replication_slot('other', 'test_decoding')`],
    ],
    // Most of its statements are those of a drain.
    [{ action: 'snapshot', tables: ['public.t'] }, [drop, make, write], 'done', 3],
    [{ action: 'snapshot-stop' }, [make]],
    [{ action: 'drop-slot' }, [drop, make]],
    [lifecycle, [drop]],
  ];

  const invoke = async (event: unknown): Promise<string> => {
    const now = clock.now();
    const deadlines = { startedAt: now, functionDeadline: now + 30_000, leaseExpiresAt: now + 32_000 };
    try {
      const answer = await perform(readEvent(event), container, deadlines);
      if (!('action' in answer) || answer.action !== 'check') return 'done';
      const found = answer.findings.find(({ check }) => check === 'database')?.found ?? '';
      return found === 'reached' ? 'done' : found.replace(/:.*/s, '');
    } catch (error) {
      assert.ok(error instanceof PipelineError, `an error of the table: ${String(error)}`);
      return error.code;
    }
  };
  const left = async () =>
    (await server.sql(`SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'pg2kinesis%'`)).length;

  for (const [event, prepare, uncut = 'done', every = 1] of actions) {
    it(`at each statement of ${JSON.stringify(event).slice(0, 60)} is told, and nothing is left`, async () => {
      const once = async (at: number) => {
        for (const statement of prepare) await server.sql(statement);
        proxy.arm(at);
        const result = await invoke(event);
        await new Promise((settled) => setImmediate(settled));
        assert.deepEqual(unhandled, [], `cut at statement ${at}: a rejection is left unhandled`);
        await eventually(async () => (await left()) === 0, `no backend is left after a cut at statement ${at}`);
        return result;
      };
      assert.equal(await once(0), uncut);
      const statements = proxy.statements;
      assert.ok(statements > 4, `${statements} statements`);
      const results = new Map<string, number>();
      for (let at = 1; at <= statements; at += every) {
        const result = await once(at);
        results.set(result, (results.get(result) ?? 0) + 1);
        assert.ok(['done', uncut, 'DATABASE_UNREACHABLE'].includes(result), `cut at statement ${at}: ${result}`);
      }
      assert.ok((results.get('DATABASE_UNREACHABLE') ?? 0) > statements / every / 2, JSON.stringify([...results]));
      assert.equal(await once(0), uncut, 'and the next call works');
    });
  }
});
