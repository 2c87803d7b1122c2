/** Random numbers that come again with their seed. For the model of a replica. */

/** A source of random numbers. */
export interface Random {
  /** 0 to 1. */
  readonly next: () => number;
  /** 0 to n - 1. */
  readonly int: (n: number) => number;
  readonly pick: <T>(items: readonly T[]) => T;
}

/** @param seed - the same again gives the same numbers @see https://gist.github.com/tommyettinger/46a874533244883189143505d203312c (mulberry32) */
export function randomOf(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (n: number): number => Math.floor(next() * n);
  const pick = <T>(items: readonly T[]): T => {
    const item = items[int(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  };
  return { next, int, pick };
}
