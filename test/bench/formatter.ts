/**
 * The formatter of the benchmark's FORMAT=module: as much of a change as a consumer that keeps a copy wants, with every value,
 * as JSON. What it costs beside `json` is what an object a change, made and read again, costs.
 */
import type { Formatter } from '../../lib/formatter/formatter.ts';

export default {
  format: ({ id, op, schema, table, key, row, commitTime }) => ({
    data: JSON.stringify({ id, op, table: `${schema}.${table}`, key, row, commitTime }),
  }),
} satisfies Formatter;
