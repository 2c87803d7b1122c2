/**
 * What the server says beside the rows of a COPY.
 * From 18 a publication that is missing is only a warning, and its rows are left out: it must not be missed.
 *
 * @see https://www.postgresql.org/docs/current/protocol-error-fields.html
 */

/** A notice's fields that no lc_messages translates, and its text. */
export interface Notice {
  /** The SQLSTATE. */
  readonly code: string;
  /** The routine of the server's source that it comes from. */
  readonly routine: string;
  readonly message: string;
  /** How often it came. */
  readonly count: number;
}

/**
 * Reads a notice: fields, each a letter and a text that ends in a zero byte, and a zero byte at the end.
 *
 * @param body - the message without its type and length
 */
export function parseNotice(body: Buffer): Notice {
  const fields: Record<string, string> = {};
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields[String.fromCharCode(body[at] ?? 0)] = body.toString('utf8', at + 1, end);
    at = end + 1;
  }
  return { code: fields['C'] ?? '', routine: fields['R'] ?? '', message: fields['M'] ?? '', count: 1 };
}
