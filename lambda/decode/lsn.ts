/**
 * Log sequence numbers: positions in the write-ahead log, 64-bit, printed as two hexadecimal halves, `16/B374D848`.
 * Imports nothing. LSNs are compared as integers, never as text: `0/9` comes before `0/10`.
 *
 * @see https://www.postgresql.org/docs/current/datatype-pg-lsn.html
 */

/** A log sequence number: a byte offset into the write-ahead log, 0 to 2^64 - 1. */
export type Lsn = bigint;

const HALF = /^[0-9A-Fa-f]{1,8}$/;

/**
 * Reads an LSN as PostgreSQL prints it.
 *
 * @param text - for example `0/16B3748`, each half 1 to 8 hexadecimal digits
 * @returns the position, or undefined when the text is no LSN
 */
export function parseLsn(text: string): Lsn | undefined {
  const [high, low, ...rest] = text.split('/');
  if (high === undefined || low === undefined || rest.length > 0 || !HALF.test(high) || !HALF.test(low)) {
    return undefined;
  }
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The upper half that was printed last: it changes once in 4 GiB of WAL. */
let lastHigh = { half: 0n, text: '0/' };

/**
 * Prints an LSN as PostgreSQL does: upper case, no leading zeros.
 *
 * @param lsn - 0 to 2^64 - 1
 * @returns for example `0/16B3748`
 */
export function formatLsn(lsn: Lsn): string {
  const half = lsn >> 32n;
  if (half !== lastHigh.half) lastHigh = { half, text: `${half.toString(16).toUpperCase()}/` };
  return lastHigh.text + (lsn & 0xffffffffn).toString(16).toUpperCase();
}
