/**
 * What the publishing of a batch works with, and what becomes of one. Types only.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { Clock, Log } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';
import type { Peek } from '../ports/slot.ts';
import type { Filters } from '../settings/filters.ts';
import type { TransformerParts } from '../transform/transform.ts';
import type { Advancer } from './advancer.ts';
import type { RunMarks } from './marks.ts';
import type { SnapshotRun } from './snapshot-run.ts';

/** What is to be published, and how. */
export interface BatchParts extends Omit<
  TransformerParts,
  'policies' | 'keyHistory' | 'alterations' | 'skippedLog' | 'resume' | 'snapshots'
> {
  /** Which tables and columns are wanted. */
  readonly filters: Filters;
}

/** What a batch processor works with. */
export interface BatchPorts {
  readonly session: Session;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Log;
  readonly advancer: Advancer;
  /** Undefined: tables cannot be read beside the slot. */
  readonly snapshots?: SnapshotRun | undefined;
  /** Undefined: no marks are published. */
  readonly marks?: RunMarks | undefined;
  /** Tables whose changes are left out, as far as the log has named them. */
  readonly warmState: { readonly loggedTables: Set<string> };
  /** @returns whether to take on no more work, asked after each block */
  readonly shouldStop: () => boolean;
  /** @returns whether to end before the next transaction, asked at each but the first of a batch */
  readonly shouldHandOver: () => boolean;
  /** @returns milliseconds since 1970: no request may end after it */
  readonly sendingDeadline: () => number;
  /** Called when a round was acknowledged. */
  readonly onAcknowledged: () => void;
}

/** Which peek a batch is. */
export interface PeekRequest {
  /** Where it ends (upto_lsn). */
  readonly upto: Lsn;
  /** The most rows (upto_nchanges); undefined: no limit. */
  readonly rows: number | undefined;
  /** How long the server may work before the first row. */
  readonly timeoutMs: number;
  /** Transactions whose commit record ends behind it are not published; undefined: all are. */
  readonly confirmed?: Lsn | undefined;
  /** It was read ahead. @default the slot is asked for it */
  readonly peek?: Peek | undefined;
  /** Called when a block has come, before it is read. */
  readonly onBlock?: (peek: Peek) => void;
}

/** What became of one batch. */
export interface Batch {
  /**
   * `whole`: all of it is acknowledged or counted. `commit-pending`: the catalogs say nothing yet of the transaction
   * named by {@link BatchProcessor.pendingCommit}; `beyond-bound`: the commit record of the next transaction ends behind what
   * standbys have confirmed; `handed-over`: somebody waits for the slot. All before it is acknowledged or counted.
   */
  readonly ended: 'whole' | 'throttled' | 'deadline' | 'commit-pending' | 'beyond-bound' | 'handed-over';
  /** Rows read, as the peek's limit counts them. */
  readonly rows: number;
  /** Milliseconds to the first row. */
  readonly firstRowMs: number;
  /** The newest boundary; undefined where no transaction was completed. */
  readonly boundary: Lsn | undefined;
  /** Commit time of the first transaction that is not published whole; undefined where there is none in the batch. */
  readonly oldestUnpublishedMicros: bigint | undefined;
}
