/**
 * What a run works with and what it is to do. Types only.
 */
import type { ResumePosition } from '../decode/resume-position.ts';
import type { Publisher } from '../ports/publisher.ts';
import type { Clock, Log, Metrics } from '../ports/runtime.ts';
import type { Session } from '../ports/session.ts';
import type { BatchParts } from './batch-ports.ts';
import type { MarkOptions } from './marks.ts';
import type { CountReporter } from './run-metrics.ts';
import type { SnapshotAnswer } from './snapshot-answer.ts';
import type { WarmState } from './warm-state.ts';

/** What a run works with. */
export interface RunPorts {
  readonly session: Session;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly warmState: WarmState;
  /** Tells the metrics what was done. @default one of its own */
  readonly reporter?: CountReporter;
  /** Asks the run to finish its round, advance and answer. */
  readonly stop?: AbortSignal;
  /** Called after each round that was acknowledged. @param published - changes of this run so far */
  readonly onProgress?: (published: number, throttledEntries: number, snapshot: SnapshotAnswer | undefined) => void;
}

/** What a run is to do. */
export interface RunOptions extends BatchParts {
  readonly action: 'run' | 'drain';
  /** The slot's name, for the answer. */
  readonly slotName: string;
  /** When the run began, milliseconds since 1970. */
  readonly startedAt: number;
  /** When it must have answered. */
  readonly deadline: number;
  /** When the function itself ends: used in place of `deadline` where not even the smallest peek finishes by then. */
  readonly functionDeadline: number;
  /** The most batches. */
  readonly maxBatches?: number;
  /** Where to go on inside a transaction; it wins over the warm state's. */
  readonly resume?: ResumePosition;
  /** BATCH_CHANGES: the most rows of one peek. */
  readonly maxRows: number;
  /** Whether the next peek of a backlog is read while one is published, where the session can. @default true */
  readonly readAhead?: boolean;
  /** Stay when caught up, and let the server work for at most this share of a core, in percent. @default the run ends */
  readonly lingerDutyPercent?: number;
  /** How much of its time a run may read tables beside the slot, in percent. @default 50 */
  readonly snapshotSharePercent?: number;
  /** The run was invoked for a snapshot: it waits where transactions have to end first. @default false */
  readonly isSnapshot?: boolean;
  /** What the marks say that are put into every lane. @default there are none */
  readonly marks?: MarkOptions | undefined;
  /** For how long after a holder was ended its last request may be in flight. */
  readonly inFlightGraceMs: number;
}
