/**
 * The slot as a stack has it, from the first deployment to its removal: CloudFormation's events in its order, through the
 * framework code that the CDK deploys, with answers that are lost at each step, against a real server.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { perform } from '../../../lambda/actions/actions.ts';
import { systemClock } from '../../../lambda/clock.ts';
import { type Container, createContainer } from '../../../lambda/container.ts';
import { readConfig } from '../../../lambda/settings/config.ts';
import { readEvent } from '../../../lambda/settings/event.ts';
import { createTerminalLog, noMetrics } from '../../../lambda/telemetry/telemetry.ts';
import { type Resource, Stack, type StackTemplate } from '../../support/cloudformation.ts';
import { type PostgresServer, startPostgres, TESTED_MAJOR } from '../../support/postgres.ts';

/** The function's time-out here. Delete looks for another reader for what is left of it: no time. */
const REMAINING_MS = 15_100;
const ALL_LOST = 6;

interface Shape {
  readonly slotName?: string;
  readonly host?: string;
  readonly port?: number;
  /** The slot's logical id; undefined: the slot is left to the user. */
  readonly logicalId?: string | undefined;
  readonly failsAfter?: boolean;
}

describe('a stack with a slot', () => {
  let server: PostgresServer;
  let logged: string[] = [];
  const log = createTerminalLog((line) => logged.push(line), { level: 'INFO', json: false, now: () => 0 });

  before(async () => {
    server = await startPostgres();
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'x'`);
    await server.sql('CREATE TABLE t (id int PRIMARY KEY)');
  });
  after(() => server.stop());
  beforeEach(async () => {
    logged = [];
    for (const name of await slots()) await server.sql('SELECT pg_drop_replication_slot($1)', [name]);
  });
  const slots = async (): Promise<string[]> =>
    (await server.sql<{ name: string }>('SELECT slot_name AS name FROM pg_replication_slots ORDER BY 1')).map(
      ({ name }) => name,
    );
  /** Whether a slot holds the row. */
  const holds = async (slot: string, id: number): Promise<boolean> =>
    (await server.sql<{ data: string }>('SELECT data FROM pg_logical_slot_peek_changes($1, NULL, NULL)', [slot])).some(
      ({ data }) => data.includes(`id[integer]:${id}`),
    );

  /** A stack and its function. @param cold - whether each invocation meets a new container */
  const make = (cold = false): { stack: Stack; template: (shape?: Shape) => StackTemplate } => {
    let environment: Record<string, string> = {};
    let slotResource: string | undefined;
    let container: Container | undefined;
    const stack = new Stack(async (event) => {
      if (cold) container = undefined;
      container ??= createContainer(readConfig(environment), {
        clock: systemClock,
        log,
        metrics: noMetrics,
        slotResource,
      });
      const now = systemClock.now();
      const leaseExpiresAt = now + REMAINING_MS;
      return await perform(readEvent(event), container, {
        startedAt: now,
        leaseExpiresAt,
        functionDeadline: leaseExpiresAt,
      });
    });
    const template = ({ failsAfter = false, ...shape }: Shape = {}): StackTemplate => {
      const { slotName = 's', host = '127.0.0.1', port = server.port } = shape;
      const logicalId = 'logicalId' in shape ? shape.logicalId : 'Slot';
      const properties = {
        slotName,
        databaseHost: host,
        databasePort: `${port}`,
        databaseName: 'postgres',
        onRemoval: 'drop',
      };
      const resources: Resource[] =
        logicalId === undefined
          ? []
          : [
              {
                logicalId: `${logicalId}Claim`,
                type: 'Custom::Pg2KinesisSlotClaim',
                properties: () => properties,
              },
              {
                logicalId,
                type: 'Custom::Pg2KinesisSlot',
                properties: (ids) => ({ ...properties, claim: ids.get(`${logicalId}Claim`) }),
              },
            ];
      return {
        resources,
        failsAfter,
        configure: () => {
          container = undefined;
          slotResource = logicalId;
          environment = {
            PGHOST: host,
            PGPORT: `${port}`,
            PGDATABASE: 'postgres',
            PGUSER: 'cdc',
            PGPASSWORD: 'x',
            PGSSLMODE: 'disable',
            SLOT_NAME: slotName,
          };
        },
      };
    };
    return { stack, template };
  };
  const succeeds = async (work: Promise<boolean>, stack: Stack): Promise<void> =>
    assert.equal(await work, true, stack.events.join('\n'));
  const fails = async (work: Promise<boolean>, stack: Stack): Promise<void> =>
    assert.equal(await work, false, stack.events.join('\n'));
  const origin = (stack: Stack): string | undefined => stack.ids.get('Slot')?.split(':')[0];

  for (const cold of [false, true]) {
    describe(cold ? 'each invocation in a new container' : 'in a warm container', () => {
      for (const event of ['Create SlotClaim', 'Create Slot', 'Delete Slot', 'Delete SlotClaim'])
        for (const answers of [1, 3, 5])
          it(`is made and removed, with ${answers} answers to ${event} lost`, async () => {
            const { stack, template } = make(cold);
            stack.losses = { event, answers };
            await succeeds(stack.deploy(template()), stack);
            assert.equal(origin(stack), 'created');
            assert.deepEqual(await slots(), ['s']);
            await succeeds(stack.remove(), stack);
            assert.deepEqual(await slots(), []);
          });

      for (const event of ['Create SlotClaim', 'Create Slot'])
        it(`fails with all answers to ${event} lost, and leaves nothing behind`, async () => {
          const { stack, template } = make(cold);
          stack.losses = { event, answers: ALL_LOST };
          await fails(stack.deploy(template()), stack);
          assert.deepEqual(await slots(), []);
        });

      for (const event of ['Create SlotClaim', 'Create Slot'])
        it(`fails with all answers to ${event} lost, and leaves a slot that was there before`, async () => {
          await server.createSlot('s');
          const { stack, template } = make(cold);
          stack.losses = { event, answers: ALL_LOST };
          await fails(stack.deploy(template()), stack);
          assert.deepEqual(await slots(), ['s']);
        });

      it('adopts a slot that is there, and leaves it, with answers lost', async () => {
        await server.createSlot('s');
        const { stack, template } = make(cold);
        stack.losses = { event: 'Create Slot', answers: 2 };
        await succeeds(stack.deploy(template()), stack);
        assert.equal(origin(stack), 'adopted');
        await succeeds(stack.remove(), stack);
        assert.deepEqual(await slots(), ['s']);
      });

      if (TESTED_MAJOR >= 12)
        for (const event of ['Update SlotClaim', 'Update Slot', 'Delete Slot', 'Delete SlotClaim'])
          for (const answers of [1, 5])
            it(`is renamed, with ${answers} answers to ${event} lost: the position is kept`, async () => {
              const { stack, template } = make(cold);
              await succeeds(stack.deploy(template()), stack);
              await server.sql('INSERT INTO t VALUES (1); DELETE FROM t');
              stack.losses = { event, answers };
              await succeeds(stack.deploy(template({ slotName: 's2' })), stack);
              assert.deepEqual(await slots(), ['s2']);
              assert.ok(await holds('s2', 1));
              assert.equal(origin(stack), 'created');
              await succeeds(stack.remove(), stack);
              assert.deepEqual(await slots(), []);
            });

      if (TESTED_MAJOR >= 12)
        for (const [what, losses, failsAfter] of [
          ['the claim’s answers are lost', { event: 'Update SlotClaim', answers: ALL_LOST }, false],
          ['its answers are lost', { event: 'Update Slot', answers: ALL_LOST }, false],
          ['something else fails', undefined, true],
        ] as const)
          it(`fails to be renamed where ${what}: the old slot stays where it was and the stack’s own`, async () => {
            const { stack, template } = make(cold);
            await succeeds(stack.deploy(template()), stack);
            await server.sql('INSERT INTO t VALUES (2); DELETE FROM t');
            const id = stack.ids.get('Slot');
            stack.losses = losses;
            await fails(stack.deploy(template({ slotName: 's2', failsAfter })), stack);
            stack.losses = undefined;
            assert.deepEqual(await slots(), ['s'], stack.events.join('\n'));
            assert.ok(await holds('s', 2));
            assert.equal(stack.ids.get('Slot'), id);
            await succeeds(stack.remove(), stack);
            assert.deepEqual(await slots(), []);
          });

      it('fails to be removed with all answers lost, and is at the next try', async () => {
        const { stack, template } = make(cold);
        await succeeds(stack.deploy(template()), stack);
        stack.losses = { event: 'Delete Slot', answers: ALL_LOST };
        await fails(stack.remove(), stack);
        stack.losses = undefined;
        await succeeds(stack.remove(), stack);
        assert.deepEqual(await slots(), []);
      });
    });
  }

  it('keeps its slot under another name in the template, and then leaves it when it goes', async () => {
    const { stack, template } = make();
    await succeeds(stack.deploy(template({ logicalId: 'SlotCF8C3CD8' })), stack);
    await succeeds(stack.deploy(template({ logicalId: 'Moved' })), stack);
    assert.deepEqual(await slots(), ['s']);
    assert.match(logged.join(''), /does not call the resource SlotCF8C3CD8 its slot \(it calls Moved so\)/);
    await succeeds(stack.remove(), stack);
    assert.deepEqual(await slots(), ['s']);
    assert.match(logged.join(''), /was there before this stack.*pg_drop_replication_slot\('s'\)/);
  });

  it('leaves its slot where slotLifecycle is switched off', async () => {
    const { stack, template } = make();
    await succeeds(stack.deploy(template()), stack);
    await succeeds(stack.deploy(template({ logicalId: undefined })), stack);
    assert.deepEqual(await slots(), ['s']);
    assert.match(logged.join(''), /slotLifecycle is off.*pg_drop_replication_slot\('s'\)/);
  });

  it('goes on from an earlier version: nothing is dropped, and the slot goes with the stack', async () => {
    await server.createSlot('s');
    const { stack, template } = make();
    const { resources } = template();
    const slot = resources.find(({ logicalId }) => logicalId === 'Slot');
    assert.ok(slot);
    const id = 'created:127.0.0.1/postgres/s';
    stack.adopt(slot, id, { slotName: 's', databaseHost: '127.0.0.1', databaseName: 'postgres', onRemoval: 'drop' });
    await succeeds(stack.deploy(template()), stack);
    assert.equal(stack.ids.get('Slot'), id);
    assert.deepEqual(await slots(), ['s']);
    await succeeds(stack.remove(), stack);
    assert.deepEqual(await slots(), []);
  });

  it('keeps its slot for its own under another host name of the server, and back', async () => {
    const { stack, template } = make();
    await succeeds(stack.deploy(template()), stack);
    await succeeds(stack.deploy(template({ host: 'localhost' })), stack);
    await fails(stack.deploy(template({ host: '127.0.0.1', failsAfter: true })), stack);
    assert.equal(origin(stack), 'created');
    await succeeds(stack.remove(), stack);
    assert.deepEqual(await slots(), []);
  });

  it('fails to go to another server without a slot, and touches neither', async () => {
    const other = await startPostgres();
    try {
      await other.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'x'`);
      const { stack, template } = make();
      await succeeds(stack.deploy(template()), stack);
      await fails(stack.deploy(template({ port: other.port })), stack);
      assert.match(stack.events.join('\n'), /Update Slot: FAILED.*give it a name of its own/s);
      assert.deepEqual(await slots(), ['s']);
      // Made there on purpose, it is gone on with; the old one is left, and neither is dropped.
      await other.createSlot('s');
      await succeeds(stack.deploy(template({ port: other.port })), stack);
      await succeeds(stack.remove(), stack);
      assert.deepEqual(await slots(), ['s']);
      assert.equal((await other.sql('SELECT 1 FROM pg_replication_slots')).length, 1);
    } finally {
      await other.stop();
    }
  });
});
