/**
 * Dates, times and intervals as Debezium writes them: numbers since 1970 with `time.precision.mode=microseconds`, ISO
 * texts with `isostring`; a timestamp with a zone is ISO text in UTC either way.
 */
import { fromText } from '../from-text.ts';
import type { Converter } from '../json/converter.ts';
import { type CivilDate, epochDays, epochMicros, intervalMicros, readDate, readTime } from '../temporal.ts';

const MICROS_PER_DAY = 86_400_000_000;

/** What the connector makes of the infinities of a date: its driver's largest dates, as days that overflowed. */
const DATE_INFINITY: Readonly<Record<string, string>> = { infinity: '-2147472693', '-infinity': '-2147472692' };
/** And of a timestamp: the driver's largest timestamps, in microseconds. */
const TIMESTAMP_INFINITY: Readonly<Record<string, string>> = {
  infinity: '9223372036825200000',
  '-infinity': '-9223372036832400000',
};

/**
 * The converters of the types of date and time.
 *
 * @param mode - `time.precision.mode`
 * @returns by the type's name
 */
export function temporalConverters(mode: 'microseconds' | 'isostring'): Readonly<Record<string, Converter>> {
  const zoned = { 'timestamp with time zone': timestamptz, 'time with time zone': timetz, interval };
  return mode === 'isostring'
    ? { date: isoDate, 'time without time zone': isoTime, 'timestamp without time zone': isoTimestamp, ...zoned }
    : { date, 'time without time zone': time, 'timestamp without time zone': timestamp, ...zoned };
}

const date = fromText((text) => {
  const read = readDate(text);
  return read === undefined ? DATE_INFINITY[text] : String(epochDays(read));
});

const time = fromText((text) => readTime(text)?.toString());

const timestamp = fromText((text) => epochMicros(text)?.toString() ?? TIMESTAMP_INFINITY[text]);

const interval = fromText((text) => intervalMicros(text)?.toString());

/** Always six digits of fraction: the column's modifier, which would say how many, is not printed. */
const timestamptz = fromText((text) => {
  const read = readDate(text);
  const clock = text.slice(text.indexOf(' ') + 1);
  if (read === undefined || readTime(clock) === undefined) return undefined;
  return `"${isoDay(read)}T${clock.slice(0, 8)}.${(/^\.(\d+)/.exec(clock.slice(8))?.[1] ?? '').padEnd(6, '0')}Z"`;
});

/** `13:51:30.5+02` becomes `"11:51:30.5Z"`. */
const timetz = fromText((text) => {
  const match = /^([^+-]*)([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/.exec(text);
  const micros = match === null ? undefined : readTime(match[1] ?? '');
  if (match === null || micros === undefined) return undefined;
  const offset = ((Number(match[3]) * 60 + Number(match[4] ?? 0)) * 60 + Number(match[5] ?? 0)) * 1_000_000;
  const utc = (micros - (match[2] === '+' ? offset : -offset) + 2 * MICROS_PER_DAY) % MICROS_PER_DAY;
  return `"${isoClock(utc)}Z"`;
});

const isoDate = fromText((text) => {
  const read = readDate(text);
  return read && `"${isoDay(read)}Z"`;
});

const isoTime = fromText((text) => (readTime(text) === undefined ? undefined : `"${text}Z"`));

const isoTimestamp = fromText((text) => {
  const read = readDate(text);
  const clock = / ([0-9:.]+)/.exec(text)?.[1];
  return read && clock && `"${isoDay(read)}T${clock}Z"`;
});

/** ISO 8601 as java.time prints it: a sign before years of more than four digits and before those BC. */
function isoDay({ year, month, day }: CivilDate): string {
  const digits = String(Math.abs(year)).padStart(4, '0');
  const sign = year < 0 ? '-' : year > 9999 ? '+' : '';
  return `${sign}${digits}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
}

function isoClock(micros: number): string {
  const pad = (value: number): string => String(value).padStart(2, '0');
  const seconds = Math.floor(micros / 1_000_000);
  const fraction = String(micros % 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const clock = `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  return fraction === '' ? clock : `${clock}.${fraction}`;
}
