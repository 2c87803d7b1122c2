/**
 * What marks in a stream promise a replica (I12), whatever happened on the way: at each mark, all records of its lane up to
 * the mark's commit LSN stand before it. Written from the promise alone; knows none of the code that keeps it.
 */
import assert from 'node:assert/strict';
import type { Arrived } from './environment.ts';

/** What a mark says besides what every record says. */
interface MarkText {
  readonly source: unknown;
  readonly lane: number;
  readonly lanes: number;
  readonly system: string;
  readonly timeline: number;
  /** Of an opening mark: where each timeline of the server's history began. */
  readonly forks?: readonly (readonly [began: number, lsn: string])[];
}

/** How far a lane is marked. */
interface Reach {
  lsn: bigint;
  system: string;
  timeline: number;
}

/** What a stream holds. */
export interface Marked {
  /** All that are no marks, as they arrived. */
  readonly records: Arrived[];
  /** How far each lane is marked, by its name and its source. */
  readonly reaches: ReadonlyMap<string, bigint>;
  readonly marks: readonly Arrived[];
}

/**
 * I12: no record that comes for the first time stands behind a mark that says it was before it, and none before the first mark
 * of its lane. On a newer timeline an opening mark takes back what earlier marks said of what is above the fork.
 *
 * @param all - as they arrived, each lane's in order
 * @returns the records without the marks
 * @throws when a mark was ahead of its lane
 */
export function assertMarksHold(all: readonly Arrived[]): Marked {
  const records: Arrived[] = [];
  const marks: Arrived[] = [];
  const reaches = new Map<string, Reach>();
  const seen = new Set<string>();
  /** Of lanes that had no mark yet, a record. */
  const early = new Map<string, string>();
  for (const record of all) {
    const { op, lane, text, id, commitLsn } = record;
    const lsn = numberOf(commitLsn);
    const said = JSON.parse(text) as MarkText;
    // Marks speak of the records of their own source.
    const source = JSON.stringify(said.source);
    if (op === 'MARK') {
      marks.push(record);
      mark(reaches, { lane, source, lsn, said });
      continue;
    }
    records.push(record);
    const identity = `${source} ${id}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    const name = `${lane} of ${source}`;
    const reach = reaches.get(name)?.lsn ?? -1n;
    if (!reaches.has(name)) early.set(name, id);
    assert.ok(lsn > reach, `I12: ${id} came into ${lane} after a mark that says all up to ${printed(reach)} is there`);
  }
  for (const [name, id] of early) assert.ok(!reaches.has(name), `I12: ${id} came before the first mark of ${name}`);
  return {
    records,
    reaches: new Map([...reaches].map(([lane, { lsn }]) => [lane, lsn])),
    marks,
  };
}

/**
 * I12 of what a function in this process published.
 *
 * @param arrived - with the lane as partition key
 * @returns the records without the marks
 */
export function assertInProcessMarksHold(
  arrived: readonly { readonly partitionKey: string; readonly text: string }[],
): Marked {
  return assertMarksHold(
    arrived.map(({ partitionKey, text }) => ({
      ...(JSON.parse(text) as Arrived),
      lane: partitionKey,
      partitionKey: '',
      text,
    })),
  );
}

/**
 * I12: marks are there before the slot is advanced over what they mark, so a run that dies leaves no position without marks.
 *
 * @param marked - what the stream holds
 * @param slot - where the slot was before that was read
 */
export function assertMarkedUpTo({ records, reaches }: Marked, slot: bigint): void {
  for (const { lane, text, id, commitLsn } of records) {
    const name = `${lane} of ${JSON.stringify((JSON.parse(text) as MarkText).source)}`;
    const lsn = numberOf(commitLsn);
    const reach = reaches.get(name) ?? -1n;
    assert.ok(lsn >= slot || lsn <= reach, `I12: the slot is at ${printed(slot)}, and ${id} in ${lane} has no mark`);
  }
}

/**
 * I12: once everything was published, each lane says that it has all of it.
 *
 * @param records - without marks
 * @param reaches - how far each lane is marked
 */
export function assertMarkedToTheEnd(
  records: readonly Arrived[],
  reaches: ReadonlyMap<string, bigint>,
  lanes: number,
): void {
  const last = records.map(({ commitLsn }) => numberOf(commitLsn)).reduce((a, b) => (a > b ? a : b), 0n);
  assert.equal(reaches.size, lanes, 'a lane has no mark');
  for (const [lane, reach] of reaches) assert.ok(reach >= last, `I12: ${lane} is marked up to ${printed(reach)} only`);
}

function mark(
  reaches: Map<string, Reach>,
  {
    lane,
    source,
    lsn,
    said,
  }: { readonly lane: string; readonly source: string; readonly lsn: bigint; readonly said: MarkText },
): void {
  const { system, timeline, forks } = said;
  assert.equal(`lane-${said.lane}-of-${said.lanes}`, lane, 'a mark is in another lane than it speaks of');
  const name = `${lane} of ${source}`;
  const reach = reaches.get(name);
  if (reach === undefined) {
    assert.ok(forks !== undefined, `${name} does not begin with an opening mark`);
    reaches.set(name, { lsn, system, timeline });
    return;
  }
  assert.equal(system, reach.system, 'the marks are of two servers');
  // A request from before a failover that came late says nothing of the present.
  if (timeline < reach.timeline) return;
  if (timeline > reach.timeline) {
    const began = (forks ?? []).filter(([of]) => of > reach.timeline).map(([, at]) => numberOf(at));
    assert.ok(began.length > 0, `nothing in ${name} says where timeline ${reach.timeline} ended`);
    for (const fork of began) if (fork < reach.lsn) reach.lsn = fork;
    reach.timeline = timeline;
  }
  if (lsn > reach.lsn) reach.lsn = lsn;
}

/** @param commitLsn - as the server prints it */
export function numberOf(commitLsn: string): bigint {
  const [high = '', low = ''] = commitLsn.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

function printed(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}
