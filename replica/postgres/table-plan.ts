/**
 * Plans the writing of one table's changes: which keys are deleted, which rows are inserted, and which of these take values from
 * the old rows. Pure.
 */
import { ReplicaError } from '../errors.ts';
import { DELETED, type FinalRow, type FoldedTable } from '../rules/fold.ts';
import { eachMember } from '../rules/json-text.ts';
import { quoteName } from './sql-text.ts';
import type { TargetColumn, TargetTable } from './target-table.ts';
import { copyField, textOf } from './values.ts';

/** Rows that have values for the same columns. */
export interface RowGroup {
  /** Indexes of the target's columns that the rows have values for. */
  readonly columns: readonly number[];
  /** Whether the old row is needed: the source did not send some of its values. */
  readonly needsOld: boolean;
  /** The rows: values of `columns`, as COPY reads them. */
  readonly lines: string[];
  /** The keys of the old rows, as COPY reads them, one a row; empty where there are none. */
  readonly oldKeys: string[];
}

/** What to write to one table. */
export interface TablePlan {
  readonly schema: string;
  readonly name: string;
  readonly table: TargetTable;
  readonly isEmptied: boolean;
  /** The key's columns, by their indexes, and the operators that compare them. */
  readonly key: readonly { readonly column: TargetColumn; readonly index: number; readonly equals: string }[];
  /** The keys to delete: an array of values for each column of the key. */
  readonly deleted: (string | null)[][];
  /** Rows that need no old row: they are complete, or new, and their other columns have defaults. */
  readonly complete: readonly RowGroup[];
  /** Rows that take the values of their other columns from the old row. */
  readonly filled: readonly RowGroup[];
  /** How many rows would take values from an old row and have none: what made them was left out. */
  readonly missing: number;
}

/**
 * Plans the writing of a table.
 *
 * @param folded - what the batch made of the table
 * @param table - as it is at the target
 * @throws {ReplicaError} TARGET_LACKS_COLUMN, TARGET_KEY_DIFFERS
 */
export function planTable(folded: FoldedTable, table: TargetTable): TablePlan {
  const indexes = indexesOf(folded, table);
  const [keyText] = folded.rows.keys();
  const key = keyText === undefined ? [] : keyOf(keyText, folded, table);
  const deleted: (string | null)[][] = key.map(() => []);
  const complete = new Map<string, RowGroup>();
  const filled = new Map<string, RowGroup>();
  let missing = 0;
  const own = table.columns.filter(({ isGenerated }) => !isGenerated).length;
  for (const [text, row] of folded.rows) {
    const values = keyValues(text, key);
    values.forEach((value, i) => deleted[i]?.push(value));
    if (row === DELETED) continue;
    const given = givenColumns(row, indexes);
    const needsOld = row.needs.some((column) => (indexes[column] ?? -1) >= 0);
    if (needsOld && row.base === undefined) {
      missing++;
      continue;
    }
    const needsFill = row.base !== undefined && given.length < own;
    const groups = needsFill ? filled : complete;
    const name = `${given.join()}${needsOld ? '+' : ''}`;
    let group = groups.get(name);
    if (group === undefined) {
      const columns = given.map((column) => indexes[column] ?? -1);
      groups.set(name, (group = { columns, needsOld, lines: [], oldKeys: [] }));
    }
    group.lines.push(lineOf(row, given, group.columns, table));
    if (needsFill) group.oldKeys.push(keyValues(row.base, key).map(copyField).join('\t'));
  }
  return {
    schema: folded.schema,
    name: folded.name,
    table,
    isEmptied: folded.isEmptied,
    key,
    deleted,
    complete: [...complete.values()],
    filled: [...filled.values()],
    missing,
  };
}

/** The target lacks columns that a record has. Their types are not in the record. */
export class LacksColumnError extends ReplicaError {
  /** The table and the columns that it lacks. */
  readonly lacking: LackedColumns;

  /** @param lacking - what is lacking @param types - of the columns at the source, as SQL @default not known */
  constructor(lacking: LackedColumns, types: ReadonlyMap<string, string> = new Map()) {
    const { schema, name, sql, columns } = lacking;
    const isKnown = columns.every((column) => types.has(column));
    const alters = columns.map(
      (column) => `ALTER TABLE ${sql} ADD COLUMN ${quoteName(column)} ${types.get(column) ?? '<type>'};`,
    );
    super(
      'TARGET_LACKS_COLUMN',
      `The table ${schema}.${name} of the target has no column ${columns.map((each) => `"${each}"`).join(', ')}. Nothing of that batch was applied.`,
      {
        remedy: `Add it at the target${isKnown ? '' : ' with the type that it has at the source'}: ${alters.join(' ')} Then start again: it goes on at this change.`,
      },
    );
    this.lacking = lacking;
  }
}

/** See {@link LacksColumnError}. */
export interface LackedColumns {
  readonly schema: string;
  readonly name: string;
  /** The table's name at the target, as SQL. */
  readonly sql: string;
  readonly columns: readonly string[];
}

/** The indexes of the record's columns among the target's; -1: the target computes it. */
function indexesOf({ columns, schema, name }: FoldedTable, table: TargetTable): number[] {
  const lacking: string[] = [];
  const indexes = columns.map((column) => {
    const index = table.columns.findIndex((each) => each.name === column);
    if (index < 0) lacking.push(column);
    return table.columns[index]?.isGenerated === true ? -1 : index;
  });
  if (lacking.length > 0) {
    throw new LacksColumnError({ schema, name, sql: table.sql, columns: lacking });
  }
  return indexes;
}

/** The columns of the key, in the record's order, each with the operator of the target's index. @throws {ReplicaError} TARGET_KEY_DIFFERS */
export function keyOf(
  text: string,
  { schema, name }: Pick<FoldedTable, 'schema' | 'name'>,
  table: TargetTable,
): TablePlan['key'] {
  const names: string[] = [];
  eachMember(text, (column) => names.push(column));
  const index = table.keys.find(
    ({ columns }) => columns.length === names.length && names.every((each) => columns.includes(each)),
  );
  if (index === undefined) {
    throw new ReplicaError(
      'TARGET_KEY_DIFFERS',
      `The table ${schema}.${name} of the target has no primary key, and no unique index, of the columns ${names.map((each) => `"${each}"`).join(', ')}, which are the key at the source. Nothing of that batch was applied.`,
    );
  }
  return names.map((each) => {
    const at = table.columns.findIndex((column) => column.name === each);
    const column = table.columns[at];
    if (column === undefined) throw new Error(`The key has a column "${each}" that the table does not have.`);
    return { column, index: at, equals: index.equals[index.columns.indexOf(each)] ?? '=' };
  });
}

/** @param text - a key as a record has it @returns the values of its columns, as the server reads them @throws {ReplicaError} TARGET_KEY_DIFFERS */
export function keyValues(text: string, key: TablePlan['key']): (string | null)[] {
  const values: (string | null)[] = [];
  let count = 0;
  eachMember(text, (name, source) => {
    const at = key.findIndex(({ column }) => column.name === name);
    const part = key[at];
    if (part === undefined) throw otherColumns(key);
    values[at] = textOf(source === 'null' && part.column.kind.kind !== 'json' ? null : source, part.column.kind);
    count++;
  });
  // A DELETE of a part of a key would delete nothing.
  if (count !== key.length) throw otherColumns(key);
  return values;
}

function otherColumns(key: TablePlan['key']): ReplicaError {
  const columns = key.map(({ column }) => `"${column.name}"`).join(', ');
  return new ReplicaError(
    'TARGET_KEY_DIFFERS',
    `A change has a key of other columns than the one before it, which has ${columns}. Nothing of that batch was applied.`,
  );
}

/** Which of the record's columns a row has values for, without those that the target computes. */
function givenColumns({ values }: FinalRow, indexes: readonly number[]): number[] {
  const given: number[] = [];
  for (let column = 0; column < values.length; column++) {
    if (values[column] !== undefined && (indexes[column] ?? -1) >= 0) given.push(column);
  }
  return given;
}

function lineOf(row: FinalRow, given: readonly number[], columns: readonly number[], table: TargetTable): string {
  let line = '';
  for (let i = 0; i < given.length; i++) {
    const source = row.values[given[i] ?? -1];
    const kind = table.columns[columns[i] ?? -1]?.kind;
    if (i > 0) line += '\t';
    line += source === undefined || kind === undefined ? '\\N' : copyField(textOf(source, kind));
  }
  return line;
}
