/**
 * Checks whether the changes of different rows of a table may be applied in another order than they were committed in. A table
 * where that would go wrong is refused, with the reason and what to run. Knows no change.
 */
import type pg from 'pg';
import { isSameText, readKeyColumns, readOtherIndexes } from '../../../lambda/postgres/row-order.ts';
import { ReplicaError } from '../../errors.ts';
import { quoteName } from '../sql-text.ts';
import type { TargetTable } from '../target-table.ts';

/**
 * Refuses a table for which the order of different rows matters.
 *
 * @param client - whose search_path is pg_catalog
 * @param table - of the target
 * @throws {ReplicaError} FAST_REFUSED, with all reasons and what to run
 */
export async function refuseUnfit(client: pg.Client, { oid, sql }: Pick<TargetTable, 'oid' | 'sql'>): Promise<void> {
  const indexes = await readOtherIndexes(client, oid);
  const unfit = (await readKeyColumns(client, oid)).filter((column) => !isSameText(column));
  if (indexes.length === 0 && unfit.length === 0) return;
  const reasons = [
    ...(indexes.length === 0
      ? []
      : [
          `it has unique or exclusion constraints besides its key (${indexes.map(({ name }) => name).join(', ')}); a value that one row gives up and another takes would be there twice for a while`,
        ]),
    ...unfit.map(
      ({ name, type }) =>
        `values of its key column "${name}" (${type}) can be equal and have different texts, so that the changes of one row are in several lanes`,
    ),
  ];
  const statements = [
    ...indexes.map((index) => index.sql),
    ...unfit.map(
      ({ name }) =>
        `ALTER TABLE ${sql} ALTER COLUMN ${quoteName(name)} TYPE text COLLATE pg_catalog."C" USING ${quoteName(name)}::text;`,
    ),
  ];
  throw new ReplicaError(
    'FAST_REFUSED',
    `The table ${sql} of the target cannot be kept by --fast: ${reasons.join('; ')}. Nothing of it was applied.`,
    {
      remedy: `Copy without --fast. Or change the table at the target, if the copy can do without: ${statements.join(' ')}`,
    },
  );
}
