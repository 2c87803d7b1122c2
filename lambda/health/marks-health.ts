/** Whether a replica can follow what is published, and which tables one that applies changes as they come cannot keep. Pure. */
import type { Config } from '../settings/config.ts';
import { selectsTable } from '../settings/filters.ts';
import { type Finding, listed, ok } from './finding.ts';
import type { TableFacts } from './tables-health.ts';

/**
 * @param config - what is published, and how
 * @returns nothing where no replica can be meant: another format, or no lanes
 */
export function checkMarks({
  format,
  aggregation,
  marks,
}: Pick<Config, 'format' | 'aggregation' | 'marks'>): Finding[] {
  if (format !== 'json' || aggregation === 'none') return [];
  const can = marks
    ? 'MARKS is on: "pg2kinesis replicate" can keep a copy'
    : 'MARKS is off: a copy by "pg2kinesis replicate" needs it on';
  return [ok('replica', can)];
}

/** A table that is not as `replicate --fast` and StreamReplica need it. */
export interface UnfitTableFacts {
  readonly name: string;
  readonly indexes: readonly string[];
  readonly columns: readonly string[];
  readonly isTriggered: boolean;
}

/**
 * Says which tables a copy cannot have that applies changes as they come. No fault: most copies do not.
 *
 * @param unfit - tables of the source; where the server refused to tell, the SQLSTATE
 * @param tables - every table of the database
 * @param config - the filters
 */
export function checkFastCopies(
  unfit: readonly UnfitTableFacts[] | string,
  tables: readonly TableFacts[],
  { filters }: Pick<Config, 'filters'>,
): Finding[] {
  const check = 'replica by --fast or StreamReplica';
  if (typeof unfit === 'string') {
    return [
      {
        check,
        state: 'warning',
        found: `could not be found out: the server refused to tell, or took too long (SQLSTATE ${unfit})`,
        todo: 'Nothing, where you want no such copy. A copy looks at its own tables before it writes to them.',
      },
    ];
  }
  const published = new Set(
    tables
      .filter(({ name, ancestors, key }) => key.length > 0 && selectsTable(filters, [name, ...ancestors]))
      .map(({ name }) => name),
  );
  const ours = unfit.filter(({ name }) => published.has(name));
  const refused = ours
    .filter(({ indexes, columns }) => indexes.length + columns.length > 0)
    .map(({ name, indexes, columns }) => {
      const reasons = [
        ...(indexes.length === 0 ? [] : [`unique besides the key: ${listed(indexes)}`]),
        ...(columns.length === 0 ? [] : [`equal keys can differ as text: ${listed(columns)}`]),
      ];
      return `${name} (${reasons.join('; ')})`;
    });
  const triggered = ours.filter(({ isTriggered }) => isTriggered).map(({ name }) => name);
  const said = [
    refused.length === 0 ? 'refuses no table' : `refuses, if they are the same at the copy: ${listed(refused)}`,
    ...(triggered.length === 0
      ? []
      : [
          `Its user needs the right to set session_replication_role, or the copy no foreign keys and triggers, for: ${listed(triggered)}`,
        ]),
  ];
  return [ok(check, said.join('. '))];
}
