/**
 * Publications: what is known of them, and the SQL that makes one without breaking the application. Pure; `check` looks at
 * what `create-slot` requires, and both say the same SQL.
 */

/** A table that holds rows, as publications see it. */
export interface PublishableTable {
  /** `schema.table`, unquoted. */
  readonly name: string;
  /** `schema.table`, as SQL needs it. */
  readonly sql: string;
  readonly hasKey: boolean;
  /** Whether the server can say which row an UPDATE or DELETE was of. If not, it refuses them once the table is published. */
  readonly hasIdentity: boolean;
  /** Whether one of the publications has it. */
  readonly published: boolean;
  /** Whether one of them has it with a row filter. */
  readonly rowFilter: boolean;
  /** Whether one of them has it with a list of columns. */
  readonly columnList: boolean;
  /** Whether they leave out a column of the primary key: one that a list lacks, or a generated one. */
  readonly leavesOutKey: boolean;
}

/** A publication that is there. */
export interface PublicationFacts {
  /** Unquoted. */
  readonly name: string;
  /** Operations that it does not publish. */
  readonly lacks: readonly string[];
  /** Rows of partitions come under the name of the partitioned table. */
  readonly viaRoot: boolean;
  /** Made or altered since the oldest change that the slot may hold. Undefined: there is no slot. */
  readonly isNewerThanSlot: boolean | undefined;
}

/** What there is of the publications that are asked for, and of the tables. */
export interface PublicationsFacts {
  readonly found: readonly PublicationFacts[];
  readonly tables: readonly PublishableTable[];
}

/** More tables than this are not written out: the SQL finds them by itself. */
const WRITTEN_OUT = 20;

/**
 * The SQL that makes a publication of every table that has a primary key. `FOR ALL TABLES` only where no table's UPDATE
 * would be refused by it.
 *
 * @param name - the publication's, unquoted
 * @param tables - the database's
 */
export function creationSql(name: string, tables: readonly PublishableTable[]): string {
  const quotedName = `"${name.replaceAll('"', '""')}"`;
  if (tables.every(({ hasIdentity }) => hasIdentity)) return `CREATE PUBLICATION ${quotedName} FOR ALL TABLES;`;
  const wanted = tables.filter(({ hasKey, hasIdentity }) => hasKey && hasIdentity);
  if (wanted.length === 0) return `CREATE PUBLICATION ${quotedName};`;
  if (wanted.length <= WRITTEN_OUT)
    return `CREATE PUBLICATION ${quotedName} FOR TABLE ${wanted.map(({ sql }) => sql).join(', ')};`;
  const literal = `'${name.replaceAll("'", "''")}'`;
  return (
    `DO $$ BEGIN EXECUTE (SELECT format('CREATE PUBLICATION %I FOR TABLE %s', ${literal}, string_agg(conrelid::regclass::text, ', ')) ` +
    `FROM pg_constraint JOIN pg_class c ON c.oid = conrelid WHERE contype = 'p' AND NOT condeferrable AND c.relkind = 'r' AND c.relpersistence = 'p' ` +
    `AND c.relreplident IN ('d', 'f') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'); END $$;`
  );
}

/**
 * Tables that no publication may have as they are.
 *
 * @param tables - the database's
 * @returns their names, unquoted
 */
export function tablesWithoutIdentity(tables: readonly PublishableTable[]): readonly string[] {
  return tables.filter(({ hasIdentity }) => !hasIdentity).map(({ name }) => name);
}
