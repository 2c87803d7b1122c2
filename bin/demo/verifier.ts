/**
 * Compares what was committed with what arrived: nothing missing, nothing else, each order group in order. Pure; knows
 * no format, no database and no stream, only identities and what goes with them.
 */

/** A record that must arrive. */
export interface ExpectedRecord {
  /** A text that no other record has. */
  readonly identity: string;
  /** Records of a group must arrive in the order in which they are expected. */
  readonly group: string;
  /** The partition key that it must have, where it arrives with its own. */
  readonly partitionKey: string;
  /** The table, for barriers. */
  readonly table: string;
  /** A TRUNCATE: all records of the table that are expected before it must be in the stream before it, the others after it. */
  readonly isBarrier: boolean;
  /** Its other contents, if its format has them. */
  readonly contents: string;
}

/** A record that arrived. */
export interface ReceivedRecord {
  readonly identity: string;
  /** Undefined for a line, which has no partition key of its own. */
  readonly partitionKey: string | undefined;
  /** Undefined where its format says no more than the identity. */
  readonly contents: string | undefined;
  /** The identifier that its producer gave it, for consumers to drop repeats by; undefined where the format has none. */
  readonly id: string | undefined;
  /** When the stream took it, milliseconds since 1970. */
  readonly arrivedMs: number;
}

/** What the comparison found: counts, and the first few findings in words. */
export interface Comparison {
  /** Records that had to arrive. */
  readonly expected: number;
  /** Of those, the ones that arrived. */
  readonly distinct: number;
  readonly missing: number;
  /** Arrived after one that is later in its group, or on the wrong side of a barrier. */
  readonly outOfOrder: number;
  /** Arrived again. */
  readonly duplicates: number;
  /** Arrived, though nothing of the kind was committed. */
  readonly unexpected: number;
  /** Arrived with other contents, another partition key or another identifier. */
  readonly wrong: number;
  readonly examples: readonly string[];
}

interface Entry {
  readonly expected: ExpectedRecord;
  arrival: Arrival | undefined;
}

interface Arrival {
  /** Counted from 1. */
  readonly at: number;
  readonly ms: number;
  readonly id: string | undefined;
  /** Kept until the expectation is known; a record may be faster than its COMMIT's answer. */
  readonly received: ReceivedRecord | undefined;
}

const EXAMPLES = 5;

/** Is given expected and received records in any order, and compares them at the end. */
export class Verifier {
  /** How many distinct expected records have arrived. */
  distinct = 0;
  /** How many arrived again. */
  duplicates = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #early = new Map<string, Arrival>();
  readonly #identityOfId = new Map<string, string>();
  readonly #examples: string[] = [];
  #arrivals = 0;
  #wrong = 0;
  #unreadable = 0;

  /** @returns how many records must arrive */
  get expected(): number {
    return this.#entries.size;
  }

  /**
   * @param expected - a record that must arrive, after those of its group given before
   * @throws {Error} when the same was expected before: the ledger is wrong
   */
  expect(expected: ExpectedRecord): void {
    if (this.#entries.has(expected.identity))
      throw new Error(`The ledger expects this record twice: ${expected.identity}`);
    const entry: Entry = { expected, arrival: undefined };
    this.#entries.set(expected.identity, entry);
    const early = this.#early.get(expected.identity);
    if (early !== undefined) {
      this.#early.delete(expected.identity);
      this.#match(entry, early);
    }
  }

  /** @param received - a record, in the order in which its shard held it */
  receive(received: ReceivedRecord): void {
    const entry = this.#entries.get(received.identity);
    const earlier = entry?.arrival ?? this.#early.get(received.identity);
    this.#checkId(received, earlier);
    const arrival: Arrival = { at: ++this.#arrivals, ms: received.arrivedMs, id: received.id, received };
    if (earlier !== undefined) {
      this.duplicates++;
      this.#note('again', received.identity);
    } else if (entry !== undefined) {
      this.#match(entry, arrival);
    } else {
      this.#early.set(received.identity, arrival);
    }
  }

  /** @param what - a record that could not even be read, described */
  unreadable(what: string): void {
    this.#unreadable++;
    this.#note('unreadable', what);
  }

  /** @returns what the comparison finds now; final once both sides are complete */
  comparison(): Comparison {
    const found: string[] = [];
    const addExample = (what: string, identity: string): void => {
      if (found.length < EXAMPLES) found.push(`${what}: ${identity}`);
    };
    let missing = 0;
    for (const { expected, arrival } of this.#entries.values()) {
      if (arrival !== undefined) continue;
      missing++;
      addExample('missing', expected.identity);
    }
    const late = new Set([...this.#lateInGroup(), ...this.#acrossBarrier()]);
    for (const identity of late) addExample('out of order', identity);
    for (const identity of this.#early.keys()) addExample('unexpected', identity);
    return {
      expected: this.#entries.size,
      distinct: this.distinct,
      missing,
      outOfOrder: late.size,
      duplicates: this.duplicates,
      unexpected: this.#early.size + this.#unreadable,
      wrong: this.#wrong,
      examples: [...this.#examples, ...found].slice(0, 2 * EXAMPLES),
    };
  }

  #match(entry: Entry, arrival: Arrival): void {
    const { expected } = entry;
    const { received } = arrival;
    entry.arrival = { ...arrival, received: undefined };
    this.distinct++;
    if (received?.partitionKey !== undefined && received.partitionKey !== expected.partitionKey) {
      this.#wrong++;
      this.#note(
        'wrong partition key',
        `${expected.identity}\n    expected ${expected.partitionKey}\n    received ${received.partitionKey}`,
      );
    } else if (received?.contents !== undefined && received.contents !== expected.contents) {
      this.#wrong++;
      this.#note(
        'says something else',
        `${expected.identity}\n    expected ${expected.contents}\n    received ${received.contents}`,
      );
    }
  }

  /** An identifier belongs to one record, and a record that comes again has the same. */
  #checkId(received: ReceivedRecord, earlier: Arrival | undefined): void {
    if (received.id === undefined) return;
    const owner = this.#identityOfId.get(received.id);
    if ((owner !== undefined && owner !== received.identity) || (earlier !== undefined && earlier.id !== received.id)) {
      this.#wrong++;
      this.#note(`identifier ${received.id} is not its own`, received.identity);
    }
    if (owner === undefined) this.#identityOfId.set(received.id, received.identity);
  }

  /** Those that arrived after one that is later in their group. */
  #lateInGroup(): string[] {
    const late: string[] = [];
    const last = new Map<string, number>();
    for (const { expected, arrival } of this.#entries.values()) {
      if (arrival === undefined) continue;
      if (arrival.at < (last.get(expected.group) ?? 0)) late.push(expected.identity);
      else last.set(expected.group, arrival.at);
    }
    return late;
  }

  /** Those that the stream took on the wrong side of a barrier of their table. By the stream's clock: shards have no common order. */
  #acrossBarrier(): string[] {
    const late: string[] = [];
    const latest = new Map<string, number>();
    const lastBarrier = new Map<string, number>();
    for (const { expected, arrival } of this.#entries.values()) {
      if (arrival === undefined) continue;
      const { table } = expected;
      if (arrival.ms < ((expected.isBarrier ? latest : lastBarrier).get(table) ?? 0)) late.push(expected.identity);
      latest.set(table, Math.max(latest.get(table) ?? 0, arrival.ms));
      if (expected.isBarrier) lastBarrier.set(table, arrival.ms);
    }
    return late;
  }

  #note(what: string, identity: string): void {
    if (this.#examples.length < EXAMPLES) this.#examples.push(`${what}: ${identity}`);
  }
}

/**
 * Whether a comparison proves that nothing was lost, added or reordered.
 *
 * @param comparison - what was found
 * @param repeatsExcused - whether something failed on the way that explains repeats
 */
export function isConclusive(comparison: Comparison, repeatsExcused: boolean): boolean {
  const { missing, outOfOrder, duplicates, unexpected, wrong } = comparison;
  return missing + outOfOrder + unexpected + wrong === 0 && (duplicates === 0 || repeatsExcused);
}
