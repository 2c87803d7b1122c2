/**
 * What a transaction adds to each of its `json` records: the text before, between and after the two ordinals. It is made
 * once a transaction, in memory that the next one uses again. Knows no row.
 */
import { formatLsn } from '../../decode/lsn.ts';
import type { Transaction } from '../../decode/messages.ts';
import { ByteWriter } from '../byte-writer.ts';
import { isoMicros } from '../temporal.ts';

/** The text of one transaction at a time. */
export class TransactionText {
  readonly #text = new ByteWriter(256);
  #headEnd = 0;
  #middleEnd = 0;
  #transaction: Transaction | undefined;

  /** @param transaction - whose text is to be written; the same object means the same text */
  select(transaction: Transaction): void {
    if (transaction === this.#transaction) return;
    const { xid, commitLsn, commitTimeMicros } = transaction;
    const lsn = formatLsn(commitLsn);
    const head = `{"id":"${lsn}@${commitTimeMicros}#`;
    const middle = `,"xid":${xid},"commitLsn":"${lsn}","ordinal":`;
    const text = this.#text;
    text.clear();
    // All of it is ASCII: so characters are bytes. One call takes a third of the time of three.
    text.utf8(`${head}${middle},"commitTime":"${isoMicros(commitTimeMicros)}"}`);
    this.#headEnd = head.length;
    this.#middleEnd = head.length + middle.length;
    this.#transaction = transaction;
  }

  /** @param out - gets what is before the first ordinal, which is in the id */
  writeHead(out: ByteWriter): void {
    out.copy(this.#text.bytes, 0, this.#headEnd);
  }

  /** @param out - gets what is before the second ordinal */
  writeMiddle(out: ByteWriter): void {
    out.copy(this.#text.bytes, this.#headEnd, this.#middleEnd);
  }

  /** @param out - gets what is behind the second ordinal */
  writeTail(out: ByteWriter): void {
    out.copy(this.#text.bytes, this.#middleEnd, this.#text.length);
  }
}
