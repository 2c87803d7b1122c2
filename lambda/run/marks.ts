/**
 * When a run puts marks into the lanes (MARKS=on), and what they say: a mark tells a replica that it has all records of the
 * lane up to a commit LSN. Decides only; the batch processor sends them. Knows no SQL and no SDK.
 *
 * A run marks what it published at the end of each batch, before the slot is advanced over it; in a long batch now and then.
 * A run that lingers does so once a second at most. A run opens with marks where its container does not know that the last
 * ones reached the stream: the first run of a container, one on another server or timeline, one after a run that was cut
 * short, one that finds the slot elsewhere than its container left it, and one after an hour without marks.
 * Such a run also marks what runs before it left unmarked, once it has read the slot to its end, or at its own end, or the next one does.
 */
import type { Lsn } from '../decode/lsn.ts';
import { jsonMark, type Mark, type MarkFork } from '../format/json/mark.ts';
import { laneKeys } from '../pack/lane-keys.ts';
import type { Clock } from '../ports/runtime.ts';
import type { AckPosition } from '../transform/ack-position.ts';
import type { Transformer } from '../transform/transform.ts';
import { KnownTables, type KnownTablesPorts } from './known-tables.ts';
import { MarkedTables } from './marked-tables.ts';

/** A long batch is marked at the first boundary after so many bytes of records, or so long. */
const MARK_BYTES = 8 * 1024 * 1024;
const MARK_MS = 1_000;
/** The position of a replica that is stopped has to stay inside the stream's retention. */
const IDLE_MS = 3_600_000;

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
  /** Whether something was published that they do not mark. */
  isOwed: boolean;
  /** Marks above this LSN are to tell of all tables that a snapshot reads; undefined: some have. */
  tablesAbove: Lsn | undefined;
  /** Where the container's last run left the slot; undefined: it did not end. */
  position: Lsn | undefined;
  /** Whether a run that finds the slot there knows all these tables from the beginning. */
  knowsTables: boolean;
}

/** What the decisions depend on. */
export interface MarkPorts extends KnownTablesPorts {
  readonly clock: Clock;
  readonly warmState: { marks: MarkState | undefined };
  /** Whether the run stays when it has caught up. */
  readonly lingers: boolean;
  /** @returns the tables that a snapshot under way has not read to their end, as printed */
  readonly reading: () => readonly string[];
}

/** What takes marks: a transformation, as far as they have to do with it. */
export type MarkTaker = Pick<Transformer, 'counts' | 'takenBytes' | 'newestPlace' | 'mark'>;

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
  /** The marks that were written last, as acknowledgements show them. */
  #last: AckPosition['marked'];
  #known: KnownTables;
  #tables: MarkedTables;
  #mustOpen = false;
  /** What was published up to here by runs before may be without marks; undefined: marks were written that say as much. */
  #unmarkedUpto: Lsn | undefined;
  /** Whether records were acknowledged after the marks that were acknowledged last. */
  #holdsBack = false;
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
    this.#known = new KnownTables(ports, false);
    this.#tables = new MarkedTables(ports.reading, this.#known, undefined);
  }

  /**
   * The run begins.
   *
   * @param position - the slot's
   */
  begin(position: Lsn): void {
    const { warmState, clock } = this.#ports;
    const { system, timeline } = this.#options;
    const { marks } = warmState;
    const isAsLeft = marks?.system === system && marks.timeline === timeline && marks.position === position;
    // Another run may have published there, and ended before its marks.
    const isUnsure = !isAsLeft || marks.isOwed;
    this.#mustOpen = isUnsure || clock.now() - marks.at >= IDLE_MS;
    this.#unmarkedUpto = isUnsure ? position : undefined;
    const knows = isAsLeft && marks.knowsTables;
    this.#known = new KnownTables(this.#ports, knows);
    const owedAbove = knows ? marks.tablesAbove : 0n;
    this.#tables = new MarkedTables(this.#ports.reading, this.#known, owedAbove);
    if (marks === undefined) return;
    // The next run finds the slot where this one leaves it, whatever this one could mark.
    marks.isOwed = isUnsure;
    marks.tablesAbove = owedAbove;
  }

  /** Everything up to a position was read. */
  readTo(lsn: Lsn): void {
    this.#known.readTo(lsn);
  }

  /** Keeps for the container's next run where the slot is, and what is known of tables. @param position - the slot's, at the end of the run */
  end(position: Lsn): void {
    const { marks } = this.#ports.warmState;
    if (marks === undefined) return;
    marks.position = position;
    marks.knowsTables = this.#known.areAllAt(position);
  }

  /** Whether the run has to begin with marks. */
  get mustOpen(): boolean {
    return this.#mustOpen;
  }

  /** Whether marks are owed though nothing is published any more: for what a run before has published, or to tell what a snapshot reads. */
  get isOwing(): boolean {
    return this.#unmarkedUpto !== undefined || this.#tables.owedAbove !== undefined;
  }

  /** Whether a run that lingers has marks to send that it held back. */
  get isDue(): boolean {
    return this.#holdsBack && this.#ports.clock.now() - this.#writtenAt >= MARK_MS;
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
    this.#write(transformer, position - 1n, this.#nowMicros(), forks);
  }

  /** Rows of a table that a snapshot reads were published. @param table - as printed */
  rowsRead(table: string): void {
    this.#tables.rowsRead(table);
  }

  /**
   * A message of a snapshot was read. Where it asks for tables, marks say so before any change that comes after it: who applies
   * lanes one by one has to know that rows of these tables may be missing.
   *
   * @param transformer - takes the marks
   * @param position - right behind the message: everything committed up to it was taken
   */
  snapshotRead(transformer: MarkTaker, position: Lsn): void {
    if (this.#tables.hasUnnamed) this.#write(transformer, position, this.#nowMicros());
  }

  /**
   * At the end of a drain that has caught up: everything up to a position is before these marks, so whoever waits for the source's
   * present end has it.
   *
   * @param position - up to where everything is acknowledged
   */
  seal(transformer: MarkTaker, position: Lsn): void {
    if (position > this.#writtenLsn) this.#write(transformer, position, this.#nowMicros());
  }

  /**
   * Before a run waits for something new, and at its end: what is owed for runs before it, or to tell what a snapshot reads.
   *
   * @param position - up to where everything is acknowledged
   */
  settle(transformer: MarkTaker, position: Lsn): void {
    // Without the tables only where more is to come: marks that tell them have to be at a newer position than these.
    const covers = this.#unmarkedUpto !== undefined && (this.#known.areAll || this.#known.hasMoreBehind(position));
    if (covers || this.#tables.isOwedAt(position)) this.#write(transformer, position, this.#nowMicros());
  }

  /** After a COMMIT: marks a long batch now and then. */
  committed(transformer: MarkTaker): void {
    const waited = this.#ports.clock.now() - this.#writtenAt;
    if (waited < MARK_MS && transformer.takenBytes - this.#bytes < MARK_BYTES) return;
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
    this.#holdsBack = counts.records > (marked?.records ?? 0);
    const isOwed = this.#holdsBack || marked !== this.#last || this.#unmarkedUpto !== undefined;
    const owed = { isOwed, tablesAbove: this.#tables.owedAbove };
    if (marked !== undefined && marked !== this.#seen) {
      this.#seen = marked;
      this.acknowledgedLsn = marked.boundary;
      warmState.marks = { system, timeline, at: clock.now(), position: undefined, knowsTables: false, ...owed };
    } else if (warmState.marks !== undefined) Object.assign(warmState.marks, owed);
  }

  #writeIfOwed(transformer: MarkTaker): void {
    const { newestPlace } = transformer;
    if (newestPlace === undefined) return;
    if (transformer.counts.records === this.#records && !this.#tables.hasNews) return;
    if (newestPlace.commitLsn < this.#writtenLsn) {
      // Marks were written where the slot is, and none may go back behind them.
      this.#tables.owe(this.#writtenLsn);
      return;
    }
    this.#write(transformer, newestPlace.commitLsn, newestPlace.commitTimeMicros);
  }

  #nowMicros(): bigint {
    return BigInt(Math.trunc(this.#ports.clock.now())) * 1000n;
  }

  /** @param forks - of marks that open a run: what a snapshot reads is not known yet; undefined: marks that tell that */
  #write(transformer: MarkTaker, commitLsn: Lsn, commitTimeMicros: bigint, forks?: readonly MarkFork[]): void {
    const { source, lanes, system, timeline } = this.#options;
    const told = forks === undefined ? this.#tables.tell() : undefined;
    const mark: Mark = { source, commitLsn, commitTimeMicros, lanes, system, timeline, forks, ...told };
    this.#last = transformer.mark(this.#keys, (lane) => Buffer.from(jsonMark(mark, lane)));
    this.#writtenLsn = commitLsn;
    this.#writtenAt = this.#ports.clock.now();
    this.#bytes = transformer.takenBytes;
    this.#records = transformer.counts.records;
    if (this.#unmarkedUpto !== undefined && commitLsn >= this.#unmarkedUpto) this.#unmarkedUpto = undefined;
    this.#tables.written(commitLsn, told);
  }
}
