/**
 * What is published, and how: the settings of the stack that its publisher takes as they are. One documented field each; types only.
 * The names are those of the function's environment variables in camelCase.
 */

/** What the function publishes, and how. The function checks it all again and names every fault: `CONFIG_INVALID`. */
export interface PublishingProps {
  /** The replication slot: 1 to 63 lower-case letters, digits and underscores. @default pg2kinesis */
  readonly slotName?: string;
  /** The slot's output plugin; `pgoutput` reads publications, which have to be there before the slot; `wal2json` has to be on the server. @default test_decoding */
  readonly plugin?: 'test_decoding' | 'pgoutput' | 'wal2json';
  /** The publications that `plugin` pgoutput reads. @default one named as the slot */
  readonly publications?: readonly string[];
  /** The physical replication slots of the standbys that have to have a change before it is published: see docs/failover.md. @default none */
  readonly standbySlots?: readonly string[];
  /** Whether the slot is made, or converted, as a failover slot, which standbys keep; from PostgreSQL 17 on. @default off */
  readonly slotFailover?: 'off' | 'on';
  /** Names the source in every json record, 1 to 256 characters. @default `<database>/<slot>` */
  readonly sourceName?: string;
  /** How a change is written. @default csv-payload */
  readonly format?: 'csv' | 'csv-payload' | 'json' | 'debezium' | 'dms' | 'module';
  /** Your own formatter, required with `format` module: a file, here, that is bundled with the function. @default none */
  readonly formatter?: string;
  /** Dates and times of `format` debezium (its time.precision.mode). @default microseconds */
  readonly debeziumTime?: 'microseconds' | 'isostring';
  /** Whether `format` debezium names the transaction (its provide.transaction.metadata). @default off */
  readonly debeziumTransaction?: 'off' | 'on';
  /** The NULLs of `format` dms (its IncludeNullAndEmpty). @default omit */
  readonly dmsNulls?: 'omit' | 'include';
  /** Whether `format` dms names the transaction (its IncludeTransactionDetails). @default off */
  readonly dmsTransaction?: 'off' | 'on';
  /** Whether `format` dms shows the old row of an UPDATE (its BeforeImageSettings). @default off */
  readonly dmsBeforeImage?: 'off' | 'on';
  /** What decides a record's partition key. @default primary-key */
  readonly partitionBy?: 'primary-key' | 'table' | 'transaction' | 'stream';
  /** How changes share a Kinesis record; `lines` not with `format` csv. @default kpl */
  readonly aggregation?: 'kpl' | 'lines' | 'none';
  /** How records of lines are compressed; only with `aggregation` lines. Records of one or two changes gain little. @default none */
  readonly compression?: 'none' | 'gzip' | 'zstd';
  /** Slices of the hash-key space: a power of two, 1 to 256. Drain before changing it. @default 64 */
  readonly lanes?: number;
  /** Only these tables: regular expressions on the whole unquoted schema.table. @default all */
  readonly tableIncludeList?: readonly string[];
  /** Not these tables: regular expressions on the whole unquoted schema.table. @default none */
  readonly tableExcludeList?: readonly string[];
  /** Not these columns, in `format` json, debezium, dms and module: regular expressions on the whole unquoted schema.table.column. @default none */
  readonly columnExcludeList?: readonly string[];
  /** Only these operations. @default all four */
  readonly operations?: readonly ('INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE')[];
  /** The logical messages that become records, in `format` json, debezium and module: regular expressions on the whole prefix. @default none */
  readonly messages?: readonly string[];
  /** The most rows that one peek asks for, 1 to 1000000000. @default 1000000 */
  readonly batchChanges?: number;
  /** Whether, while one peek of a backlog is published, the next is read from a temporary copy of the slot. It takes two more connections and two of three free slots. @default on */
  readonly readAhead?: 'on' | 'off';
  /** How long primary keys are remembered, 0 to 604800 seconds. @default 3600 */
  readonly primaryKeyTtlSeconds?: number;
  /** What to do with a change too large for a Kinesis record. @default key-only */
  readonly oversize?: 'key-only' | 'fail';
  /** What to do with a row that does not show its table's current primary key, and whose key at write time is not known. @default skip */
  readonly onUnknownKey?: 'skip' | 'fail';
  /** The stream's largest record, 1024 to 10240 KiB. A stream that the stack makes is set to allow it; any other must allow it. @default 1024 */
  readonly maxRecordKib?: number;
  /** Whether each lane gets records that tell up to where it is complete, for a replica; only with `format` json and lanes. @default off */
  readonly marks?: 'off' | 'on';
  /** Whether a run that has caught up stays and publishes what comes within a second. Lambda bills all of its time: on arm64 about $17.5 a month with 512 MiB, $35 with 1024 (docs/seconds.md). @default off */
  readonly linger?: 'off' | 'on';
  /** How much of one of the server's cores a run that lingers may take, 1 to 100 percent. @default 10 */
  readonly lingerDuty?: number;
  /** With `initial` the rows that all published tables have are published, too, once the stack has made its slot. @default none */
  readonly snapshot?: 'none' | 'initial';
  /** How much of its time a run may read tables for a snapshot, 1 to 100 percent. @default 50 */
  readonly snapshotShare?: number;
  /** How much the function logs. @default INFO */
  readonly logLevel?: 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';
}
