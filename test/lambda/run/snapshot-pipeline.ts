/** A pipeline with one table and a snapshot of it, over fakes; and what whoever reads the stream alone ends with. */
import { FORMATS } from '../../../lambda/format/formats.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { MarkOptions } from '../../../lambda/run/marks.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions, RunPorts } from '../../../lambda/run/run-options.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type FakeRow, FakeTable } from '../../support/fake-tables.ts';
import { type RunKit, runKit } from '../../support/run-kit.ts';

/** A pipeline with one table. */
export class SnapshotPipeline {
  readonly slot = new FakeSlot();
  readonly table = new FakeTable(this.slot);
  readonly kit: RunKit = runKit(this.slot, new FakeKeys({ 'public.t': {} }));

  constructor() {
    Object.assign(this.kit.session, { snapshots: this.table });
    const { clock, session } = this.kit;
    let looks = 0;
    let at = 0;
    // A run that looks at the slot again and again in no time would do so for ever.
    const position = session.slot.position.bind(session.slot);
    session.slot.position = () => {
      if (clock.time > at) looks = 0;
      at = clock.time;
      if (++looks > 500) throw new Error('The run is in a loop.');
      return position();
    };
  }

  /** Asks for a snapshot of the table. */
  ask(anew = false): void {
    this.table.emit(encodeSnapshotMessage('fake', { kind: 'begin', id: 's', begunAt: 1, tables: ['public.t'], anew }));
  }

  /** @param ports - what the run works with besides */
  run(changes: Partial<RunOptions> = {}, ports: Partial<RunPorts> = {}) {
    const limits = { requestEntries: 4 };
    return run(
      { ...this.kit.ports, ...ports },
      this.kit.options({
        format: FORMATS.json(FORMAT_OPTIONS),
        packer: createPacker({ aggregation: 'none', lanes: 4, maxRecordBytes: 1024 * 1024, limits }),
        ...changes,
      }),
    );
  }

  /** The records that arrived, of one operation or of all. */
  records(op?: string): StreamRecord[] {
    const all = this.kit.publisher.arrived.map((data) => JSON.parse(data) as StreamRecord);
    return op === undefined ? all : all.filter((record) => record.op === op);
  }
}

/** What marks say besides. */
const MARKS: MarkOptions = {
  source: 'test/fake',
  lanes: 4,
  system: '7312',
  timeline: 1,
  forks: () => Promise.resolve([]),
};

/** Options of a run that aggregates. @param marks - whether it puts marks into the lanes @param limits - of its requests */
export function lined(marks: boolean, limits?: { requestBytes: number; laneBytes: number }) {
  return {
    ...(marks ? { marks: MARKS } : {}),
    packer: createPacker({ aggregation: 'lines', lanes: 4, maxRecordBytes: 1024 * 1024, ...(limits && { limits }) }),
    format: FORMATS.json({ ...FORMAT_OPTIONS, oneLine: true }),
  } satisfies Partial<RunOptions>;
}

export interface StreamRecord {
  readonly op: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'READ';
  readonly key: { readonly id: number } | null;
  readonly newKey?: { readonly id: number };
  readonly row?: { readonly id: number; readonly v: number; readonly big?: string };
  readonly ordinal: number;
  readonly xid: number;
  readonly commitLsn: string;
}

/** What whoever reads the stream alone has in the end. */
export function consume(records: readonly StreamRecord[]): Map<number, FakeRow> {
  const rows = new Map<number, FakeRow>();
  const moved = new Map<number, FakeRow>();
  for (const { op, key, newKey, row } of records) {
    if (op === 'TRUNCATE') rows.clear();
    if (key === null) continue;
    const old = rows.get(key.id) ?? moved.get(key.id);
    if (op === 'DELETE') {
      if (newKey !== undefined && old !== undefined) moved.set(newKey.id, old);
      rows.delete(key.id);
    } else if (row !== undefined) {
      rows.set(key.id, { v: row.v, big: row.big ?? old?.big ?? 'missing' });
      moved.delete(key.id);
    }
  }
  return rows;
}

/** @returns rows in the order of their keys */
export const sorted = (rows: ReadonlyMap<number, FakeRow>) => [...rows].sort(([a], [b]) => a - b);

/** Rows from before the slot was made: no change of theirs is in it. */
export function fill({ table }: SnapshotPipeline, count: number): void {
  for (let id = 0; id < count; id++) table.rows.set(id, { v: id, big: `b${id}` });
}
