/** Objects without the fields that have no value: an optional field holds no undefined. Pure. */

/** A field that is there only where it has a value: an optional field holds no undefined. */
export function given<N extends string, T>(name: N, value: T | undefined): { [K in N]?: NonNullable<T> } {
  return (value === undefined ? {} : { [name]: value }) as { [K in N]?: NonNullable<T> };
}

/** The fields of those names that are there. */
export function pick<T extends object, const N extends keyof T>(from: T, names: readonly N[]): Pick<T, N> {
  return Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]])) as Pick<
    T,
    N
  >;
}
