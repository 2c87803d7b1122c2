// A formatter of your own, for FORMAT=module: order events for a consumer that knows no database.
import type { Formatter } from 'pg2kinesis/formatter';

export default {
  format(change) {
    // Left out, and counted as `formatter` in the answer and in a metric.
    if (change.table !== 'orders' || change.op === 'TRUNCATE') return undefined;
    const order = change.key?.id;
    return {
      data: JSON.stringify({
        event: change.id,
        order,
        what: change.op.toLowerCase(),
        total: change.row?.total ?? null,
      }),
      // Events of one customer stay in order with each other. A DELETE shows the key only.
      partitionKey: JSON.stringify(change.row?.customer_id ?? order),
    };
  },
  // What the application writes with pg_logical_emit_message. Only needed with MESSAGES.
  formatMessage({ id, prefix, content }) {
    return { data: JSON.stringify({ event: id, about: prefix, text: content && Buffer.from(content).toString() }) };
  },
} satisfies Formatter;
