/**
 * The slot made and dropped with the stack: CloudFormation's events in the orders in which it sends them, against a real
 * server.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { handleLifecycle, type LifecycleAnswer, type LifecyclePorts } from '../../../lambda/actions/slot-lifecycle.ts';
import { systemClock } from '../../../lambda/clock.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { createDatabase } from '../../../lambda/postgres/connection.ts';
import { open } from '../../../lambda/postgres/connection-pair.ts';
import type { DatabaseSettings } from '../../../lambda/postgres/credentials.ts';
import { pgoutput } from '../../../lambda/postgres/plugins.ts';
import { acquireSlotLock, readLock } from '../../../lambda/postgres/slot-lock.ts';
import { readEvent } from '../../../lambda/settings/event.ts';
import { createTerminalLog, noMetrics } from '../../../lambda/telemetry/telemetry.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';
import { eventually } from '../postgres/fixtures.ts';

const PASSWORD = 's3cret-pass';

describe('the slot’s lifecycle', () => {
  let server: PostgresServer;
  let system = '';
  let logged: string[] = [];
  const log = createTerminalLog((line) => logged.push(line), { level: 'DEBUG', json: false, now: () => 0 });

  before(async () => {
    server = await startPostgres();
    await server.sql(`CREATE ROLE cdc SUPERUSER LOGIN PASSWORD '${PASSWORD}'`);
    await server.sql('CREATE DATABASE other');
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
    const [row] = await server.sql<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()');
    system = row?.id ?? '';
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
    slot: 's',
    slotResource: 'Slot',
    answers: new Map(),
    watchMs: 0,
    metrics: noMetrics,
    clock: systemClock,
    log,
    functionDeadline: Date.now() + 30_000,
    lockWaitMs: 300,
    createWaitMs: 10_000,
    ...more,
  });
  const send = async (event: Record<string, unknown>, world = ports()): Promise<LifecycleAnswer> => {
    const action = readEvent({ LogicalResourceId: 'Slot', ...event });
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
  const id = (slot = 's', kind = 'created', database = 'postgres'): string =>
    `${kind}:${system}@127.0.0.1:${server.connection.port}/${database}/${slot}`;
  /** As an earlier version answered: without port and server. */
  const oldId = (slot = 's', kind = 'created', database = 'postgres'): string =>
    `${kind}:127.0.0.1/${database}/${slot}`;
  /** An id without what it says of the update before it. */
  const own = ({ PhysicalResourceId }: LifecycleAnswer): string => PhysicalResourceId.split('#')[0] ?? '';
  /** The claim's id. */
  const claimOf = async (type: string, given: Record<string, unknown>, physicalId?: string): Promise<string> =>
    (
      await send({
        RequestType: type,
        ResourceType: 'Custom::Pg2KinesisSlotClaim',
        LogicalResourceId: 'SlotClaim',
        PhysicalResourceId: physicalId,
        ResourceProperties: given,
      })
    ).PhysicalResourceId;
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
  const isActive = async (): Promise<boolean> =>
    (await server.sql(`SELECT 1 FROM pg_replication_slots WHERE slot_name = 's' AND active`)).length > 0;
  /** The removal looks for other readers. */
  const looking = () => eventually(() => logged.join('').includes('Looking whether another'), 'it looks');
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
    it('asks for what is to be done with a new slot, once, and not with one that was there', async () => {
      const made: string[] = [];
      const world = ports({}, { onCreated: ({ context }) => Promise.resolve(made.push(context.database)) });
      const create = { RequestType: 'Create', ResourceProperties: properties() };
      await send({ ...create, RequestId: 'one' }, world);
      assert.deepEqual(made, ['postgres']);
      await send({ ...create, RequestId: 'two' }, { ...world, answers: new Map() });
      assert.deepEqual(made, ['postgres']);
    });

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

    it('repeated without its first answer, in whatever container, has the slot for its own', async () => {
      const claim = await claimOf('Create', properties());
      assert.equal(claim, id('s', 'absent'));
      assert.deepEqual(await slots(), [], 'a claim makes nothing');
      for (let i = 0; i < 2; i++) {
        const event = { RequestType: 'Create', ResourceProperties: properties('s', { claim }) };
        assert.deepEqual(await send(event), { PhysicalResourceId: id() });
      }
    });

    it('with all answers lost: the claim’s Delete drops the slot', async () => {
      const claim = await claimOf('Create', properties());
      await send({ RequestType: 'Create', ResourceProperties: properties('s', { claim }) });
      await send({
        RequestType: 'Delete',
        ResourceType: 'Custom::Pg2KinesisSlotClaim',
        LogicalResourceId: 'SlotClaim',
        PhysicalResourceId: claim,
        ResourceProperties: properties(),
      });
      assert.deepEqual(await slots(), []);
    });

    it('adopts a slot that the claim found', async () => {
      await server.createSlot('s');
      const claim = await claimOf('Create', properties());
      assert.equal(claim, id('s', 'present'));
      const event = { RequestType: 'Create', ResourceProperties: properties('s', { claim }) };
      assert.deepEqual(await send(event), { PhysicalResourceId: id('s', 'adopted') });
    });

    it('answers a request again as it did', async () => {
      const world = ports();
      const event = { RequestType: 'Create', RequestId: 'r1', ResourceProperties: properties() };
      for (let i = 0; i < 2; i++) assert.deepEqual(await send(event, world), { PhysicalResourceId: id() });
      assert.deepEqual(await send({ ...event, RequestId: 'r2' }, world), { PhysicalResourceId: id('s', 'adopted') });
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
        /127\.0\.0\.1:\d+\/other/,
      );
      assert.deepEqual(await slots(), []);
    });

    it('fails after a bounded wait, naming the transaction in the way', async () => {
      const writer = await server.client({ application_name: 'slow writer' });
      try {
        await writer.query('BEGIN; INSERT INTO t VALUES (1)');
        await refused(
          send({ RequestType: 'Create', ResourceProperties: properties() }, ports({}, { createWaitMs: 1_000 })),
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
        assert.equal(own(await update(id(), properties('s2'))), id('s2'));
        assert.deepEqual(await slots(), ['s', 's2']);
      });

    if (TESTED_MAJOR >= 12)
      it('copies the old slot’s position to another name, then cleanup drops the old one', async () => {
        await send({ RequestType: 'Create', ResourceProperties: properties() });
        const at = await position('s');
        await server.sql('INSERT INTO t VALUES (10)');
        assert.equal(own(await update(id(), properties('s2'))), id('s2'));
        assert.equal(await position('s2'), at);
        const rows = await server.sql<{ data: string }>(
          `SELECT data FROM pg_logical_slot_peek_changes('s2', NULL, NULL)`,
        );
        assert.ok(
          rows.some(({ data }) => data.includes('id[integer]:10')),
          'the change between is in the copy',
        );
        await remove(id(), ports({}, { slot: 's2' }));
        assert.deepEqual(await slots(), ['s2']);
      });

    if (TESTED_MAJOR >= 12)
      it('copies the old slot’s position to another name and plugin, then cleanup drops the old one', async () => {
        await send({ RequestType: 'Create', ResourceProperties: properties() });
        const at = await position('s');
        await server.sql('CREATE PUBLICATION p FOR TABLE t');
        try {
          const world = () => ({
            ...ports({}, { slot: 's2' }),
            database: createDatabase({
              settings: settings(),
              clock: systemClock,
              secrets: () => Promise.reject(new Error('none')),
              iamToken: () => Promise.resolve(''),
              plugin: pgoutput(['p']),
            }),
          });
          assert.equal(own(await update(id(), properties('s2'), world())), id('s2'));
          assert.equal(await position('s2'), at);
          await remove(id(), world());
          const [left, ...others] = await server.sql('SELECT slot_name, plugin FROM pg_replication_slots');
          assert.deepEqual([left, others], [{ slot_name: 's2', plugin: 'pgoutput' }, []]);
        } finally {
          await server.sql('DROP PUBLICATION p');
        }
      });

    for (const [what, first] of [
      ['this version', () => id()],
      ['an earlier version', () => oldId()],
    ] as const) {
      it(`then rollback: the slot of ${what} stays the stack’s own, also where runs moved on, and cleanup drops the new one`, async () => {
        await send({ RequestType: 'Create', ResourceProperties: properties() });
        const renamed = await update(first(), properties('s2'));
        // The function is rolled back before the slot is: its next run moves the old slot.
        await server.sql('INSERT INTO t VALUES (20)');
        await server.sql(`SELECT count(*) FROM pg_logical_slot_get_changes('s', NULL, NULL)`);
        await server.sql('DELETE FROM t WHERE id = 20');
        assert.deepEqual(await update(renamed.PhysicalResourceId, properties('s')), { PhysicalResourceId: first() });
        await remove(renamed.PhysicalResourceId, ports(), properties('s2'));
        assert.deepEqual(await slots(), ['s']);
        await remove(first());
        assert.deepEqual(await slots(), []);
      });
    }

    it('to a former name, days later, is a rename like any other', async () => {
      await server.createSlot('s');
      const renamed = await update(id(), properties('s2'));
      const later = { ...systemClock, now: () => systemClock.now() + 2 * 86_400_000 };
      // Meanwhile the name has become somebody else's.
      const back = await update(
        renamed.PhysicalResourceId,
        properties('s'),
        ports({}, { clock: later, functionDeadline: later.now() + 30_000 }),
      );
      assert.equal(own(back), id('s', 'adopted'));
    });

    it('repeated without its first answer, has the same slot for its own', async () => {
      await send({ RequestType: 'Create', ResourceProperties: properties() });
      const claim = await claimOf('Update', properties('s2'), id('s', 'absent'));
      const given = properties('s2', { claim });
      const one = await update(id(), given);
      // Runs have read the copy before the request is repeated.
      await server.sql('INSERT INTO t VALUES (21)');
      await server.sql(`SELECT count(*) FROM pg_logical_slot_get_changes('s2', NULL, NULL)`);
      await server.sql('DELETE FROM t WHERE id = 21');
      const other = await update(id(), given);
      assert.equal(own(one), id('s2'));
      assert.equal(own(other), id('s2'));
    });

    it('to another host name of the same server changes nothing, and the stack still drops the slot', async () => {
      await send({ RequestType: 'Create', ResourceProperties: properties() });
      const alias = ports({ host: 'localhost' });
      assert.deepEqual(await update(id(), properties('s', { databaseHost: 'localhost' }), alias), {
        PhysicalResourceId: id(),
      });
      assert.match(logged.join(''), /host changed from 127\.0\.0\.1 to localhost/);
      await remove(id(), alias);
      assert.deepEqual(await slots(), []);
    });

    it('to the same host name in other letters and with a dot changes nothing, without a look', async () => {
      const given = properties('s', { databaseHost: 'DB.example.com.' });
      const world = ports({ host: 'db.example.com' });
      const known = `created:1@db.example.com:${server.connection.port}/postgres/s`;
      assert.deepEqual(await update(known, given, world), { PhysicalResourceId: known });
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

    describe('to another database or server', () => {
      const elsewhere: [what: string, old: () => string, given: Record<string, unknown>][] = [
        ['database', () => id('s', 'created', 'other'), properties()],
        ['server, by its identifier', () => id().replace(system, '1').replace('127.0.0.1', 'db'), properties()],
        [
          'server, by its port',
          () =>
            id()
              .replace(system, '1')
              .replace(/:\d+\//, ':1/'),
          properties(),
        ],
        ['server, by an id of an earlier version', () => oldId().replace('127.0.0.1', 'db'), properties()],
      ];
      for (const [what, old, given] of elsewhere) {
        it(`(${what}) fails where there is no slot to go on with`, async () => {
          await refused(
            update(old(), given),
            'SLOT_MISSING',
            /does not exist.*Nothing was changed.*give it a name of its own.*pg_create_logical_replication_slot\('s'/s,
          );
          assert.deepEqual(await slots(), []);
        });

        it(`(${what}) adopts the slot that was made there, and cleanup leaves the old one`, async () => {
          await server.createSlot('s');
          const moved = await update(old(), given);
          assert.equal(own(moved), id('s', 'adopted'));
          await remove(old());
          await remove(moved.PhysicalResourceId);
          assert.deepEqual(await slots(), ['s']);
          assert.match(logged.join(''), /pg_drop_replication_slot\('s'\)/);
        });
      }
    });
  });

  describe('Delete', () => {
    const kept: [what: string, physicalId: () => string, given: Record<string, unknown>][] = [
      ['an adopted slot', () => id('s', 'adopted'), properties()],
      ['an adopted slot of an earlier version', () => oldId('s', 'adopted'), properties()],
      ['what a claim found there', () => id('s', 'present'), properties()],
      ['a slot to be retained', () => id(), properties('s', { onRemoval: 'retain' })],
      ['another database’s', () => id('s', 'created', 'elsewhere'), properties()],
      ['another host’s, of an earlier version', () => 'created:db.example.com/postgres/s', properties()],
      ['another server’s, by its identifier', () => id().replace(system, '1'), properties()],
      [
        'another port’s',
        () =>
          id()
            .replace(system, '?')
            .replace(/:\d+\//, ':1/'),
        properties(),
      ],
    ];
    for (const [what, physicalId, given] of kept) {
      it(`leaves ${what}, and logs how to drop it by hand`, async () => {
        await server.createSlot('s');
        assert.deepEqual(await remove(physicalId(), ports(), given), { PhysicalResourceId: physicalId() });
        assert.deepEqual(await slots(), ['s']);
        assert.match(logged.join(''), /pg_drop_replication_slot\('s'\);/);
      });
    }

    for (const [what, slotResource, logicalId] of [
      ['was renamed or moved', 'Slot01229AFD', 'SlotCF8C3CD8'],
      ['was switched off', undefined, 'SlotCF8C3CD8'],
      ['is of another stack', 'Slot', 'OtherSlot'],
      ['is not named in the event', 'Slot', undefined],
    ] as const) {
      it(`leaves the slot of a resource that ${what}`, async () => {
        await server.createSlot('s');
        for (const resourceType of ['Custom::Pg2KinesisSlot', 'Custom::Pg2KinesisSlotClaim'])
          await send(
            {
              RequestType: 'Delete',
              ResourceType: resourceType,
              LogicalResourceId: logicalId,
              PhysicalResourceId: id(),
              ResourceProperties: properties(),
            },
            ports({}, { slotResource }),
          );
        assert.deepEqual(await slots(), ['s']);
        assert.match(logged.join(''), /does not call the resource .* its slot.*pg_drop_replication_slot\('s'\)/);
      });
    }

    it('leaves the old slot of a rename where there is no other to take its place', async () => {
      await server.createSlot('s');
      await remove(id(), ports({}, { slot: 's2' }));
      assert.deepEqual(await slots(), ['s']);
      assert.match(logged.join(''), /the slot "s2", which takes its place, does not exist/);
    });

    it('drops a slot of an earlier version’s id', async () => {
      await server.createSlot('s');
      await remove(oldId());
      assert.deepEqual(await slots(), []);
      assert.match(logged.join(''), /dropped with its stack.*unreadWalBytes/);
    });

    it('leaves a slot that another pipeline reads: its runs come back', async () => {
      await server.createSlot('s');
      let runs = 0;
      const stop = new AbortController();
      const other = (async () => {
        while (!stop.signal.aborted) {
          const run = await open(ports().database, { deadline: Date.now() + 20_000 });
          if ((await acquireSlotLock(run.client, { slotName: 's', clock: systemClock, log })).kind === 'held') runs++;
          await systemClock.sleep(450);
          await run.client.end();
          await systemClock.sleep(450);
        }
      })();
      try {
        // It ends with the second run, however soon that comes.
        await remove(id(), ports({}, { watchMs: 15_000, lockWaitMs: 5_000 }));
      } finally {
        stop.abort();
        await other;
      }
      assert.ok(runs > 0);
      assert.deepEqual(await slots(), ['s']);
      assert.match(logged.join(''), /another pipeline reads it: backend \d+/);
    });

    for (const [whose, pauseMs, watchMs, left] of [
      ['leaves a slot that another pipeline reads whose runs linger', 400, 15_000, ['s']],
      ['drops a slot whose last run lingers, and was the stack’s own', undefined, 1_500, []],
    ] as const) {
      it(whose, async () => {
        await server.createSlot('s');
        const over = new AbortController();
        const connect = () => open(ports().database, { deadline: Date.now() + 20_000 });
        const first = await connect();
        // As a run that lingers: it keeps the lock until somebody waits for it. The next one comes with the schedule.
        const lingering = (async () => {
          await looking();
          for (let run = first; ; run = await connect()) {
            const lock = await acquireSlotLock(run.client, { slotName: 's', clock: systemClock, log });
            const given = async () => over.signal.aborted || (await readLock(run.client, 's')).isAwaited;
            while (lock.kind === 'held' && !(await given())) await systemClock.sleep(50);
            await run.client.end();
            if (pauseMs !== undefined) await systemClock.sleep(pauseMs, over.signal);
            if (pauseMs === undefined || over.signal.aborted) return;
          }
        })();
        await remove(id(), ports({}, { watchMs }));
        over.abort();
        await lingering;
        assert.deepEqual(await slots(), left);
        assert.doesNotMatch(logged.join(''), /Ending a run/);
      });
    }

    it('drops a slot whose last run was the stack’s own', async () => {
      await server.createSlot('s');
      const run = await open(ports().database, { deadline: Date.now() + 20_000 });
      const removal = remove(id(), ports({}, { watchMs: 1_500 }));
      await looking();
      const lock = await acquireSlotLock(run.client, { slotName: 's', clock: systemClock, log });
      assert.equal(lock.kind, 'held');
      await systemClock.sleep(450);
      await run.client.end();
      await removal;
      assert.deepEqual(await slots(), []);
    });

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

    it('fails while a stranger holds the lock, and says what to do', async () => {
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

    it('fails while the slot is being read by another process, and says what to do', async () => {
      await server.createSlot('s');
      // A peek holds the slot only while it decodes; a walsender for as long as it lives.
      const walsender = await server.client({ replication: 'database', application_name: 'some reader' } as never);
      const streaming = walsender.query('START_REPLICATION SLOT s LOGICAL 0/0').catch(() => undefined);
      try {
        await eventually(isActive, 'it reads');
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
        await eventually(async () => !(await isActive()), 'it has let go');
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

    it('fails for a refused password, and says what to do', async () => {
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
});
