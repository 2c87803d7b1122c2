/** The TypeScript consumer against the demo's stream: it ends with the rows of the tables, though every event comes twice. */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { it } from 'node:test';
import type { Change } from '../../lib/consumer/consumer.ts';
import { comparable, demoStream } from './demo-stream.ts';

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier === 'pg2kinesis/consumer' ? new URL('../../lib/consumer/consumer.ts', import.meta.url).href : specifier,
      context,
    ),
});
const { consumer } = await import('../../examples/lambda-consumer.ts');

it('the Lambda consumer keeps a copy of the tables, from a stream in which every event comes twice', async () => {
  const { events, rows } = await demoStream();
  const seen = new Set<string>();
  let applied = 0;
  const copy = new Map<string, { table: string; row: Record<string, unknown> }>();
  const handler = consumer({
    has: (identity) => Promise.resolve(seen.has(identity)),
    apply: async (change: Change, identity) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.add(identity);
      applied++;
      const name = `${change.table} ${JSON.stringify(change.key)}`;
      if (change.op === 'DELETE') copy.delete(name);
      else copy.set(name, { table: change.table, row: { ...copy.get(name)?.row, ...change.row } });
    },
  });
  for (const event of events) await handler(event);
  assert.ok(applied > 500 && applied === seen.size, String(applied));
  assert.deepEqual(comparable(copy.values()), rows);
});
