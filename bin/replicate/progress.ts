/** Prints how far a replica is, as text or as JSON. Knows no stream and no target. */
import { formatLsn, type Lsn } from '../../lambda/decode/lsn.ts';
import type { CopyingTables } from '../../replica/rules/copying.ts';
import { jsonLine } from '../cli/render/answer.ts';
import { type Output, writeLine } from '../cli/terminal.ts';

/** How far a replica is. */
export interface ReplicaReading {
  readonly cut: Lsn;
  /** When the cut was committed at the source; undefined: nothing was applied yet. */
  readonly cutMs: number | undefined;
  /** Whether everything is applied that was read, and everything was read. */
  readonly caughtUp: boolean;
  /** Changes applied since the beginning, by table. */
  readonly tables: ReadonlyMap<string, number>;
  /** Size of the changes that were read and are not applied yet, in bytes of their records. */
  readonly waitingBytes: number;
  /** Changes left out because their old row was not there. */
  readonly missing: number;
  /** Changes left out because they were too large for a record. */
  readonly truncated: number;
  /** Changes left out because a snapshot is still to bring their row. */
  readonly awaitingRead: number;
  /** Tables whose rows a snapshot is still to bring: until there are none the copy equals no state of the source. */
  readonly copying: CopyingTables;
}

/** Prints progress. */
export class Progress {
  readonly #out: Output;
  readonly #json: boolean;
  #last: { readonly changes: number; readonly ms: number };

  constructor(out: Output, json: boolean, nowMs: number) {
    this.#out = out;
    this.#json = json;
    this.#last = { changes: 0, ms: nowMs };
  }

  /** @param reading - now @param nowMs - milliseconds since 1970 @param event - why it is printed */
  print(reading: ReplicaReading, nowMs: number, event: 'progress' | 'end'): void {
    const { cut, cutMs, caughtUp, tables, waitingBytes, missing, truncated, awaitingRead } = reading;
    const copying = namesOf(reading.copying);
    const changes = [...tables.values()].reduce((a, b) => a + b, 0);
    const seconds = Math.max(0.001, (nowMs - this.#last.ms) / 1000);
    const rate = Math.round((changes - this.#last.changes) / seconds);
    this.#last = { changes, ms: nowMs };
    // Where the source has written nothing since, the last commit is old, though the copy is up to date.
    const lag = caughtUp ? 0 : cutMs === undefined ? undefined : Math.max(0, Math.round((nowMs - cutMs) / 100) / 10);
    if (this.#json) {
      this.#out.write(
        jsonLine({
          event,
          cut: formatLsn(cut),
          ...(cutMs === undefined ? {} : { cutTime: new Date(cutMs).toISOString() }),
          ...(lag === undefined ? {} : { lagSeconds: lag }),
          caughtUp,
          changes,
          changesPerSecond: rate,
          waitingBytes,
          ...(missing === 0 ? {} : { missingRows: missing }),
          ...(truncated === 0 ? {} : { truncated }),
          ...(awaitingRead === 0 ? {} : { awaitingRead }),
          ...(copying === undefined ? {} : { copying }),
          tables: Object.fromEntries(tables),
        }),
      );
      return;
    }
    const state = caughtUp ? 'caught up' : lag === undefined ? 'nothing applied yet' : `${lag} s behind`;
    const list = [...tables].map(([table, count]) => `${table} ${count}`).join(', ');
    const parts = [
      `at ${formatLsn(cut)}`,
      state,
      `${changes} changes applied (${rate} a second)`,
      ...(waitingBytes === 0 ? [] : [`${Math.ceil(waitingBytes / 1024)} KiB waiting`]),
      ...(missing === 0 ? [] : [`${missing} without their old row left out`]),
      ...(truncated === 0 ? [] : [`${truncated} too large for a record left out`]),
      ...(copying === undefined ? [] : [copyingText(copying, awaitingRead)]),
      ...(list === '' ? [] : [list]),
    ];
    writeLine(this.#out, `${event === 'end' ? 'Ended ' : ''}${parts.join('; ')}`);
  }
}

/** @returns the names of the tables; undefined: there are none */
function namesOf(copying: CopyingTables): readonly string[] | 'awaited' | 'all' | undefined {
  if (typeof copying === 'string') return copying;
  if (copying.length === 0) return undefined;
  return copying.map((id) => (JSON.parse(id) as readonly string[]).join('.'));
}

function copyingText(copying: readonly string[] | string, awaitingRead: number): string {
  const what =
    copying === 'awaited'
      ? 'a snapshot is awaited'
      : `a snapshot brings the rows of ${typeof copying === 'string' ? 'many tables' : copying.join(', ')}`;
  const waiting = awaitingRead === 0 ? '' : `, ${awaitingRead} changes left out until it has brought their rows`;
  return `${what}, so the copy is not equal yet${waiting}`;
}
