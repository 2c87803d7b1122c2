/**
 * The parts that the tests of this directory stand on: a real server, the emulated stream, an endpoint in between that
 * fails on command, and containers of the real handler. Ends all of it, and sees to it that no secret was written.
 */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { lockKey } from '../../lambda/postgres/slot-lock.ts';
import { deaggregate } from '../support/deaggregate.ts';
import { type FaultyEndpoint, startFaultyEndpoint } from '../support/faulty-endpoint.ts';
import { type EmbeddedKinesis, startKinesis } from '../support/kinesis.ts';
import { type PostgresOptions, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { type Container, PASSWORD, ROW_MARKER, startContainer } from './container.ts';
import { assertMarksHold, type Marked } from './mark-assertions.ts';

/** The stream and the slot that containers use unless told otherwise: the defaults of the settings. */
export const NAME = 'pg2kinesis';

/** A Kinesis record, as it is read from the stream. */
export interface RawRecord {
  readonly partitionKey: string;
  readonly data: Uint8Array;
}

/** What a record says of its change, or a mark of its lane, under the names of the format `json`, and where it arrived. */
export interface Arrived {
  /** The Kinesis record's partition key: with aggregation its lane. */
  readonly lane: string;
  /** The user record's partition key. */
  readonly partitionKey: string;
  readonly text: string;
  readonly id: string;
  readonly op: string;
  readonly schema: string;
  readonly table: string;
  readonly key: Readonly<Record<string, unknown>> | null;
  readonly row?: Readonly<Record<string, unknown>>;
  readonly xid: number;
  readonly commitLsn: string;
  readonly ordinal: number;
}

/** A test's environment. */
export interface Environment {
  readonly server: PostgresServer;
  readonly kinesis: EmbeddedKinesis;
  /** In front of the stream. */
  readonly proxy: FaultyEndpoint;
  /** What a container is told: with marks, where its format has them. @param over - what else or instead */
  environment(over?: Readonly<Record<string, string>>): Record<string, string>;
  /** Starts a container, ended with the environment. */
  container(over?: Readonly<Record<string, string>>): Promise<Container>;
  /**
   * Holds the marks in the stream to I12, and leaves them out.
   *
   * @param read - reads a Kinesis record @default aggregates of json
   * @returns the stream's records, a lane's in order
   */
  arrived(stream?: string, read?: (record: RawRecord) => readonly Arrived[]): Promise<Arrived[]>;
  /** As `arrived`, and how far each lane is marked. */
  marked(stream?: string, read?: (record: RawRecord) => readonly Arrived[]): Promise<Marked>;
  /** @returns the backend that holds a slot's lock */
  lockHolder(slot?: string): Promise<number | undefined>;
  /** Ends everything. @throws when a container has written the password or a row's value */
  stop(): Promise<void>;
}

/**
 * Starts a server with the role `cdc`, a slot, a stream and an endpoint in front of it.
 *
 * @param options - the server's; `shards`: how many the stream has
 */
export async function startEnvironment(
  options: PostgresOptions & { readonly shards?: number } = {},
): Promise<Environment> {
  const [server, kinesis] = await Promise.all([startPostgres(options), startKinesis()]);
  const proxy = await startFaultyEndpoint(kinesis.endpoint);
  const containers: Container[] = [];
  await kinesis.createStream(NAME, options.shards ?? 2);
  await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD '${PASSWORD}'`);
  const environment = (over: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    PGHOST: server.connection.host,
    PGPORT: String(server.port),
    PGDATABASE: server.connection.database,
    PGUSER: 'cdc',
    PGPASSWORD: PASSWORD,
    PGSSLMODE: 'disable',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'emulator',
    AWS_SECRET_ACCESS_KEY: 'MARKER-secret-access-key',
    AWS_ENDPOINT_URL_KINESIS: proxy.endpoint,
    FORMAT: 'json',
    LOG_LEVEL: 'DEBUG',
    ...(mayHaveMarks(over) ? { MARKS: 'on' } : {}),
    ...over,
  });
  const marked: Environment['marked'] = async (stream = NAME, read = readJsonAggregate) =>
    assertMarksHold((await kinesis.readAll(stream)).flatMap((record) => read(record)));
  return {
    server,
    kinesis,
    proxy,
    environment,
    async container(over) {
      const started = await startContainer(environment(over));
      containers.push(started);
      return started;
    },
    arrived: async (stream, read) => (await marked(stream, read)).records,
    marked,
    async lockHolder(slot = NAME) {
      const [row] = await server.sql<{ pid: number }>(
        `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) | objid::bigint = $1::bigint`,
        [String(lockKey(slot))],
      );
      return row?.pid;
    },
    async stop() {
      await Promise.all(containers.map((each) => each.kill()));
      await proxy.stop();
      await Promise.all([server.stop(), kinesis.stop()]);
      assertNoSecret(containers);
    },
  };
}

function mayHaveMarks({ FORMAT = 'json', AGGREGATION = 'kpl' }: Readonly<Record<string, string>>): boolean {
  return FORMAT === 'json' && AGGREGATION !== 'none';
}

function readJsonAggregate(record: RawRecord): Arrived[] {
  return deaggregate(record).map(({ partitionKey, data }) => {
    const text = data.toString();
    return { ...(JSON.parse(text) as Arrived), lane: record.partitionKey, partitionKey, text };
  });
}

/** I10: neither password nor row value in anything that a container wrote. */
export function assertNoSecret(containers: readonly Container[]): void {
  for (const { output } of containers) {
    for (const secret of [PASSWORD, ROW_MARKER, 'MARKER-']) {
      const at = output.indexOf(secret);
      assert.equal(at, -1, `I10: a container wrote a secret: ${output.slice(Math.max(0, at - 300), at + 100)}`);
    }
  }
}

/** Waits until something holds, without asserting how soon: two minutes at least. */
export async function eventually(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let i = 0; i < 4_800; i++) {
    if (await holds()) return;
    await wait(25);
  }
  throw new Error(`never came about: ${what}`);
}
