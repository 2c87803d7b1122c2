/**
 * Tables and columns as pgoutput (in its Relation messages) and wal2json (in each row) describe them: with unquoted names and
 * with types by number. Here they get the names and headers that all plugins share. Pure; knows no row.
 */
import type { ColumnHeader, TableName } from './messages.ts';
import { quoteIdentifier, type ServerNames } from './server-names.ts';

/** A column of a {@link Relation}. */
export interface RelationColumn {
  readonly header: ColumnHeader;
  /** How its values differ from the text of most types. */
  readonly style: 'text' | 'boolean' | 'bits';
  /** Whether its type's output function may print bytes that are no UTF-8. */
  readonly mayBeRaw: boolean;
}

/**
 * A table as it was when the rows behind it were written. pgoutput sends it before a table's first row in each reading of the
 * slot, and again after the table was altered.
 */
export interface Relation {
  readonly table: TableName;
  readonly columns: readonly RelationColumn[];
  /**
   * The primary key at write time, as printed, in the order of the columns. Undefined where the replica identity is not the
   * default, or there was none: the catalogs decide.
   */
  readonly historicKey: readonly string[] | undefined;
}

/** What a plugin says of a column. */
export interface SentColumn {
  readonly isKey: boolean;
  /** Unquoted. */
  readonly name: string;
  readonly typeOid: number;
  /** The type as a Type message named it; undefined: there was none. */
  readonly sentType: string | undefined;
}

/** What a plugin says of a table: pgoutput in a Relation message. */
export interface SentRelation {
  /** Unquoted; empty: pg_catalog. */
  readonly schema: string;
  readonly name: string;
  /** As pg_class has it: `d` default, `n` nothing, `f` full, `i` an index. */
  readonly replicaIdentity: string;
  readonly columns: readonly SentColumn[];
}

const BOOLEAN = 16;
const BIT = 1560;
const BIT_VARYING = 1562;

/** `"char"` and its array, which up to 14 print a byte above 127 as it is. */
const CHARS = new Set([18, 1002]);
/** Types from here on are a user's or an extension's: of a composite, a "char" may be part. */
const FIRST_OF_USERS = 16_384;

/** Makes relations, with names and headers that are the same objects from reading to reading. */
export class RelationInterner {
  readonly #names: ServerNames;
  readonly #limit: number;
  readonly #tables = new Map<string, TableName>();
  readonly #headers = new Map<string, ColumnHeader>();
  #nextId = 0;

  /**
   * @param names - what the catalogs say
   * @param limit - how many tables, and how many headers, are kept; beyond it {@link full} is true
   */
  constructor(names: ServerNames, limit: number) {
    this.#names = names;
    this.#limit = limit;
  }

  /**
   * Whether there are too many: call {@link forget} before the next row. Not within a row, whose old and new tuple would have
   * two objects for one column.
   */
  get full(): boolean {
    return this.#headers.size > this.#limit || this.#tables.size > this.#limit;
  }

  /** Forgets everything. What comes again is another object, and a header has an id that was never used before. */
  forget(): void {
    this.#headers.clear();
    this.#tables.clear();
  }

  /** @param sent - what a Relation message said @returns the relation */
  intern(sent: SentRelation): Relation {
    const columns = sent.columns.map((column) => this.column(column));
    const key = columns.filter((_, i) => sent.columns[i]?.isKey === true).map(({ header }) => header.printed);
    return {
      table: this.table(sent.schema === '' ? 'pg_catalog' : sent.schema, sent.name),
      columns,
      historicKey: sent.replicaIdentity === 'd' && key.length > 0 ? key : undefined,
    };
  }

  /**
   * @param schema - unquoted
   * @param name - unquoted
   * @returns the table's names
   */
  table(schema: string, name: string): TableName {
    const printed = `${quoteIdentifier(schema, this.#names)}.${quoteIdentifier(name, this.#names)}`;
    const known = this.#tables.get(printed);
    if (known !== undefined) return known;
    const table = { printed, schema, name };
    this.#tables.set(printed, table);
    return table;
  }

  /** @param sent - what is said of a column @returns the column */
  column({ name, typeOid, sentType }: Pick<SentColumn, 'name' | 'typeOid' | 'sentType'>): RelationColumn {
    const style = typeOid === BOOLEAN ? 'boolean' : typeOid === BIT || typeOid === BIT_VARYING ? 'bits' : 'text';
    const type = this.#names.typeName(typeOid) ?? sentType ?? 'unknown';
    const printed = quoteIdentifier(name, this.#names);
    const key = `${printed}\0${type}`;
    let header = this.#headers.get(key);
    if (header === undefined) {
      header = { id: this.#nextId++, printed, name, type };
      this.#headers.set(key, header);
    }
    return { header, style, mayBeRaw: CHARS.has(typeOid) || typeOid >= FIRST_OF_USERS };
  }
}
