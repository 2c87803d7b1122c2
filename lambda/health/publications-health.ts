/**
 * What the publications mean for `check`: whether a run could read by them, what they leave out, and what they do to the
 * application. Pure: facts in, findings out.
 */
import { creationSql, type PublicationsFacts, tablesWithoutIdentity } from '../publications.ts';
import type { Config } from '../settings/config.ts';
import { selectsTable } from '../settings/filters.ts';
import { type Finding, listed, ok, quoted } from './finding.ts';
import type { TableFacts } from './tables-health.ts';

/**
 * Checks the publications.
 *
 * @param facts - what was read from the server; undefined: the plugin reads none
 * @param config - which are asked for, and the filters
 * @param all - every table of the database, with those above it @default none is a partition
 */
export function checkPublications(
  facts: PublicationsFacts | undefined,
  { publications, filters }: Pick<Config, 'publications' | 'filters'>,
  all: readonly Pick<TableFacts, 'name' | 'ancestors'>[] = [],
): Finding[] {
  if (facts === undefined) return [];
  const ancestors = new Map(all.map((table) => [table.name, table.ancestors]));
  const isSelected = (name: string) => selectsTable(filters, [name, ...(ancestors.get(name) ?? [])]);
  const check = 'publications';
  const missing = publications.filter((name) => !facts.found.some((found) => found.name === name));
  if (missing.length > 0) {
    const refused = tablesWithoutIdentity(facts.tables);
    return [
      {
        check,
        state: 'missing',
        found: `${listed(missing.map(quoted))} does not exist`,
        todo:
          missing.map((name) => creationSql(name, facts.tables)).join(' ') +
          ' Make it before the slot: what was written before cannot be read.' +
          (refused.length === 0
            ? ''
            : ` Left out, because the server would refuse UPDATE and DELETE of it: ${listed(refused)}.`),
      },
    ];
  }
  const { tables, found } = facts;
  const published = tables.filter((table) => table.published);
  const findings: Finding[] = [];
  const warn = (text: string, todo: string) => findings.push({ check, state: 'warning', found: text, todo });
  const refused = published.filter(({ hasIdentity }) => !hasIdentity).map(({ name }) => name);
  // The server lets pass what no publication sends.
  const operations = ['UPDATE', 'DELETE'].filter((operation) => found.some(({ lacks }) => !lacks.includes(operation)));
  if (refused.length > 0 && operations.length > 0) {
    findings.push({
      check,
      state: 'fault',
      found: `PostgreSQL refuses every ${operations.join(' and ')} of ${listed(refused)}: a publication has it, and it has no usable replica identity`,
      todo: 'Give it a primary key that is not deferrable, or ALTER TABLE ... REPLICA IDENTITY FULL, or take it out of the publication.',
    });
  }
  const keyless = published.filter(({ name, leavesOutKey }) => leavesOutKey && isSelected(name));
  if (keyless.length > 0) {
    findings.push({
      check,
      state: 'fault',
      found: `a publication leaves out a column of the primary key of ${listed(keyless.map(({ name }) => name))}: its changes are counted as noReplicaIdentity, not published`,
      todo: 'Let the publication have all columns of the key. A generated one it has only from PostgreSQL 18 on (publish_generated_columns = stored): else use PLUGIN=test_decoding, or exclude the table.',
    });
  }
  const newer = found.filter(({ isNewerThanSlot }) => isNewerThanSlot === true).map(({ name }) => quoted(name));
  if (newer.length > 0)
    warn(
      `${listed(newer)} was made or altered since the oldest change that the slot may hold`,
      'If runs fail with PUBLICATION_MISSING, it was made too late: see docs/plugins.md. Otherwise nothing is wrong.',
    );
  const leftOut = tables.filter(({ name, hasKey, published: isIn }) => hasKey && !isIn && isSelected(name));
  if (leftOut.length > 0)
    warn(
      `${leftOut.length} tables with a primary key are in no publication, and are not captured: ${listed(leftOut.map(({ name }) => name))}`,
      `To capture them: ALTER PUBLICATION ${quoted(publications[0] ?? '')} ADD TABLE ${listed(leftOut.map(({ sql }) => sql))};`,
    );
  for (const [names, what] of [
    [
      published.filter(({ rowFilter }) => rowFilter),
      'a row filter: rows that it does not take are not captured, and an UPDATE can come as INSERT or DELETE',
    ],
    [published.filter(({ columnList }) => columnList), 'a list of columns: the others are not captured'],
  ] as const) {
    if (names.length > 0)
      warn(
        `${listed(names.map(({ name }) => name))} is published with ${what}`,
        'No action needed if this is intended.',
      );
  }
  for (const { name, lacks, viaRoot } of found) {
    if (lacks.length > 0)
      warn(`${quoted(name)} does not publish ${lacks.join(', ')}`, 'No action needed if this is intended.');
    if (viaRoot)
      warn(
        `${quoted(name)} has publish_via_partition_root: rows come under the partitioned table's name`,
        'No action needed if this is intended.',
      );
  }
  return findings.length > 0 ? findings : [ok(check, `${listed(publications)}, ${published.length} tables`)];
}
