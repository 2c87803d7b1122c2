/**
 * Checks whether the changes of different rows of a table may be applied in another order than they were committed in. A table
 * where that would go wrong is refused, with the reason and what to run. Knows no change.
 */
import type pg from 'pg';
import { ReplicaError } from '../../errors.ts';
import { quoteName } from '../sql-text.ts';
import type { TargetTable } from '../target-table.ts';

/** A unique or exclusion index besides the key. The topmost one, where it is a partition's. */
interface OtherIndex {
  readonly name: string;
  /** What takes it away. */
  readonly sql: string;
}

/** A column of the key. */
interface KeyColumn {
  readonly name: string;
  readonly type: string;
  /** Of a domain the type that it is made of. */
  readonly base: string;
  readonly isBuiltIn: boolean;
  readonly isEnum: boolean;
  /** Whether texts of its collation are equal only where they are the same. */
  readonly isDeterministic: boolean;
  readonly hasLength: boolean;
}

/** The topmost index is the one that can be dropped. */
const OTHER_INDEXES = `WITH RECURSIVE up AS (
    SELECT x.indexrelid AS own, x.indexrelid AS top, row_number() OVER (ORDER BY x.indisprimary DESC, x.indexrelid) AS n
      FROM pg_index x WHERE x.indrelid = $1 AND (x.indisunique OR x.indisexclusion)
    UNION ALL SELECT up.own, i.inhparent, up.n FROM up JOIN pg_inherits i ON i.inhrelid = up.top)
  SELECT DISTINCT quote_ident(c.relname) AS name, CASE WHEN k.oid IS NULL
      THEN format('DROP INDEX %I.%I;', n.nspname, c.relname)
      ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', k.conrelid::regclass, k.conname) END AS sql
    FROM up JOIN pg_class c ON c.oid = up.top JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint k ON k.conindid = up.top AND k.contype IN ('p', 'u', 'x')
   WHERE up.n > 1 AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = up.top) ORDER BY 1`;

const KEY_COLUMNS = `WITH RECURSIVE key AS (
    SELECT indkey, indnatts, COALESCE((to_jsonb(x) ->> 'indnkeyatts')::int, indnatts) AS count FROM pg_index x
     WHERE indrelid = $1 AND indisunique ORDER BY indisprimary DESC, indexrelid LIMIT 1),
  col AS (SELECT a.attname, a.atttypid, a.atttypmod, a.attcollation FROM key
    CROSS JOIN LATERAL generate_series(0, key.count - 1) AS i JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = key.indkey[i]),
  base AS (SELECT col.*, t.oid AS base, t.typtype, t.typbasetype, t.typtypmod, col.atttypmod AS mod FROM col JOIN pg_type t ON t.oid = col.atttypid
    UNION ALL SELECT b.attname, b.atttypid, b.atttypmod, b.attcollation, t.oid, t.typtype, t.typbasetype, t.typtypmod, b.typtypmod
      FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
  SELECT b.attname AS name, format_type(b.atttypid, b.atttypmod) AS type, t.typname AS base, n.nspname = 'pg_catalog' AS "isBuiltIn",
      t.typtype = 'e' AS "isEnum", COALESCE((SELECT to_jsonb(c) ->> 'collisdeterministic' FROM pg_collation c WHERE c.oid = b.attcollation), 'true') = 'true' AS "isDeterministic",
      b.mod >= 0 AS "hasLength"
    FROM base b JOIN pg_type t ON t.oid = b.base JOIN pg_namespace n ON n.oid = t.typnamespace WHERE b.typtype <> 'd' ORDER BY b.attname`;

/** Types whose values are equal only if their texts are the same. For text that depends on the collation, for char on a length. */
const SAME_TEXT: ReadonlySet<string> = new Set(
  (
    'int2 int4 int8 oid bool text varchar bpchar name char uuid date timestamp timestamptz time timetz bytea bit varbit ' +
    'inet cidr macaddr macaddr8 money pg_lsn xid8'
  ).split(' '),
);

/**
 * Refuses a table for which the order of different rows matters.
 *
 * @param client - whose search_path is pg_catalog
 * @param table - of the target
 * @throws {ReplicaError} FAST_REFUSED, with all reasons and what to run
 */
export async function refuseUnfit(client: pg.Client, { oid, sql }: Pick<TargetTable, 'oid' | 'sql'>): Promise<void> {
  const { rows: indexes } = await client.query<OtherIndex>(OTHER_INDEXES, [oid]);
  const { rows: columns } = await client.query<KeyColumn>(KEY_COLUMNS, [oid]);
  const unfit = columns.filter((column) => !isSameText(column));
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

function isSameText({ base, isBuiltIn, isEnum, isDeterministic, hasLength }: KeyColumn): boolean {
  if (isEnum) return true;
  return isBuiltIn && SAME_TEXT.has(base) && isDeterministic && (base !== 'bpchar' || hasLength);
}
