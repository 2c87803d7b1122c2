/**
 * Publishes the rows of a snapshot's chunk, at the place in the WAL where they are true. Knows no slot and no stream.
 */
import { PipelineError } from '../errors.ts';
import type { Transformer } from '../transform/transform.ts';
import type { RowsToPublish, SnapshotRun } from './snapshot-run.ts';

/** How rounds are sent meanwhile. */
export interface RowPublishing {
  /** Sends the rounds that are full. @returns false when no more can be sent */
  readonly send: () => Promise<boolean>;
  /** @returns whether to take on no more work */
  readonly shouldStop: () => boolean;
}

/**
 * @param rows - the chunk, and where it is true
 * @param snapshots - counts what became of each row
 * @param transformer - takes the rows
 * @param publishing - sends what is full
 * @returns false when no more can be sent: then all rows of the chunk come again
 */
export async function publishRows(
  { chunk, place }: RowsToPublish,
  snapshots: SnapshotRun,
  transformer: Transformer,
  { send, shouldStop }: RowPublishing,
): Promise<boolean> {
  let ordinal = 0;
  for (const row of chunk.rows.values()) {
    try {
      const outcome = transformer.publishSnapshotRow(row, place, ++ordinal);
      if (outcome === 'filtered') {
        snapshots.leaveOut(chunk.table);
        return true;
      }
      snapshots.rowTaken(outcome === 'published' ? 'published' : 'leftOut');
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      // A snapshot must never keep changes from being published.
      snapshots.refuseRow(chunk.table, error);
      return true;
    }
    if (transformer.closed.length === 0) continue;
    if (!(await send()) || shouldStop()) {
      snapshots.abandon(chunk.table);
      return false;
    }
  }
  return true;
}
