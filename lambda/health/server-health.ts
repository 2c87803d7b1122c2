/**
 * What the server's facts mean for `check`: one finding for each precondition.
 * Pure: facts in, findings out. `missing` and `unknown` are findings, not errors.
 */
import type { PublicationsFacts } from '../publications.ts';
import type { Config } from '../settings/config.ts';
import { checkFailover, type FailoverFacts } from './failover-health.ts';
import { type Finding, ok, quoted } from './finding.ts';
import { checkPublications } from './publications-health.ts';
import { checkSlot, otherPlugin, slotFinding, type SlotReader } from './slot-health.ts';
import { checkTables, type TableFacts } from './tables-health.ts';

/** The server. */
export interface ServerFacts extends FailoverFacts {
  readonly serverVersion: string;
  readonly database: string;
  readonly encoding: string;
  readonly walLevel: string;
  /** What output_plugin_libraries lists; undefined: the server has no such list, and allows all. */
  readonly outputPlugins?: readonly string[] | undefined;
  readonly maxReplicationSlots: number;
  readonly slotsInUse: number;
  readonly maxSlotWalKeepMib: number | undefined;
  readonly role: {
    readonly name: string;
    readonly superuser: boolean;
    readonly replication: boolean;
    readonly rdsReplication: boolean | undefined;
  };
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
export function checkServer(
  facts: ServerFacts,
  config: Pick<Config, 'slot' | 'slotFailover' | 'filters' | 'format' | 'plugin' | 'publications'>,
): Finding[] {
  return [
    serverVersion(facts),
    walLevel(facts),
    role(facts),
    encoding(facts),
    plugin(facts, config.plugin),
    slotFinding(checkSlot(facts.slot, facts.slotReader, facts.database, config.plugin, facts.standby), config.slot),
    ...checkPublications(facts.publications, config, facts.tables),
    freeSlots(facts),
    slotWalLimit(facts),
    ...checkFailover(facts, config),
    ...checkTables(facts.tables, config, facts.publications),
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

function plugin({ slot: found, outputPlugins }: ServerFacts, wanted: string): Finding {
  const check = 'plugin';
  if ((found === undefined || found.plugin === wanted) && outputPlugins?.includes(wanted) === false)
    return {
      check,
      state: 'fault',
      found: `the server does not allow ${wanted}: output_plugin_libraries has ${outputPlugins.join(', ') || 'none'}`,
      todo: 'Add it there (on RDS and Aurora in the parameter group) and run SELECT pg_reload_conf(). Or use a plugin that is allowed, with a slot of its own: copy-slot, or create-slot where there is none.',
    };
  // No catalog lists output plugins: only a slot proves one.
  if (found === undefined)
    return {
      check,
      state: 'unknown',
      found: 'no slot to tell by',
      todo: 'create-slot will tell. Every server has pgoutput; RDS and Aurora have test_decoding, elsewhere it comes with the contrib package. wal2json is a package of its own; RDS and Aurora have it, and a server that has output_plugin_libraries must list it there.',
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
