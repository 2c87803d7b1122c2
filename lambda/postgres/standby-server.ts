/**
 * A standby that was met where a primary was meant, and what of a slot it has: told from a server that lost its slot.
 * Pure; knows no connection.
 */
import { PipelineError } from '../errors.ts';
import type { ErrorContext } from './error-context.ts';
import type { SlotRow } from './status-queries.ts';

/** From 16 on a standby can have logical slots of its own. */
const MIN_VERSION_NUM = 160_000;

/** What is known of the server and its slot. */
export interface StandbyFacts {
  readonly slot: Pick<SlotRow, 'synced'> | undefined;
  /** Whether the server is a standby, or its promotion has not ended. */
  readonly inRecovery: boolean;
  /** `server_version_num` */
  readonly versionNum: number;
}

const BACK = 'During a failover the next run succeeds by itself, when the promotion has ended.';

/**
 * Tells a standby whose slot nobody can use: it has none, or a copy of the primary's.
 *
 * @param facts - the server and the slot
 * @param slotName - the slot
 * @param context - whose it is
 * @param notDone - what was not done, a sentence
 * @returns undefined on a primary, and on a standby with a slot of its own
 */
export function standbyFault(
  { slot, inRecovery, versionNum }: StandbyFacts,
  slotName: string,
  { host, port }: Pick<ErrorContext, 'host' | 'port'>,
  notDone: string,
): PipelineError | undefined {
  if (!inRecovery) return undefined;
  const at = `The server at ${host}:${port} is a standby`;
  const fault = (what: string, more = '') =>
    new PipelineError('SERVER_IS_STANDBY', `${at}${what} ${notDone}`, {
      ...(more === ''
        ? {}
        : { remedy: `Connect to the primary: the writer endpoint, or its address. ${BACK} ${more}` }),
    });
  if (versionNum < MIN_VERSION_NUM) return fault(', and before PostgreSQL 16 a standby has no logical slots.');
  if (slot === undefined) {
    return fault(
      `, and it has no slot "${slotName}".`,
      'To read from a standby on purpose, make a slot on it: {"action":"create-slot","onStandby":true}.',
    );
  }
  if (slot.synced) {
    return fault(
      `. Its slot "${slotName}" is a copy that the server keeps in step with the primary's: it can be read after a promotion.`,
    );
  }
  return undefined;
}

/**
 * An error of a standby that its slots do not explain, such as that of an Aurora reader.
 *
 * @param error - as caught
 * @param context - whose it is
 * @param notDone - what was not done, a sentence
 */
export function standbyRefusal(
  error: Error,
  { host, port }: Pick<ErrorContext, 'host' | 'port'>,
  notDone: string,
): PipelineError {
  return new PipelineError(
    'SERVER_IS_STANDBY',
    `The server at ${host}:${port} is a standby, and refused to use a replication slot. It says: ${error.message} (SQLSTATE 55000). ${notDone}`,
    { cause: error },
  );
}
