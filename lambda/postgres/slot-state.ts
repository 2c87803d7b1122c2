/**
 * What a slot's row says against reading it, as the errors an operator meets. Pure. A slot that is missing or lost is
 * reported, and never created again, which would hide the gap (I9).
 */
import { isReadablePlugin } from '../decode/plugin-names.ts';
import { PipelineError } from '../errors.ts';
import { isLost, slotLost } from '../lost-slot.ts';
import { codeOf, type ErrorContext } from './error-context.ts';
import { TEST_DECODING } from './plugins.ts';
import { translate } from './sql-errors.ts';
import { standbyFault, standbyRefusal } from './standby-server.ts';
import { type Queryable, SLOT_JSON, type SlotRow, toSlotRow } from './status-queries.ts';

const NOT_DONE = 'Nothing was read and the slot was not advanced.';

/** A slot, and what of its server matters to it. */
export interface SlotState {
  readonly slot: SlotRow | undefined;
  readonly walLevel: string;
  /** Whether the server is a standby, or its promotion has not ended. */
  readonly inRecovery: boolean;
  /** `server_version_num` */
  readonly versionNum: number;
}

/**
 * Reads a slot's state.
 *
 * @param client - a connection to the slot's database
 * @param slotName - the slot
 */
export async function readSlotState(client: Queryable, slotName: string): Promise<SlotState> {
  // In one statement: every run asks for it.
  const { rows } = await client.query(
    `SELECT current_setting('wal_level') AS level, pg_is_in_recovery() AS recovery,
            current_setting('server_version_num')::int AS num, ${SLOT_JSON} AS slot`,
    [slotName],
  );
  const [row] = rows;
  return {
    slot: toSlotRow(slotName, row?.['slot']),
    walLevel: String(row?.['level']),
    inRecovery: row?.['recovery'] === true,
    versionNum: Number(row?.['num']),
  };
}

/**
 * Checks it.
 *
 * @param state - the slot's row of pg_replication_slots
 * @param slotName - the slot
 * @param context - which server and database, for the message
 * @returns why it cannot be read, or undefined
 */
export function validateSlot(state: SlotState, slotName: string, context: ErrorContext): PipelineError | undefined {
  const { slot, walLevel } = state;
  const { notDone = NOT_DONE } = context;
  const standby = standbyFault(state, slotName, context, notDone);
  if (standby !== undefined) return standby;
  const at = `${context.host}:${context.port}`;
  if (slot === undefined) {
    return walLevel === 'logical'
      ? new PipelineError('SLOT_MISSING', `There is no replication slot "${slotName}" at ${at}. ${notDone}`)
      : new PipelineError(
          'CONFIG_INVALID',
          `wal_level is ${walLevel} at ${at} and has to be logical: set rds.logical_replication = 1 in the parameter group on Amazon RDS (wal_level elsewhere) and restart the server, then create the slot. ${notDone}`,
        );
  }
  if (slot.type !== 'logical')
    return new PipelineError('WRONG_PLUGIN', `Slot "${slotName}" is a physical one. ${notDone}`, othersSlot(slotName));
  const plugin = context.plugin ?? TEST_DECODING.name;
  if (slot.plugin !== plugin) {
    return new PipelineError(
      'WRONG_PLUGIN',
      `Slot "${slotName}" uses the plugin ${slot.plugin ?? 'none'}, not ${plugin}. ${notDone}`,
      rightPlugin(slot.plugin),
    );
  }
  if (slot.database !== context.database) {
    return new PipelineError(
      'CONFIG_INVALID',
      `Slot "${slotName}" belongs to database "${slot.database ?? ''}", and PGDATABASE (or the secret's dbname) says "${context.database}". ${notDone}`,
    );
  }
  if (slot.twoPhase) {
    return new PipelineError(
      'WRONG_PLUGIN',
      `Slot "${slotName}" was made with two_phase, whose prepared transactions are not understood. ${notDone}`,
    );
  }
  // Before 17 there is no reason given; before 13 no slot is ever lost.
  if (isLost(slot)) return slotLost(slot, `Slot "${slotName}" can be read no more`, notDone);
  return undefined;
}

/** What to do about a slot that somebody else made. */
function othersSlot(slotName: string): { readonly remedy: string } {
  return {
    remedy: `Use another SLOT_NAME. Only if nobody needs that slot: SELECT pg_drop_replication_slot('${slotName}'); then create-slot.`,
  };
}

/** @returns what to do where another setting of PLUGIN fits a slot */
export function rightPlugin(found: string | undefined): { readonly remedy?: string } {
  if (!isReadablePlugin(found)) return {};
  return {
    remedy: `If the slot is this pipeline's, set PLUGIN=${found}. If it is another's, use another SLOT_NAME.`,
  };
}

/** Codes that have several meanings: only the slot's row can tell which. */
const NEEDS_SLOT_LOOKUP = new Set(['55000', '42704', '58P01', '55006']);

/**
 * Explains an error of a statement on the slot. The SQLSTATE alone is not enough: 55000, for example, has many causes.
 *
 * @param error - what was caught, of any type
 * @param client - a connection to look with
 * @param slotName - the slot
 * @param context - which server and database, for the message
 * @returns the error to throw
 */
export async function explainSlotError(
  error: unknown,
  client: Queryable,
  slotName: string,
  context: ErrorContext,
): Promise<unknown> {
  let slotIsSound = false;
  if (NEEDS_SLOT_LOOKUP.has(codeOf(error))) {
    const state = await readSlotState(client, slotName).catch(() => undefined);
    const fault = state === undefined ? undefined : validateSlot(state, slotName, context);
    if (fault !== undefined) {
      fault.cause = error;
      return fault;
    }
    if (state?.inRecovery === true && codeOf(error) === '55000' && error instanceof Error) {
      return standbyRefusal(error, context, context.notDone ?? NOT_DONE);
    }
    slotIsSound = state !== undefined;
  }
  return translate(error, { ...context, slot: slotName, slotIsSound }) ?? error;
}
