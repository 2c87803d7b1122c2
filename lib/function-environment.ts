/**
 * From a publisher's props to its function's environment: the variables that `lambda/settings/config.ts` reads.
 * Writes only what was given, so that the defaults are in one place, the function's.
 */
import { Tokenization } from 'aws-cdk-lib';
import { FORMATTER_FILE } from './formatter-bundle.ts';
import type { SlotPublisherProps } from './slot-publisher-props.ts';

/**
 * @param props - what the publisher was given
 * @param pipelineName - the one value of the metrics' one dimension
 * @returns the variables; no secret is among them (the function reads it itself)
 */
export function functionEnvironment(props: SlotPublisherProps, pipelineName: string): Record<string, string> {
  const variables: Record<string, string | number | readonly string[] | undefined> = {
    POWERTOOLS_SERVICE_NAME: pipelineName,
    PGHOST: props.databaseHost,
    PGPORT: props.databasePort === undefined ? 5432 : Tokenization.stringifyNumber(props.databasePort),
    PGDATABASE: props.databaseName,
    PGUSER: props.databaseUser,
    PGSSLMODE: props.databaseSslMode,
    PGSSLROOTCERT: props.databaseSslRootCert,
    DATABASE_AUTH: props.databaseAuth,
    DATABASE_SECRET_ARN: props.databaseAuth === 'iam' ? undefined : props.databaseSecret.secretArn,
    SLOT_NAME: props.slotName,
    PLUGIN: props.plugin,
    PUBLICATIONS: props.publications,
    STANDBY_SLOTS: props.standbySlots,
    SLOT_FAILOVER: props.slotFailover,
    SOURCE_NAME: props.sourceName,
    // It may be another account's or region's, which a name cannot say.
    STREAM_NAME: props.stream.streamArn,
    FORMAT: props.format,
    FORMATTER: props.formatter === undefined ? undefined : FORMATTER_FILE,
    DEBEZIUM_TIME: props.debeziumTime,
    DEBEZIUM_TRANSACTION: props.debeziumTransaction,
    DMS_NULLS: props.dmsNulls,
    DMS_TRANSACTION: props.dmsTransaction,
    DMS_BEFORE_IMAGE: props.dmsBeforeImage,
    PARTITION_BY: props.partitionBy,
    AGGREGATION: props.aggregation,
    COMPRESSION: props.compression,
    LANES: props.lanes,
    TABLE_INCLUDE_LIST: props.tableIncludeList,
    TABLE_EXCLUDE_LIST: props.tableExcludeList,
    COLUMN_EXCLUDE_LIST: props.columnExcludeList,
    OPERATIONS: props.operations,
    MESSAGES: props.messages,
    BATCH_CHANGES: props.batchChanges,
    READ_AHEAD: props.readAhead,
    PRIMARY_KEY_TTL_SECONDS: props.primaryKeyTtlSeconds,
    OVERSIZE: props.oversize,
    ON_UNKNOWN_KEY: props.onUnknownKey,
    MAX_RECORD_KIB: props.maxRecordKib,
    MARKS: props.marks,
    LINGER: props.linger,
    LINGER_DUTY: props.lingerDuty,
    SNAPSHOT: props.snapshot,
    SNAPSHOT_SHARE: props.snapshotShare,
    LOG_LEVEL: props.logLevel,
  };
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) environment[name] = Array.isArray(value) ? value.join(',') : String(value);
  }
  return environment;
}
