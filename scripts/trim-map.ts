/**
 * Cuts the dependencies' lines out of a source map, and all positions but the first of each piece of a line: only our own
 * lines are needed to find an error.
 * Pure.
 *
 * @see https://tc39.es/ecma426/
 */

/** A source map, version 3, without sources' contents. */
export interface SourceMap {
  readonly version: number;
  readonly sources: readonly string[];
  readonly names: readonly string[];
  /** Lines parted by `;`, their segments by `,`: numbers in base 64, each but a line's first relative to the one before. */
  readonly mappings: string;
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/**
 * @param map - as the bundler wrote it
 * @param keep - whether a source's lines stay
 * @returns a map in which what was cut points nowhere, and the rest to the source's line and to the first column of its piece
 */
export function trimMap(map: SourceMap, keep: (source: string) => boolean): SourceMap {
  const sources = new Renumbered(map.sources);
  const names = new Renumbered(map.names);
  // What segments are relative to: read and written.
  const read = [0, 0, 0, 0, 0];
  const written = [0, 0, 0, 0, 0];
  const lines = map.mappings.split(';').map((line) => {
    read[0] = written[0] = 0;
    let nowhere = true;
    let last = '';
    const segments: string[] = [];
    for (const segment of line === '' ? [] : line.split(',')) {
      const fields = decode(segment);
      for (const [at, delta] of fields.entries()) read[at] = (read[at] ?? 0) + delta;
      const [column = 0, source = 0, sourceLine = 0, sourceColumn = 0, name = 0] = read;
      const kept = fields.length >= 4 && keep(map.sources[source] ?? '');
      if (!kept && nowhere) continue;
      const place = `${source}:${sourceLine}`;
      if (kept && !nowhere && place === last) continue;
      last = place;
      nowhere = !kept;
      const values = kept
        ? [
            column,
            sources.number(source),
            sourceLine,
            sourceColumn,
            ...(fields.length === 5 ? [names.number(name)] : []),
          ]
        : [column];
      segments.push(values.map((value, at) => encode(value - (written[at] ?? 0))).join(''));
      for (const [at, value] of values.entries()) written[at] = value;
    }
    return segments.join(',');
  });
  return { ...map, sources: sources.used, names: names.used, mappings: lines.join(';') };
}

/** The entries of a list that are used, in the order of their first use. */
class Renumbered {
  readonly used: string[] = [];
  readonly #all: readonly string[];
  readonly #numbers = new Map<number, number>();

  constructor(all: readonly string[]) {
    this.#all = all;
  }

  /** @returns its number among those used */
  number(index: number): number {
    let number = this.#numbers.get(index);
    if (number === undefined) {
      number = this.used.push(this.#all[index] ?? '') - 1;
      this.#numbers.set(index, number);
    }
    return number;
  }
}

/** Five bits a digit, the lowest first, 32 saying that more follow; the lowest bit of all is the sign. */
function decode(segment: string): number[] {
  const values: number[] = [];
  let value = 0;
  let shift = 0;
  for (let i = 0; i < segment.length; i++) {
    const digit = DIGITS.indexOf(segment.charAt(i));
    value += (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) !== 0) continue;
    values.push((value & 1) === 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return values;
}

function encode(value: number): string {
  let rest = value < 0 ? (-value << 1) | 1 : value << 1;
  let text = '';
  do {
    const more = rest > 31 ? 32 : 0;
    text += DIGITS.charAt((rest & 31) | more);
    rest >>= 5;
  } while (rest > 0);
  return text;
}
