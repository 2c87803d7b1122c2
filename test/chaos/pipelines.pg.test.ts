/**
 * Two pipelines that share the tables of one database, each with its own slot and function, and publish to one stream at the
 * same time: by a filter, and by publications.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Arrived, type Environment, startEnvironment } from './environment.ts';
import { assertLanesInOrder, withoutRepeats } from './record-assertions.ts';

const TABLES = ['orders', 'events'] as const;
const TRANSACTIONS = 200;

describe('two pipelines on one stream', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    for (const table of TABLES) {
      await environment.server.sql(
        `CREATE TABLE ${table} (id int PRIMARY KEY, n int); CREATE PUBLICATION ${table} FOR TABLE ${table}`,
      );
    }
  });
  after(() => environment.stop());

  /** Drains all slots at once, while transactions over both tables are written. @returns what arrived */
  async function publish(
    stream: string,
    plugin: string,
    settings: (table: string) => Readonly<Record<string, string>>,
  ): Promise<Arrived[]> {
    const { server, kinesis } = environment;
    await kinesis.createStream(stream, 2);
    for (const table of TABLES) await server.createSlot(`${stream}_${table}`, plugin);
    const containers = await Promise.all(
      TABLES.map((table) =>
        environment.container({ ...settings(table), SLOT_NAME: `${stream}_${table}`, STREAM_NAME: stream, LANES: '4' }),
      ),
    );
    const [row] = await server.sql<{ next: number }>('SELECT coalesce(max(id), 0) + 1 AS next FROM orders');
    const first = row?.next ?? 1;
    const writing = (async () => {
      for (let id = first; id < first + TRANSACTIONS; id++) {
        await server.sql(
          `BEGIN; INSERT INTO orders VALUES (${id}, 1); INSERT INTO events VALUES (${id}, 1);
           UPDATE orders SET n = 2 WHERE id = ${id}; UPDATE events SET n = 2 WHERE id = ${id}; COMMIT`,
        );
      }
    })();
    await Promise.all([writing, ...containers.map((container) => container.run({ action: 'drain' }))]);
    for (const container of containers) assert.equal((await container.run({ action: 'drain' })).caughtUp, true);
    for (const table of TABLES) await server.sql('SELECT pg_drop_replication_slot($1)', [`${stream}_${table}`]);
    return await environment.arrived(stream);
  }

  /** Each change of each table came once, and a key's changes in their order. */
  function assertAll(records: readonly Arrived[]): void {
    for (const table of TABLES) {
      const own = records.filter((record) => record.table === table);
      assert.equal(own.length, 2 * TRANSACTIONS, `each change of ${table}, once`);
      assertLanesInOrder(withoutRepeats(own));
      const before = new Map<unknown, string>();
      for (const { key, op } of own) {
        assert.equal(op, before.has(key?.['id']) ? 'UPDATE' : 'INSERT', 'a key’s changes come in their order');
        before.set(key?.['id'], op);
      }
    }
  }

  it('I1, I2: by a filter, every change comes once, each key in order, and ids are unique', async () => {
    const records = await publish('filtered', 'test_decoding', (table) => ({
      TABLE_INCLUDE_LIST: `public\\.${table}`,
    }));
    assertAll(records);
    assert.equal(new Set(records.map(({ id }) => id)).size, records.length);
  });

  it('I1, I2: by publications, too; ids are unique within a table only, as a pipeline does not see the other’s changes', async () => {
    const records = await publish('published', 'pgoutput', (table) => ({ PLUGIN: 'pgoutput', PUBLICATIONS: table }));
    assertAll(records);
    assert.equal(new Set(records.map(({ table, id }) => `${table} ${id}`)).size, records.length);
    assert.equal(new Set(records.map(({ id }) => id)).size, records.length / 2);
  });
});
