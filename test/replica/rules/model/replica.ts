/**
 * The replica's own rules at work on the model: its intake and its applier, a model of a target, and a reader of shards that is
 * ended anywhere. A rule can be broken, by a class that overrides it.
 */
import { type Lsn } from '../../../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../../../replica/errors.ts';
import { Applier, type AwaitsRows, type Position, type Target } from '../../../../replica/rules/applier.ts';
import type { CopyingTables } from '../../../../replica/rules/copying.ts';
import { DELETED, type FoldedTable, type JsonText } from '../../../../replica/rules/fold.ts';
import { Intake } from '../../../../replica/rules/intake.ts';
import { Lane, type RecordPlace, type WaitingChange, type WaitingRecord } from '../../../../replica/rules/lane.ts';
import { type Cut, Lanes, type LanesStart } from '../../../../replica/rules/lanes.ts';
import type { Change, Mark } from '../../../../replica/rules/record.ts';
import { type NumberedPosition, type ShardPosition, Shards } from '../../../../replica/rules/shards.ts';
import type { Random } from './random.ts';
import type { ModelRow, ModelTable } from './source.ts';
import { LANES, type ModelStream } from './stream.ts';

/** A rule that is left out. */
export type Broken =
  /** What was read of a lane counts its last transaction, which may go on. */
  | 'strict'
  /** The cut is that of the lane read furthest. */
  | 'min'
  /** Repeats are applied. */
  | 'skip'
  /** Changes are applied as they arrived. */
  | 'order'
  /** A move does not carry its row along. */
  | 'fill'
  /** Rows are replaced one by one. */
  | 'delins'
  /** The position is what was read, not what was applied. */
  | 'seq'
  /** A child shard has a position before its parents are done with. */
  | 'child'
  /** A child shard is read at once. */
  | 'parents'
  /** A lane's timeline is kept as it is, not as of the position. */
  | 'lanetl'
  /** The cut is not held at a fork that some lanes have not heard of. */
  | 'cap'
  /** A failover that is heard of while a batch is written does not end the batch. */
  | 'meanwhile'
  /** A change whose row a snapshot is still to bring is applied without what it lacks. */
  | 'awaits'
  /** What marks say of a snapshot is not listened to. */
  | 'copying'
  /** Two replicas write. */
  | 'fence'
  /** The producer does not tell of a changed history. */
  | 'history'
  | 'none';

class BrokenLane extends Lane<Change> {
  readonly broken: Broken;
  constructor(cut: Lsn, timeline: number | undefined, broken: Broken) {
    super(cut, timeline);
    this.broken = broken;
  }
  override isRepeat(change: WaitingChange): boolean {
    return this.broken !== 'skip' && super.isRepeat(change);
  }
  override readUptoAfter(change: WaitingChange): Lsn {
    return this.broken === 'strict' ? change.lsn : super.readUptoAfter(change);
  }
}

class BrokenLanes extends Lanes<Change> {
  readonly broken: Broken;
  readonly #arrived: Change[] = [];
  constructor(start: LanesStart, broken: Broken) {
    super(start, (cut, timeline) => new BrokenLane(cut, timeline, broken));
    this.broken = broken;
  }
  override mark(mark: Mark, place: RecordPlace): Lsn | undefined {
    return super.mark(this.broken === 'copying' ? { ...mark, snapshot: undefined } : mark, place);
  }
  override take(lane: number, change: Change, place: RecordPlace): boolean {
    this.#arrived.push(change);
    return super.take(lane, this.broken === 'fill' ? { ...change, newKey: undefined } : change, place);
  }
  override get cut(): Cut {
    if (this.broken !== 'min') return super.cut;
    const reaches = this.lanes.map((lane) => this.readUptoOf(lane));
    return { lsn: reaches.reduce((a, b) => (b > a ? b : a), 0n), ms: undefined };
  }
  override readUptoOf(lane: Lane<Change>): Lsn {
    return this.broken === 'cap' ? lane.readUpto : super.readUptoOf(lane);
  }
  override hasLost(cut: Lsn): boolean {
    return this.broken !== 'meanwhile' && super.hasLost(cut);
  }
  override timelinesAt(saved: (shard: string) => number): (number | undefined)[] {
    return this.broken === 'lanetl' ? this.lanes.map(({ timeline }) => timeline) : super.timelinesAt(saved);
  }
  override *merged(upto: Lsn, load: (record: WaitingRecord<Change>) => Iterable<Change>): Generator<Change, void> {
    const changes: Change[] = [];
    for (const change of super.merged(upto, load)) changes.push(change);
    if (this.broken === 'order') changes.sort((a, b) => this.#arrived.indexOf(a) - this.#arrived.indexOf(b));
    yield* changes;
  }
}

class BrokenShards extends Shards {
  readonly broken: Broken;
  /** The same, with nobody's child. */
  readonly #orphans = new Shards();
  constructor(broken: Broken) {
    super();
    this.broken = broken;
  }
  override resume(id: string, position: ShardPosition): void {
    super.resume(id, position);
    this.#orphans.resume(id, position);
  }
  override addRecord(id: string, sequence: string, arrivedMs: number): RecordPlace {
    this.#orphans.addRecord(id, sequence, arrivedMs);
    return super.addRecord(id, sequence, arrivedMs);
  }
  override markEnded(id: string): void {
    super.markEnded(id);
    this.#orphans.markEnded(id);
  }
  override isReadable(id: string): boolean {
    return this.broken === 'parents' || super.isReadable(id);
  }
  override positions(waiting: ReadonlyMap<string, RecordPlace>): Map<string, NumberedPosition> {
    if (this.broken === 'child') return this.#orphans.positions(waiting);
    return super.positions(this.broken === 'seq' ? new Map() : waiting);
  }
}

/** A target that is only rows. */
export class ModelTarget {
  rows: ModelTable = new Map();
  position: Position | undefined;
  /** Tables whose rows are to come, when it begins. */
  readonly copying: CopyingTables;
  epoch = 0;
  /** Set when a replica stopped because the source's history changed. */
  stopped = false;
  /** What a constraint refused. */
  refused: string | undefined;

  /** @param copying - tables whose rows are to come, when it begins */
  constructor(copying: CopyingTables) {
    this.copying = copying;
  }

  /**
   * A target for one replica.
   *
   * @param turn - waits until it is its turn; it may be ended there
   * @param turns - how many turns a write takes
   * @param onCommit - called after each
   */
  begin(broken: Broken, turn: () => Promise<void>, turns: () => number, onCommit: (cut: Lsn) => void): Target {
    const epoch = ++this.epoch;
    return {
      begin: async () => {
        await turn();
        if (this.epoch !== epoch && broken !== 'fence') throw new TakenOver();
        let rows = new Map(this.rows);
        const refused: string[] = [];
        return {
          write: async (tables, awaits) => {
            for (const table of tables) rows = this.#write(rows, table, broken, refused, awaits);
            for (let left = turns(); left > 0; left--) await turn();
          },
          rollback: () => Promise.resolve(),
          commit: (position) => {
            if (this.epoch !== epoch && broken !== 'fence') throw new TakenOver();
            this.refused ??= refused[0];
            this.rows = rows;
            this.position = position;
            onCommit(position.cut);
            return Promise.resolve();
          },
        };
      },
    };
  }

  #write(
    before: ModelTable,
    table: FoldedTable,
    broken: Broken,
    refused: string[],
    awaits: AwaitsRows,
  ): Map<number, ModelRow> {
    const { columns, rows, isEmptied } = table;
    const after = new Map(isEmptied ? [] : before);
    const keyOf = (key: string): number => Math.floor(Number((JSON.parse(key) as { text: string }).text));
    const inserted: [number, ModelRow][] = [];
    for (const [key, row] of rows) {
      if (row === DELETED) continue;
      const base = row.base === undefined ? undefined : before.get(keyOf(row.base));
      if (base === undefined && row.needs.length > 0 && broken !== 'awaits') {
        if (!awaits(table.schema, table.name)) throw new ReplicaError('MISSING_ROW', `the row of ${key} is missing`);
        continue;
      }
      const value = (name: keyof ModelRow): unknown => {
        const source: JsonText = row.values[columns.indexOf(name)];
        if (source === undefined) return base?.[name] ?? 'MISSING';
        return source === null ? null : (JSON.parse(source) as unknown);
      };
      const made = { text: value('text'), v: value('v'), u: value('u'), big: value('big') } as ModelRow;
      inserted.push([keyOf(key), made]);
    }
    for (const [key, row] of rows) if (broken !== 'delins' || row === DELETED) after.delete(keyOf(key));
    for (const [k, row] of inserted) {
      for (const [other, { u }] of after) {
        if (row.u !== null && other !== k && u === row.u) refused.push(`23505: u=${u} of key ${k} is key ${other}'s`);
      }
      after.set(k, row);
    }
    return after;
  }
}

/** Another replica has begun since. */
export class TakenOver extends Error {}

/**
 * A replica, from the target's position on, until it is ended by its `turn`.
 *
 * @param turn - waits until it is its turn
 * @param turns - how many turns a write of the target takes
 */
export async function replicate(
  stream: ModelStream,
  target: ModelTarget,
  { next, int, pick }: Random,
  turn: () => Promise<void>,
  turns: () => number,
  broken: Broken,
  onCommit: (cut: Lsn) => void,
): Promise<void> {
  const saved = target.position;
  const shards = new BrokenShards(broken);
  const at = new Map<string, number>();
  const know = (): void => {
    for (const { id, parents } of stream.shards) shards.addShard(id, parents);
  };
  for (const [id, position] of saved?.shards ?? []) {
    shards.resume(id, position);
    at.set(id, position.sequence === undefined ? 0 : Number(position.sequence));
  }
  know();
  const intake = new Intake(
    {
      cut: saved?.cut ?? 0n,
      source: saved?.source,
      system: saved?.system,
      timelines: saved?.timelines ?? Array.from({ length: LANES }, () => 1),
      forks: saved?.forks ?? [],
      shards: new Map(),
      copying: saved?.copying ?? target.copying,
    },
    shards,
    undefined,
    (start) => new BrokenLanes(start, broken),
  );
  const applier = new Applier({
    intake,
    target: target.begin(broken, turn, turns, onCommit),
    store: { load: (record) => record.entries ?? [], release: () => undefined },
    batchChanges: pick([3, 10, 50_000]),
  });
  const read = (): void => {
    know();
    const ready = stream.shards.filter(({ id, visible }) => shards.isReadable(id) && (at.get(id) ?? 0) < visible);
    if (ready.length > 0) {
      const shard = pick(ready);
      for (let left = 1 + int(3); left > 0; left--) {
        const n = at.get(shard.id) ?? 0;
        const entry = n < shard.visible ? shard.entries[n] : undefined;
        if (entry === undefined) break;
        at.set(shard.id, n + 1);
        const { lane, texts } = entry;
        const partitionKey = `lane-${lane}-of-${LANES}`;
        intake.take({ shard: shard.id, sequence: String(n + 1), arrivedMs: 0, partitionKey, texts });
      }
    }
    // An empty shard is read to its end before its parents are: its children have to wait all the same.
    for (const { id, closed, entries } of stream.shards)
      if (closed && (at.get(id) ?? 0) === entries.length) shards.markEnded(id);
  };
  const reading = async (): Promise<void> => {
    for (;;) {
      await turn();
      read();
    }
  };
  const applying = async (): Promise<void> => {
    for (;;) {
      await turn();
      if (next() < 0.5) await applier.step();
    }
  };
  await Promise.all([reading(), applying()]);
}
