/** From a replica's props to its function's environment: the variables that `replica/function/settings.ts` reads. */
import { Tokenization } from 'aws-cdk-lib';
import type { DatabaseLocation } from './database-location.ts';
import type { StreamReplicaProps } from './stream-replica-props.ts';

/**
 * @param props - what the replica was given
 * @param location - where its target is
 * @param serviceName - the one value of the metrics' one dimension
 * @returns the variables; no secret is among them (the function reads it itself)
 */
export function replicaEnvironment(
  props: StreamReplicaProps,
  { host, port }: DatabaseLocation,
  serviceName: string,
): Record<string, string> {
  const variables: Record<string, string | undefined> = {
    POWERTOOLS_SERVICE_NAME: serviceName,
    PGHOST: host,
    PGPORT: Tokenization.stringifyNumber(port),
    PGDATABASE: props.databaseName,
    PGUSER: props.databaseUser,
    PGSSLMODE: props.databaseSslMode,
    PGSSLROOTCERT: props.databaseSslRootCert,
    DATABASE_AUTH: props.databaseAuth,
    DATABASE_SECRET_ARN: props.databaseAuth === 'iam' ? undefined : props.databaseSecret.secretArn,
    REPLICA_NAME: props.replicaName,
    SOURCE_NAME: props.sourceName ?? props.publisher?.props.sourceName,
    START_AFTER: props.startAfter,
    AWAIT_SNAPSHOT: props.awaitSnapshot === undefined ? undefined : props.awaitSnapshot ? 'on' : 'off',
    SKIP_MISSING: props.skipMissing === undefined ? undefined : props.skipMissing ? 'on' : 'off',
    SKIP_TRUNCATED: props.skipTruncated === undefined ? undefined : props.skipTruncated ? 'on' : 'off',
    TRIGGERS: props.triggers === undefined ? undefined : props.triggers ? 'on' : 'off',
  };
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) if (value !== undefined) environment[name] = value;
  return environment;
}
