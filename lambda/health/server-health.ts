/**
 * What the server's facts mean for `check`: one finding for each precondition.
 * Pure: facts in, findings out. `missing` and `unknown` are findings, not errors.
 */
import type { PublicationsFacts } from '../publications.ts';
import type { Config } from '../settings/config.ts';
import { type Finding, ok, quoted } from './finding.ts';
import { judgePublications } from './publications-health.ts';
import { judgeSlot, otherPlugin, type SlotFacts, slotFinding, type SlotReader } from './slot-health.ts';
import { judgeTables, type TableFacts } from './tables-health.ts';

/** The server. */
export interface ServerFacts {
  readonly serverVersion: string;
  readonly serverVersionNum: number;
  readonly database: string;
  readonly encoding: string;
  readonly standby: boolean;
  readonly walLevel: string;
  readonly maxReplicationSlots: number;
  readonly slotsInUse: number;
  readonly maxSlotWalKeepMib: number | undefined;
  readonly synchronizedStandbySlots: string;
  readonly role: {
    readonly name: string;
    readonly superuser: boolean;
    readonly replication: boolean;
    readonly rdsReplication: boolean | undefined;
  };
  readonly slot: SlotFacts | undefined;
  /** Who reads the slot just now. */
  readonly slotReader: SlotReader | undefined;
  readonly tables: readonly TableFacts[];
  /** Undefined: the plugin reads none. */
  readonly publications?: PublicationsFacts | undefined;
}

/**
 * Checks the server.
 *
 * @param facts - what was read from the server
 * @param config - the pipeline's settings
 */
export function judgeServer(
  facts: ServerFacts,
  config: Pick<Config, 'slot' | 'filters' | 'format' | 'plugin' | 'publications'>,
): Finding[] {
  return [
    serverVersion(facts),
    ...standby(facts),
    walLevel(facts),
    role(facts),
    encoding(facts),
    plugin(facts, config.plugin),
    slotFinding(judgeSlot(facts.slot, facts.slotReader, facts.database, config.plugin), config.slot),
    ...judgePublications(facts.publications, config),
    freeSlots(facts),
    slotWalLimit(facts),
    failover(facts),
    ...judgeTables(facts.tables, config),
  ];
}

function serverVersion({ serverVersion: version, serverVersionNum: num }: ServerFacts): Finding {
  const check = 'server version';
  const major = Math.floor(num / 10_000);
  if (major < 10) return { check, state: 'fault', found: version, todo: 'Upgrade the server: 10 to 18 are supported.' };
  if (major > 18)
    return {
      check,
      state: 'warning',
      found: version,
      todo: 'Newer than 18, the newest tried: test it first, or ask for an update of pg2kinesis.',
    };
  return ok(check, version);
}

/** A reader endpoint where the writer's was meant: the slot is on the primary. */
function standby({ standby: is, slot }: ServerFacts): Finding[] {
  if (!is) return [];
  const check = 'server';
  if (slot !== undefined) return [ok(check, 'a standby, with a slot of this name')];
  const todo =
    'Connect to the primary, where the slot is: the writer endpoint, or the address of that instance. Make no new slot.';
  return [{ check, state: 'fault', found: 'a standby, without a slot of this name', todo }];
}

function walLevel({ walLevel: level }: ServerFacts): Finding {
  const check = 'wal_level';
  if (level === 'logical') return ok(check, level);
  return {
    check,
    state: 'fault',
    found: level,
    todo: 'Set wal_level = logical (on RDS and Aurora: rds.logical_replication = 1 in the parameter group) and restart the server.',
  };
}

function role({ role: { name, superuser, replication, rdsReplication } }: ServerFacts): Finding {
  const check = 'role';
  if (superuser) return ok(check, `${name} is a superuser`);
  if (replication) return ok(check, `${name} has REPLICATION`);
  if (rdsReplication === true) return ok(check, `${name} is a member of rds_replication`);
  const todo =
    rdsReplication === undefined
      ? `ALTER ROLE ${quoted(name)} REPLICATION;`
      : `GRANT rds_replication TO ${quoted(name)};`;
  return { check, state: 'fault', found: `${name} may not use replication slots`, todo };
}

function encoding({ encoding: found }: ServerFacts): Finding {
  const check = 'encoding';
  if (found !== 'SQL_ASCII') return ok(check, found);
  return {
    check,
    state: 'warning',
    found,
    todo: 'The server does not know the encoding of its own texts; those that are not UTF-8 cannot be told faithfully.',
  };
}

function plugin({ slot: found }: ServerFacts, wanted: string): Finding {
  const check = 'plugin';
  // No catalog lists output plugins: only a slot proves one.
  if (found === undefined)
    return {
      check,
      state: 'unknown',
      found: 'no slot to tell by',
      todo: 'create-slot will tell. Every server has pgoutput; RDS and Aurora have test_decoding, elsewhere it comes with the contrib package.',
    };
  if (found.plugin === wanted) return ok(check, wanted);
  return {
    check,
    state: 'fault',
    found: found.plugin ?? 'none',
    todo: otherPlugin(found.plugin),
  };
}

function freeSlots({ slot: found, slotsInUse, maxReplicationSlots }: ServerFacts): Finding {
  const check = 'max_replication_slots';
  const use = `${slotsInUse} of ${maxReplicationSlots} in use`;
  if (found !== undefined || slotsInUse < maxReplicationSlots) return ok(check, use);
  return {
    check,
    state: 'fault',
    found: use,
    todo: 'Raise max_replication_slots (restarts the server), or drop a slot that nobody needs.',
  };
}

function slotWalLimit({ maxSlotWalKeepMib: mib }: ServerFacts): Finding {
  const check = 'max_slot_wal_keep_size';
  if (mib === undefined)
    return {
      check,
      state: 'warning',
      found: 'not there before PostgreSQL 13',
      todo: 'An unread slot fills the disk: watch RetainedWalBytes.',
    };
  if (mib === -1)
    return {
      check,
      state: 'warning',
      found: 'no limit',
      todo: 'An unread slot fills the disk: set a limit the disk can bear, or watch RetainedWalBytes.',
    };
  return ok(check, `${mib} MiB`);
}

function failover({ slot: found, synchronizedStandbySlots: standbys, serverVersionNum }: ServerFacts): Finding {
  const check = 'failover';
  if (serverVersionNum < 170_000) return ok(check, 'no failover slots before PostgreSQL 17');
  if (found === undefined) return { check, state: 'unknown', found: 'no slot to tell by' };
  if (!found.failover) return ok(check, 'the slot is not synchronised to standbys');
  if (standbys === '') return ok(check, 'the slot is synchronised to standbys, and waits for none');
  return {
    check,
    state: 'warning',
    found: `reading waits for the standbys of synchronized_standby_slots (${standbys})`,
    todo: 'When one of them is gone for good, take it out of the list: until then no run gets further.',
  };
}
