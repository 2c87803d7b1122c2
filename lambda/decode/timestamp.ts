/**
 * Commit times: a timestamp with time zone in ISO style, read exactly, to the microsecond.
 * Imports nothing; knows no line.
 *
 * @see https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-DATETIME-OUTPUT
 */

/** The first and the last microsecond that ISO 8601 writes with a year of four digits. */
const EARLIEST = -62_135_596_800_000_000n;
const LATEST = 253_402_300_799_999_999n;

/**
 * Reads a timestamp as `timestamptz_to_str` prints it.
 *
 * A transaction that was applied from elsewhere has the commit time that its replication origin gave it, which can be
 * anything: what is outside of the years 1 to 9999, infinity included, is read as the nearest time inside.
 *
 * @param text - for example `2026-01-02 03:04:05.678901+00`: up to six digits of fraction, any offset
 * @returns microseconds since 1970-01-01T00:00:00Z, or undefined when the text is no such timestamp
 */
export function parseTimestampMicros(text: string): bigint | undefined {
  if (text === 'infinity') return LATEST;
  if (text === '-infinity') return EARLIEST;
  if (text[text.length - 1] === 'C' && text.endsWith(' BC'))
    return parseTimestampMicros(text.slice(0, -3)) === undefined ? undefined : EARLIEST;
  const beyond = text[4] === '-' ? 0 : text.indexOf('-') - 4;
  // The calendar of a year is that of the year 10,000 before it.
  if (beyond === 1 || beyond === 2) {
    const digits = digitAt(text, 0) + digitAt(text, beyond - 1);
    return Number.isNaN(digits) || parseWithin(text.slice(beyond)) === undefined ? undefined : LATEST;
  }
  return parseWithin(text);
}

/** Scanned by hand, as it comes once a transaction: a regular expression takes 700 ns. */
function parseWithin(text: string): bigint | undefined {
  const day = readDay(text);
  const clock = text[10] === ' ' ? readClock(text, 11, 3) : NaN;
  let at = 19;
  let micros = 0;
  if (text[at] === '.') {
    const begin = ++at;
    for (let digit = digitAt(text, at); digit >= 0 && at < begin + 6; digit = digitAt(text, ++at))
      micros = micros * 10 + digit;
    if (at === begin) return undefined;
    for (let digits = at - begin; digits < 6; digits++) micros *= 10;
  }
  // +00, and in zones that have them minutes and seconds.
  const sign = text[at] === '+' ? 1 : text[at] === '-' ? -1 : NaN;
  const parts = (text.length - at) / 3;
  const offset = parts === 1 || parts === 2 || parts === 3 ? readClock(text, at + 1, parts) : NaN;
  const seconds = day * 86_400 + clock - sign * offset;
  return Number.isNaN(seconds) ? undefined : BigInt(seconds) * 1_000_000n + BigInt(micros);
}

/** The digit at an index. NaN where there is none: then every sum with it is NaN. */
function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : NaN;
}

function twoDigits(text: string, at: number): number {
  return digitAt(text, at) * 10 + digitAt(text, at + 1);
}

/** The day that was read last. Commits come in order, nearly all of one day: to read it anew takes half of the time of all. */
let lastDay = { text: '1970-01-01', days: 0 };

/** `2026-01-02` in days since 1970-01-01; NaN for a day that the calendar does not have. */
function readDay(text: string): number {
  if (text.startsWith(lastDay.text)) return lastDay.days;
  const days = scanDay(text);
  // A day that was read has ten characters: what begins with them has this day.
  if (!Number.isNaN(days)) lastDay = { text: text.slice(0, 10), days };
  return days;
}

function scanDay(text: string): number {
  if (text[4] !== '-' || text[7] !== '-') return NaN;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // Date makes 30 February a day in March: then month or day differ. NaN equals nothing.
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() / 86_400_000 : NaN;
}

/** `03`, `03:04` or `03:04:05` in seconds; NaN out of range. */
function readClock(text: string, at: number, parts: number): number {
  let seconds = 0;
  for (let part = 0; part < 3; part++) {
    const value = part < parts ? twoDigits(text, at + part * 3) : 0;
    if (value > (part === 0 ? 23 : 59) || (part > 0 && part < parts && text[at + part * 3 - 1] !== ':')) return NaN;
    seconds = seconds * 60 + value;
  }
  return seconds;
}
