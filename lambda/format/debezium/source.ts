/**
 * The beginning of Debezium's `source`, which changes and messages have in common. Knows no row.
 */
import type { Transaction } from '../../decode/messages.ts';
import type { FormatOptions } from '../record.ts';

/** The release whose envelope this is; `origin` and `origin_lsn` came with 3.5. */
const VERSION = '3.6.0.Final';

/**
 * What is in `source` before the row's own LSN; the same for all records of a transaction.
 *
 * @param options - the source's name and the database
 * @param transaction - its commit
 * @param snapshot - `incremental`: rows that a snapshot has read
 * @returns the fields up to `db`, and the first half of `sequence`
 */
export function sourceHead(
  options: FormatOptions,
  { commitTimeMicros, commitLsn }: Pick<Transaction, 'commitLsn' | 'commitTimeMicros'>,
  snapshot: 'false' | 'incremental' = 'false',
): { readonly source: Buffer; readonly sequence: Buffer } {
  const milliseconds = commitTimeMicros / 1000n;
  const name = JSON.stringify(options.source);
  const database = JSON.stringify(options.database);
  return {
    source: Buffer.from(
      `{"version":"${VERSION}","connector":"postgresql","name":${name},"ts_ms":${milliseconds},"snapshot":"${snapshot}","db":${database}`,
      'utf8',
    ),
    sequence: Buffer.from(`,"sequence":"[\\"${commitLsn}\\",\\"`, 'latin1'),
  };
}
