/**
 * When a run puts marks into the lanes (MARKS=on), and what they say: a mark tells a replica that it has all records of the
 * lane up to a commit LSN. Decides only; the batch processor sends them. Knows no SQL and no SDK.
 *
 * A run marks what it published at the end of each batch, before the slot is advanced over it; in a long batch now and then.
 * A run that lingers does so once a second at most. A run opens with marks where its container does not know that the last
 * ones reached the stream: the first run of a container, one on another server or timeline, one after a run that was cut
 * short, and one after an hour without marks. So whatever a crash left unmarked is marked by the run that comes next.
 */
import type { Lsn } from '../decode/lsn.ts';
import { splitTableName } from '../decode/table-name.ts';
import { jsonMark, type Mark, type MarkFork, type MarkTables } from '../format/json/mark.ts';
import { laneKeys } from '../pack/lane-keys.ts';
import type { Clock } from '../ports/runtime.ts';
import type { AckPosition } from '../transform/ack-position.ts';
import type { Transformer } from '../transform/transform.ts';

/** A long batch is marked at the first boundary after so much was sent, or so long. */
const MARK_BYTES = 8 * 1024 * 1024;
const MARK_MS = 1_000;
/** The position of a replica that is stopped has to stay inside the stream's retention. */
const IDLE_MS = 3_600_000;
/** A mark names so many tables that a snapshot reads; of more it says `all`. */
const MAX_TABLES = 200;

/** What marks say besides how far the lanes are. */
export interface MarkOptions {
  readonly source: string;
  readonly lanes: number;
  /** The server's system identifier. */
  readonly system: string;
  readonly timeline: number;
  /** @returns the forks of the server's history; undefined: it does not tell */
  readonly forks: () => Promise<readonly MarkFork[] | undefined>;
}

/** What a container remembers of the marks of its last run. */
export interface MarkState {
  readonly system: string;
  readonly timeline: number;
  /** When the last marks were acknowledged, milliseconds since 1970. */
  at: number;
  /** Whether something was published after them. */
  isOwed: boolean;
}

/** What the decisions depend on. */
export interface MarkPorts {
  readonly clock: Clock;
  readonly warmState: { marks: MarkState | undefined };
  /** Whether the run stays when it has caught up. */
  readonly lingers: boolean;
  /** @returns the tables that a snapshot under way has not read to their end, as printed */
  readonly reading: () => readonly string[];
}

/** What takes marks: a transformation, as far as they have to do with it. */
export type MarkTaker = Pick<Transformer, 'counts' | 'newestPlace' | 'mark'>;

/** Decides for one run. */
export class RunMarks {
  readonly #options: MarkOptions;
  readonly #ports: MarkPorts;
  readonly #keys: readonly Buffer[];
  /** Of the marks that were written last. */
  #writtenAt: number;
  #writtenLsn: Lsn = 0n;
  #bytes = 0;
  #records = 0;
  #seen: AckPosition['marked'];
  /** Tables of which rows were read since the marks that were written last, as printed. */
  readonly #read = new Set<string>();
  /** Tables that the marks that were written last name as being read, as printed. */
  #named: ReadonlySet<string> = new Set();
  #owesTables = false;
  /** The newest boundary before the marks that were acknowledged last. */
  acknowledgedLsn: Lsn | undefined;

  /**
   * @param options - what marks say
   * @param ports - time, and what the container remembers
   */
  constructor(options: MarkOptions, ports: MarkPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#keys = laneKeys(options.lanes);
    this.#writtenAt = ports.clock.now();
  }

  /** Whether the run has to begin with marks. */
  get mustOpen(): boolean {
    const { marks } = this.#ports.warmState;
    return this.#isUnsure || marks === undefined || this.#ports.clock.now() - marks.at >= IDLE_MS;
  }

  /** Whether this container does not know that the last marks are of all that was published. */
  get #isUnsure(): boolean {
    const { marks } = this.#ports.warmState;
    const { system, timeline } = this.#options;
    return marks === undefined || marks.isOwed || marks.system !== system || marks.timeline !== timeline;
  }

  /** Whether the run began with marks, and none since has told what a snapshot reads: a run before, which was cut short, may have ended one. */
  get owesTables(): boolean {
    return this.#owesTables;
  }

  /** Whether a run that lingers has marks to send that it held back. */
  get isDue(): boolean {
    return this.#ports.warmState.marks?.isOwed === true && this.#ports.clock.now() - this.#writtenAt >= MARK_MS;
  }

  /**
   * Writes the marks that a run begins with.
   *
   * @param transformer - takes them
   * @param position - the slot's: everything up to it was published before
   */
  async open(transformer: MarkTaker, position: Lsn): Promise<void> {
    // Where the server does not tell its history, nothing of it is known to be the same as before.
    const forks = (await this.#options.forks()) ?? [[this.#options.timeline, 0n] as const];
    // What a snapshot reads is known once the slot is read. The marks that tell it then may be at this very position, and have to be newer.
    this.#write(
      transformer,
      position > 0n ? position - 1n : position,
      BigInt(Math.trunc(this.#ports.clock.now())) * 1000n,
      { forks },
    );
  }

  /** Rows of a table that a snapshot reads were published. @param table - as printed */
  rowsRead(table: string): void {
    this.#read.add(table);
  }

  /**
   * A message of a snapshot was read. Where it asks for tables, marks say so before any change that comes after it: who applies
   * lanes one by one has to know that rows of these tables may be missing.
   *
   * @param transformer - takes the marks
   * @param position - right behind the message: everything committed up to it was taken
   */
  snapshotRead(transformer: MarkTaker, position: Lsn): void {
    if (this.#ports.reading().every((table) => this.#named.has(table))) return;
    this.#write(transformer, position, BigInt(Math.trunc(this.#ports.clock.now())) * 1000n, this.#snapshotTables());
  }

  /**
   * At the end of a drain that has caught up, or of a run that still has to tell what a snapshot reads: everything up to the slot's
   * position is before these marks, so whoever waits for the source's present end has it.
   *
   * @param position - the slot's
   */
  seal(transformer: MarkTaker, position: Lsn): void {
    if (position <= this.#writtenLsn) return;
    this.#write(transformer, position, BigInt(Math.trunc(this.#ports.clock.now())) * 1000n, {
      reading: tablesOf(this.#ports.reading()),
    });
  }

  /** After a COMMIT: marks a long batch now and then. */
  committed(transformer: MarkTaker): void {
    const waited = this.#ports.clock.now() - this.#writtenAt;
    if (waited < MARK_MS && transformer.counts.bytes - this.#bytes < MARK_BYTES) return;
    this.#writeIfOwed(transformer);
  }

  /** At the end of a batch, before its last round is closed. @param isLast - whether it is the run's last */
  ended(transformer: MarkTaker, isLast = false): void {
    if (!isLast && this.#ports.lingers && this.#ports.clock.now() - this.#writtenAt < MARK_MS) return;
    this.#writeIfOwed(transformer);
    // Where there was nothing to write they are not due again at once.
    if (isLast) this.#writtenAt = this.#ports.clock.now();
  }

  /** @param position - where an acknowledgement takes the run */
  acknowledged({ marked, counts }: AckPosition): void {
    const { warmState, clock } = this.#ports;
    const { system, timeline } = this.#options;
    if (marked !== undefined && marked !== this.#seen) {
      this.#seen = marked;
      this.acknowledgedLsn = marked.boundary;
      warmState.marks = { system, timeline, at: clock.now(), isOwed: false };
    }
    if (warmState.marks !== undefined) warmState.marks.isOwed = counts.records > (marked?.records ?? 0);
  }

  #writeIfOwed(transformer: MarkTaker): void {
    const { newestPlace } = transformer;
    if (newestPlace === undefined) return;
    const reading = this.#ports.reading();
    const saysSomethingNew = this.#named.size > 0 !== reading.length > 0 || this.#read.size > 0;
    if (transformer.counts.records === this.#records && !saysSomethingNew) return;
    this.#write(transformer, newestPlace.commitLsn, newestPlace.commitTimeMicros, this.#snapshotTables());
  }

  /** What the next marks say of a snapshot. */
  #snapshotTables(): Pick<Mark, 'reading' | 'read'> {
    const reading = this.#ports.reading();
    const read = [...this.#read].filter((table) => !reading.includes(table));
    this.#read.clear();
    this.#named = new Set(reading);
    return { reading: tablesOf(reading), read: tablesOf(read) };
  }

  #write(
    transformer: MarkTaker,
    commitLsn: Lsn,
    commitTimeMicros: bigint,
    more: Pick<Mark, 'forks' | 'reading' | 'read'>,
  ): void {
    const { source, lanes, system, timeline } = this.#options;
    const mark: Mark = { source, commitLsn, commitTimeMicros, lanes, system, timeline, ...more };
    transformer.mark(this.#keys, (lane) => Buffer.from(jsonMark(mark, lane)));
    this.#writtenLsn = commitLsn;
    this.#owesTables = more.forks !== undefined && this.#isUnsure;
    this.#writtenAt = this.#ports.clock.now();
    this.#bytes = transformer.counts.bytes;
    this.#records = transformer.counts.records;
  }
}

/** @param printed - names of tables @returns as a mark has them; undefined: none */
function tablesOf(printed: readonly string[]): MarkTables | undefined {
  if (printed.length === 0) return undefined;
  return printed.length > MAX_TABLES ? 'all' : printed.map(splitTableName);
}
