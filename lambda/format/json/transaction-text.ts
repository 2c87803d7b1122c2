/**
 * What a transaction adds to each of its `json` records: the text before, between and after the two ordinals. It is made
 * once a transaction, in memory that the next one uses again, and without strings: many have one row. Knows no row.
 */
import { formatLsn, type Lsn } from '../../decode/lsn.ts';
import type { Transaction } from '../../decode/messages.ts';
import { ByteWriter } from '../byte-writer.ts';
import { isoMicros } from '../temporal.ts';

const ID = Buffer.from('{"id":"', 'latin1');
const XID = Buffer.from(',"xid":', 'latin1');
const COMMIT_LSN = Buffer.from(',"commitLsn":"', 'latin1');
const ORDINAL = Buffer.from('","ordinal":', 'latin1');
const COMMIT_TIME = Buffer.from(',"commitTime":"', 'latin1');
const END = Buffer.from('"}', 'latin1');

const SLASH = 0x2f;
const AT = 0x40;
const HASH = 0x23;
const POINT = 0x2e;
const UPPER_Z = 0x5a;
const HALF = 2 ** 32;
const MICROS_PER_SECOND = 1_000_000;

/** The text of one transaction at a time. */
export class TransactionText {
  readonly #head = new ByteWriter(64);
  readonly #middle = new ByteWriter(64);
  readonly #tail = new ByteWriter(64);
  /** The second that was written last, as `2026-01-02T03:04:05`: transactions come in order, many a second. */
  readonly #secondText = new ByteWriter(32);
  #second = NaN;
  #transaction: Transaction | undefined;

  /** @param transaction - whose text is to be written; the same object means the same text */
  select(transaction: Transaction): void {
    if (transaction === this.#transaction) return;
    const { xid, commitLsn, commitTimeMicros } = transaction;
    const head = this.#head;
    head.clear();
    head.copy(ID);
    writeLsn(head, commitLsn);
    const lsnEnd = head.length;
    head.byte(AT);
    if (isExact(commitTimeMicros)) head.decimal(Number(commitTimeMicros));
    else head.ascii(String(commitTimeMicros));
    head.byte(HASH);
    const middle = this.#middle;
    middle.clear();
    middle.copy(XID);
    middle.decimal(xid);
    middle.copy(COMMIT_LSN);
    middle.copy(head.bytes, ID.length, lsnEnd);
    middle.copy(ORDINAL);
    this.#tail.clear();
    this.#tail.copy(COMMIT_TIME);
    this.#writeTime(commitTimeMicros);
    this.#tail.copy(END);
    this.#transaction = transaction;
  }

  /** @param out - gets what is before the first ordinal, which is in the id */
  writeHead(out: ByteWriter): void {
    // A whole view: most transactions' texts have one length, so that none has to be made.
    out.copy(this.#head.view());
  }

  /** @param out - gets what is before the second ordinal */
  writeMiddle(out: ByteWriter): void {
    out.copy(this.#middle.view());
  }

  /** @param out - gets what is behind the second ordinal */
  writeTail(out: ByteWriter): void {
    out.copy(this.#tail.view());
  }

  /** As {@link isoMicros}. */
  #writeTime(commitTimeMicros: bigint): void {
    const text = this.#tail;
    if (!isExact(commitTimeMicros)) {
      text.ascii(isoMicros(commitTimeMicros));
      return;
    }
    const micros = Number(commitTimeMicros);
    const second = Math.floor(micros / MICROS_PER_SECOND);
    if (second !== this.#second) {
      this.#secondText.clear();
      this.#secondText.ascii(new Date(second * 1000).toISOString().slice(0, -5));
      this.#second = second;
    }
    text.copy(this.#secondText.bytes, 0, this.#secondText.length);
    const point = text.length;
    // Seven digits, of which the first becomes the point.
    text.decimal(MICROS_PER_SECOND + (micros - second * MICROS_PER_SECOND));
    text.bytes[point] = POINT;
    text.byte(UPPER_Z);
  }
}

/** Whether a number holds it, and is no time before 1970: true until the year 2255. */
function isExact(micros: bigint): boolean {
  return micros >= 0n && micros <= Number.MAX_SAFE_INTEGER;
}

/** As {@link formatLsn}. */
function writeLsn(out: ByteWriter, lsn: Lsn): void {
  if (lsn > Number.MAX_SAFE_INTEGER) {
    out.ascii(formatLsn(lsn));
    return;
  }
  const position = Number(lsn);
  const high = Math.floor(position / HALF);
  out.hexadecimal(high);
  out.byte(SLASH);
  out.hexadecimal(position - high * HALF);
}
