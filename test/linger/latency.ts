/**
 * How long changes took from the answer to their COMMIT to the endpoint's acceptance, in quiet times and around what went
 * wrong. Marks are rows of a table of their own; they are found in the requests that the endpoint saw.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import { deaggregate } from '../support/deaggregate.ts';
import type { SeenRequest } from '../support/faulty-endpoint.ts';

/** What went wrong, and when, by `performance.now()`. */
export interface Trouble {
  readonly what: string;
  readonly from: number;
  /** Until then `sender` may have sent nothing, and those that waited meanwhile take turns. */
  readonly to: number;
  readonly sender: string | undefined;
}

/** The latencies of a time. */
export interface Latencies {
  readonly marks: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const PAUSE_MS = 50;
/** What was written while nobody could publish it is through so long after the first acceptance. */
const CATCH_UP_MS = 2_000;

/** When each mark was accepted first, and again. */
export function acceptances(seen: readonly SeenRequest[]): Map<number, number[]> {
  const at = new Map<number, number[]>();
  for (const { body, answeredAt } of seen) {
    if (answeredAt === undefined) continue;
    for (const id of marksIn(body)) at.set(id, [...(at.get(id) ?? []), answeredAt]);
  }
  return at;
}

const known = new WeakMap<SeenRequest['body'], number[]>();

function marksIn(body: SeenRequest['body']): number[] {
  const cached = known.get(body);
  if (cached !== undefined) return cached;
  const ids: number[] = [];
  for (const { PartitionKey, Data } of body.Records) {
    for (const { data } of deaggregate({ partitionKey: PartitionKey, data: Buffer.from(Data, 'base64') })) {
      const { table, key } = JSON.parse(data.toString()) as { table: string; key: { id: number } | null };
      if (table === 'marks' && key !== null) ids.push(key.id);
    }
  }
  known.set(body, ids);
  return ids;
}

/** Rows that are written all the time, and when each was committed. */
export class Marks {
  readonly committed = new Map<number, number>();
  readonly #client: pg.Client;

  /** @param client - writes them */
  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Writes until told to stop. */
  async write(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.writeOne();
      await wait(PAUSE_MS);
    }
  }

  /** Writes one: what was committed before it is published before it. */
  async writeOne(): Promise<void> {
    const id = this.committed.size + 1;
    await this.#client.query('INSERT INTO marks VALUES ($1)', [id]);
    this.committed.set(id, performance.now());
  }

  /**
   * @param seen - what the endpoint saw
   * @param troubles - what went wrong
   * @param ended - when all was over
   */
  judge(seen: readonly SeenRequest[], troubles: readonly Trouble[], ended: number) {
    const accepted = acceptances(seen);
    const answers = seen.flatMap(({ answeredAt }) => answeredAt ?? []).toSorted((a, b) => a - b);
    const windows = troubles.map(({ what, from, to }) => {
      // From the last acceptance before it to the first after the longest silence that follows within its time.
      const later = answers.filter((at) => at >= from);
      let until = from;
      let longest = 0;
      for (const [i, at] of later.entries()) {
        const silence = at - (later[i - 1] ?? from);
        if ((later[i - 1] ?? from) - from > 10_000) break;
        if (silence > longest) [longest, until] = [silence, at];
      }
      return { what, from, until: Math.min(ended, Math.max(to, until + CATCH_UP_MS)), silenceMs: Math.round(longest) };
    });
    const quiet: number[] = [];
    let slowest = { at: 0, ms: 0 };
    const disturbed = windows.map(() => [] as number[]);
    let repeatsElsewhere = 0;
    for (const [id, at] of this.committed) {
      const [first, ...again] = accepted.get(id) ?? [];
      if (first === undefined) continue;
      const within = windows.findIndex(({ from, until }) => at <= until && first >= from);
      (disturbed[within] ?? quiet).push(first - at);
      if (within < 0 && first - at > slowest.ms) slowest = { at, ms: first - at };
      const isExplained = (time: number) => windows.some(({ from, until }) => time >= from && time <= until);
      repeatsElsewhere += again.filter((time) => !isExplained(time)).length;
    }
    return {
      undisturbed: latencies(quiet),
      troubles: windows.map(({ what, silenceMs }, i) => ({ what, silenceMs, ...latencies(disturbed[i] ?? []) })),
      repeatsElsewhere,
      /** When the mark that took longest, where nothing was wrong, was committed. */
      slowestAt: slowest.at,
    };
  }
}

function latencies(values: readonly number[]): Latencies {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0);
  return { marks: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
