/**
 * An independent printer of test_decoding's lines, written from its C source, and what a parse of them is compared with.
 * Shares nothing with the decoder but its types.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import type { RowChange, Tuple } from '../../../../lambda/decode/messages.ts';

/** A value before it is printed. */
export type Value =
  | { readonly kind: 'null' }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'bare'; readonly text: string }
  | { readonly kind: 'bits'; readonly text: string }
  | { readonly kind: 'literal'; readonly text: string };

/** A column before it is printed: its name unquoted, its type as printed. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly value: Value;
}

/** A table's name, unquoted. */
export interface Table {
  readonly schema: string;
  readonly name: string;
}

/** A row before it is printed; a tuple that is null has no data. */
export interface Row {
  readonly table: Table;
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE';
  readonly oldTuple: readonly Column[] | null;
  readonly newTuple: readonly Column[] | null;
}

/** quote_identifier, without its list of keywords. */
export function printIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.split('"').join('""')}"`;
}

export function printTable({ schema, name }: Table): string {
  return `${printIdentifier(schema)}.${printIdentifier(name)}`;
}

function printValue(value: Value): string {
  switch (value.kind) {
    case 'null':
      return 'null';
    case 'unchanged':
      return 'unchanged-toast-datum';
    case 'bare':
      return value.text;
    case 'bits':
      return `B'${value.text}'`;
    case 'literal':
      return `'${value.text.split("'").join("''")}'`;
  }
}

function printTuple(columns: readonly Column[] | null): string {
  if (columns === null) return ' (no-tuple-data)';
  return columns.map(({ name, type, value }) => ` ${printIdentifier(name)}[${type}]:${printValue(value)}`).join('');
}

/** pg_decode_change. */
export function printRow({ table, operation, oldTuple, newTuple }: Row): string {
  const head = `table ${printTable(table)}: ${operation}:`;
  if (operation === 'INSERT') return head + printTuple(newTuple);
  if (operation === 'DELETE') return head + printTuple(oldTuple);
  return head + (oldTuple === null ? '' : ` old-key:${printTuple(oldTuple)} new-tuple:`) + printTuple(newTuple);
}

const KINDS = ['null', 'unchanged', 'bare', 'literal', 'literal', 'bits'] as const;

function readTuple(tuple: Tuple | undefined, bytes: Buffer): Column[] | null {
  if (tuple === undefined) return null;
  return Array.from({ length: tuple.count }, (_, i): Column => {
    const header = tuple.headers[i];
    const kind = KINDS[tuple.kinds[i] ?? -1];
    if (header === undefined || kind === undefined) throw new Error(`column ${i} is incomplete`);
    const { name, type } = header;
    if (kind === 'null' || kind === 'unchanged') return { name, type, value: { kind } };
    const raw = bytes.toString('utf8', tuple.starts[i], tuple.ends[i]);
    // The kind tells whether apostrophes stand doubled: `quoted`, 3, has none at all.
    if (tuple.kinds[i] === 3 && raw.includes("'"))
      throw new Error(`column ${i} holds an apostrophe and is not escaped`);
    if (tuple.kinds[i] === 4 && !raw.includes("''")) throw new Error(`column ${i} is escaped without need`);
    return { name, type, value: { kind, text: tuple.kinds[i] === 4 ? raw.split("''").join("'") : raw } };
  });
}

/** A decoded change as what it was printed from. */
export function readRow(change: RowChange): Row {
  return {
    table: { schema: change.table.schema, name: change.table.name },
    operation: change.operation,
    oldTuple: readTuple(change.oldTuple, change.bytes),
    newTuple: readTuple(change.newTuple, change.bytes),
  };
}
