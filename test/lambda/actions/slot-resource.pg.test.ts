/**
 * The slot made and dropped with the stack: CloudFormation's events in the orders in which it sends them, against a real
 * server.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  handleLifecycle,
  type LifecycleAnswer,
  type LifecyclePorts,
  parsePhysicalId,
} from '../../../lambda/actions/slot-resource.ts';
import { systemClock } from '../../../lambda/clock.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { createDatabase } from '../../../lambda/postgres/connection.ts';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import type { DatabaseSettings } from '../../../lambda/postgres/credentials.ts';
import { acquireSlotLock } from '../../../lambda/postgres/fence.ts';
import { readEvent } from '../../../lambda/settings/event.ts';
import { createTerminalLog } from '../../../lambda/telemetry/telemetry.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';

const PASSWORD = 's3cret-pass';

describe('the slot’s lifecycle', () => {
  let server: PostgresServer;
  let logged: string[] = [];
  const log = createTerminalLog((line) => logged.push(line), { level: 'DEBUG', json: false, now: () => 0 });

  before(async () => {
    server = await startPostgres();
    await server.sql(`CREATE ROLE cdc SUPERUSER LOGIN PASSWORD '${PASSWORD}'`);
    await server.sql('CREATE DATABASE other');
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
  });
  after(() => server.stop());
  beforeEach(async () => {
    logged = [];
    for (const { slot_name: name } of await server.sql<{ slot_name: string }>(
      'SELECT slot_name FROM pg_replication_slots',
    )) {
      await server.sql('SELECT pg_drop_replication_slot($1)', [name]);
    }
  });

  const settings = (over: Partial<DatabaseSettings> = {}): DatabaseSettings => {
    const { host, port, database } = server.connection;
    return { host, port, user: 'cdc', password: PASSWORD, database, auth: 'password', sslMode: 'disable', ...over };
  };
  const ports = (
    over: Partial<DatabaseSettings> = {},
    more: Partial<LifecyclePorts> = {},
    secrets: () => Promise<string> = () => Promise.reject(new Error('none')),
  ): LifecyclePorts => ({
    database: createDatabase({
      settings: settings(over),
      clock: systemClock,
      secrets,
      iamToken: () => Promise.resolve(''),
    }),
    slot: 'unused',
    clock: systemClock,
    log,
    functionDeadline: Date.now() + 30_000,
    lockWaitMs: 300,
    createWaitMs: 1_000,
    ...more,
  });
  const send = async (event: Record<string, unknown>, world = ports()): Promise<LifecycleAnswer> => {
    const action = readEvent(event);
    assert.equal(action.kind, 'lifecycle');
    return await handleLifecycle(action, world);
  };
  const properties = (slotName = 's', more: Record<string, unknown> = {}): Record<string, unknown> => ({
    databaseHost: '127.0.0.1',
    databaseName: 'postgres',
    slotName,
    onRemoval: 'drop',
    ...more,
  });
  const id = (slot = 's', kind = 'created', database = 'postgres'): string => `${kind}:127.0.0.1/${database}/${slot}`;
  const remove = (physicalId: string, world = ports(), given = properties()): Promise<LifecycleAnswer> =>
    send({ RequestType: 'Delete', PhysicalResourceId: physicalId, ResourceProperties: given }, world);
  const slots = async (): Promise<string[]> =>
    (await server.sql<{ slot_name: string }>('SELECT slot_name FROM pg_replication_slots ORDER BY 1')).map(
      (row) => row.slot_name,
    );
  const position = async (slot: string): Promise<string> =>
    (
      await server.sql<{ at: string }>(
        'SELECT confirmed_flush_lsn::text AS at FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      )
    )[0]?.at ?? '';
  const refused = async (work: Promise<unknown>, code: string, said: RegExp): Promise<void> => {
    await assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      assert.equal(error.code, code);
      assert.match(error.message, said);
      assert.ok(!error.message.includes(PASSWORD));
      return true;
    });
  };

  describe('Create', () => {
    it('makes the slot', async () => {
      assert.deepEqual(await send({ RequestType: 'Create', ResourceProperties: properties() }), {
        PhysicalResourceId: id(),
      });
      assert.deepEqual(await slots(), ['s']);
    });

    it('takes what the properties leave out from the environment', async () => {
      const answer = await send({ RequestType: 'Create', ResourceProperties: {} }, ports({}, { slot: 'env_slot' }));
      assert.deepEqual(answer, { PhysicalResourceId: id('env_slot') });
    });

    it('then rollback: drops what it made', async () => {
      const { PhysicalResourceId } = await send({ RequestType: 'Create', ResourceProperties: properties() });
      await remove(PhysicalResourceId);
      assert.deepEqual(await slots(), []);
    });

    it('adopts a slot that is there, then rollback: leaves it', async () => {
      await server.createSlot('s');
      const { PhysicalResourceId } = await send({ RequestType: 'Create', ResourceProperties: properties() });
      assert.equal(PhysicalResourceId, id('s', 'adopted'));
      await remove(PhysicalResourceId);
      assert.deepEqual(await slots(), ['s']);
    });

    it('fails for another plugin’s slot', async () => {
      await server.createSlot('s', 'pgoutput');
      await refused(
        send({ RequestType: 'Create', ResourceProperties: properties() }),
        'WRONG_PLUGIN',
        /plugin pgoutput/,
      );
    });

    it('fails for another database’s slot', async () => {
      const client = await server.client({ database: 'other' });
      await client.query(`SELECT pg_create_logical_replication_slot('s', 'test_decoding')`);
      await client.end();
      await refused(
        send({ RequestType: 'Create', ResourceProperties: properties() }),
        'WRONG_PLUGIN',
        /belongs to database "other"/,
      );
    });

    it('fails where the resource is about another database than the environment', async () => {
      await refused(
        send({ RequestType: 'Create', ResourceProperties: properties('s', { databaseName: 'other' }) }),
        'EVENT_INVALID',
        /127\.0\.0\.1\/other/,
      );
      assert.deepEqual(await slots(), []);
    });

    it('fails after a bounded wait, naming the transaction in the way', async () => {
      const writer = await server.client({ application_name: 'slow writer' });
      try {
        await writer.query('BEGIN; INSERT INTO t VALUES (1)');
        await refused(
          send({ RequestType: 'Create', ResourceProperties: properties() }),
          'SLOT_BUSY',
          /backend \d+ \(user postgres, application slow writer, open for [\d.]+ s, idle in transaction\)/,
        );
        assert.deepEqual(await slots(), []);
      } finally {
        await writer.query('ROLLBACK');
        await writer.end();
      }
    });

    it('fails while a run holds the lock', async () => {
      const holder = await open(ports().database, { deadline: Date.now() + 20_000 });
      try {
        await acquireSlotLock(holder.client, { slotName: 's', clock: systemClock, log });
        await refused(
          send({ RequestType: 'Create', ResourceProperties: properties() }),
          'SLOT_BUSY',
          new RegExp(`backend ${holder.pid} `),
        );
      } finally {
        await holder.client.end();
      }
    });
  });

  describe('Update', () => {
    const update = (physicalId: string, given = properties(), world = ports()): Promise<LifecycleAnswer> =>
      send(
        {
          RequestType: 'Update',
          PhysicalResourceId: physicalId,
          ResourceProperties: given,
          OldResourceProperties: properties(),
        },
        world,
      );

    it('does nothing for the same slot, not even where it is missing', async () => {
      for (const kind of ['created', 'adopted']) {
        assert.deepEqual(await update(id('s', kind), properties('s', { onRemoval: 'retain' })), {
          PhysicalResourceId: id('s', kind),
        });
      }
      assert.deepEqual(await slots(), []);
    });

    if (TESTED_MAJOR < 12)
      it('fails for another name until the old slot is drained, then takes over', async () => {
        await send({ RequestType: 'Create', ResourceProperties: properties() });
        await server.sql('INSERT INTO t VALUES (10)');
        await refused(update(id(), properties('s2')), 'NO_PROGRESS', /"s" still holds changes/);
        assert.deepEqual(await slots(), ['s']);
        await server.sql(`SELECT count(*) FROM pg_logical_slot_get_changes('s', NULL, NULL)`);
        assert.deepEqual(await update(id(), properties('s2')), { PhysicalResourceId: id('s2') });
        assert.deepEqual(await slots(), ['s', 's2']);
      });

    if (TESTED_MAJOR >= 12)
      it('copies the old slot’s position to another name, then cleanup drops the old one', async () => {
        await send({ RequestType: 'Create', ResourceProperties: properties() });
        const at = await position('s');
        await server.sql('INSERT INTO t VALUES (10)');
        assert.deepEqual(await update(id(), properties('s2')), { PhysicalResourceId: id('s2') });
        assert.equal(await position('s2'), at);
        const rows = await server.sql<{ data: string }>(
          `SELECT data FROM pg_logical_slot_peek_changes('s2', NULL, NULL)`,
        );
        assert.ok(
          rows.some(({ data }) => data.includes('id[integer]:10')),
          'the change between is in the copy',
        );
        await remove(id());
        assert.deepEqual(await slots(), ['s2']);
      });

    it('then rollback: goes back to the old slot, and cleanup drops the new one', async () => {
      await send({ RequestType: 'Create', ResourceProperties: properties() });
      await update(id(), properties('s2'));
      const back = await update(id('s2'), properties('s'));
      assert.equal(back.PhysicalResourceId, id('s', 'adopted'));
      await remove(id('s2'), ports(), properties('s2'));
      assert.deepEqual(await slots(), ['s']);
    });

    it('fails where the other name’s slot is ahead of the old one', async () => {
      await server.createSlot('s');
      await server.sql('INSERT INTO t VALUES (11)');
      await server.createSlot('s2');
      await refused(update(id(), properties('s2')), 'SLOT_BUSY', /"s2" exists and is ahead of "s"/);
      assert.deepEqual(await slots(), ['s', 's2']);
    });

    it('fails where the old slot is missing: a new one would hide a gap', async () => {
      await refused(update(id(), properties('s2')), 'SLOT_MISSING', /"s2" was not made/);
      assert.deepEqual(await slots(), []);
    });

    it('is as Create for another database, then cleanup leaves the old database alone', async () => {
      await server.createSlot('s');
      const world = ports({ database: 'other' });
      const given = properties('s_other', { databaseName: 'other' });
      assert.deepEqual(await update(id(), given, world), { PhysicalResourceId: id('s_other', 'created', 'other') });
      await remove(id(), world);
      assert.deepEqual(await slots(), ['s', 's_other']);
      assert.match(logged.join(''), /connected to 127\.0\.0\.1\/other.*pg_drop_replication_slot\('s'\)/);
    });
  });

  describe('Delete', () => {
    const kept: [what: string, physicalId: string, given: Record<string, unknown>][] = [
      ['an adopted slot', id('s', 'adopted'), properties()],
      ['a slot to be retained', id(), properties('s', { onRemoval: 'retain' })],
      ['another database’s', id('s', 'created', 'elsewhere'), properties()],
      ['another host’s', 'created:db.example.com/postgres/s', properties()],
    ];
    for (const [what, physicalId, given] of kept) {
      it(`leaves ${what}, and logs how to drop it by hand`, async () => {
        await server.createSlot('s');
        assert.deepEqual(await remove(physicalId, ports(), given), { PhysicalResourceId: physicalId });
        assert.deepEqual(await slots(), ['s']);
        assert.match(logged.join(''), /pg_drop_replication_slot\('s'\);/);
      });
    }

    it('succeeds for an id that names no slot of ours', async () => {
      await remove('AWSCDK::CustomResourceProviderFramework::CREATE_FAILED');
    });

    it('ends our own holder after the wait, and drops', async () => {
      await server.createSlot('s');
      const holder = await open(ports().database, { deadline: Date.now() + 20_000 });
      await acquireSlotLock(holder.client, { slotName: 's', clock: systemClock, log });
      await remove(id());
      assert.deepEqual(await slots(), []);
      await assert.rejects(holder.client.query('SELECT 1'));
    });

    it('fails while a stranger holds the lock, with the ways out', async () => {
      await server.createSlot('s');
      await server.sql(`CREATE ROLE stranger LOGIN PASSWORD 'x'`);
      const holder = await server.client({ user: 'stranger', password: 'x', application_name: 'not ours' });
      try {
        await acquireSlotLock(holder, { slotName: 's', clock: systemClock, log });
        // The wait after an attempt to end a holder is not needed here, and long.
        await refused(
          remove(id(), ports({}, { lockWaitMs: 0 })),
          'SLOT_BUSY',
          /not ours.*onRemoval to "retain".*pg_drop_replication_slot\('s'\)/s,
        );
        assert.deepEqual(await slots(), ['s']);
      } finally {
        await holder.end();
      }
    });

    it('fails while the slot is being read by another process, with the ways out', async () => {
      await server.createSlot('s');
      // A peek holds the slot only while it decodes; a walsender for as long as it lives.
      const walsender = await server.client({ replication: 'database', application_name: 'some reader' } as never);
      const streaming = walsender.query('START_REPLICATION SLOT s LOGICAL 0/0').catch(() => undefined);
      try {
        for (let i = 0; i < 200; i++) {
          const [row] = await server.sql<{ active: boolean }>(
            `SELECT active FROM pg_replication_slots WHERE slot_name = 's'`,
          );
          if (row?.active === true) break;
          await systemClock.sleep(20);
        }
        await refused(
          remove(id()),
          'SLOT_BUSY',
          /being read by backend \d+ \(user postgres, application some reader.*onRemoval/s,
        );
        assert.deepEqual(await slots(), ['s']);
      } finally {
        await server.sql(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'some reader'`,
        );
        await streaming;
        // A backend that is told to go keeps its slot until it has gone.
        for (let i = 0; i < 500; i++) {
          const [row] = await server.sql<{ active: boolean }>(
            `SELECT active FROM pg_replication_slots WHERE slot_name = 's'`,
          );
          if (row?.active !== true) break;
          await systemClock.sleep(20);
        }
      }
    });

    it('succeeds when the slot is gone', async () => {
      assert.deepEqual(await remove(id()), { PhysicalResourceId: id() });
    });

    it('succeeds when the database is gone', async () => {
      await remove(id('s', 'created', 'dropped_database'), ports({ database: 'dropped_database' }));
      assert.match(logged.join(''), /the database is gone/);
    });

    it('succeeds when the host is gone', async () => {
      await remove('created:no-such-host.invalid/postgres/s', ports({ host: 'no-such-host.invalid' }));
      assert.match(logged.join(''), /the host is gone/);
    });

    it('succeeds when the secret is gone', async () => {
      const missing = Object.assign(new Error('gone'), { name: 'ResourceNotFoundException' });
      await remove(
        id(),
        ports({ auth: 'secret', secretArn: 'arn' }, {}, () =>
          Promise.reject(new PipelineError('CONFIG_INVALID', 'No secret.', { cause: missing })),
        ),
      );
      assert.match(logged.join(''), /the secret is gone/);
    });

    it('fails for a refused password, with the ways out', async () => {
      await server.createSlot('s');
      await refused(
        remove(id(), ports({ password: 'wrong' })),
        'DATABASE_AUTH_FAILED',
        /was not dropped.*onRemoval to "retain"/s,
      );
    });

    it('fails where nobody answers: the host may come back', async () => {
      await refused(remove('created:127.0.0.1/postgres/s', ports({ port: 1 })), 'DATABASE_UNREACHABLE', /onRemoval/);
    });

    it('fails where Secrets Manager’s name does not resolve: that says nothing of the database', async () => {
      const unresolved = Object.assign(new Error('x'), { code: 'ENOTFOUND' });
      await refused(
        remove(
          id(),
          ports({ auth: 'secret', secretArn: 'arn' }, {}, () =>
            Promise.reject(new PipelineError('DATABASE_AUTH_FAILED', 'x.', { cause: unresolved })),
          ),
        ),
        'DATABASE_AUTH_FAILED',
        /onRemoval/,
      );
    });
  });

  it('reads physical ids, also of databases with odd names', () => {
    assert.deepEqual(parsePhysicalId('adopted:h:5/a/b c/s_1'), {
      kind: 'adopted',
      host: 'h:5',
      database: 'a/b c',
      slot: 's_1',
    });
    for (const text of ['', 'x', 'created:h/d', 'made:h/d/s', "created:h/d/s'; DROP"])
      assert.equal(parsePhysicalId(text), undefined);
  });
});
