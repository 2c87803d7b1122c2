/**
 * A replication slot in memory, for tests of the run loop: transactions with real test_decoding lines, read through the
 * real decoder, cut and consumed by PostgreSQL's rules (which are tested against real servers elsewhere).
 * It stands here because the loop's decisions must be seen at moments, and with time-outs and losses, that a server
 * does not show on command.
 */
import type { Lsn } from '../../lambda/decode/lsn.ts';
import type { Message, TableName, Transaction } from '../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../lambda/decode/test-decoding/decoder.ts';
import { PeekTooLargeError } from '../../lambda/peek-errors.ts';
import type { EarlierEntry, PrimaryKeys, TableEntry } from '../../lambda/ports/catalogs.ts';
import type { Session } from '../../lambda/ports/session.ts';
import type { MessageBlock, Peek, Slot, StandbyBound } from '../../lambda/ports/slot.ts';

/** A transaction in the fake's WAL. */
export interface FakeTransaction extends Transaction {
  /** Where its commit record starts: it is read by a peek, and consumed by an advance, to a position behind that. */
  readonly commitStart: Lsn;
  /** Its changes, as test_decoding prints them; none: a message outside a transaction. */
  readonly lines: readonly string[];
  /** A non-transactional message: one row, no BEGIN and no COMMIT. */
  readonly message: boolean;
}

/** The fake. Positions begin at 1000 and grow by 10 a line, unless told otherwise. */
export class FakeSlot implements Slot {
  /** All WAL ever written. */
  readonly wal: FakeTransaction[] = [];
  /** How far WAL is flushed. */
  flushed: Lsn = 1000n;
  confirmed: Lsn = 1000n;
  /** What an awaited standby has confirmed; undefined: none is awaited. */
  standby: Lsn | undefined;
  /** Whether it is connected. */
  standbyConnected = true;
  /** Called before each look at the bound. */
  onBound: () => void = () => undefined;
  restart: Lsn = 1000n;
  /** Every advance asked for, in order. */
  readonly advances: Lsn[] = [];
  /** Every peek asked for, in order. */
  readonly peeks: { readonly upto: Lsn; readonly limit: number | undefined }[] = [];
  /** Peeks that would read more WAL than this run out of time. */
  walBytesInTime = Number.MAX_SAFE_INTEGER;
  /** Called at each advance, before it takes effect. */
  onAdvance: (lsn: Lsn) => void = () => undefined;
  /** Called before each block of a peek. */
  onBlock: () => void = () => undefined;
  /** What {@link slotStatsFingerprint} says; undefined: nothing. */
  evidence: string | undefined = 'never read';
  /** How much WAL a line takes. Real records begin at multiples of 8. */
  lineBytes = 10n;
  /** Lets a peek that would read these transactions fail. */
  failure: (taken: readonly FakeTransaction[]) => Error | undefined = () => undefined;
  /** How large each line is said to have been before it was shortened. */
  oversizeBytes: number | undefined;
  /** Lines in one block. */
  blockLines = 7;

  readonly #decoder = new TestDecodingDecoder();
  #xid = 700;

  /**
   * Commits a transaction of these lines.
   *
   * @returns its commit LSN
   */
  commit(...lines: string[]): Lsn {
    const commitStart = this.flushed + this.lineBytes * BigInt(lines.length + 1);
    this.flushed = commitStart + 8n;
    const xid = this.#xid++;
    const commitTimeMicros = 1_767_323_045_000_000n + BigInt(xid) * 1_000_000n;
    this.wal.push({ xid, commitLsn: this.flushed, commitStart, commitTimeMicros, lines, message: false });
    return this.flushed;
  }

  /**
   * Emits a message outside a transaction.
   *
   * @param line - as test_decoding prints it
   * @returns its position
   */
  message(line = 'message:'): Lsn {
    this.flushed += this.lineBytes;
    const at = { xid: 0, commitLsn: this.flushed, commitStart: this.flushed - 5n, commitTimeMicros: 0n };
    this.wal.push({ ...at, lines: [line], message: true });
    return at.commitStart;
  }

  /** WAL of no interest: another database's. */
  idleWal(bytes: bigint): void {
    this.flushed += bytes;
  }

  /** The id of the transaction that comes next. */
  get nextXid(): number {
    return this.#xid;
  }

  /** @returns transactions not consumed yet */
  unconsumed(): FakeTransaction[] {
    return this.wal.filter(({ commitStart }) => commitStart >= this.confirmed);
  }

  flushLsn(): Promise<Lsn> {
    return Promise.resolve(this.flushed);
  }

  standbyBound(): Promise<StandbyBound> {
    this.onBound();
    const confirmed = this.standby;
    if (confirmed === undefined || confirmed >= this.flushed)
      return Promise.resolve({
        flush: this.flushed,
        bound: this.flushed,
        confirmedOnly: confirmed !== undefined,
        awaited: [],
        absent: [],
      });
    const behindBytes = Number(this.flushed - confirmed);
    const awaited = [{ name: 'phys', active: this.standbyConnected, confirmed, behindBytes, fault: undefined }];
    return Promise.resolve({ flush: this.flushed, bound: confirmed, confirmedOnly: true, awaited, absent: [] });
  }

  position(): Promise<{ confirmedFlush: Lsn; restart: Lsn }> {
    return Promise.resolve({ confirmedFlush: this.confirmed, restart: this.restart });
  }

  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- the port gives it
  peek(upto: Lsn, limit: number | undefined, _timeoutMs: number): Peek {
    this.peeks.push({ upto, limit });
    this.evidence &&= `read ${this.peeks.length} times`;
    const taken: FakeTransaction[] = [];
    let total = 0;
    for (const transaction of this.unconsumed()) {
      if (transaction.commitStart >= upto) break;
      taken.push(transaction);
      total += transaction.lines.length + (transaction.message ? 0 : 2);
      if (limit !== undefined && total >= limit) break;
    }
    const tooLarge = Number(upto - this.restart) > this.walBytesInTime;
    const failure = tooLarge ? new PeekTooLargeError('too large for the fake') : this.failure(taken);
    return new FakePeek(this, this.#decoder, taken, failure);
  }

  advance(lsn: Lsn): Promise<Lsn> {
    this.onAdvance(lsn);
    this.advances.push(lsn);
    if (lsn < this.confirmed) return Promise.reject(new Error('cannot advance backwards'));
    this.confirmed = lsn < this.flushed ? lsn : this.flushed;
    return Promise.resolve(this.confirmed);
  }

  skip(lsn: Lsn): Promise<Lsn> {
    return this.advance(lsn);
  }

  slotStatsFingerprint(): Promise<string | undefined> {
    return Promise.resolve(this.evidence);
  }

  retainedWalBytes(): Promise<number> {
    return Promise.resolve(Number(this.flushed - this.restart));
  }

  oldestTransaction(): Promise<string | undefined> {
    return Promise.resolve('backend 4711 (user app)');
  }
}

class FakePeek implements Peek {
  rows = 0;
  firstRowMs: number | undefined;
  readonly leftOut = [];
  readonly transactions: number;
  readonly lastCommit: Lsn | undefined;
  readonly #slot: FakeSlot;
  readonly #decoder: TestDecodingDecoder;
  readonly #taken: readonly FakeTransaction[];
  readonly #failure: Error | undefined;
  /** The position of the message outside transactions that was given last. */
  #messageLsn: Lsn | undefined;

  constructor(slot: FakeSlot, decoder: TestDecodingDecoder, taken: readonly FakeTransaction[], failure?: Error) {
    this.#slot = slot;
    this.#decoder = decoder;
    this.#taken = taken;
    this.#failure = failure;
    this.lastCommit = taken.findLast(({ message }) => !message)?.commitLsn;
    this.transactions = taken.filter(({ message }) => !message).length;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<MessageBlock> {
    await Promise.resolve();
    if (this.#failure !== undefined) throw this.#failure;
    this.firstRowMs = 1;
    const messages = this.#messages();
    for (let done = false; !done;) {
      this.#slot.onBlock();
      let left = this.#slot.blockLines;
      yield {
        rowLsn: () => this.#messageLsn ?? BigInt(this.rows),
        next: (): Message | undefined => {
          if (left-- <= 0) return undefined;
          const next = messages.next();
          done = next.done === true;
          if (next.done === true) return undefined;
          this.rows++;
          return next.value;
        },
      };
      if (left > 0) done = true;
    }
  }

  *#messages(): Generator<Message, undefined> {
    for (const transaction of this.#taken) {
      this.#messageLsn = transaction.message ? transaction.commitStart : undefined;
      if (!transaction.message) yield { kind: 'begin', transaction };
      for (const line of transaction.lines) {
        const bytes = Buffer.from(line);
        const decoded = this.#decoder.decode(bytes, 0, bytes.length, this.#slot.oversizeBytes);
        if (decoded.kind === 'begin' || decoded.kind === 'commit')
          throw new Error('a fake transaction holds changes only');
        yield decoded;
      }
      if (!transaction.message) yield { kind: 'commit', transaction };
    }
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A primary-key cache over a table of entries that a test changes at will; `reload` makes the change seen. */
export class FakeKeys implements PrimaryKeys {
  version = 1;
  overBefore: number | undefined;
  /** What the catalogs say now, by printed table name. */
  readonly catalog = new Map<string, Partial<TableEntry>>();
  reloads = 0;
  /** Transactions that are not over yet. */
  readonly pending = new Set<number>();
  /** What was replaced may be true of changes up to here. */
  until: Lsn = 1_000_000n;
  /** And was seen to be true up to here. @default {@link until} */
  knownUntil: Lsn | undefined;
  /** Called before each look at the catalogs. */
  onLook: () => void = () => undefined;
  #seen = new Map<string, TableEntry>();
  #earlier = new Map<string, EarlierEntry[]>();
  #lastRead = '';

  constructor(catalog: Record<string, Partial<TableEntry>>) {
    for (const [name, entry] of Object.entries(catalog)) this.catalog.set(name, entry);
    this.#read();
  }

  current(table: TableName): TableEntry | undefined {
    return this.#seen.get(table.printed);
  }

  earlier(table: TableName): readonly EarlierEntry[] {
    return this.#earlier.get(table.printed) ?? [];
  }

  tables(): Iterable<TableEntry> {
    return this.#seen.values();
  }

  byOid(oid: number): TableEntry | undefined {
    return [...this.#seen.values()].find((entry) => entry.oid === oid);
  }

  isOver(xid: number): boolean {
    return !this.pending.has(xid);
  }

  reload(): Promise<number> {
    this.reloads++;
    this.#read();
    return Promise.resolve(this.#seen.size);
  }

  async refreshIfStale(): Promise<void> {
    this.onLook();
    if (this.#fingerprint() !== this.#lastRead) await this.reload();
  }

  #fingerprint(): string {
    return JSON.stringify([...this.catalog]);
  }

  #read(): void {
    const seen = new Map<string, TableEntry>();
    for (const [name, entry] of this.catalog) {
      const defaults = {
        oid: oidOf(name),
        printed: name,
        schema: name.slice(0, name.indexOf('.')).replaceAll('"', ''),
        name: name.replaceAll('"', ''),
        isTable: true,
        key: ['id'],
        ancestors: [],
        ancestorsSince: undefined,
        alteredBy: [],
        keySince: undefined,
        seenFrom: 0,
      };
      seen.set(name, { ...defaults, virtualColumns: [], identityHoldsKey: true, ...entry });
    }
    for (const [name, entry] of this.#seen) {
      if (JSON.stringify(seen.get(name)) === JSON.stringify(entry)) continue;
      this.#earlier.set(name, [
        { ...entry, until: this.until, knownUntil: this.knownUntil ?? this.until },
        ...this.earlier({ printed: name, schema: '', name: '' }),
      ]);
    }
    this.#seen = seen;
    this.#lastRead = this.#fingerprint();
    this.version++;
  }
}

/** A number that is a table's own. */
function oidOf(name: string): number {
  return Buffer.from(name).reduce((oid, byte) => (oid * 31 + byte) % 2 ** 31, 16_384);
}

const FAKE_SERVER = {
  systemIdentifier: '7',
  startedAt: '2026-01-01T00:00:00.000000Z',
  inRecovery: false,
  timeline: 1,
  walEnd: undefined,
};

/** @returns a session over fakes, and the means to lose it */
export function fakeSession(slot: Slot, keys: PrimaryKeys): { session: Session; lose: (reason: Error) => void } {
  const lost = new AbortController();
  return {
    session: {
      slot,
      keys,
      server: FAKE_SERVER,
      connectedAt: 0,
      lost: lost.signal,
      isLockAwaited: () => false,
      tookOver: false,
      close: () => Promise.resolve(),
    },
    lose: (reason) => lost.abort(reason),
  };
}
