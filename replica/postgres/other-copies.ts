/** Whether a target has another copy of the same stream and source, which writes to the same tables. */
import type pg from 'pg';
import { ReplicaError } from '../errors.ts';

/**
 * Looks for another copy.
 *
 * @param client - of the target
 * @param name - of the copy that is to begin
 * @param streamArn - of the stream that it reads
 * @param source - that it is of; undefined: whatever is in the stream
 * @throws {ReplicaError} REPLICA_USAGE where there is one
 */
export async function refuseSecondCopy(
  client: pg.Client,
  name: string,
  streamArn: string,
  source: string | undefined,
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM pg2kinesis.replica WHERE name <> $1 AND stream_arn = $2 AND ($3::text IS NULL OR source = $3) LIMIT 1`,
    [name, streamArn, source ?? null],
  );
  const [other] = rows;
  if (other === undefined) return;
  throw new ReplicaError(
    'REPLICA_USAGE',
    `The target has a copy of ${source === undefined ? 'the stream' : `"${source}"`} already, "${other.name}". Another one would write old values over its rows. Nothing was applied.`,
    {
      remedy: `Go on with --name ${other.name}. For another source of the stream, say which with --source. To begin anew under this name, empty the tables and run DELETE FROM pg2kinesis.replica WHERE name = '${other.name.replaceAll("'", "''")}'.`,
    },
  );
}
