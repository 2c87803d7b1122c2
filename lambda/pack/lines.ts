/**
 * The layout `lines`: the data of a lane's user records, each ended by a newline. For consumers that split text, such as
 * Firehose to S3. Partition keys are not carried, and data with line breaks of their own could not be told apart: the
 * settings do not allow it with `csv`.
 */
import type { AggregateLayout } from './aggregation.ts';

const NEWLINE = 0x0a;

/** User records ended by newlines. */
export const lines: AggregateLayout = {
  carriesKeys: false,
  frameBytes: () => 0,
  recordBytes: (_keyIndex, _keyBytes, dataBytes) => dataBytes + 1,
  addKey: () => undefined,
  addRecord({ records }, _keyIndex, data) {
    records.copy(data);
    records.byte(NEWLINE);
  },
  write({ records }, out) {
    out.copy(records.bytes, 0, records.length);
  },
};
