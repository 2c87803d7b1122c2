// A formatter for examples/iceberg-stack.ts: one flat row for each change, whatever its table. For FORMAT=module.
import type { Formatter, FormatterRow } from 'pg2kinesis/formatter';

/** As JSON: the rows of different tables fit into one column. Bytes are base64. */
const json = (row: FormatterRow | null | undefined) =>
  row == null
    ? null
    : JSON.stringify(row, (_name, value: unknown) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
      );

export default {
  format(change) {
    return {
      data: JSON.stringify({
        id: change.id,
        source: change.source,
        op: change.op,
        table_name: `${change.schema}.${change.table}`,
        key_json: json(change.key),
        row_json: json(change.row),
        unchanged: change.unchanged?.join(',') ?? null,
        commit_lsn: change.commitLsn,
        commit_time: change.commitTime,
        ordinal: change.ordinal,
      }),
    };
  },
} satisfies Formatter;
