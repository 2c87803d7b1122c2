/** Why a record or a position does not belong to a copy. */
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../errors.ts';

/** The failure where a record that is in no lane is of our source: it is of AGGREGATION=none. */
export function inNoLane(): ReplicaError {
  return new ReplicaError(
    'RECORD_UNUSABLE',
    'The stream holds changes that are in no lane, as AGGREGATION=none writes them. Nothing of them was applied.',
  );
}

/** The failure where a stream has records of another source, and nobody said which to copy. */
export function otherSource(source: string, ours: string): ReplicaError {
  return new ReplicaError(
    'STREAM_CHANGED',
    `The stream holds changes of "${source}" besides those of "${ours}", which this copy is of. Nothing of them was applied.`,
    { remedy: 'Start with --source, and a --name for each source.' },
  );
}

/** The failure where another source is asked for than the copy is of: what is asked for would be dropped as another's. */
export function renamedSource(wanted: string, ours: string): ReplicaError {
  return new ReplicaError(
    'STREAM_CHANGED',
    `The copy is of the source "${ours}", and "${wanted}" is asked for. Nothing of "${wanted}" was applied.`,
    {
      remedy: `Ask for "${ours}". Or, if it is the same database under a new name: when every shard has come to this failure, run UPDATE pg2kinesis.replica SET source = '${wanted.replaceAll("'", "''")}' WHERE name = '<its name>' at the target.`,
    },
  );
}

/** The failure where a copy is to go on with another source than it is of: its own would be applied as the other's. */
export function otherThanCopied(wanted: string, ours: string): ReplicaError {
  return new ReplicaError(
    'STREAM_CHANGED',
    `The copy is of the source "${ours}", and "${wanted}" is asked for. Nothing was applied.`,
    {
      remedy: `Start with --source ${ours}, or with another --name for a copy of "${wanted}". Or, if it is the same database under a new name: start with --source ${ours} until everything of it is applied, run UPDATE pg2kinesis.replica SET source = '${wanted.replaceAll("'", "''")}' WHERE name = '<its name>' at the target, then start with --source ${wanted}.`,
    },
  );
}

/** The failure where the source is another server. @param applied - up to where it was copied */
export function otherServer(system: string, ours: string, applied: Lsn): ReplicaError {
  return new ReplicaError(
    'HISTORY_CHANGED',
    `The source is now another server (system identifier ${system}; this copy is of ${ours}, up to ${formatLsn(applied)}). Nothing of it was applied.`,
    {
      remedy:
        'Make the copy anew, of the source under another name, as the stream holds marks of both servers under this one: set SOURCE_NAME, delete the position of the copy, load its tables again, and begin with --source and --start-after (docs/replica.md).',
    },
  );
}

/**
 * The failure where the source has lost what is applied.
 *
 * @param fork - where its history left the one that was copied
 * @param timeline - that it is on now
 * @param applied - up to where it was copied
 * @param read - up to where the stream was read: what is lost may go on behind it
 */
export function lostHistory(fork: Lsn, timeline: number, applied: Lsn, read: Lsn): ReplicaError {
  return new ReplicaError(
    'HISTORY_CHANGED',
    `The source went on from ${formatLsn(fork)} on timeline ${timeline}, as after a failover to a standby that was behind, and this copy has what was committed up to ${formatLsn(applied)}. Nothing more was applied.`,
    {
      remedy: `Make the copy anew, when the source's WAL has come beyond what the stream holds of the former timeline, ${formatLsn(read)} at least: delete its position, load its tables again, and begin with --start-after (docs/replica.md). Sooner, or from the beginning of the stream, it would come here again.`,
    },
  );
}

/** The failure where nobody can tell what of the stream the source has lost, as there were no marks. @param fork - where its history left the former one */
export function doubtfulHistory(fork: Lsn, applied: Lsn): ReplicaError {
  return new ReplicaError(
    'HISTORY_CHANGED',
    `The source went to another timeline at ${formatLsn(fork)} while no marks were written, and the stream holds changes from before and after. Which of them it has lost cannot be told. What was committed after ${formatLsn(applied)} was not applied.`,
    {
      remedy:
        'Make the copy anew: load it with pg_dump, and begin with --start-after at the position of that dump (docs/replica.md).',
    },
  );
}
