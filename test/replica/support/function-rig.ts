/** A container of a `StreamReplica`'s function in this process, and events as Lambda makes them, of records by hand. */
import type { KinesisStreamEvent } from 'aws-lambda';
import { systemClock } from '../../../lambda/clock.ts';
import { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { kpl } from '../../../lambda/pack/kpl.ts';
import { lanes as lanesOf } from '../../../lambda/pack/lanes.ts';
import { createCredentials, type Credentials } from '../../../lambda/postgres/credentials.ts';
import { readSettings } from '../../../replica/function/settings.ts';
import { StreamFunction } from '../../../replica/function/stream-function.ts';
import type { PostgresServer } from '../../support/postgres.ts';

/** What containers have said. */
export class Said {
  /** Errors and warnings. */
  readonly logged: string[] = [];
  readonly measured: [name: string, value: number][] = [];
  /** What was done with each batch. */
  readonly applied: Readonly<Record<string, unknown>>[] = [];

  /** The sum of what was done. */
  total(name: string): number {
    return this.applied.reduce((sum, each) => sum + Number(each[name]), 0);
  }
}

/**
 * Makes a container.
 *
 * @param target - where it applies
 * @param said - takes what it says
 * @param over - settings
 * @param credentials - how it signs in @default by the target's password
 */
export function makeFunction(
  target: PostgresServer,
  said: Said,
  over: Readonly<Record<string, string>> = {},
  credentials?: Credentials,
): StreamFunction {
  const { user, password, host, port, database } = target.connection;
  const settings = readSettings({
    ...{ PGHOST: host, PGPORT: String(port), PGDATABASE: database, PGUSER: user, PGPASSWORD: password },
    ...{ PGSSLMODE: 'disable', ...over },
  });
  const none = () => Promise.reject(new Error('no AWS here'));
  const line = (message: string): void => void said.logged.push(message);
  return new StreamFunction({
    settings,
    credentials: credentials ?? createCredentials({ settings: settings.database, secrets: none, iamToken: none }),
    clock: systemClock,
    log: { debug: line, info: (_, fields = {}) => void said.applied.push(fields), warn: line, error: line },
    metric: (name, value) => said.measured.push([name, value]),
  });
}

export const BY_HAND_ARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/by-hand';

/** An INSERT into `public.places`, by hand. @param lsn - its commit LSN @default 0x1000 and the id */
export function insertOf(source: string, id: number, lsn = 0x1000 + id) {
  const commitLsn = `0/${lsn.toString(16).toUpperCase()}`;
  return {
    id: `${commitLsn}@1#1`,
    source,
    op: 'INSERT',
    schema: 'public',
    table: 'places',
    key: { id },
    row: { id, body: 'b', big: 'B' },
    xid: id,
    commitLsn,
    ordinal: 1,
    commitTime: '2026-01-02T03:04:05.678901Z',
  };
}

/** A mark of the same source, by hand. @param lane - its number @param lanes - how many there are @param lsn - up to where it says */
export function markOf(lane: number, lanes: number, lsn: number, over: object = {}) {
  const commitLsn = `0/${lsn.toString(16).toUpperCase()}`;
  const at = { source: 's', commitLsn, commitTime: '2026-01-02T03:04:05.678901Z' };
  return { ...at, op: 'MARK', lane, lanes, system: '1', timeline: 1, ...over };
}

/** Kinesis records of one lane, which Lambda hands over. @param given - each with its data */
export function eventOfData(given: readonly Buffer[], lane = 'lane-0-of-1'): KinesisStreamEvent {
  const Records = given.map((data, i) => ({
    eventID: `shardId-000000000000:${i + 1}`,
    eventSourceARN: BY_HAND_ARN,
    kinesis: {
      sequenceNumber: String(i + 1),
      partitionKey: lane,
      approximateArrivalTimestamp: 1_767_323_045,
      data: data.toString('base64'),
    },
  }));
  return { Records } as unknown as KinesisStreamEvent;
}

/** The same, a Kinesis record for each, as AGGREGATION=lines writes them. */
export function eventOf(...records: readonly object[]): KinesisStreamEvent {
  return eventOfData(records.map((each) => Buffer.from(`${JSON.stringify(each)}\n`)));
}

/** One Kinesis record, as AGGREGATION=kpl writes it. @param key - the partition key of each */
export function aggregateOf(key: string, ...records: readonly object[]): Buffer {
  const [lane] = lanesOf(1);
  if (lane === undefined) throw new Error('There is no lane.');
  const content = { lane, partitionKeys: new ByteWriter(), records: new ByteWriter() };
  kpl.addKey(content, Buffer.from(key));
  for (const each of records) kpl.addRecord(content, 0, Buffer.from(JSON.stringify(each)));
  const out = new ByteWriter();
  kpl.write(content, out);
  return Buffer.from(out.bytes.subarray(0, out.length));
}
