/**
 * Dates and times as numbers: from the text that PostgreSQL prints (DateStyle ISO, IntervalStyle iso_8601) to days and
 * microseconds. Pure; knows no format. Years are proleptic Gregorian; 1 BC is year 0.
 *
 * @see https://www.postgresql.org/docs/current/datatype-datetime.html
 */

const MICROS_PER_SECOND = 1_000_000n;
const MICROS_PER_DAY = 86_400_000_000n;
/** The bounds of 64 bits, about 292,000 years: an interval may be of 178,000,000. */
const MAX_MICROS = 2n ** 63n - 1n;
const MIN_MICROS = -(2n ** 63n);
/** Debezium's and java.time's average: a year of 365.25 days. */
const DAYS_PER_MONTH = 30.4375;

/** A date's parts. */
export interface CivilDate {
  /** Astronomical: 0 is 1 BC. */
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/**
 * Reads a date, or the date of a timestamp.
 *
 * @param text - `2026-01-02`, `0044-03-15 BC`, `10000-01-01 00:00:00`
 * @returns its parts; undefined for `infinity`, `-infinity` and what is no date
 */
export function readDate(text: string): CivilDate | undefined {
  const match = /^(\d{4,7})-(\d\d)-(\d\d)/.exec(text);
  if (match === null) return undefined;
  const year = Number(match[1]);
  return { year: text.endsWith(' BC') ? 1 - year : year, month: Number(match[2]), day: Number(match[3]) };
}

/**
 * Days since 1970-01-01.
 *
 * @param date - any date
 */
export function epochDays({ year, month, day }: CivilDate): number {
  // Howard Hinnant's days_from_civil: years begin in March, so that the leap day comes last.
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}

/**
 * Reads a time of day.
 *
 * @param text - what begins with `03:04:05`, then a fraction of up to six digits; `24:00:00` is a day's end
 * @returns microseconds since midnight; undefined for what is no time
 */
export function readTime(text: string): number | undefined {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?/.exec(text);
  if (match === null) return undefined;
  const seconds = (Number(match[1]) * 60 + Number(match[2])) * 60 + Number(match[3]);
  return seconds * 1_000_000 + Number((match[4] ?? '').padEnd(6, '0'));
}

/**
 * Microseconds since 1970-01-01T00:00:00 of a timestamp, in its own zone.
 *
 * @param text - `2026-01-02 03:04:05.678`, with or without a zone, with or without ` BC`
 * @returns undefined for `infinity`, `-infinity` and what is no timestamp
 */
export function epochMicros(text: string): bigint | undefined {
  const date = readDate(text);
  const time = readTime(text.slice(text.indexOf(' ') + 1));
  if (date === undefined || time === undefined) return undefined;
  return BigInt(epochDays(date)) * MICROS_PER_DAY + BigInt(time);
}

/**
 * An interval in microseconds, a month taken as 30.4375 days; what is beyond 64 bits is their bound, as Java's conversion has it.
 *
 * @param text - `P1Y2M3DT4H5M6.78S`; each number may be negative
 * @returns undefined for what is no interval (`infinity`, from PostgreSQL 17 on)
 */
export function intervalMicros(text: string): bigint | undefined {
  const match =
    /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?$/.exec(text);
  if (match === null) return undefined;
  const part = (index: number): number => Number(match[index] ?? 0);
  const wholeDays = (part(1) * 12 + part(2)) * DAYS_PER_MONTH + part(3);
  const total = ((wholeDays * 24 + part(4)) * 60 + part(5)) * 60 + part(6);
  const micros = BigInt(Math.trunc(total * 1e6));
  return micros > MAX_MICROS ? MAX_MICROS : micros < MIN_MICROS ? MIN_MICROS : micros;
}

/** The second that was written last: transactions come in order, many a second. */
let lastSecond = { at: NaN, text: '' };

/**
 * A time in ISO 8601, in UTC, always with six digits of fraction.
 *
 * @param micros - microseconds since 1970-01-01T00:00:00Z
 */
export function isoMicros(micros: bigint): string {
  let at = Number(micros / MICROS_PER_SECOND);
  let within = Number(micros % MICROS_PER_SECOND);
  if (within < 0) {
    at -= 1;
    within += 1_000_000;
  }
  if (at !== lastSecond.at) lastSecond = { at, text: new Date(at * 1000).toISOString().slice(0, -5) };
  return `${lastSecond.text}.${String(1_000_000 + within).slice(1)}Z`;
}
