/**
 * The settings that every session of ours pins, and why. A role, a database or a parameter group may set each of them;
 * what it sets must neither change a value's text nor end a session or a statement.
 * The settings that are left alone are listed, each with its reason, in test/lambda/postgres/harmless-settings.ts; a
 * test compares both lists with the server's own.
 */
import type pg from 'pg';
import { codeOf } from './error-context.ts';

/** How long a session's statements, and the session itself, may last. Milliseconds from now. */
export interface SessionTimes {
  /** Until its statements have to be over. */
  readonly statementsMs: number;
  /** Until the process is gone or has closed the connection. */
  readonly lifeMs: number;
  /** Memory for a large result and for decoding large transactions. */
  readonly workMem: boolean;
}

/** What a backend of ours is called while it lives; its latest end follows, by the server's clock. */
export const APPLICATION_NAME_PREFIX = 'pg2kinesis until ';

/**
 * In the startup packet, where it wins over what the role and the database say: not even the first statement may be
 * resolved by somebody else's search_path. Pinned again below, for pools that do not take it.
 */
export const STARTUP_OPTIONS = '-c search_path=pg_catalog';

/** Ample for a batch's tuplestore. An RDS micro instance has 1 GB in all, and 64 MB is the server's own default for decoding. */
const WORK_MEM = '64MB';

/**
 * SQL_ASCII is bytes of unknown meaning. Asked for UTF8, such a server refuses whatever is not: all that a statement
 * reads, names in the catalogs, too. So the bytes come as they are, and each row is checked on arrival.
 */
const CLIENT_ENCODING = `CASE pg_catalog.current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END`;

/** A setting. The comment above a group gives the reason. A setting that a server does not have is not set there. */
type Pin = readonly [name: string, value: string];

/**
 * @param times - how long the session is for
 * @returns every pinned setting
 */
export function pinnedSettings({ statementsMs, lifeMs, workMem }: SessionTimes): readonly Pin[] {
  return [
    // What test_decoding prints follows the session that reads.
    ['search_path', 'pg_catalog'],
    ['quote_all_identifiers', 'off'],
    ['TimeZone', 'UTC'],
    ['DateStyle', 'ISO, MDY'],
    ['IntervalStyle', 'iso_8601'],
    ['bytea_output', 'hex'],
    ['extra_float_digits', '3'],
    ['lc_monetary', 'C'],
    // Where the database has an encoding at all: see CLIENT_ENCODING.
    ['client_encoding', 'UTF8'],
    // How our own statements are read.
    ['standard_conforming_strings', 'on'],

    // No statement and no transaction outlives its run.
    ['statement_timeout', `${statementsMs}ms`],
    ['idle_in_transaction_session_timeout', `${statementsMs}ms`],
    // Nothing ends before it: a COPY lasts as long as the stream takes its rows, and the lock's connection is idle meanwhile.
    ['transaction_timeout', '0'],
    ['idle_session_timeout', '0'],
    // We wait for locks of catalogs and for the end of transactions up to statement_timeout.
    ['lock_timeout', '0'],
    // An error that is expected (a slot that is in use) must not end the session that holds the lock.
    ['exit_on_error', 'off'],
    // Serializable readings of the catalogs fail with 40001; deferrable ones wait for other transactions without bound.
    ['default_transaction_isolation', 'read committed'],
    ['default_transaction_read_only', 'off'],
    ['default_transaction_deferrable', 'off'],

    // A backend whose client is gone is to notice: it holds the lock.
    ['tcp_keepalives_idle', '10'],
    ['tcp_keepalives_interval', '5'],
    ['tcp_keepalives_count', '3'],
    // When Kinesis is slow we stop reading; the server counts that as unacknowledged data. A shorter time-out would end a
    // run that only waits.
    ['tcp_user_timeout', `${lifeMs}ms`],
    ['client_connection_check_interval', '2s'],

    // Plans here are fixed and their estimates meaningless; compiling one costs more than it saves.
    ['jit', 'off'],
    ['max_parallel_workers_per_gather', '0'],
    // `immediate` writes each change to disk while it is decoded.
    ['debug_logical_replication_streaming', 'buffered'],
    ['logical_replication_mode', 'buffered'],
    // Debug messages would come between the rows, one or more a change.
    ['client_min_messages', 'warning'],
    ...(workMem
      ? ([
          ['work_mem', WORK_MEM],
          ['logical_decoding_work_mem', WORK_MEM],
        ] as const)
      : []),
  ];
}

/** A server on Windows, and 14 on anything but Linux, takes no other value than 0: there a client that is gone is noticed later. */
const NOT_EVERYWHERE = 'client_connection_check_interval';
/** SQLSTATE invalid_parameter_value. */
const REFUSED = '22023';

/** What a server says of itself when its settings are pinned. */
export interface PinnedServer {
  /** `server_version_num` */
  readonly version: string;
  /** The database's encoding. */
  readonly encoding: string;
}

/**
 * Pins them, most often in one round trip.
 *
 * @param client - a connection to a server, or to a pool that shares no backends
 * @param times - how long the session is for
 */
export async function pinSettings(client: pg.Client, times: SessionTimes): Promise<PinnedServer | undefined> {
  const pin = async (settings: readonly Pin[]) =>
    (await client.query<PinnedServer & pg.QueryResultRow>(pinStatement(settings, times))).rows[0];
  const settings = pinnedSettings(times);
  return await pin(settings).catch((error: unknown) => {
    if (codeOf(error) !== REFUSED) throw error;
    return pin(settings.filter(([name]) => name !== NOT_EVERYWHERE));
  });
}

/** It is the first statement that depends on names, so all of its names are qualified. */
function pinStatement(settings: readonly Pin[], times: SessionTimes): string {
  const set = settings.map(
    ([name, value]) =>
      `CASE WHEN pg_catalog.current_setting('${name}', true) IS NOT NULL THEN pg_catalog.set_config('${name}', ${name === 'client_encoding' ? CLIENT_ENCODING : `'${value}'`}, false) END`,
  );
  const until = `pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC' OPERATOR(pg_catalog.+) INTERVAL '${times.lifeMs} ms', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  return `SELECT ${set.join(', ')},
    pg_catalog.set_config('application_name', pg_catalog.concat('${APPLICATION_NAME_PREFIX}', ${until}), false),
    pg_catalog.current_setting('server_version_num') AS version, pg_catalog.current_setting('server_encoding') AS encoding`;
}
