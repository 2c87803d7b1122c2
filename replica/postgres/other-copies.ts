/** Whether a target has another copy of the same stream and source, which writes to the same tables. */
import type pg from 'pg';
import { ReplicaError } from '../errors.ts';

/** A copy. */
export interface CopyOf {
  readonly name: string;
  /** Of the stream that it reads. */
  readonly streamArn: string;
  /** That it is of; undefined: whatever is in the stream. */
  readonly source: string | undefined;
}

/**
 * Looks for another copy. Of two that begin at the same moment one waits here until the other's transaction is over, and sees it.
 *
 * @param client - of the target, in the transaction that has written the copy's own row
 * @param copy - that begins
 * @throws {ReplicaError} REPLICA_USAGE where there is one
 */
export async function refuseSecondCopy(client: pg.Client, { name, streamArn, source }: CopyOf): Promise<void> {
  await client.query(`SELECT pg_advisory_xact_lock(hashtext('pg2kinesis.replica begins'), hashtext($1))`, [streamArn]);
  const { rows } = await client.query<{ name: string; source: string | null }>(
    `SELECT name, source FROM pg2kinesis.replica WHERE name <> $1 AND stream_arn = $2 AND ($3::text IS NULL OR source IS NULL OR source = $3)
      ORDER BY source IS NULL LIMIT 1`,
    [name, streamArn, source ?? null],
  );
  const [other] = rows;
  if (other === undefined) return;
  const isUnsure = source !== undefined && other.source === null;
  const what = isUnsure || source === undefined ? 'the stream' : `"${source}"`;
  const apart = isUnsure
    ? `For another source than that one's, start "${other.name}" with --source (SOURCE_NAME) once.`
    : 'For another source of the stream, say which with --source (SOURCE_NAME).';
  throw new ReplicaError(
    'REPLICA_USAGE',
    `The target has a copy of ${what} already, "${other.name}"${isUnsure ? ', which has not read yet of which source it is' : ''}. Another one would write old values over its rows. Nothing was applied.`,
    {
      remedy: `Go on with --name ${other.name} (REPLICA_NAME). ${apart} To begin anew under this name, empty the tables and run DELETE FROM pg2kinesis.replica WHERE name = '${other.name.replaceAll("'", "''")}'.`,
    },
  );
}
