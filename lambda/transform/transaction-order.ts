/** The order of transaction ids. Pure. */

/** As PostgreSQL compares transaction ids: of two, the one at most 2^31 behind the other. */
export function isBefore(xid: number, other: number): boolean {
  return ((xid - other) | 0) < 0;
}
