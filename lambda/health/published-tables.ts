/**
 * For `tables`: whether each table's changes are published, and why not. Pure: facts in, a result per table out.
 */
import type { PublicationsFacts } from '../publications.ts';
import type { Config } from '../settings/config.ts';
import { selectsTable } from '../settings/filters.ts';
import { FORMAT_FACTS } from '../settings/format-facts.ts';
import { hasUsableKey, hiddenBecause, hidesOldKey, isLeftOutByWal2json, type TableFacts } from './tables-health.ts';

/** `partly`: changes are, and not all of them by their key. `partitions`: it holds no rows, and its partitions are tables here. */
export type Published = 'yes' | 'partly' | 'no' | 'partitions';

/** A table, as `tables` answers it. */
export interface TableAnswer {
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** The primary key's columns, in key order; empty: there is none. */
  readonly key: readonly string[];
  readonly replicaIdentity: 'DEFAULT' | 'NOTHING' | 'FULL' | 'USING INDEX';
  readonly published: Published;
  /** Why it is not, or not wholly. */
  readonly why?: string;
}

const IDENTITIES: Readonly<Record<string, TableAnswer['replicaIdentity']>> = {
  d: 'DEFAULT',
  n: 'NOTHING',
  f: 'FULL',
  i: 'USING INDEX',
};

/**
 * Says of each table whether its changes are published.
 *
 * @param tables - every table of the database
 * @param publications - what pgoutput reads by; undefined: the plugin needs none
 * @param config - filters, format and plugin
 */
export function checkPublished(
  tables: readonly TableFacts[],
  publications: PublicationsFacts | undefined,
  config: Pick<Config, 'filters' | 'format' | 'plugin' | 'publications'>,
): TableAnswer[] {
  return tables.map((table) => {
    const { name, key, replicaIdentity } = table;
    const [published, why] = explain(table, publications, config);
    return {
      name,
      key,
      replicaIdentity: IDENTITIES[replicaIdentity] ?? 'DEFAULT',
      published,
      ...(why === undefined ? {} : { why }),
    };
  });
}

function explain(
  table: TableFacts,
  publications: PublicationsFacts | undefined,
  { filters, format, plugin, publications: names }: Pick<Config, 'filters' | 'format' | 'plugin' | 'publications'>,
): [Published, string?] {
  const selected = selectsTable(filters, [table.name, ...table.ancestors]);
  if (table.partitioned) return ['partitions'];
  if (!selected) return ['no', 'left out by TABLE_INCLUDE_LIST or TABLE_EXCLUDE_LIST'];
  const published = publications?.tables.find(({ name }) => name === table.name);
  if (published?.published === false) return ['no', `in no publication of ${names.join(', ')}`];
  if (table.key.length === 0) return ['no', 'it has no primary key'];
  if (!hasUsableKey(table)) return ['no', 'its primary key is deferrable, and old rows are sent'];
  if (published?.leavesOutKey === true) return ['no', 'a publication leaves out a column of its primary key'];
  if (hidesOldKey(table)) {
    const because = `the server does not send its old key (${hiddenBecause(table)})`;
    if (plugin === 'wal2json' && isLeftOutByWal2json(table))
      return ['partly', `${because}: wal2json leaves out every UPDATE and DELETE`];
    const deletes = FORMAT_FACTS[format].hasKeylessDelete ? 'come without it' : 'are skipped';
    return ['partly', `${because}: DELETEs ${deletes}, and a key change looks like an UPDATE of the new key`];
  }
  return ['yes'];
}
