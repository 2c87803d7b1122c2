/**
 * What the target holds besides rows, where changes are applied as they come: how it is read at the beginning of a batch, and saved
 * at its end. Knows no change.
 */
import type pg from 'pg';
import { formatLsn } from '../../../lambda/decode/lsn.ts';
import { copyingOf, type FastState, laneStart } from '../../rules/fast/fast-target.ts';
import { type LanePosition, leastReadUpto } from '../../rules/fast/lane-position.ts';
import { copyingFrom, type CopyingJson, copyingJson } from '../position-tables.ts';
import { requireLsn } from '../sql-text.ts';
import { READ_STATE } from './fast-schema.ts';

/** A row of `READ_STATE`. */
export interface StateRow {
  readonly source: string | null;
  readonly system: string | null;
  readonly start: string;
  readonly begunMs: number;
  readonly copying: CopyingJson;
  readonly lanes: readonly [
    lane: number,
    lanes: number,
    lsn: string,
    ordinal: number | null,
    reach: string,
    timeline: number | null,
    unmarkedSinceMs: number | null,
    copying: CopyingJson,
    isLoaded: boolean,
  ][];
  readonly truncations: readonly [string, string, string, number][];
  readonly isWaiting: boolean;
}

/** @param row - as the target has it @returns the state */
export function stateOf({
  source,
  system,
  start,
  begunMs,
  copying,
  lanes,
  truncations,
  isWaiting,
}: StateRow): FastState {
  const [first] = lanes;
  return {
    source: source ?? undefined,
    system: system ?? undefined,
    start: requireLsn(start),
    begunMs,
    awaitsSnapshot: copying === 'awaited',
    laneCount: first?.[1],
    lanes: new Map(
      lanes.map(([lane, , lsn, ordinal, reach, timeline, since, tables, isLoaded]) => [
        lane,
        {
          lsn: requireLsn(lsn),
          ordinal: ordinal ?? Infinity,
          readUpto: requireLsn(reach),
          timeline: timeline ?? undefined,
          unmarkedSinceMs: since ?? undefined,
          copying: copyingFrom(tables),
          isLoaded,
        },
      ]),
    ),
    truncations: truncations.map(([schema, table, lsn, ordinal]) => ({ schema, table, lsn: requireLsn(lsn), ordinal })),
    isWaiting,
    waiting: new Set(),
  };
}

/** The state as it was read, to tell what of it has changed. */
export class SavedState {
  readonly #client: pg.Client;
  readonly #name: string;
  readonly #before: ReadonlyMap<number, LanePosition>;
  readonly #described: string;

  constructor(read: { readonly client: pg.Client; readonly name: string; readonly state: FastState }) {
    this.#client = read.client;
    this.#name = read.name;
    this.#before = new Map(read.state.lanes);
    this.#described = described(read.state);
  }

  /**
   * Saves it, in the transaction.
   *
   * @param state - at the end of the batch
   */
  async save(state: FastState): Promise<void> {
    const client = this.#client;
    const { source, system, start, laneCount = 0, lanes } = state;
    if (described(state) !== this.#described) {
      await client.query(
        'UPDATE pg2kinesis.replica SET source = $2, system = $3, cut = $4, updated_at = now() WHERE name = $1',
        [this.#name, source ?? null, system ?? null, formatLsn(start)],
      );
      await client.query('DELETE FROM pg2kinesis.replica_lane WHERE name = $1 AND lane >= $2', [this.#name, laneCount]);
    }
    const changed = [...lanes].filter(([lane, position]) => this.#before.get(lane) !== position);
    if (changed.length === 0) return;
    const tells = ({ copying }: LanePosition): string => JSON.stringify(copying);
    const isTold = changed.some(
      ([lane, position]) => tells(position) !== tells(this.#before.get(lane) ?? laneStart(state)),
    );
    const column = <T>(of: (position: LanePosition) => T): T[] => changed.map(([, position]) => of(position));
    await client.query(
      `INSERT INTO pg2kinesis.replica_lane AS l (name, lane, lanes, lsn, ordinal, reach, timeline, unmarked_since, copying, loaded)
       SELECT $1, u.lane, $2, u.lsn, u.ordinal, u.reach, u.timeline, u.since, u.copying, u.loaded
         FROM unnest($3::int[], $4::pg_lsn[], $5::bigint[], $6::pg_lsn[], $7::int[], $8::timestamptz[], $9::jsonb[], $10::boolean[])
           AS u (lane, lsn, ordinal, reach, timeline, since, copying, loaded)
       ON CONFLICT (name, lane) DO UPDATE SET lanes = excluded.lanes, lsn = excluded.lsn, ordinal = excluded.ordinal, reach = excluded.reach,
         timeline = excluded.timeline, unmarked_since = excluded.unmarked_since, copying = excluded.copying, loaded = excluded.loaded, updated_at = now()`,
      [
        this.#name,
        laneCount,
        changed.map(([lane]) => lane),
        column(({ lsn }) => formatLsn(lsn)),
        column(({ ordinal }) => (ordinal === Infinity ? null : ordinal)),
        column(({ readUpto }) => formatLsn(readUpto)),
        column(({ timeline }) => timeline ?? null),
        column(({ unmarkedSinceMs: since }) => (since === undefined ? null : new Date(since))),
        column(({ copying }) => copyingJson(copying)),
        column(({ isLoaded }) => isLoaded),
      ],
    );
    if (isTold) await this.#tellCopying();
    await this.#prune(state);
  }

  /** Saves for which tables rows are still to come, in whatever lane. */
  async #tellCopying(): Promise<void> {
    const client = this.#client;
    // Others may tell the same of their lanes at this moment: one after the other, so that the last one sees all.
    await client.query('SELECT FROM pg2kinesis.replica WHERE name = $1 FOR UPDATE', [this.#name]);
    const { rows } = await client.query<StateRow>(READ_STATE, [this.#name]);
    const [row] = rows;
    if (row === undefined) return;
    await client.query('UPDATE pg2kinesis.replica SET copying = $2 WHERE name = $1', [
      this.#name,
      copyingJson(copyingOf(stateOf(row))),
    ]);
  }

  /** Deletes what is no longer needed, because every lane was read beyond it. */
  async #prune({ lanes, laneCount = 0 }: FastState): Promise<void> {
    const least = leastReadUpto(lanes, laneCount);
    if (least === undefined || least === leastReadUpto(this.#before, laneCount)) return;
    for (const table of ['replica_note', 'replica_truncate']) {
      // Another process may delete the same rows at this moment.
      await this.#client.query(
        `DELETE FROM pg2kinesis.${table} WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM pg2kinesis.${table} WHERE name = $1 AND lsn <= $2 FOR UPDATE SKIP LOCKED))`,
        [this.#name, formatLsn(least)],
      );
    }
  }
}

/** What the copy's own row has of it. */
function described({ source, system, start, laneCount }: FastState): string {
  return JSON.stringify([source, system, String(start), laneCount]);
}
