/**
 * One peek: the rows as they stream, and the messages in them. The server works the result out once, and it is
 * read twice, COMMIT rows first, so that a transaction's commit LSN and time are known before its first change.
 * Leaves the rows to the decoder; knows nothing of batches and rounds.
 */
import { isUtf8 } from 'node:buffer';
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import {
  type Begin,
  type Commit,
  type Message,
  type Transaction,
  UndecodableError,
  UTF8_TEXT,
} from '../decode/messages.ts';
import type { DecodedBegin, DecodedMessage, PluginDecoder } from '../decode/plugin-decoder.ts';
import { TYPE_NUMBER } from '../decode/wal2json/row.ts';
import { PipelineError } from '../errors.ts';
import type { LeftOutChanges, MessageBlock, Peek } from '../ports/slot.ts';
import { BinaryCopyReader } from './binary-copy-reader.ts';
import { Commits } from './commits.ts';
import { type CopyParts, CopyToStdout } from './copy-to-stdout.ts';
import { isInconvertible } from './decoding-failure.ts';
import { leftOutBy } from './left-out.ts';
import { peekFailure } from './peek-failure.ts';
import { peekStatement } from './peek-statement.ts';
import { forgetSent } from './plugins.ts';
import { isAboutPublication, publicationMissing } from './publication-errors.ts';

/** What a peek works with. */
export interface PeekParts extends CopyParts {
  readonly slotName: string;
  /** The copy of the slot that is read in its place. @default the slot itself is read */
  readonly copyName?: string;
  readonly decoder: PluginDecoder;
  /** Called once the peek is closed. @default nobody is told */
  readonly onClosed?: () => void;
  /** Puts an error of the server in the operator's words; it may ask the control connection. */
  readonly translateError: (error: unknown) => Promise<unknown>;
}

/** No transaction has it: the plugin says the id only at the beginning. */
const UNKNOWN_XID = 0;

/** A peek under way: it is sent when it is made. */
export class SlotPeek implements Peek, MessageBlock {
  rows = 0;

  readonly #parts: PeekParts;
  readonly #copy: CopyToStdout;
  readonly #in: BinaryCopyReader;
  readonly #commits = new Commits();
  readonly #anyBytes: boolean;
  readonly #readName: string;
  readonly #begin: { kind: 'begin'; transaction: Transaction };
  readonly #commit: { kind: 'commit'; transaction: Transaction };
  #inChanges = false;
  /** A row was taken to see that the first pass is over, and is yet to be given. */
  #pending = false;
  #transaction: Transaction | undefined;

  /**
   * @param parts - connections and decoder
   * @param upto - where the peek ends (upto_lsn): transactions whose commit record starts before it
   * @param limit - the most rows (upto_nchanges); undefined: no limit
   * @param timeoutMs - how long the server may work before the first row
   */
  constructor(parts: PeekParts, upto: Lsn, limit: number | undefined, timeoutMs: number) {
    this.#parts = parts;
    this.#in = new BinaryCopyReader(parts.decoder.maxRowBytes, parts.decoder.shortener);
    this.#anyBytes = parts.main.encoding === 'SQL_ASCII';
    const none: Transaction = { xid: 0, commitLsn: 0n, commitTimeMicros: 0n };
    this.#begin = { kind: 'begin', transaction: none };
    this.#commit = { kind: 'commit', transaction: none };
    this.#readName = parts.copyName ?? parts.slotName;
    this.#copy = new CopyToStdout(parts, peekStatement(this.#readName, upto, limit, parts.main), timeoutMs);
  }

  /** What the server, or the connection, ended it with. */
  get failure(): unknown {
    return this.#copy.failure;
  }

  /** @returns whether its first row has come, once that is known; false: it has ended before */
  async begun(): Promise<boolean> {
    return await this.#copy.begun();
  }

  get firstRowMs(): number | undefined {
    return this.#copy.firstRowMs;
  }

  /** How many transactions the result holds. */
  get transactions(): number {
    return this.#commits.count;
  }

  get leftOut(): readonly LeftOutChanges[] {
    return leftOutBy(this.#copy.notices);
  }

  get lastCommit(): Lsn | undefined {
    return this.#commits.last;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<MessageBlock> {
    let first = true;
    // The decoder is the run's: until now it may have read another peek.
    this.#parts.decoder.begin?.(this.#anyBytes);
    try {
      for await (const chunk of this.#copy.chunks()) {
        if (first) this.#requirePublications();
        first = false;
        this.#in.push(chunk);
        if (!this.#inChanges && !this.#readCommits()) continue;
        yield this;
      }
    } catch (caught) {
      if (caught instanceof PipelineError) throw caught;
      // A failure before the iteration reaches it as a premature end.
      const error = this.#copy.failure ?? caught;
      if (this.#copy.failure !== undefined) await this.#copy.waitUntilIdle();
      // The row that has no UTF-8 is the one behind the last that came: name its transaction, so that it can be skipped.
      if (isInconvertible(error) && this.#transaction !== undefined) {
        throw this.#undecodable('text that the server can put in UTF-8', undefined, undefined, 'behind the row');
      }
      const { firstRowMs, cancelled } = this.#copy;
      const reach = { firstRowMs, cancelled, transaction: this.#transaction };
      throw await peekFailure(error, reach, this.#parts.translateError);
    }
    if (!this.#in.ended || this.#transaction !== undefined || !this.#commits.empty) {
      throw this.#undecodable('the result to end with its last COMMIT');
    }
  }

  /** The next message of the block. */
  next(): Message | undefined {
    if (this.#pending) this.#pending = false;
    else if (!this.#in.next()) return undefined;
    while (this.#in.isNull) {
      if (!this.#in.next()) return undefined;
    }
    this.rows++;
    const decoded = this.#decode();
    switch (decoded.kind) {
      case 'begin': {
        if (this.#transaction !== undefined) throw this.#undecodable('COMMIT before another BEGIN');
        const transaction = begun(this.#commits.take(), decoded);
        if (transaction === undefined) throw this.#undecodable('BEGIN of the next transaction committed');
        this.#transaction = transaction;
        this.#begin.transaction = transaction;
        return this.#begin satisfies Begin;
      }
      case 'commit': {
        const transaction = this.#transaction;
        const isItsOwn = transaction !== undefined && (decoded.xid === undefined || decoded.xid === transaction.xid);
        if (!isItsOwn || transaction.commitLsn !== this.#in.lsn()) {
          throw this.#undecodable('COMMIT of the transaction begun last');
        }
        this.#transaction = undefined;
        this.#commit.transaction = transaction;
        return this.#commit satisfies Commit;
      }
      case 'ignored':
        return decoded;
      case 'message':
        if (decoded.transactional !== (this.#transaction !== undefined)) {
          throw this.#undecodable('a message in its transaction, or between two');
        }
        return decoded;
      default:
        if (this.#transaction === undefined) throw this.#undecodable('BEGIN before a change');
        return decoded;
    }
  }

  rowLsn(): Lsn {
    return this.#in.lsn();
  }

  async close(): Promise<void> {
    try {
      await this.#close();
    } finally {
      this.#parts.onClosed?.();
    }
  }

  async #close(): Promise<void> {
    await this.#copy.close();
    const { main } = this.#parts;
    if (this.#copy.failure === undefined || this.firstRowMs !== undefined || !main.plugin.remembersSent) return;
    // If this fails, the connection is lost or the next reading fails, too, and says why.
    await main.query(forgetSent(this.#readName, main.plugin)).catch(() => undefined);
  }

  /** Takes the first pass. @returns whether it is over, and the first row behind it found */
  #readCommits(): boolean {
    while (this.#in.next()) {
      // The second pass begins with what is no COMMIT: every COMMIT has its BEGIN before it.
      if (this.#in.isNull) continue;
      if (this.#in.bytes[this.#in.start] !== 0x43) {
        this.#inChanges = this.#pending = true;
        return true;
      }
      const decoded = this.#decode();
      if (decoded.kind !== 'commit' || decoded.commitTimeMicros === undefined) {
        throw this.#undecodable('COMMIT with its time');
      }
      this.#commits.add(decoded.xid ?? UNKNOWN_XID, this.#in.lsn(), decoded.commitTimeMicros);
    }
    return false;
  }

  #decode(): DecodedMessage {
    const { bytes, start, end, oversizeBytes } = this.#in;
    const { decoder } = this.#parts;
    const isText = decoder.isBinary !== true && bytes[start] !== decoder.messageByte;
    const readable = !isText || this.#in.isAscii() || isUtf8(bytes.subarray(start, end));
    if (this.#anyBytes && !readable) throw this.#undecodable(UTF8_TEXT);
    try {
      const decoded = decoder.decode(bytes, start, end, oversizeBytes);
      if (readable || decoder.repair === undefined) return decoded;
      const repaired = decoder.repair(bytes, start, end, decoded);
      return decoder.decode(repaired, 0, repaired.length, oversizeBytes);
    } catch (error) {
      if (error instanceof UndecodableError && error.expected === TYPE_NUMBER) throw this.#tooOld(error);
      if (error instanceof UndecodableError) throw this.#undecodable(error.expected, error.offset, error);
      throw error;
    }
  }

  /** A warning that comes before the first row, and says that rows were left out. */
  #requirePublications(): void {
    const notice = this.#copy.notices.find(isAboutPublication);
    if (notice === undefined) return;
    const { slotName, main } = this.#parts;
    throw publicationMissing(slotName, main.plugin, notice.message);
  }

  #tooOld(cause: UndecodableError): PipelineError {
    return new PipelineError(
      'CONFIG_INVALID',
      `PLUGIN cannot be "wal2json" here: the server's wal2json is older than 2.4. Slot "${this.#parts.slotName}" was not advanced, and keeps its changes.`,
      { cause, remedy: 'Install wal2json 2.4 or later on the server. Or copy the slot to another plugin: copy-slot.' },
    );
  }

  #undecodable(expected: string, offset?: number, cause?: unknown, place = 'in the row'): PipelineError {
    const lsn = this.#in.ended || this.#in.isNull ? undefined : this.#in.lsn();
    const commit = this.#transaction?.commitLsn ?? (this.#inChanges ? undefined : lsn);
    const where =
      lsn === undefined
        ? 'at the end of the peek'
        : `${place} at ${formatLsn(lsn)}${offset === undefined ? '' : `, byte ${offset}`}`;
    const skip =
      commit === undefined ? 'It is part of no transaction' : `Its transaction's commit LSN is ${formatLsn(commit)}`;
    return new PipelineError(
      'DECODE_FAILED',
      `Slot "${this.#parts.slotName}": expected ${expected} ${where}. ${skip}; the slot was not advanced over it.`,
      { cause },
    );
  }
}

/** @returns the transaction that begins, or undefined where the row is not of the next commit */
function begun(next: Transaction | undefined, { xid, commitTimeMicros }: DecodedBegin): Transaction | undefined {
  if (next === undefined || xid === undefined) return undefined;
  if (next.xid === xid) return next;
  return next.xid === UNKNOWN_XID && next.commitTimeMicros === commitTimeMicros ? { ...next, xid } : undefined;
}
