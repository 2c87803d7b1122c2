/**
 * A random database that is altered while it is written to: which statements are possible now, and what each change looks
 * like at the moment at which it is written. The witness of the tests of migrations: it knows keys and names at write time
 * because it made them. Knows no server and none of the code that is tested.
 */

/** A number in [0, 1). */
export type Random = () => number;

/** One row's change, as it was when it was written. */
export interface Expected {
  readonly operation: 'INSERT' | 'UPDATE' | 'DELETE';
  /** `schema.table` at write time. */
  readonly table: string;
  /** What names the row: unique for every change; a DELETE has that of the row it deletes. */
  readonly marker: number;
  /** Column names at write time, with their values: a DELETE has the row that went. */
  readonly row: Readonly<Record<string, number>>;
  /** The row before an UPDATE. */
  readonly before: Readonly<Record<string, number>> | undefined;
  /** The columns of the primary key at write time; undefined: there was none. */
  readonly key: readonly string[] | undefined;
  /** Whether the server sends the key of an old row. */
  readonly sendsKey: boolean;
  /** Whether it was a partition of the secret table, or the table itself. */
  readonly secret: boolean;
  /** Which table it is, whatever its name. */
  readonly identity: number;
}

/** A statement, and the changes that it makes. */
export interface Step {
  readonly sql: string;
  readonly changes: readonly Expected[];
  /** It alters tables: what another row's key is may be another thing afterwards. */
  readonly alters: boolean;
  /** It empties a table: one change, of which nothing is checked but that it is counted. */
  readonly truncates?: boolean;
}

/** The name of the table that must not be seen. */
export const SECRET = 'public.secret';

type Row = Record<'a' | 'b' | 'c' | 'm', number>;
type Column = keyof Row;

interface Table {
  readonly identity: number;
  schema: string;
  name: string;
  /** What its columns are called now. */
  readonly names: Record<Column, string>;
  key: Column[] | undefined;
  keyName: string;
  replica: 'DEFAULT' | 'FULL' | 'NOTHING' | 'INDEX';
  logged: boolean;
  rows: Row[];
  /** A partition has a fixed value of `c`, and keeps the names of its columns. */
  readonly leaf: number | undefined;
  parent: Root | undefined;
}

interface Root {
  schema: string;
  name: string;
}

/** The database. */
export class Model {
  /** Column sets that a table's key ever had, by name of the table and by its identity: as JSON of sorted names. */
  readonly keysEver = new Map<string, Set<string>>();
  /** Names and identities of tables that have ever been without a key. */
  readonly keyless = new Set<string>();
  readonly #random: Random;
  readonly #tables: Table[] = [];
  readonly #roots: Root[] = [
    { schema: 'public', name: 'secret' },
    { schema: 'public', name: 'open' },
  ];
  #serial = 0;

  /** @param random - decides everything */
  constructor(random: Random) {
    this.#random = random;
  }

  /** Statements that make what is there before the slot. */
  setup(): string[] {
    const roots = this.#roots.map(
      ({ schema, name }) =>
        `CREATE TABLE ${schema}.${name} (a int NOT NULL, b int NOT NULL, c int NOT NULL, m int) PARTITION BY LIST (c)`,
    );
    const tables = Array.from({ length: 4 }, () => this.#createPlain().sql);
    const leaves = this.#roots.flatMap((root) => [this.#createLeaf(root).sql, this.#createLeaf(root).sql]);
    return ['CREATE SCHEMA s1', 'CREATE SCHEMA s2', ...roots, ...tables, ...leaves];
  }

  /** @returns a statement, and what it does; the model has done it */
  step(): Step {
    for (;;) {
      const step = this.#random() < 0.55 ? this.#write() : this.#alter();
      if (step !== undefined) return step;
    }
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.#random() * list.length)];
  }

  #next(): number {
    return ++this.#serial;
  }

  #write(): Step | undefined {
    const table = this.#pick(this.#tables);
    if (table === undefined) return undefined;
    const row = this.#pick(table.rows);
    const kind = this.#random();
    if (row === undefined || kind < 0.4) return this.#insert(table);
    if (kind < 0.55) return this.#update(table, row, undefined);
    if (kind < 0.7) return this.#update(table, row, this.#pick(['a', 'b']));
    if (kind < 0.97) return this.#delete(table, row);
    table.rows = [];
    return { sql: `TRUNCATE ${quoted(table)}`, changes: [], alters: false, truncates: table.logged };
  }

  #insert(table: Table): Step {
    const row: Row = { a: this.#next(), b: this.#next(), c: table.leaf ?? this.#next(), m: this.#next() };
    table.rows.push(row);
    const into = table.parent !== undefined && this.#random() < 0.5 ? quoted(table.parent) : quoted(table);
    const columns = (Object.keys(row) as Column[]).map((column) => table.names[column]);
    return {
      sql: `INSERT INTO ${into} (${columns.join(', ')}) VALUES (${Object.values(row).join(', ')})`,
      changes: this.#change('INSERT', table, row),
      alters: false,
    };
  }

  #update(table: Table, row: Row, column: 'a' | 'b' | undefined): Step {
    const { names } = table;
    const before = { ...row };
    row.m = this.#next();
    if (column !== undefined) row[column] = this.#next();
    const set = [`${names.m} = ${row.m}`, ...(column === undefined ? [] : [`${names[column]} = ${row[column]}`])];
    return {
      sql: `UPDATE ${quoted(table)} SET ${set.join(', ')} WHERE ${names.m} = ${before.m}`,
      changes: this.#change('UPDATE', table, row, before),
      alters: false,
    };
  }

  #delete(table: Table, row: Row): Step {
    table.rows = table.rows.filter((each) => each !== row);
    return {
      sql: `DELETE FROM ${quoted(table)} WHERE ${table.names.m} = ${row.m}`,
      changes: this.#change('DELETE', table, row),
      alters: false,
    };
  }

  #change(operation: Expected['operation'], table: Table, row: Row, before?: Row): Expected[] {
    if (!table.logged) return [];
    const named = (of: Row) =>
      Object.fromEntries((Object.keys(of) as Column[]).map((column) => [table.names[column], of[column]]));
    const { key, replica } = table;
    const covered =
      replica === 'FULL' ||
      (replica === 'DEFAULT' && key !== undefined) ||
      (replica === 'INDEX' && key?.every((column) => column === 'b') === true);
    return [
      {
        operation,
        table: quoted(table),
        marker: row.m,
        row: named(row),
        before: before && named(before),
        key: key?.map((column) => table.names[column]),
        sendsKey: covered,
        secret: [table, table.parent].some((each) => each !== undefined && quoted(each) === SECRET),
        identity: table.identity,
      },
    ];
  }

  #alter(): Step | undefined {
    const table = this.#pick(this.#tables);
    if (table === undefined) return this.#createPlain();
    const leaf = table.leaf !== undefined;
    const kind = Math.floor(this.#random() * 14);
    switch (kind) {
      case 0:
        return this.#tables.length > 14 ? undefined : this.#createPlain();
      case 1:
        return this.#tables.length > 14 ? undefined : this.#createLeaf(this.#pick([...this.#roots, undefined]));
      case 2:
        return this.#tables.length < 6 ? undefined : this.#drop(table);
      case 3:
        return this.#rename(table);
      case 4:
        return this.#moveTo(table, this.#pick(['public', 's1', 's2']) ?? 'public');
      case 5:
        return leaf ? undefined : this.#renameColumn(table);
      case 6:
      case 7:
        return this.#replaceKey(table);
      case 8:
        return this.#setIdentity(table);
      case 9:
        return leaf ? this.#attachOrDetach(table) : this.#setLogged(table);
      case 10:
        return leaf ? this.#attachOrDetach(table) : this.#swap(table);
      case 11:
        return this.#scratch();
      case 12:
        return this.#renameRoot();
      default:
        return leaf
          ? undefined
          : this.#ddl(
              `ALTER TABLE ${quoted(table)} ALTER ${table.names.c} TYPE ${this.#pick(['bigint', 'int']) ?? 'int'}`,
            );
    }
  }

  #ddl(sql: string, changes: readonly Expected[] = []): Step {
    return { sql, changes, alters: true };
  }

  #add(table: Pick<Table, 'schema' | 'name' | 'key' | 'leaf' | 'parent'>): Table {
    const identity = this.#next();
    const names = { a: 'a', b: 'b', c: 'c', m: 'm' };
    const made: Table = {
      ...table,
      identity,
      names,
      keyName: `k${identity}`,
      replica: 'DEFAULT',
      logged: true,
      rows: [],
    };
    this.#tables.push(made);
    this.#noteKey(made);
    return made;
  }

  /** Remembers what a row of this table, or of another by its name, may be published under. */
  #noteKey(table: Table): void {
    if (table.key === undefined) {
      this.keyless.add(quoted(table)).add(String(table.identity));
      return;
    }
    const columns = JSON.stringify(table.key.map((column) => table.names[column]).sort());
    for (const name of [quoted(table), String(table.identity)]) {
      const known = this.keysEver.get(name) ?? new Set();
      this.keysEver.set(name, known.add(columns));
    }
  }

  #definition({ names, key, keyName, identity }: Table): string {
    const constraint = key === undefined ? '' : `, CONSTRAINT ${keyName} PRIMARY KEY (${key.join(', ')})`;
    return `(${names.a} int NOT NULL, ${names.b} int NOT NULL CONSTRAINT u${identity} UNIQUE, ${names.c} int NOT NULL, ${names.m} int${constraint})`;
  }

  #createPlain(): Step {
    const key = this.#pick<Column[] | undefined>([['a'], ['a'], ['b', 'a'], ['a', 'b'], undefined]);
    const table = this.#add({
      schema: 'public',
      name: this.#freeName('t'),
      key: key && [...key],
      leaf: undefined,
      parent: undefined,
    });
    return this.#ddl(`CREATE TABLE ${quoted(table)} ${this.#definition(table)}`);
  }

  #createLeaf(root: Root | undefined): Step {
    const leaf = this.#next();
    const table = this.#add({ schema: 'public', name: this.#freeName('l'), key: ['a'], leaf, parent: root });
    const attach =
      root === undefined
        ? ''
        : `; ALTER TABLE ${quoted(root)} ATTACH PARTITION ${quoted(table)} FOR VALUES IN (${leaf})`;
    return this.#ddl(`CREATE TABLE ${quoted(table)} ${this.#definition(table)}${attach}`);
  }

  #drop(table: Table): Step {
    this.#tables.splice(this.#tables.indexOf(table), 1);
    return this.#ddl(`DROP TABLE ${quoted(table)}`);
  }

  /** Names are used again: a table may take that of one that is gone. */
  #freeName(prefix: string, schema = 'public'): string {
    const taken = new Set([...this.#tables, ...this.#roots].map(quoted));
    for (;;) {
      const name = `${prefix}${Math.floor(this.#random() * 12)}`;
      if (!taken.has(`${schema}.${name}`)) return name;
      if (this.#random() < 0.1) return `${prefix}_${this.#next()}`;
    }
  }

  #rename(table: Table): Step {
    const from = quoted(table);
    table.name = this.#freeName('t', table.schema);
    this.#noteKey(table);
    return this.#ddl(`ALTER TABLE ${from} RENAME TO ${table.name}`);
  }

  #moveTo(table: Table, schema: string): Step | undefined {
    const from = quoted(table);
    if (this.#tables.some((other) => quoted(other) === `${schema}.${table.name}`) || schema === table.schema)
      return undefined;
    table.schema = schema;
    this.#noteKey(table);
    return this.#ddl(`ALTER TABLE ${from} SET SCHEMA ${schema}`);
  }

  #renameColumn(table: Table): Step {
    const column = this.#pick<Column>(['a', 'b', 'c']) ?? 'a';
    const from = table.names[column];
    table.names[column] = `${column}_${this.#next()}`;
    this.#noteKey(table);
    return this.#ddl(`ALTER TABLE ${quoted(table)} RENAME ${from} TO ${table.names[column]}`);
  }

  #replaceKey(table: Table): Step {
    const drop = table.key === undefined ? [] : [`DROP CONSTRAINT ${table.keyName}`];
    const key = this.#pick<Column[] | undefined>([['a'], ['b'], ['a', 'b'], ['b', 'a'], undefined]);
    table.key = key && [...key];
    table.keyName = `k${this.#next()}`;
    const columns = table.key?.map((column) => table.names[column]).join(', ');
    const add = columns === undefined ? [] : [`ADD CONSTRAINT ${table.keyName} PRIMARY KEY (${columns})`];
    this.#noteKey(table);
    if (drop.length + add.length === 0) return this.#setIdentity(table);
    return this.#ddl(`ALTER TABLE ${quoted(table)} ${[...drop, ...add].join(', ')}`);
  }

  #setIdentity(table: Table): Step {
    table.replica = this.#pick<Table['replica']>(['DEFAULT', 'FULL', 'NOTHING', 'INDEX']) ?? 'DEFAULT';
    const identity = table.replica === 'INDEX' ? `USING INDEX u${table.identity}` : table.replica;
    return this.#ddl(`ALTER TABLE ${quoted(table)} REPLICA IDENTITY ${identity}`);
  }

  #setLogged(table: Table): Step {
    table.logged = !table.logged;
    return this.#ddl(`ALTER TABLE ${quoted(table)} SET ${table.logged ? 'LOGGED' : 'UNLOGGED'}`);
  }

  #attachOrDetach(table: Table): Step | undefined {
    if (table.leaf === undefined) return undefined;
    const from = table.parent;
    const to = from === undefined ? this.#pick(this.#roots) : undefined;
    table.parent = to;
    if (from !== undefined) return this.#ddl(`ALTER TABLE ${quoted(from)} DETACH PARTITION ${quoted(table)}`);
    if (to === undefined) return undefined;
    return this.#ddl(`ALTER TABLE ${quoted(to)} ATTACH PARTITION ${quoted(table)} FOR VALUES IN (${table.leaf})`);
  }

  /** Two tables change places, as a migration that copies does. */
  #swap(table: Table): Step | undefined {
    const other = this.#pick(this.#tables.filter((each) => each !== table && each.schema === table.schema));
    if (other === undefined) return undefined;
    const [one, two] = [quoted(table), quoted(other)];
    [table.name, other.name] = [other.name, table.name];
    this.#noteKey(table);
    this.#noteKey(other);
    return this.#ddl(
      `ALTER TABLE ${one} RENAME TO swapping; ALTER TABLE ${two} RENAME TO ${other.name}; ALTER TABLE ${table.schema}.swapping RENAME TO ${table.name}`,
    );
  }

  /** A scratch table of an ETL job: made, filled and dropped. */
  #scratch(): Step {
    const table = this.#add({
      schema: 'public',
      name: `tmp_${this.#next()}`,
      key: ['a'],
      leaf: undefined,
      parent: undefined,
    });
    const made = `CREATE TABLE ${quoted(table)} ${this.#definition(table)}`;
    const filled = this.#insert(table);
    return this.#ddl(`${made}; ${filled.sql}; ${this.#drop(table).sql}`, filled.changes);
  }

  #renameRoot(): Step | undefined {
    const root = this.#pick(this.#roots);
    const name = this.#pick(['secret', 'open', 'vault', 'market']);
    if (root === undefined || name === undefined || this.#roots.some((each) => each.name === name)) return undefined;
    const from = quoted(root);
    root.name = name;
    return this.#ddl(`ALTER TABLE ${from} RENAME TO ${name}`);
  }
}

function quoted({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}
