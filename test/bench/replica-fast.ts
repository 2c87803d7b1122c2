/**
 * How fast changes are applied as they come: by `replicate --fast`, and by the function of a `StreamReplica` with the batches that
 * Lambda gives it. Both read the records, too. Called by `replica.ts`, into its server, for the same rows.
 */
import type { KinesisStreamEvent } from 'aws-lambda';
import { systemClock } from '../../lambda/clock.ts';
import { createCredentials } from '../../lambda/postgres/credentials.ts';
import { readSettings } from '../../replica/function/settings.ts';
import { unpack } from '../../replica/function/stream-batch.ts';
import { StreamFunction } from '../../replica/function/stream-function.ts';
import { connectTarget } from '../../replica/postgres/connection.ts';
import { PostgresFastTarget, prepareFastTables } from '../../replica/postgres/fast/fast-target.ts';
import { PositionStore } from '../../replica/postgres/position-store.ts';
import { PostgresTarget } from '../../replica/postgres/target.ts';
import { FastApplier } from '../../replica/rules/fast/fast-applier.ts';
import type { FastRecord } from '../../replica/rules/fast/fast-batch.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { aggregate, laneName, type Packed } from './replica-records.ts';

/** As `replicate --fast` does it. */
const BATCH_BYTES = 1024 * 1024;
/** The default of a `StreamReplica`. */
const BATCH_RECORDS = 100;
/** What Lambda hands over at most. */
const EVENT_BYTES = 6 * 1024 * 1024;
const ARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/bench';
/** A target takes one copy of a stream only. */
const COMMAND_ARN = `${ARN}-command`;

/** Applies Kinesis records. */
export interface FastSubject {
  apply(packed: readonly Packed[]): Promise<void>;
  close(): Promise<void>;
}

/** `replicate --fast`, without the reading from Kinesis. */
export async function fastCommand(server: PostgresServer): Promise<FastSubject> {
  const connection = await connectTarget({ ...server.connection, sslMode: 'disable', sslRootCert: undefined });
  const { client } = connection;
  const positions = new PositionStore(client, 'fast', 'fast');
  await prepareFastTables(client, 'fast');
  await positions.begin({ arn: COMMAND_ARN, createdMs: 1 }, { takeOver: false, awaitsSnapshot: false });
  const target = new PostgresTarget(connection, positions, { allowTriggers: false, skipMissing: false });
  const hold = async (): Promise<void> => {
    await positions.hold();
  };
  const applier = new FastApplier({
    target: new PostgresFastTarget({ client, name: 'fast', target, hold }),
    skipMissing: false,
  });
  return {
    async apply(packed) {
      let records: FastRecord[] = [];
      let bytes = 0;
      const flush = async (): Promise<void> => {
        const { failure } = await applier.apply(records);
        if (failure !== undefined) throw failure;
        records = [];
        bytes = 0;
      };
      for (const each of packed) {
        const data = aggregate(each);
        const partitionKey = laneName(each.lane);
        records.push({ shard: 's', sequence: '1', arrivedMs: 0, partitionKey, ...unpack({ partitionKey, data }) });
        bytes += data.length;
        if (bytes >= BATCH_BYTES) await flush();
      }
      await flush();
    },
    close: () => client.end(),
  };
}

/** @returns what Lambda hands over: so many records, and so much, at most */
export function eventsOf(
  packed: readonly Packed[],
  pack: (each: Packed) => Buffer = aggregate,
  batchSize = BATCH_RECORDS,
): KinesisStreamEvent[] {
  const events: KinesisStreamEvent[] = [];
  let bytes = Infinity;
  for (const each of packed) {
    const record = {
      eventID: 'shardId-000000000000:1',
      eventSourceARN: ARN,
      kinesis: {
        sequenceNumber: '1',
        partitionKey: laneName(each.lane),
        approximateArrivalTimestamp: Date.now() / 1000,
        data: pack(each).toString('base64'),
      },
    } as KinesisStreamEvent['Records'][number];
    const size = record.kinesis.data.length + 500;
    const { Records: last } = events.at(-1) ?? { Records: [] };
    if (bytes + size > EVENT_BYTES || last.length >= batchSize) {
      events.push({ Records: [record] });
      bytes = size;
    } else {
      last.push(record);
      bytes += size;
    }
  }
  return events;
}

/** The function, in this process, each batch handed over as text. */
export function streamFunction(server: PostgresServer): FastSubject {
  const { user, password, host, port, database } = server.connection;
  const settings = readSettings({
    ...{ PGHOST: host, PGPORT: String(port), PGDATABASE: database, PGUSER: user, PGPASSWORD: password },
    ...{ PGSSLMODE: 'disable', REPLICA_NAME: 'function' },
  });
  const none = () => Promise.reject(new Error('no AWS here'));
  const nothing = (): void => undefined;
  const own = new StreamFunction({
    settings,
    credentials: createCredentials({ settings: settings.database, secrets: none, iamToken: none }),
    clock: systemClock,
    log: { debug: nothing, info: nothing, warn: nothing, error: console.error },
    metric: nothing,
  });
  return {
    async apply(packed) {
      for (const event of eventsOf(packed)) {
        const text = JSON.stringify(event);
        const { batchItemFailures } = await own.invoke(JSON.parse(text) as KinesisStreamEvent);
        if (batchItemFailures.length > 0) throw new Error('The function has not applied a record.');
      }
    },
    close: () => own.close(),
  };
}
