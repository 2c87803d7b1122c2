/**
 * A target in memory for changes that are applied as they come. Each row has the place of the part that wrote it. A rule can be
 * broken here.
 */
import { ReplicaError } from '../../../../replica/errors.ts';
import type { AwaitsRows } from '../../../../replica/rules/applier.ts';
import {
  type CarriedRow,
  type DeferredChange,
  type FastState,
  type FastTarget,
  type FastTransaction,
  keyName,
  type LeftOut,
  type TableName,
  type Truncation,
} from '../../../../replica/rules/fast/fast-target.ts';
import { type CommitPlace, isBefore, type LanePosition } from '../../../../replica/rules/fast/lane-position.ts';
import { DELETED, type FoldedTable, type JsonText } from '../../../../replica/rules/fold.ts';
import { type Change, readRecord } from '../../../../replica/rules/record.ts';
import { type ModelRow, type ModelTable, plainKey } from './source.ts';
import { LANES } from './stream.ts';

/** A rule that is left out. */
export type BrokenFast =
  /** Repeats are applied. */
  | 'skip'
  /** A move does not carry its row along. */
  | 'park'
  /** The second half of a move does not wait for the first. */
  | 'defer'
  /** What comes after a change that waits does not wait. */
  | 'queue'
  /** A TRUNCATE is forgotten once it is applied. */
  | 'remember'
  /** A TRUNCATE deletes rows that are newer, too. */
  | 'newer'
  /** What has waited is noted as of the record that ended the waiting. */
  | 'note'
  /** What waits is left by a TRUNCATE. */
  | 'waiting'
  /** A note is given up before all lanes have passed it. */
  | 'prune'
  /** A TRUNCATE is published in a round with others. */
  | 'round'
  /** A child shard is read at once. */
  | 'parents'
  /** The producer does not tell of a changed history. */
  | 'history'
  /** A row that a snapshot is to bring is missed. */
  | 'awaits'
  /** What has waited is missed, where the snapshot is over since. */
  | 'then'
  /** Marks tell of a snapshot in the first lane only. */
  | 'lanes'
  /** A snapshot is told of with the next marks, not at once. */
  | 'begin'
  | 'none';

/** All that the target keeps. */
interface Kept {
  rows: Map<string, { readonly row: ModelRow; readonly place: CommitPlace | undefined }>;
  lanes: Map<number, LanePosition>;
  source: string | undefined;
  system: string | undefined;
  start: bigint;
  begunMs: number;
  laneCount: number | undefined;
  truncations: Truncation[];
  parked: { readonly place: CommitPlace; readonly row: ModelRow | undefined }[];
  deferred: {
    readonly key: string;
    readonly place: CommitPlace;
    readonly text: string;
    readonly awaitsRead: boolean;
  }[];
  /** Places of parts that have written rows. */
  notes: CommitPlace[];
}

/** A copy; what is in it never changes. */
function copyOf(kept: Kept): Kept {
  const { rows, lanes, truncations, parked, deferred, notes } = kept;
  return {
    ...kept,
    rows: new Map(rows),
    lanes: new Map(lanes),
    truncations: [...truncations],
    parked: [...parked],
    deferred: [...deferred],
    notes: [...notes],
  };
}

/** The process was ended here. */
export class Ended extends Error {}

/** A target in memory. */
export class ModelFastTarget implements FastTarget {
  readonly #awaitsSnapshot: boolean;
  #kept: Kept = {
    rows: new Map(),
    lanes: new Map(),
    source: undefined,
    system: undefined,
    start: 0n,
    begunMs: 0,
    laneCount: undefined,
    truncations: [],
    parked: [],
    deferred: [],
    notes: [],
  };
  readonly #broken: BrokenFast;
  /** Called at each step of a transaction: throws to end it there. */
  onStep: () => void = () => undefined;

  /** @param broken - a rule that is left out @param awaitsSnapshot - whether the copy began so @param begun - up to where its rows were loaded, and when it began */
  constructor(broken: BrokenFast, awaitsSnapshot = false, begun: Partial<Pick<Kept, 'start' | 'begunMs'>> = {}) {
    this.#broken = broken;
    this.#awaitsSnapshot = awaitsSnapshot;
    this.#kept = { ...this.#kept, ...begun };
  }

  get rows(): ModelTable {
    return new Map([...this.#kept.rows].map(([key, { row }]) => [plainKey(textOf(key)), row]));
  }

  /** The lanes' positions. */
  get positions(): readonly LanePosition[] {
    return [...this.#kept.lanes.values()];
  }

  /** What is left besides rows and positions. */
  get left(): number {
    const { truncations, parked, deferred, notes, lanes } = this.#kept;
    const copied = [...lanes.values()].filter(({ copying }) => copying.length > 0);
    return truncations.length + parked.length + deferred.length + notes.length + copied.length;
  }

  begin(_lanes: readonly number[], _alone: boolean, keys: () => ReadonlySet<string>): Promise<FastTransaction> {
    return Promise.resolve(
      new ModelTransaction(
        copyOf(this.#kept),
        this.#broken,
        this.onStep,
        (kept) => (this.#kept = kept),
        this.#awaitsSnapshot,
        keys(),
      ),
    );
  }
}

class ModelTransaction implements FastTransaction {
  readonly state: FastState;
  #kept: Kept;
  readonly #broken: BrokenFast;
  readonly #onStep: () => void;
  readonly #keep: (kept: Kept) => void;
  readonly #saved: Kept[] = [];
  readonly #places: (CommitPlace | undefined)[] = [];

  constructor(
    kept: Kept,
    broken: BrokenFast,
    onStep: () => void,
    keep: (kept: Kept) => void,
    awaitsSnapshot: boolean,
    keys: ReadonlySet<string>,
  ) {
    this.#kept = kept;
    this.#broken = broken;
    this.#onStep = onStep;
    this.#keep = keep;
    const waiting = new Set(broken === 'queue' ? [] : kept.deferred.flatMap(({ key }) => (keys.has(key) ? [key] : [])));
    if (broken === 'queue') waiting.add = () => waiting;
    const { source, system, start, begunMs, laneCount, lanes, truncations } = kept;
    this.state = {
      source,
      system,
      start,
      begunMs,
      awaitsSnapshot,
      laneCount,
      lanes: new Map(broken === 'skip' ? [] : lanes),
      truncations: broken === 'remember' ? [] : [...truncations],
      isWaiting: kept.deferred.length > 0,
      waiting,
    };
    if (broken === 'remember') this.state.truncations.push = () => 0;
  }

  #step(): Promise<void> {
    this.#onStep();
    return Promise.resolve();
  }

  begin(): Promise<void> {
    this.#saved.push(copyOf(this.#kept));
    this.#places.push(undefined);
    return this.#step();
  }

  note(place: CommitPlace): Promise<void> {
    const outer = this.#places.findLast((each) => each !== undefined);
    const noted = this.#broken === 'note' && outer !== undefined ? outer : { lsn: place.lsn, ordinal: place.ordinal };
    this.#places[this.#places.length - 1] = noted;
    this.#kept.notes.push(noted);
    return this.#step();
  }

  end(): Promise<void> {
    this.#saved.pop();
    this.#places.pop();
    return this.#step();
  }

  undo(): Promise<void> {
    const [first] = this.#saved;
    if (first !== undefined) this.#kept = first;
    this.#saved.length = 0;
    this.#places.length = 0;
    return this.#step();
  }

  async write(tables: readonly FoldedTable[], awaits: AwaitsRows): Promise<LeftOut> {
    const place = this.#places.at(-1);
    let awaitingRead = 0;
    for (const { schema, name: table, columns, rows } of tables) {
      const before = new Map(this.#kept.rows);
      for (const [key, row] of rows) {
        this.#kept.rows.delete(key);
        if (row === DELETED) continue;
        const base = row.base === undefined ? undefined : before.get(row.base)?.row;
        if (row.needs.length > 0 && base === undefined && awaits(schema, table) && this.#broken !== 'awaits') {
          awaitingRead++;
          continue;
        }
        const value = (name: keyof ModelRow): unknown => {
          const source: JsonText = row.values[columns.indexOf(name)];
          if (source === undefined && base === undefined) throw new ReplicaError('MISSING_ROW', `${key} is not there.`);
          if (source === undefined) return base?.[name];
          return source === null ? null : (JSON.parse(source) as unknown);
        };
        const made = { text: value('text'), v: value('v'), u: value('u'), big: value('big') } as ModelRow;
        this.#kept.rows.set(key, { row: made, place });
      }
    }
    await this.#step();
    return { missing: 0, awaitingRead };
  }

  park(move: Change): Promise<void> {
    const key = move.key ?? '';
    const row = this.#broken === 'park' ? undefined : this.#kept.rows.get(key)?.row;
    this.#kept.rows.delete(key);
    this.#kept.parked.push({ place: { lsn: move.lsn, ordinal: move.ordinal + 1 }, row });
    return this.#step();
  }

  async unpark({ lsn, ordinal, oldKey = '' }: Change): Promise<{ readonly row: CarriedRow } | undefined> {
    await this.#step();
    const at = this.#kept.parked.findIndex(({ place }) => place.lsn === lsn && place.ordinal === ordinal);
    const [found] = at < 0 ? [] : this.#kept.parked.splice(at, 1);
    if (found !== undefined) return { row: carried(found.row) };
    return this.#broken === 'defer' ? { row: carried(this.#kept.rows.get(oldKey)?.row ?? NOTHING) } : undefined;
  }

  defer({ change, awaitsRead }: DeferredChange): Promise<void> {
    const place = { lsn: change.lsn, ordinal: change.ordinal };
    this.#kept.deferred.push({ key: keyName(change, change.key ?? ''), place, text: change.text, awaitsRead });
    return this.#step();
  }

  async deferred(table: TableName, key: string): Promise<DeferredChange[]> {
    await this.#step();
    const isOver =
      this.#broken === 'then' && [...this.state.lanes.values()].some(({ copying }) => copying.length === 0);
    return this.#kept.deferred
      .filter((each) => each.key === keyName(table, key))
      .map(({ text, awaitsRead }) => ({ change: readRecord(text) as Change, awaitsRead: awaitsRead && !isOver }));
  }

  forget(table: TableName, key: string, upto: CommitPlace): Promise<void> {
    this.#kept.deferred = this.#kept.deferred.filter(
      ({ key: other, place }) => other !== keyName(table, key) || isBefore(upto, place),
    );
    return this.#step();
  }

  async truncate(truncation: Truncation): Promise<string[]> {
    await this.#step();
    const kept = this.#kept;
    for (const [key, { place }] of kept.rows) {
      // Only of noted places is known what is newer.
      const noted = kept.notes.find(({ lsn, ordinal }) => lsn === place?.lsn && ordinal === place.ordinal);
      if (this.#broken === 'newer' || noted === undefined || isBefore(noted, truncation)) kept.rows.delete(key);
    }
    kept.parked = kept.parked.filter(({ place }) => !isBefore(place, truncation));
    const older = this.#broken === 'waiting' ? [] : kept.deferred.filter(({ place }) => isBefore(place, truncation));
    kept.deferred = kept.deferred.filter((each) => !older.includes(each));
    kept.truncations.push(truncation);
    return [...new Set(older.map(({ key }) => (JSON.parse(key) as string[])[2] ?? ''))];
  }

  async commit(): Promise<number> {
    await this.#step();
    const { source, system, start, laneCount, lanes } = this.state;
    const reaches = Array.from({ length: LANES }, (_, lane) => lanes.get(lane)?.readUpto ?? 0n);
    const least = reaches.reduce((a, b) => ((this.#broken === 'prune' ? b > a : b < a) ? b : a));
    const isPassed = ({ lsn }: CommitPlace): boolean => lsn <= least;
    this.#keep({
      ...this.#kept,
      source,
      system,
      start,
      laneCount,
      lanes: new Map(lanes),
      notes: this.#kept.notes.filter((each) => !isPassed(each)),
      truncations: this.#kept.truncations.filter((each) => !isPassed(each)),
    });
    return this.#kept.deferred.length;
  }

  rollback(): Promise<void> {
    return Promise.resolve();
  }
}

const NOTHING: ModelRow = { text: '', v: 0, u: null, big: 'NOTHING' };

function carried(row: ModelRow | undefined): CarriedRow {
  return (
    row && new Map(Object.entries(row).map(([name, value]) => [name, value === null ? null : JSON.stringify(value)]))
  );
}

function textOf(key: string): string {
  return (JSON.parse(key) as { readonly text: string }).text;
}
