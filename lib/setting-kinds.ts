/**
 * How a setting's value is read, strictly: as JSON of the right type from cdk.json, or as the text that `-c name=value` gives.
 * Knows no setting by name.
 */

/** A kind of setting: what it takes, in words, and how it reads a value. */
export interface SettingKind<T> {
  /** Completes the sentence "must be ...". */
  readonly expects: string;
  /** @returns the typed value; undefined where it is not one of this kind */
  read(value: unknown): T | undefined;
}

/** A text of a certain form. Numbers and booleans are not taken for text. */
export function text(expects: string, pattern: RegExp): SettingKind<string> {
  return { expects, read: (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined) };
}

/** A resource's name in a template. */
export const LOGICAL_ID = text('1 to 255 letters and digits', /^[A-Za-z0-9]{1,255}$/);

/** One of a few words, exactly as written. */
export function choice<const T extends string>(...words: readonly T[]): SettingKind<T> {
  return {
    expects: `one of ${words.join(', ')}`,
    read: (value) => words.find((word) => word === value),
  };
}

/** One of a few words in capitals, written in any case. */
export function anyCase<const T extends string>(...words: readonly T[]): SettingKind<T> {
  return {
    expects: `one of ${words.join(', ')}, in any case`,
    read: (value) => (typeof value === 'string' ? words.find((word) => word === value.toUpperCase()) : undefined),
  };
}

/** A whole number between two bounds, both included: `512` or `"512"`, nothing else. */
export function integer(min: number, max: number): SettingKind<number> {
  return numeric(`a whole number from ${min} to ${max}`, (number) => number >= min && number <= max);
}

/** One of a few whole numbers. */
export function numberOf(...numbers: readonly number[]): SettingKind<number> {
  return numeric(`one of ${numbers.join(', ')}`, (number) => numbers.includes(number));
}

function numeric(expects: string, test: (number: number) => boolean): SettingKind<number> {
  return {
    expects,
    read(value) {
      const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
      return typeof number === 'number' && Number.isInteger(number) && test(number) ? number : undefined;
    },
  };
}

/** `true` or `false`; not 1, yes or on, which `-c` would let slip through as text that counts as true. */
export function flag(): SettingKind<boolean> {
  return {
    expects: 'true or false',
    read: (value) =>
      value === true || value === 'true' ? true : value === false || value === 'false' ? false : undefined,
  };
}

/** Several of a kind, at least one: a JSON array, or a text with commas between. Blanks around an entry are dropped; none may be there twice. */
export function list<T>(of: SettingKind<T>): SettingKind<readonly T[]> {
  return {
    expects: `a list (a JSON array, or separated by commas), without repeats, each entry ${of.expects}`,
    read(value) {
      const parts: readonly unknown[] | undefined =
        typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : undefined;
      const entries: T[] = [];
      for (const part of parts ?? []) {
        const entry = of.read(typeof part === 'string' ? part.trim() : part);
        if (entry === undefined || entries.includes(entry)) return undefined;
        entries.push(entry);
      }
      return entries.length === 0 ? undefined : entries;
    },
  };
}

/** Regular expressions, as the function's environment carries them: with commas between. Each must be one by itself, for it is anchored at both ends. */
export function patterns(on: string): SettingKind<readonly string[]> {
  return {
    expects: `a list (a JSON array, or separated by commas) of regular expressions on ${on}`,
    read(value) {
      const parts: readonly unknown[] | undefined =
        typeof value === 'string' ? splitAtCommas(value) : Array.isArray(value) ? value : undefined;
      const entries: string[] = [];
      for (const part of parts ?? []) {
        if (typeof part !== 'string' || !isPattern(part.trim()) || splitAtCommas(part).length !== 1) return undefined;
        entries.push(part.trim());
      }
      return entries.length === 0 ? undefined : entries;
    },
  };
}

function isPattern(source: string): boolean {
  try {
    // "\\," is how a list writes a comma; as an expression's escape it would be an error.
    new RegExp(
      source.replace(/\\(.)/gsu, (escape, character) => (character === ',' ? ',' : escape)),
      'us',
    );
    return source !== '';
  } catch {
    return false;
  }
}

/** Cuts at the commas that the function cuts at: not those behind a backslash or inside brackets, braces or parentheses, as in `t_\d{1,3}`. */
function splitAtCommas(value: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  let inClass = false;
  for (const piece of value.match(/\\.|[^]/gu) ?? []) {
    if (piece === ',' && depth === 0 && !inClass) {
      parts.push(part);
      part = '';
      continue;
    }
    if (inClass) inClass = piece !== ']';
    else if (piece === '[') inClass = true;
    else if ('({'.includes(piece)) depth += 1;
    else if (')}'.includes(piece)) depth = Math.max(0, depth - 1);
    part += piece;
  }
  return [...parts, part];
}
