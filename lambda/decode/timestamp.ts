/**
 * Commit times: a timestamp with time zone in ISO style, read exactly, to the microsecond.
 * A leaf: knows the text and nothing of what it stands in.
 *
 * @see https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-DATETIME-OUTPUT
 */

// The four-digit year keeps it exact: later years and BC, which no commit can have, do not match.
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?$/;

/**
 * Reads a timestamp as `timestamptz_to_str` prints it.
 *
 * @param text - for example `2026-01-02 03:04:05.678901+00`; up to six digits of fraction, any offset
 * @returns microseconds since 1970-01-01T00:00:00Z, or undefined when the text is no such timestamp
 */
export function parseTimestampMicros(text: string): bigint | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute, offsetSecond] = match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  // The calendar rolls 30 February over into March; a roll shows in the month or the day.
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  const clock = seconds(hour, minute, second);
  const offset = seconds(offsetHour, offsetMinute ?? '0', offsetSecond ?? '0');
  if (clock === undefined || offset === undefined) return undefined;
  const total = date.getTime() / 1000 + clock + (sign === '-' ? offset : -offset);
  return BigInt(total) * 1_000_000n + BigInt((fraction ?? '').padEnd(6, '0'));
}

/** A time of day, or an offset, in seconds; undefined out of range. */
function seconds(hour: string | undefined, minute: string | undefined, second: string | undefined): number | undefined {
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  return h <= 23 && m <= 59 && s <= 59 ? h * 3600 + m * 60 + s : undefined;
}
