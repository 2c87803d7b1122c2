/** COPY ... FROM STDIN: rows as text, sent in blocks. Knows no table. */
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Rows are sent in blocks of about this many characters. */
const BLOCK = 64 * 1024;

/**
 * Copies rows.
 *
 * @param client - in a transaction
 * @param into - the table and its columns, as SQL
 * @param lines - one a row, in COPY's text format, without the line break
 * @returns how many rows were taken
 */
export async function copyRows(client: pg.Client, into: string, lines: Iterable<string>): Promise<number> {
  const stream = client.query(copyFrom(`COPY ${into} FROM STDIN`));
  const done = finished(stream);
  // Awaited below. Handled here already, so that a failure before that is not an unhandled rejection.
  done.catch(() => undefined);
  let block = '';
  for (const line of lines) {
    block += line + '\n';
    if (block.length < BLOCK) continue;
    if (!stream.write(block)) await Promise.race([once(stream, 'drain'), done]);
    block = '';
  }
  stream.end(block);
  await done;
  return stream.rowCount;
}
