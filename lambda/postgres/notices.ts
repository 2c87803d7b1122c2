/**
 * What the server says beside the rows of a COPY. node-postgres gives notices by an event, but pg-copy-streams, which reads
 * the socket while a COPY lasts, lets them go by: here they are read from the same bytes, up to the first row.
 * From 18 a publication that is missing is only a warning, and its rows are left out: it must not be missed.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** A notice's fields that no lc_messages translates, and its text. */
export interface Notice {
  /** The SQLSTATE. */
  readonly code: string;
  /** The routine of the server's source that it comes from. */
  readonly routine: string;
  readonly message: string;
}

const NOTICE = 'N'.charCodeAt(0);
const COPY_DATA = 'd'.charCodeAt(0);
/** More different ones are not kept. */
const MOST_NOTICES = 1_000;
/** Type and length. */
const HEADER_BYTES = 5;

/** Takes the chunks that arrive from when a statement is sent, and finds the notices before its first row. */
export class NoticeReader {
  /** What was found so far. */
  readonly notices: Notice[] = [];
  /** The first row has come: nothing more is read. */
  done = false;
  #rest: Buffer = Buffer.alloc(0);

  /** @param chunk - the next bytes of the connection */
  push(chunk: Buffer): void {
    if (this.done) return;
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      if (bytes[0] === COPY_DATA) {
        this.done = true;
        return;
      }
      const length = 1 + bytes.readUInt32BE(1);
      if (bytes.length < length) break;
      if (bytes[0] === NOTICE) this.#take(parseNotice(bytes.subarray(HEADER_BYTES, length)));
      bytes = bytes.subarray(length);
    }
    // A copy: the chunk is not ours to keep.
    this.#rest = Buffer.from(bytes);
  }

  /** Each is kept once: wal2json says the same of every row that it leaves out. */
  #take(notice: Notice): void {
    if (this.notices.length < MOST_NOTICES && !this.notices.some(({ message }) => message === notice.message))
      this.notices.push(notice);
  }
}

/** Fields, each a letter and a text that ends in a zero byte, and a zero byte at the end. */
function parseNotice(body: Buffer): Notice {
  const fields: Record<string, string> = {};
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields[String.fromCharCode(body[at] ?? 0)] = body.toString('utf8', at + 1, end);
    at = end + 1;
  }
  return { code: fields['C'] ?? '', routine: fields['R'] ?? '', message: fields['M'] ?? '' };
}
