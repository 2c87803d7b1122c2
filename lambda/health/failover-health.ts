/**
 * What a failover would do to the slot and to the stream, for `check`: whether the server is a standby, whether the slot
 * survives, and whether what is published does. Pure: facts in, findings out.
 */
import type { Config } from '../settings/config.ts';
import { type Finding, listed, ok } from './finding.ts';
import { type SlotFacts, TO_PRIMARY } from './slot-health.ts';

/** A standby that is awaited, by its physical slot. */
export interface StandbyFacts {
  readonly name: string;
  readonly active: boolean;
  readonly behindBytes: number | undefined;
  /** Why it cannot be waited for, in words. */
  readonly fault: string | undefined;
}

/** The server, as far as it is looked at here. */
export interface FailoverFacts {
  readonly serverVersionNum: number;
  /** Whether it is one. */
  readonly standby: boolean;
  readonly slot: SlotFacts | undefined;
  /** The standbys of STANDBY_SLOTS, and for a failover slot those of synchronized_standby_slots. */
  readonly awaited: readonly StandbyFacts[];
  /** What is wrong with STANDBY_SLOTS. */
  readonly standbySlotFaults: readonly string[];
  /** Every physical slot of the server. */
  readonly physicalSlots: readonly string[];
}

/**
 * Checks it.
 *
 * @param facts - what was read from the server
 * @param config - SLOT_FAILOVER
 */
export function checkFailover(facts: FailoverFacts, { slotFailover }: Pick<Config, 'slotFailover'>): Finding[] {
  // A standby of a standby is waited for as one of a primary.
  if (facts.standby) return [standbyRole(facts), ...standbyFaults(facts)];
  return [ok('server role', 'a primary'), slotSurvives(facts, slotFailover), streamSurvives(facts)];
}

function standbyRole({ slot, serverVersionNum }: FailoverFacts): Finding {
  const check = 'server role';
  if (serverVersionNum >= 160_000 && slot !== undefined && !slot.synced)
    return ok(check, 'a standby, and the slot is its own: runs read what it has replayed');
  return {
    check,
    state: 'fault',
    found: 'a standby, which has no slot of its own for this pipeline',
    todo: TO_PRIMARY,
  };
}

/** Whether the slot is there after a failover. */
function slotSurvives({ slot, serverVersionNum, physicalSlots }: FailoverFacts, wanted: boolean): Finding {
  const check = 'failover';
  if (slot === undefined) return { check, state: 'unknown', found: 'no slot to tell by' };
  if (slot.failover) return ok(check, 'a failover slot: it is synchronised to standbys');
  if (wanted) {
    return {
      check,
      state: 'warning',
      found: 'SLOT_FAILOVER is on, and the slot is no failover slot',
      todo:
        serverVersionNum >= 170_000
          ? 'Invoke create-slot, which converts it.'
          : 'Failover slots come with PostgreSQL 17: set SLOT_FAILOVER=off.',
    };
  }
  if (physicalSlots.length === 0) return ok(check, 'no failover slot, and no standby has a slot here');
  return {
    check,
    state: 'warning',
    found: `standbys use the slots ${listed(physicalSlots)}; a failover to one of them loses this slot, unless the provider keeps it`,
    todo:
      serverVersionNum >= 170_000
        ? 'Set SLOT_FAILOVER=on and invoke create-slot, which converts the slot. What the standbys need for it: docs/failover.md.'
        : 'Failover slots come with PostgreSQL 17. What to do before: docs/failover.md.',
  };
}

/** What every run fails by: standbys that cannot be waited for. */
function standbyFaults({ standbySlotFaults }: FailoverFacts): Finding[] {
  if (standbySlotFaults.length === 0) return [];
  return [
    {
      check: 'standbys',
      state: 'fault',
      found: `STANDBY_SLOTS: ${standbySlotFaults.join('; ')}`,
      todo: 'Let the standby use that slot (primary_slot_name), or take the name out of STANDBY_SLOTS.',
    },
  ];
}

/** Whether what is published is there after a failover. */
function streamSurvives(facts: FailoverFacts): Finding {
  const { slot, awaited, physicalSlots } = facts;
  const check = 'standbys';
  const [fault] = standbyFaults(facts);
  if (fault !== undefined) return fault;
  if (awaited.length === 0) {
    if (slot?.failover !== true && physicalSlots.length === 0)
      return ok(check, 'runs wait for none, and none has a slot here');
    return {
      check,
      state: 'warning',
      found:
        'runs wait for no standby: after a failover the stream can hold changes that the new primary does not have',
      todo: `Name the slots of the standbys that may be promoted in STANDBY_SLOTS${slot?.failover === true ? ' or in synchronized_standby_slots' : ''}.`,
    };
  }
  const found = awaited.map(described).join(', ');
  if (awaited.every(({ active, fault }) => active && fault === undefined)) return ok(check, found);
  return {
    check,
    state: 'warning',
    found,
    todo: 'Runs publish nothing that these lack. When one is gone for good, take it out of STANDBY_SLOTS and synchronized_standby_slots.',
  };
}

function described({ name, active, behindBytes, fault }: StandbyFacts): string {
  return fault ?? `${name}: ${active ? 'connected' : 'not connected'}, ${behindBytes ?? 'unknown'} bytes behind`;
}
