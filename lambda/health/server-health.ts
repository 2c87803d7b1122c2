/**
 * What the server's facts mean for `check`: one finding for each precondition.
 * Pure: facts in, findings out. `missing` and `unknown` are findings, not errors.
 */
import { formatLsn, type Lsn } from '../decode/lsn.ts';
import type { Config } from '../settings/config.ts';
import { selectsTable } from '../settings/filters.ts';

/**
 * `ok`: nothing to do. `missing`: it is not there. `fault`: changes cannot be captured, or not all of them.
 * `warning`: they can, and something is worth doing. `unknown`: it could not be found out.
 */
export type FindingState = 'ok' | 'missing' | 'fault' | 'warning' | 'unknown';

/** The result for one precondition. */
export interface Finding {
  readonly check: string;
  readonly state: FindingState;
  /** What was found. */
  readonly found: string;
  /** What to do; undefined: nothing. */
  readonly todo?: string;
}

/** The slot, as far as it is checked here. */
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
}

/** A table, as far as it is checked here. */
export interface TableFacts {
  readonly name: string;
  readonly ancestors: readonly string[];
  readonly partitioned: boolean;
  readonly columns: readonly string[];
  readonly hasPrimaryKey: boolean;
  readonly deferrable: boolean;
  readonly replicaIdentity: string;
  readonly identityCoversKey: boolean;
}

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
  readonly tables: readonly TableFacts[];
}

/** How many tables or patterns a finding names. */
const NAMED = 20;

/**
 * Checks the server.
 *
 * @param facts - what was read from the server
 * @param config - the pipeline's settings
 */
export function judgeServer(facts: ServerFacts, config: Pick<Config, 'slot' | 'filters' | 'format'>): Finding[] {
  return [
    serverVersion(facts),
    walLevel(facts),
    role(facts),
    encoding(facts),
    plugin(facts),
    slot(facts, config.slot),
    freeSlots(facts),
    slotWalLimit(facts),
    failover(facts),
    ...tables(facts.tables, config),
    filters(facts.tables, config),
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

function plugin({ slot: found }: ServerFacts): Finding {
  const check = 'plugin';
  // No catalog lists output plugins: only a slot proves one.
  if (found === undefined)
    return {
      check,
      state: 'unknown',
      found: 'no slot to tell by',
      todo: 'create-slot will tell. RDS and Aurora have test_decoding; elsewhere it comes with the contrib package.',
    };
  if (found.plugin === 'test_decoding') return ok(check, found.plugin);
  return {
    check,
    state: 'fault',
    found: found.plugin ?? 'none',
    todo: 'The slot is read by another plugin: use another SLOT_NAME, or drop that slot if nobody needs it.',
  };
}

function slot({ slot: found, database }: ServerFacts, name: string): Finding {
  const check = 'slot';
  const fault = (what: string, todo: string): Finding => ({ check, state: 'fault', found: `${name}: ${what}`, todo });
  if (found === undefined) {
    return {
      check,
      state: 'missing',
      found: `${name} does not exist`,
      todo: 'Create it with create-slot; what was committed before that is not captured.',
    };
  }
  if (found.type !== 'logical') return fault('a physical slot', 'Use another SLOT_NAME.');
  if (found.database !== database)
    return fault(
      `belongs to database ${found.database ?? 'unknown'}`,
      'Connect to that database, or use another SLOT_NAME.',
    );
  if (found.temporary) return fault('temporary', 'It goes with its session: use another SLOT_NAME.');
  if (found.twoPhase) return fault('made with two_phase', 'Drop it and create it with create-slot.');
  if (isLost(found)) {
    const why = found.invalidationReason === undefined ? '' : ` (${found.invalidationReason})`;
    return fault(`lost${why}`, 'Drop it with drop-slot, create it with create-slot, and reload what consumers missed.');
  }
  if (found.walStatus === 'unreserved') {
    return {
      check,
      state: 'warning',
      found: `${name}: about to be lost`,
      todo: 'Drain it now, and raise max_slot_wal_keep_size.',
    };
  }
  return ok(
    check,
    `${name}, at ${found.confirmedFlush === undefined ? 'an unknown position' : formatLsn(found.confirmedFlush)}`,
  );
}

/** Whether the server has given the slot up. */
export function isLost(found: Pick<SlotFacts, 'walStatus' | 'invalidationReason'>): boolean {
  return found.walStatus === 'lost' || found.invalidationReason !== undefined;
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

/** What the tables lack. Partitioned tables hold no rows: their partitions are judged. */
function tables(all: readonly TableFacts[], config: Pick<Config, 'filters' | 'format'>): Finding[] {
  const selected = all.filter(
    (table) => !table.partitioned && selectsTable(config.filters, [table.name, ...table.ancestors]),
  );
  const keyless = selected.filter((table) => !table.hasPrimaryKey);
  const hidden = selected.filter((table) => table.hasPrimaryKey && hidesOldKey(table));
  const check = 'REPLICA IDENTITY';
  return [
    keyless.length === 0
      ? ok('primary keys', `${selected.length} tables, all with a primary key`)
      : {
          check: 'primary keys',
          state: 'warning',
          found: `${keyless.length} of ${selected.length} tables have none and are not published: ${listed(keyless.map((table) => table.name))}`,
          todo: 'Give them a primary key, or exclude them with TABLE_EXCLUDE_LIST.',
        },
    hidden.length === 0
      ? ok(check, 'every old key is sent')
      : {
          check,
          state: 'fault',
          found: `the server does not send the old key of: ${listed(hidden.map((table) => `${table.name} (${hiddenBecause(table)})`))}`,
          todo: `Their DELETEs and key changes cannot be told${config.format === 'json' ? ' by key' : ''}: ALTER TABLE ... REPLICA IDENTITY DEFAULT (FULL for a deferrable key), or exclude them with TABLE_EXCLUDE_LIST.`,
        },
  ];
}

/** Whether a DELETE of the table comes without its key. */
function hidesOldKey(table: TableFacts): boolean {
  switch (table.replicaIdentity) {
    case 'f':
      return false;
    case 'i':
      return !table.identityCoversKey;
    case 'n':
      return true;
    default:
      return table.deferrable;
  }
}

function hiddenBecause(table: TableFacts): string {
  if (table.replicaIdentity === 'n') return 'NOTHING';
  return table.replicaIdentity === 'i' ? 'USING INDEX that is not the key' : 'deferrable key';
}

/** Patterns that fit nothing are often misspelt. */
function filters(all: readonly TableFacts[], { filters: lists }: Pick<Config, 'filters'>): Finding {
  const check = 'filters';
  const tableNames = new Set(all.flatMap((table) => [table.name, ...table.ancestors]));
  const columnNames = all.flatMap((table) =>
    [table.name, ...table.ancestors].flatMap((name) => table.columns.map((column) => `${name}.${column}`)),
  );
  const idle = [
    ...unmatched('TABLE_INCLUDE_LIST', lists.tableInclude, [...tableNames]),
    ...unmatched('TABLE_EXCLUDE_LIST', lists.tableExclude, [...tableNames]),
    ...unmatched('COLUMN_EXCLUDE_LIST', lists.columnExclude, columnNames),
  ];
  if (idle.length === 0) return ok(check, 'each matches something');
  return {
    check,
    state: 'warning',
    found: `matching nothing: ${listed(idle)}`,
    todo: 'Correct them: they match whole unquoted names, with the schema, case-sensitively.',
  };
}

function unmatched(variable: string, patterns: readonly RegExp[], names: readonly string[]): string[] {
  return patterns
    .filter((pattern) => !names.some((name) => pattern.test(name)))
    .map((pattern) => `${variable} ${pattern.source.slice(4, -2)}`);
}

/** @returns that there is nothing to do */
export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found };
}

/** Some names, the rest counted. */
function listed(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** An identifier, as SQL needs it. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
