/**
 * What a slot's row means: whether a run would read it, and if not, why. For `check` and `status` alike, so that neither
 * calls a slot good that a run refuses. Pure: facts in, a result out.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import { isReadablePlugin } from '../decode/plugin-names.ts';
import { isLost, lostRemedy } from '../lost-slot.ts';
import { type Finding, ok } from './finding.ts';

/** The slot, as far as it is looked at here. */
export interface SlotFacts {
  readonly plugin: string | undefined;
  readonly type: string;
  readonly database: string | undefined;
  readonly temporary: boolean;
  readonly confirmedFlush: Lsn | undefined;
  readonly restart: Lsn | undefined;
  readonly walStatus: string | undefined;
  readonly twoPhase: boolean;
  readonly invalidationReason: string | undefined;
  readonly failover: boolean;
  readonly synced: boolean;
}

/** The backend that reads it just now. */
export interface SlotReader {
  /** In words: process, user, application, since when. */
  readonly description: string;
  /** Whether it is a run of pg2kinesis on this slot. */
  readonly ours: boolean;
}

/** `ok` and `at-risk` are read by runs; all others are refused. */
export type SlotState =
  | 'ok'
  | 'at-risk'
  | 'missing'
  | 'physical'
  | 'other-plugin'
  | 'other-database'
  | 'standby-copy'
  | 'temporary'
  | 'two-phase'
  | 'half-made'
  | 'lost'
  | 'in-use';

/** What a slot is good for. */
export interface SlotHealth {
  readonly state: SlotState;
  /** What was found. */
  readonly found: string;
  /** What to do; undefined: nothing. */
  readonly todo?: string;
}

const OTHER_NAME = 'Use another SLOT_NAME. Whoever made this slot may need it.';

/** @param found - a slot's plugin @returns what to do where PLUGIN names another */
export function otherPlugin(found: string | undefined): string {
  return isReadablePlugin(found)
    ? `If the slot is this pipeline's, set PLUGIN=${found}. Otherwise: ${OTHER_NAME}`
    : OTHER_NAME;
}

/** What to do where a standby answers and its own slot is not meant. */
export const TO_PRIMARY =
  'Connect to the primary: the writer endpoint, or its address. During a failover this passes when the promotion has ended.';

/**
 * Says what a slot is good for.
 *
 * @param slot - its row; undefined: there is none
 * @param reader - the backend that reads it just now; undefined: none does
 * @param database - the database that is connected to
 * @param plugin - the one that PLUGIN names
 * @param standby - whether the server is one
 */
export function checkSlot(
  slot: SlotFacts | undefined,
  reader: SlotReader | undefined,
  database: string,
  plugin: string,
  standby = false,
): SlotHealth {
  if (slot === undefined && standby)
    return { state: 'missing', found: 'does not exist on this standby', todo: TO_PRIMARY };
  if (slot === undefined) {
    return {
      state: 'missing',
      found: 'does not exist',
      todo: 'Create it with create-slot; what was committed before that is not captured.',
    };
  }
  if (slot.type !== 'logical') return { state: 'physical', found: 'a physical slot', todo: OTHER_NAME };
  if (slot.plugin !== plugin) {
    return {
      state: 'other-plugin',
      found: `of the plugin ${slot.plugin ?? 'none'}, not ${plugin}`,
      todo: otherPlugin(slot.plugin),
    };
  }
  if (slot.database !== database) {
    return {
      state: 'other-database',
      found: `belongs to database ${slot.database ?? 'unknown'}, not to ${database}`,
      todo: 'Connect to that database (PGDATABASE), or use another SLOT_NAME.',
    };
  }
  if (slot.synced && standby) {
    return {
      state: 'standby-copy',
      found: slot.temporary
        ? "a standby's copy of the primary's slot, not ready yet: a failover now would lose the slot"
        : "a standby's copy of the primary's slot, ready for a failover",
      todo: TO_PRIMARY,
    };
  }
  if (slot.temporary) {
    return { state: 'temporary', found: 'temporary', todo: 'It goes with its session: use another SLOT_NAME.' };
  }
  if (slot.twoPhase) {
    return {
      state: 'two-phase',
      found: 'made with two_phase',
      todo: 'Use another SLOT_NAME. Only if nobody needs it: drop it and create it with create-slot.',
    };
  }
  if (isLost(slot)) {
    const why = slot.invalidationReason === undefined ? '' : ` (${slot.invalidationReason})`;
    return {
      state: 'lost',
      found: `lost${why}`,
      todo: lostRemedy(slot),
    };
  }
  if (slot.confirmedFlush === undefined) {
    return {
      state: 'half-made',
      found: `half made: it is still being created${reader === undefined ? '' : ` by ${reader.description}`}`,
      todo: 'Creating it waits for the transactions that were open when it began. End those, or wait. If nobody creates it any more, it goes by itself.',
    };
  }
  if (reader !== undefined && !reader.ours) {
    return {
      state: 'in-use',
      found: `in use by ${reader.description}`,
      todo: 'No run can read it meanwhile, and what that process consumes is not published here. Stop it, or give this pipeline a slot of its own.',
    };
  }
  if (slot.walStatus === 'unreserved') {
    return {
      state: 'at-risk',
      found: 'about to be lost',
      todo: 'Drain it now, and raise max_slot_wal_keep_size.',
    };
  }
  const reading = reader === undefined ? '' : `; being read by a run, ${reader.description}`;
  return { state: 'ok', found: `at ${formatLsn(slot.confirmedFlush)}${reading}` };
}

/** As a finding of `check`. @param name - the slot's */
export function slotFinding({ state, found, todo }: SlotHealth, name: string): Finding {
  const check = 'slot';
  if (state === 'ok') return ok(check, `${name}, ${found}`);
  return {
    check,
    state: state === 'missing' ? 'missing' : state === 'at-risk' ? 'warning' : 'fault',
    found: state === 'missing' ? `${name} ${found}` : `${name}: ${found}`,
    ...(todo === undefined ? {} : { todo }),
  };
}

/** Whether a run reads a slot of that state. */
export function isReadByRuns(state: SlotState): boolean {
  return state === 'ok' || state === 'at-risk';
}
