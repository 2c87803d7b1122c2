/**
 * Commit times: a timestamp with time zone in ISO style, read exactly, to the microsecond.
 * Imports nothing; knows no line.
 *
 * @see https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-DATETIME-OUTPUT
 */

/** The first and the last microsecond that ISO 8601 writes with a year of four digits. */
const EARLIEST = -62_135_596_800_000_000n;
const LATEST = 253_402_300_799_999_999n;

/** `2026-01-02 03:04:`, and `+00` at the end: what most timestamps have around their seconds. */
const MINUTE_LENGTH = 17;
const UTC_LENGTH = 3;
/** `05`, and then nothing, or a point and up to six digits. */
const MIN_SECONDS_LENGTH = 2;
const MAX_SECONDS_LENGTH = 9;
const MICROS_PER_MINUTE = 60_000_000n;
const POINT = 0x2e;
/** In a minute that begins before it each microsecond is a number that is exact. */
const LAST_EXACT = BigInt(Number.MAX_SAFE_INTEGER) - MICROS_PER_MINUTE;

/** The minute that was read last. Commits come in order, many a minute, and each one's time is read twice. */
const lastMinute = { bytes: new Uint8Array(MINUTE_LENGTH), micros: NaN };

/**
 * Reads a timestamp from bytes: see {@link parseTimestampMicros}.
 *
 * @param bytes - what holds the text
 * @param start - its first byte
 * @param end - the index after its last byte
 * @returns microseconds since 1970-01-01T00:00:00Z, or undefined when the text is no such timestamp
 */
export function readTimestampMicros(bytes: Buffer, start: number, end: number): bigint | undefined {
  const quick = readWithinMinute(bytes, start, end);
  if (!Number.isNaN(quick)) return BigInt(quick);
  const micros = parseTimestampMicros(bytes.toString('latin1', start, end));
  if (micros !== undefined) rememberMinute(bytes, start, end, micros);
  return micros;
}

/** Reads a timestamp of the last minute, in UTC. NaN: it is another. */
function readWithinMinute(bytes: Buffer, start: number, end: number): number {
  const last = end - UTC_LENGTH;
  const begin = start + MINUTE_LENGTH;
  if (last < begin + MIN_SECONDS_LENGTH || last > begin + MAX_SECONDS_LENGTH || !isUtc(bytes, last)) return NaN;
  for (let i = 0; i < MINUTE_LENGTH; i++) if (bytes[start + i] !== lastMinute.bytes[i]) return NaN;
  const seconds = digitOf(bytes[begin]) * 10 + digitOf(bytes[begin + 1]);
  let at = begin + MIN_SECONDS_LENGTH;
  let fraction = 0;
  if (at < last) {
    if (bytes[at++] !== POINT || at === last) return NaN;
    let digits = 0;
    for (; at < last; at++, digits++) fraction = fraction * 10 + digitOf(bytes[at]);
    for (; digits < 6; digits++) fraction *= 10;
  }
  return seconds > 59 ? NaN : lastMinute.micros + seconds * 1_000_000 + fraction;
}

/** Only minutes whose microseconds a number holds exactly: from 1970 to the year 2255. */
function rememberMinute(bytes: Buffer, start: number, end: number, micros: bigint): void {
  if (micros < 0n || micros > LAST_EXACT || !isUtc(bytes, end - UTC_LENGTH)) return;
  bytes.copy(lastMinute.bytes, 0, start, start + MINUTE_LENGTH);
  lastMinute.micros = Number(micros - (micros % MICROS_PER_MINUTE));
}

/** Whether `+00` begins at an index. */
function isUtc(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x2b && bytes[at + 1] === 0x30 && bytes[at + 2] === 0x30;
}

/** NaN for what is no digit: then every sum with it is NaN. */
function digitOf(byte: number | undefined): number {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : NaN;
}

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

/**
 * The nearest time in the years 1 to 9999, as {@link parseTimestampMicros} reads what is outside.
 *
 * @param micros - microseconds since 1970-01-01T00:00:00Z
 */
export function clampMicros(micros: bigint): bigint {
  return micros < EARLIEST ? EARLIEST : micros > LATEST ? LATEST : micros;
}

/** The digit at an index. NaN where there is none. */
function digitAt(text: string, at: number): number {
  return digitOf(text.charCodeAt(at));
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
