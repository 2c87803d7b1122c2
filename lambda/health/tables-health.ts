/**
 * What the tables lack, and what the filters make of them, for `check`. Pure: facts in, findings out.
 */
import type { PublicationsFacts } from '../publications.ts';
import type { Config } from '../settings/config.ts';
import { isToolTable, omitsColumn, selectsTable } from '../settings/filters.ts';
import { FORMAT_FACTS } from '../settings/format-facts.ts';
import { type Finding, listed, ok } from './finding.ts';

/** A table, as far as it is checked here. */
export interface TableFacts {
  readonly name: string;
  readonly ancestors: readonly string[];
  readonly partitioned: boolean;
  readonly columns: readonly string[];
  /** The primary key's columns, unquoted; empty: there is none. */
  readonly key: readonly string[];
  readonly deferrable: boolean;
  readonly replicaIdentity: string;
  readonly identityCoversKey: boolean;
}

/** What of the settings it takes. */
type TableSettings = Pick<Config, 'filters' | 'format' | 'plugin'>;

/**
 * Checks the tables and the filters.
 *
 * @param all - every table of the database
 * @param config - the filters, and the format, which may do without keys
 * @param publications - what pgoutput reads by: nothing is read of a table that none of them has @default every table is read
 */
export function checkTables(
  all: readonly TableFacts[],
  config: TableSettings,
  publications?: PublicationsFacts,
): Finding[] {
  // Partitioned tables hold no rows: their partitions are checked.
  const selected = all.filter(
    (table) => !table.partitioned && selectsTable(config.filters, [table.name, ...table.ancestors]),
  );
  // Where they have none yet, as before they are made, every table is looked at.
  const published = new Set(publications?.tables.filter((table) => table.published).map(({ name }) => name));
  const read = published.size === 0 ? selected : selected.filter(({ name }) => published.has(name));
  return [primaryKeys(read), oldKeys(read, config), filters(all, { selected, read }, config), ...toolTables(all)];
}

/** Tables that hold copies of other tables' rows, with the columns that are excluded there, or a copy's position. Said only where there are any. */
function toolTables(all: readonly TableFacts[]): Finding[] {
  const names = all.map(({ name }) => name).filter(isToolTable);
  if (names.length === 0) return [];
  return [ok('tables of pg_repack, pg_squeeze and replicas', `left out by default: ${listed(names)}`)];
}

function primaryKeys(selected: readonly TableFacts[]): Finding {
  const check = 'primary keys';
  const keyless = selected.filter((table) => !hasUsableKey(table));
  if (keyless.length === 0) {
    return ok(
      check,
      selected.length === 0 ? 'no table is selected' : `${selected.length} tables, all with a primary key`,
    );
  }
  const named = keyless.map((table) =>
    table.key.length === 0 ? table.name : `${table.name} (a deferrable key, and old rows are sent)`,
  );
  return {
    check,
    state: 'warning',
    found: `${keyless.length} of ${selected.length} tables have none and are not published: ${listed(named)}`,
    todo: 'Give them a primary key (not a deferrable one: its keys may change places within a transaction), or exclude them with TABLE_EXCLUDE_LIST.',
  };
}

/**
 * Whether changes of the table are published by its key. Under a deferrable key two rows may have one key for a moment,
 * in mid-transaction. Where the server sends old keys, a DELETE would then hit the wrong one of the two.
 */
export function hasUsableKey(table: TableFacts): boolean {
  return table.key.length > 0 && !(table.deferrable && !hidesOldKey(table));
}

function oldKeys(selected: readonly TableFacts[], config: TableSettings): Finding {
  const check = 'REPLICA IDENTITY';
  const hidden = selected.filter((table) => table.key.length > 0 && hidesOldKey(table));
  if (hidden.length === 0) return ok(check, 'every old key is sent');
  if (config.plugin === 'wal2json') {
    const leftOut = hidden.filter(isLeftOutByWal2json);
    if (leftOut.length > 0)
      return {
        check,
        state: 'fault',
        found: `wal2json leaves out every UPDATE and DELETE of: ${listed(leftOut.map((table) => `${table.name} (${hiddenBecause(table)})`))}`,
        todo: 'ALTER TABLE ... REPLICA IDENTITY DEFAULT (make a deferrable key NOT DEFERRABLE), or take another PLUGIN. Reload what was left out.',
      };
  }
  return {
    check,
    state: 'fault',
    found: `the server does not send the old key of: ${listed(hidden.map((table) => `${table.name} (${hiddenBecause(table)})`))}`,
    todo: `Their DELETEs and key changes cannot be told${FORMAT_FACTS[config.format].hasKeylessDelete ? ' by key' : ''}: ALTER TABLE ... REPLICA IDENTITY DEFAULT (make a deferrable key NOT DEFERRABLE), or exclude them with TABLE_EXCLUDE_LIST.`,
  };
}

/** Whether a DELETE of the table comes without its key. */
export function hidesOldKey(table: TableFacts): boolean {
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

/**
 * Whether wal2json prints no UPDATE and DELETE of a table whose old key is hidden. It looks for an identity, whichever: by an
 * index that is not the key it prints a DELETE, without the key.
 */
export function isLeftOutByWal2json({ replicaIdentity }: TableFacts): boolean {
  return replicaIdentity !== 'i';
}

/** Why a DELETE of the table comes without its key. */
export function hiddenBecause(table: TableFacts): string {
  if (table.replicaIdentity === 'n') return 'NOTHING';
  return table.replicaIdentity === 'i' ? 'USING INDEX that is not the key' : 'deferrable key';
}

/** Patterns that fit nothing are often misspelt; filters that leave nothing make every run throw all changes away. */
function filters(
  all: readonly TableFacts[],
  { selected, read }: { readonly selected: readonly TableFacts[]; readonly read: readonly TableFacts[] },
  config: TableSettings,
): Finding {
  const check = 'filters';
  const lists = config.filters;
  const spelling = 'They match whole unquoted names, with the schema, case-sensitively.';
  const keys = excludedKeys(read, lists);
  if (keys.length > 0) {
    return {
      check,
      state: 'fault',
      found: `COLUMN_EXCLUDE_LIST names columns of primary keys: ${listed(keys)}`,
      todo: 'A record needs its key, so every run refuses this. Correct COLUMN_EXCLUDE_LIST, or exclude these tables.',
    };
  }
  const tableNames = new Set(all.flatMap((table) => [table.name, ...table.ancestors]));
  const columnNames = all.flatMap((table) =>
    [table.name, ...table.ancestors].flatMap((name) => table.columns.map((column) => `${name}.${column}`)),
  );
  const idle = [
    ...unmatched('TABLE_INCLUDE_LIST', lists.tableInclude, [...tableNames]),
    ...unmatched('TABLE_EXCLUDE_LIST', lists.tableExclude, [...tableNames]),
    ...unmatched('COLUMN_EXCLUDE_LIST', lists.columnExclude, columnNames),
  ];
  if (selected.length === 0 && (lists.tableInclude.length > 0 || (lists.tableExclude.length > 0 && all.length > 0))) {
    const why = idle.length === 0 ? '' : `; matching nothing: ${listed(idle)}`;
    return {
      check,
      state: 'fault',
      found: `no table is left, and so no change is published${why}`,
      todo: `Correct TABLE_INCLUDE_LIST and TABLE_EXCLUDE_LIST. ${spelling}`,
    };
  }
  if (idle.length === 0) return ok(check, 'each matches something');
  return { check, state: 'warning', found: `matching nothing: ${listed(idle)}`, todo: `Correct them. ${spelling}` };
}

/** Key columns that COLUMN_EXCLUDE_LIST names. */
function excludedKeys(read: readonly TableFacts[], lists: Config['filters']): string[] {
  return read.flatMap((table) =>
    table.key
      .filter((column) => omitsColumn(lists, [table.name, ...table.ancestors], column))
      .map((column) => `${table.name}.${column}`),
  );
}

function unmatched(variable: string, patterns: readonly RegExp[], names: readonly string[]): string[] {
  return patterns
    .filter((pattern) => !names.some((name) => pattern.test(name)))
    .map((pattern) => `${variable} ${pattern.source.slice(4, -2)}`);
}
