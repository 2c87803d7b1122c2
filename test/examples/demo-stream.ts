/**
 * What a consumer of the demo's stream is given: Lambda events with the bytes that the real function has published of real
 * changes, each event twice, and the rows that the consumer must end with.
 */
import { startFunction } from '../../bin/demo/function.ts';
import { startServers } from '../../bin/demo/servers.ts';
import { readStream, type StreamRecord } from '../../bin/stream-reader.ts';
import type { LambdaRecord } from '../../lib/consumer/consumer.ts';

/** A Lambda event of a Kinesis stream. */
export interface KinesisEvent {
  readonly Records: LambdaRecord[];
}

/** Inserts, updates, changes of keys and deletes; texts that are stored out of line and not changed. */
const SCRIPT = [
  `INSERT INTO shop.customers SELECT i, 'name ' || i, i / 3.0, i % 2 = 0, ARRAY['a,b', 'new' || chr(10) || 'line'], CASE WHEN i % 3 = 0 THEN repeat('long ', 2000) END, now() FROM generate_series(1, 300) i`,
  `INSERT INTO shop.order_lines SELECT i, 'sku/' || i, 1000 + i / 3, i FROM generate_series(1, 200) i`,
  `UPDATE shop.customers SET name = 'Zoë "' || id || '"' WHERE id % 5 = 0`,
  `UPDATE shop.customers SET id = id + 10000 WHERE id % 50 = 0 AND bio IS NULL`,
  `DELETE FROM shop.order_lines WHERE order_id % 4 = 0`,
  `DELETE FROM shop.customers WHERE id % 7 = 0`,
  `INSERT INTO shop.audit_trail VALUES (now(), 'has no key')`,
];

/** How many Kinesis records an event has at most. */
const BATCH = 10;

/**
 * Makes them, with the demo's servers and function, which are gone afterwards.
 *
 * @returns the events, a shard's in order, each twice; and `schema.table` and name of each row, as JSON by its key
 */
export async function demoStream(): Promise<{
  readonly events: readonly KinesisEvent[];
  readonly rows: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}> {
  await using stack = new AsyncDisposableStack();
  const { postgres, kinesis, env } = await startServers(stack, 'pg2kinesis', 3);
  const lambda = startFunction({ ...env, FORMAT: 'json', LANES: '8' }, () => undefined);
  stack.defer(() => lambda.stop());
  await lambda.invoke({ action: 'create-slot' });
  for (const statement of SCRIPT) await postgres.sql(statement);
  await lambda.invoke({ action: 'drain' });
  const records = new Map<string, StreamRecord[]>();
  const finish = new AbortController();
  finish.abort();
  await readStream({
    client: kinesis.client,
    stream: 'pg2kinesis',
    from: 'trim-horizon',
    signal: new AbortController().signal,
    finish: finish.signal,
    onRecord: (record) => void records.set(record.shardId, [...(records.get(record.shardId) ?? []), record]),
  });
  const events = [...records.values()].flatMap((ofShard) =>
    Array.from({ length: Math.ceil(ofShard.length / BATCH) }, (_, at): KinesisEvent => ({
      Records: ofShard.slice(at * BATCH, (at + 1) * BATCH).map(({ partitionKey, sequenceNumber, data }) => ({
        kinesis: { partitionKey, sequenceNumber, data: data.toString('base64') },
      })),
    })),
  );
  const rows: Record<string, Record<string, unknown>> = {};
  for (const { key, row } of await postgres.sql<{ key: string; row: Record<string, unknown> }>(
    `SELECT 'customers ' || id AS key, jsonb_build_object('name', name, 'active', active, 'bio', length(bio)) AS row FROM shop.customers
     UNION ALL SELECT 'order_lines ' || order_id || ' ' || sku, jsonb_build_object('quantity', quantity) FROM shop.order_lines`,
  ))
    rows[key] = row;
  return { events: events.flatMap((event) => [event, event]), rows };
}

/** What of a replica is compared. @param tables - rows by table and key, as a consumer has applied them */
export function comparable(
  applied: Iterable<{ readonly table: string; readonly row: Readonly<Record<string, unknown>> }>,
): Record<string, Record<string, unknown>> {
  const rows: Record<string, Record<string, unknown>> = {};
  for (const { table, row } of applied) {
    if (table === 'customers')
      rows[`customers ${String(row['id'])}`] = {
        name: row['name'],
        active: row['active'],
        bio: typeof row['bio'] === 'string' ? row['bio'].length : null,
      };
    else rows[`${table} ${String(row['order_id'])} ${String(row['sku'])}`] = { quantity: row['quantity'] };
  }
  return rows;
}
