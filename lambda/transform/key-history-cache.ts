/**
 * The primary keys at the time of writing, as the WAL shows them: which tables of a batch are in doubt, what to ask, and
 * what the answer says about a row. Pure: the batch does the asking.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { RowChange, TableName, Transaction } from '../decode/messages.ts';
import type { KeyHistoryEntry } from '../decode/wal2json/key-history-entry.ts';
import type { KeyQuestion } from '../ports/catalogs.ts';
import type { TablePolicies } from './table-policies.ts';
import type { TablePolicy } from './table-policy.ts';

/** What to ask: see {@link KeyQuestion}. */
export interface KeyHistoryRequest extends Pick<KeyQuestion, 'insertsOnly'> {
  readonly tables: readonly TableName[] | undefined;
  readonly except: readonly TableName[];
}

/** With more names than this, asking for all tables is cheaper. */
const MAX_NAMES = 100;
/** So often a batch asks for tables whose key may have been dropped. */
const MAX_KEYLESS_QUESTIONS = 2;

/** What one batch knows. */
export class KeyHistoryCache {
  readonly #tablePolicies: TablePolicies;
  /** By schema and name, unquoted, as JSON: in commit order. */
  #stretches = new Map<string, KeyHistoryEntry[]>();
  /** Printed names of tables that an answer covers: with all their changes, and with their INSERTs at least. */
  readonly #covered = new Set<string>();
  readonly #coveredInserts = new Set<string>();
  /** Of which {@link nameOf} all changes are known, not only the INSERTs. */
  readonly #complete = new Set<string>();
  /** Nothing more is asked: all tables are covered, or there was no answer. */
  #done = false;
  /** All tables are covered but those that the catalogs know without a key. */
  #allButKeyless = false;
  #hasAsked = false;
  #askedKeyless = 0;
  #policies = new Map<KeyHistoryEntry, TablePolicy>();

  /** @param policies - what the catalogs say */
  constructor(policies: TablePolicies) {
    this.#tablePolicies = policies;
  }

  /** Forgets: an answer is of one batch. */
  clear(): void {
    this.#stretches = new Map();
    this.#policies = new Map();
    this.#covered.clear();
    this.#coveredInserts.clear();
    this.#complete.clear();
    this.#done = this.#allButKeyless = this.#hasAsked = false;
    this.#askedKeyless = 0;
  }

  /**
   * Whether the WAL is to be asked before a change is published: its key may have been another one, and no answer covers it.
   *
   * @param change - valid during the call
   * @param transaction - that it is part of
   * @returns what to ask; undefined: nothing
   */
  question(
    change: Pick<RowChange, 'table' | 'operation' | 'oldTuple'>,
    transaction: Transaction,
  ): KeyHistoryRequest | undefined {
    const { table } = change;
    const policy = this.#tablePolicies.of(table);
    if (this.#done || !this.#tablePolicies.isKeyInDoubt(policy, transaction) || this.#covered.has(table.printed))
      return undefined;
    const keyless = policy.skip === 'noPrimaryKey';
    if (keyless && !this.#mayHaveHadKey(change)) {
      if (this.#coveredInserts.has(table.printed)) return undefined;
      // UPDATEs and DELETEs of a table without a key tell nothing, and each would be a warning in the server's log.
      const tables = this.#withItself(this.#tablePolicies.doubtfulTables(transaction, true), table);
      return { tables: tables.length > MAX_NAMES ? undefined : tables, except: [], insertsOnly: true };
    }
    if (keyless) {
      if (this.#askedKeyless === MAX_KEYLESS_QUESTIONS) return undefined;
      return { tables: [table, ...this.#keyedBefore(transaction, table)], except: [], insertsOnly: false };
    }
    if (this.#allButKeyless) return undefined;
    // Of tables that the catalogs do not know there may be many, and nothing names them: then ask for all at once.
    const tables = this.#withItself(this.#tablePolicies.doubtfulTables(transaction, false), table);
    if (policy.keys.length > 0 && !this.#hasAsked && tables.length <= MAX_NAMES)
      return { tables, except: [], insertsOnly: false };
    const except = this.#tablePolicies.keylessTables();
    return except.length > MAX_NAMES
      ? { tables: undefined, except: [], insertsOnly: true }
      : { tables: undefined, except, insertsOnly: false };
  }

  /** Whether a change of a table without a key shows that it had one: an old row was sent, or an INSERT before had one. */
  #mayHaveHadKey({ table, operation, oldTuple }: Pick<RowChange, 'table' | 'operation' | 'oldTuple'>): boolean {
    if (operation === 'INSERT') return false;
    const stretches = this.#stretches.get(nameOf(table.schema, table.name)) ?? [];
    return oldTuple !== undefined || stretches.some(({ key }) => key.length > 0);
  }

  /** Other tables without a key, of which an INSERT has shown one. */
  #keyedBefore(transaction: Transaction, table: TableName): TableName[] {
    const others = this.#tablePolicies
      .doubtfulTables(transaction, true)
      .filter(({ printed }) => printed !== table.printed);
    const keyed = others.filter(({ schema, name }) =>
      this.#stretches.get(nameOf(schema, name))?.some(({ key }) => key.length > 0),
    );
    return keyed.slice(0, MAX_NAMES);
  }

  #withItself(tables: TableName[], table: TableName): TableName[] {
    return tables.some(({ printed }) => printed === table.printed) ? tables : [...tables, table];
  }

  /**
   * Takes an answer.
   *
   * @param asked - the question
   * @param stretches - the answer; undefined: there is none, and no more is asked in this batch
   */
  take(asked: KeyHistoryRequest, stretches: readonly KeyHistoryEntry[] | undefined): void {
    this.#hasAsked = true;
    if (
      !asked.insertsOnly &&
      asked.tables?.some((table) => this.#tablePolicies.of(table).skip === 'noPrimaryKey') === true
    )
      this.#askedKeyless++;
    if (stretches === undefined || (asked.tables === undefined && asked.insertsOnly)) this.#done = true;
    else if (asked.tables === undefined) this.#allButKeyless = true;
    const fresh = new Map<string, KeyHistoryEntry[]>();
    for (const stretch of stretches ?? []) {
      const name = nameOf(stretch.schema, stretch.table);
      const known = fresh.get(name);
      if (known === undefined) fresh.set(name, [stretch]);
      else known.push(stretch);
    }
    for (const [name, list] of fresh) {
      // An answer of all actions knows more than one of INSERTs.
      if (!asked.insertsOnly || !this.#stretches.has(name)) this.#stretches.set(name, list);
      if (!asked.insertsOnly) this.#complete.add(name);
    }
    for (const { printed } of asked.tables ?? [])
      (asked.insertsOnly ? this.#coveredInserts : this.#covered).add(printed);
  }

  /**
   * The policy for a change, by the primary key at the time it was written.
   *
   * @param policy - the policy of the change's table, by the catalogs
   * @param change - valid during the call
   * @param transaction - that it is part of
   * @param lsn - tells its own position
   * @returns `policy` where nothing better is known
   */
  policy(policy: TablePolicy, change: RowChange, transaction: Transaction, lsn: () => Lsn): TablePolicy {
    if (this.#stretches.size === 0 || !this.#tablePolicies.isKeyInDoubt(policy, transaction)) return policy;
    const name = nameOf(change.table.schema, change.table.name);
    const stretches = this.#stretches.get(name);
    // Since the last INSERT the key may have become another.
    if (stretches === undefined || (change.operation !== 'INSERT' && !this.#complete.has(name))) return policy;
    const stretch = lastUpTo(stretches, transaction.commitLsn, lsn());
    if (stretch === undefined) return policy;
    let made = this.#policies.get(stretch);
    if (made?.version !== policy.version) {
      made = this.#make(policy, stretch, change);
      this.#policies.set(stretch, made);
    }
    return made;
  }

  #make(policy: TablePolicy, { inserted, key }: KeyHistoryEntry, change: RowChange): TablePolicy {
    if (key.length === 0) {
      // Without an INSERT this may only mean that the old row was sent by another index's columns.
      if (!inserted) return policy;
      const skip = policy.skip === 'droppedTable' && !policy.hidden ? 'noPrimaryKey' : policy.skip;
      return { ...policy, skip, wasKeyless: true, noted: undefined };
    }
    const tuple = change.newTuple ?? change.oldTuple;
    const printed = key.map((name) => printedIn(tuple, name) ?? printedIn(change.oldTuple, name) ?? name);
    const known = policy.keys.find(
      (each) => each.length === printed.length && each.every((name) => printed.includes(name)),
    );
    const skip =
      policy.skip === 'noPrimaryKey' || (policy.skip === 'droppedTable' && !policy.hidden) ? undefined : policy.skip;
    return {
      ...policy,
      skip,
      // The catalogs know the order of a composite key; wal2json has the table's.
      keys: [known ?? printed],
      wasKeyless: false,
      identityHoldsKey: false,
      omitted: new Set(policy.omitted),
      evaluatedColumns: new Set(),
      noted: undefined,
    };
  }
}

function printedIn(tuple: RowChange['newTuple'], name: string): string | undefined {
  for (let i = 0; i < (tuple?.count ?? 0); i++) if (tuple?.headers[i]?.name === name) return tuple.headers[i]?.printed;
  return undefined;
}

/** The last stretch that begins at or before a row. */
function lastUpTo(stretches: readonly KeyHistoryEntry[], commitLsn: Lsn, lsn: Lsn): KeyHistoryEntry | undefined {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const stretch = stretches[middle];
    const after =
      stretch === undefined || stretch.commitLsn > commitLsn || (stretch.commitLsn === commitLsn && stretch.lsn > lsn);
    if (after) high = middle;
    else low = middle + 1;
  }
  return stretches[low - 1];
}

function nameOf(schema: string, table: string): string {
  return JSON.stringify([schema, table]);
}
