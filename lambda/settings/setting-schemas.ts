/**
 * How a setting's text becomes a value: the kinds that the rows of `settings-table.ts` are made of. Pure; knows no setting
 * by name.
 */
import * as z from 'zod/mini';
import { compilePatterns } from './filters.ts';

/** All four, in the order in which they are listed. */
export const OPERATIONS = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const;
/** What the source did to a row or table. */
export type Operation = (typeof OPERATIONS)[number];

/** Any text. */
export const text = z.string();

/** A regular expression on the whole text. */
export const like = (pattern: RegExp): z.ZodMiniType<string, string> => text.check(z.regex(pattern));

/** A whole number between two bounds that passes a test. */
export const whole = (
  least: number,
  most: number,
  test: (value: number) => boolean = () => true,
): z.ZodMiniType<number, string> =>
  z.pipe(
    text,
    convert((value) => {
      const number = /^[0-9]{1,10}$/.test(value) ? Number(value) : Number.NaN;
      return number >= least && number <= most && test(number) ? number : undefined;
    }),
  );

/** A conversion that refuses by answering undefined or by throwing what is to be said. */
export function convert<T>(read: (value: string) => T | undefined): z.ZodMiniType<T, string> {
  return z.transform<string, T>((value, context) => {
    let why: string | undefined;
    try {
      const result = read(value);
      if (result !== undefined) return result;
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    context.issues.push({ code: 'custom', input: value, params: { why } });
    return z.NEVER;
  });
}

/** Regular expressions separated by commas. */
export const patterns = z.pipe(text, convert(compilePatterns));

/** Operations separated by commas, in any case. */
export const operations = z.pipe(
  text,
  convert((value): ReadonlySet<Operation> | undefined => {
    const words = value.split(',').map((word) => word.trim().toUpperCase());
    const known = OPERATIONS.filter((operation) => words.includes(operation));
    const unknown = words.filter((word) => !OPERATIONS.some((operation) => operation === word));
    return unknown.length === 0 && known.length > 0 ? new Set(known) : undefined;
  }),
);

/** A name of PostgreSQL's that is no URL. */
export const NAME = /^(?!.*:\/\/)[^\p{Cc}]{1,63}$/u;

/** Names separated by commas; a name that holds one cannot be given. */
export const publications = z.pipe(
  text,
  convert((value): readonly string[] | undefined => {
    const names = value.split(',').map((name) => name.trim());
    return names.every((name) => NAME.test(name)) ? [...new Set(names)] : undefined;
  }),
);

/** Names of slots, each once. */
export const slotNames = z.pipe(
  text,
  convert((value): readonly string[] | undefined => {
    const names = value === '' ? [] : value.split(',').map((name) => name.trim());
    return names.every((name) => /^[a-z0-9_]{1,63}$/.test(name)) ? [...new Set(names)] : undefined;
  }),
);
