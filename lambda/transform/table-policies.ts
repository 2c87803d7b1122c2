/**
 * What to do with each table's changes: published by which key, or left out for which reason. Decided once for a table
 * and a reading of the catalogs, not for each row.
 * Knows no catalog query: the primary-key cache answers from memory. The caller reads the catalogs again after a
 * transaction has ended, before it asks about the transaction's changes (I11).
 */
import type { Lsn } from '../decode/lsn.ts';
import type { TableName, Transaction, Tuple } from '../decode/messages.ts';
import type { EarlierEntry, PrimaryKeys, TableEntry } from '../ports/catalogs.ts';
import { excludesTable, type Filters, includesTable, omitsColumn } from '../settings/filters.ts';
import { type Overlap, overlapOf } from './alterations.ts';
import type { Skipped } from './counts.ts';
import { isInDoubt, keyDoubtOf } from './key-doubt.ts';
import type { Doubt, TablePolicy } from './table-policy.ts';
import { isBefore } from './transaction-order.ts';
import { keyExcluded } from './transform-errors.ts';

/** How many policies are kept; beyond it they are made again. A database of more tables is published, only slower. */
const POLICIES_LIMIT = 65_536;

/** The name that 10 gives a table's new rows while it is rewritten. */
const REWRITE = /^pg_temp_\d+$/;
/** The name that pg_squeeze gives the copy of a table, in the table's schema. It is gone when its rows are read. */
const SQUEEZED = /^tmp_(\d+)$/;

/** Policies by table. */
export class TablePolicies {
  /** Whether there is anything that must not be seen. */
  readonly hasExclusions: boolean;
  readonly #keys: PrimaryKeys;
  readonly #filters: Filters;
  readonly #limit: number;
  /** By printed name: a decoder that forgets names makes new objects. */
  readonly #policies = new Map<string, TablePolicy>();
  #lastTable: TableName | undefined;
  #lastPolicy: TablePolicy | undefined;

  /**
   * @param keys - the primary-key cache
   * @param filters - which tables and columns are wanted
   * @param limit - how many policies are kept
   */
  constructor(keys: PrimaryKeys, filters: Filters, limit = POLICIES_LIMIT) {
    this.#keys = keys;
    this.#filters = filters;
    this.#limit = limit;
    this.hasExclusions = filters.tableExclude.length + filters.columnExclude.length > 0;
  }

  /** How many policies are kept now. */
  get size(): number {
    return this.#policies.size;
  }

  /** @returns the table's policy */
  of(table: TableName): TablePolicy {
    if (table === this.#lastTable && this.#lastPolicy?.version === this.#keys.version) return this.#lastPolicy;
    let policy = this.#policies.get(table.printed);
    if (policy?.version !== this.#keys.version) {
      policy = this.#make(table);
      if (this.#policies.size >= this.#limit) this.#policies.clear();
      this.#policies.set(table.printed, policy);
    }
    this.#lastTable = table;
    this.#lastPolicy = policy;
    return policy;
  }

  /**
   * Whether a table's key may have been another one when a transaction wrote to it.
   *
   * @param policy - the policy of the row's table
   * @param transaction - the row's
   */
  isKeyInDoubt({ keyDoubt }: TablePolicy, transaction: Transaction): boolean {
    return keyDoubt !== undefined && isInDoubt(keyDoubt, transaction, this.#keys.overBefore);
  }

  /**
   * Which tables that are known are in doubt.
   *
   * @param transaction - for its changes
   * @param keyless - those without a key, or those with one
   */
  doubtfulTables(transaction: Transaction, keyless: boolean): TableName[] {
    const doubtful: TableName[] = [];
    for (const { printed, schema, name } of this.#keys.tables()) {
      const table = { printed, schema, name: name.slice(schema.length + 1) };
      const policy = this.of(table);
      if ((policy.skip === 'noPrimaryKey') === keyless && this.isKeyInDoubt(policy, transaction)) doubtful.push(table);
    }
    return doubtful;
  }

  /** @returns transactions that altered tables, which may not have been over before everything unread was written */
  alterations(): Set<number> {
    const { overBefore } = this.#keys;
    const all = Array.from(this.#keys.tables(), ({ alteredBy }) => alteredBy).flat();
    return new Set(all.filter((xid) => overBefore === undefined || !isBefore(xid, overBefore)));
  }

  /**
   * @param schema - unquoted
   * @param name - unquoted
   * @returns the table's name, as printed where the catalogs know it
   */
  named(schema: string, name: string): TableName {
    for (const table of this.#keys.tables())
      if (table.schema === schema && table.name === `${schema}.${name}`)
        return { printed: table.printed, schema, name };
    return { printed: `${schema}.${name}`, schema, name };
  }

  /** @returns tables that the catalogs know, without a key */
  keylessTables(): TableName[] {
    const keyless: TableName[] = [];
    for (const { printed, schema, name, key, isTable } of this.#keys.tables())
      if (isTable && key.length === 0) keyless.push({ printed, schema, name: name.slice(schema.length + 1) });
    return keyless;
  }

  /**
   * Applies COLUMN_EXCLUDE_LIST to the columns of a row that are new to it.
   *
   * @param policy - the policy of the row's table
   * @param tuple - the row
   * @throws {PipelineError} CONFIG_INVALID where it names a column of the primary key
   */
  excludeColumns(policy: TablePolicy, tuple: Tuple | undefined): void {
    if (tuple === undefined || this.#filters.columnExclude.length === 0) return;
    for (let i = 0; i < tuple.count; i++) {
      const header = tuple.headers[i];
      if (header === undefined || policy.evaluatedColumns.has(header.printed)) continue;
      policy.evaluatedColumns.add(header.printed);
      if (!omitsColumn(this.#filters, policy.names, header.name)) continue;
      if (policy.keys[0]?.includes(header.printed) === true) throw keyExcluded(policy.names[0] ?? '', header.name);
      policy.omitted.add(header.printed);
    }
  }

  #make(table: TableName): TablePolicy {
    const current = this.#keys.current(table);
    const earlier = this.#keys.earlier(table);
    const now = [`${table.schema}.${table.name}`, ...(current?.ancestors ?? [])];
    // Former names, as far as earlier readings know them, and the current name of a table that was renamed.
    const before = earlier.map((entry) => ({
      until: entry.until,
      names: [...entry.ancestors, ...this.#namesNow(entry)],
    }));
    const names = [...new Set([...now, ...before.flatMap((entry) => entry.names)])];
    const keys = [...(current === undefined ? [] : [current]), ...earlier]
      .map(({ key }) => key)
      .filter((key) => key.length > 0);
    const included = includesTable(this.#filters, now);
    const includedBefore = before.filter((entry) => includesTable(this.#filters, entry.names));
    const excluded = excludesTable(this.#filters, now);
    const filtered = excluded || (!included && includedBefore.length === 0);
    const skip = filtered ? 'filtered' : this.#reason(table, current, earlier);
    return {
      skip,
      keyDoubt: skip === 'filtered' || skip === 'notTable' ? undefined : keyDoubtOf(current, earlier[0]),
      hidden: this.hasExclusions && current === undefined && earlier.length === 0,
      includedUntil: included ? undefined : latest(includedBefore),
      excludedUntil: latest(before.filter((entry) => excludesTable(this.#filters, entry.names))),
      doubts: excluded ? [] : this.#doubts(current, earlier, included),
      overlaps: excluded || !this.hasExclusions ? [] : this.#overlaps(current, earlier),
      keys,
      wasKeyless: earlier.some(({ key }) => key.length === 0),
      identityHoldsKey: (current ?? earlier[0])?.identityHoldsKey ?? false,
      omitted: new Set((current ?? earlier[0])?.virtualColumns),
      evaluatedColumns: new Set(),
      names,
      version: this.#keys.version,
      noted: undefined,
    };
  }

  /**
   * What was written after one reading, and before the state that the next one saw: a table can have been attached and
   * detached meanwhile, or dropped, made again as a partition, and dropped again.
   */
  #doubts(current: TableEntry | undefined, earlier: readonly EarlierEntry[], included: boolean): Doubt[] {
    if (!this.hasExclusions) {
      // What an include list takes by any reading is wanted. The first reading tells how far back it is true.
      const since = included ? undefined : (earlier.at(-1) ?? current)?.ancestorsSince;
      return since === undefined ? [] : [{ before: since, after: 0n }];
    }
    const gone =
      current === undefined ? earlier.slice(0, 1).map(({ knownUntil: after }) => ({ before: undefined, after })) : [];
    const seen = current === undefined ? earlier : [current, ...earlier];
    const known = current === undefined ? earlier.slice(1) : earlier;
    return [
      ...gone,
      ...seen.flatMap(({ ancestorsSince: before }, i) =>
        before === undefined ? [] : [{ before, after: known[i]?.knownUntil ?? 0n }],
      ),
    ];
  }

  #overlaps(current: TableEntry | undefined, earlier: readonly EarlierEntry[]): Overlap[] {
    const seen = current === undefined ? earlier : [current, ...earlier];
    const known = current === undefined ? earlier.slice(1) : earlier;
    const { overBefore } = this.#keys;
    return seen.flatMap((entry, i) => overlapOf(entry, known[i]?.knownUntil ?? 0n, overBefore) ?? []);
  }

  /** Why a table that no filter takes out is left out all the same. */
  #reason(
    table: TableName,
    current: TableEntry | undefined,
    earlier: readonly TableEntry[],
  ): keyof Skipped | undefined {
    const entry = current ?? earlier[0];
    if (entry === undefined) return REWRITE.test(table.name) || this.#isSqueezed(table) ? 'notTable' : 'droppedTable';
    if (!entry.isTable) return 'notTable';
    if (current !== undefined) return current.key.length === 0 ? 'noPrimaryKey' : undefined;
    return earlier.some(({ key }) => key.length > 0) ? undefined : 'noPrimaryKey';
  }

  /** Whether it was the copy of a table beside it that pg_squeeze has made smaller. */
  #isSqueezed({ schema, name }: TableName): boolean {
    const oid = SQUEEZED.exec(name)?.[1];
    return oid !== undefined && this.#keys.byOid(Number(oid))?.schema === schema;
  }

  /** The current names of a table that an earlier reading knew, and of its ancestors. */
  #namesNow(entry: TableEntry): readonly string[] {
    const now = this.#keys.byOid(entry.oid);
    return now === undefined ? [] : [now.name, ...now.ancestors];
  }
}

/** The last position of which any of these may be true. */
function latest(entries: readonly { readonly until: Lsn }[]): Lsn | undefined {
  return entries.reduce<Lsn | undefined>(
    (last, { until }) => (last === undefined || until > last ? until : last),
    undefined,
  );
}
