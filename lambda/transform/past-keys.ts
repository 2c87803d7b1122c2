/**
 * Primary keys of then, as the WAL was asked for them: which tables of a batch are in doubt, what is to be asked, and
 * what the answer says of a row. Pure; asking is the batch's.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { RowChange, TableName, Transaction } from '../decode/messages.ts';
import type { KeyStretch } from '../decode/wal2json/key-stretch.ts';
import type { KeyQuestion } from '../ports.ts';
import type { TablePolicies, TablePolicy } from './table-policies.ts';

/** What to ask: see {@link KeyQuestion}. */
export interface Asked extends Pick<KeyQuestion, 'insertsOnly'> {
  readonly tables: readonly TableName[] | undefined;
}

/** With more names than this, asking for all tables is cheaper. */
const MOST_NAMES = 100;

/** What one batch knows. */
export class PastKeys {
  readonly #plans: TablePolicies;
  /** By schema and name, unquoted, as JSON: in commit order. */
  #stretches = new Map<string, KeyStretch[]>();
  /** Printed names of tables that an answer covers. */
  readonly #covered = new Set<string>();
  #all = false;
  #asked = 0;
  #policies = new Map<KeyStretch, TablePolicy>();

  /** @param plans - what the catalogs say */
  constructor(plans: TablePolicies) {
    this.#plans = plans;
  }

  /** Forgets: an answer is of one batch. */
  clear(): void {
    if (this.#asked === 0) return;
    this.#stretches = new Map();
    this.#policies = new Map();
    this.#covered.clear();
    this.#all = false;
    this.#asked = 0;
  }

  /**
   * Whether the WAL is to be asked before a change is published: its key may have been another one, and no answer covers it.
   *
   * @param table - of the change
   * @param transaction - that it is part of
   * @returns what to ask; undefined: nothing
   */
  question(table: TableName, transaction: Transaction): Asked | undefined {
    const plan = this.#plans.of(table);
    if (this.#all || !this.#plans.isKeyInDoubt(plan, transaction.xid) || this.#covered.has(table.printed))
      return undefined;
    // Of a table without a key, UPDATEs and DELETEs tell nothing, and each would be a warning in the server's log.
    const keyless = plan.skip === 'noPrimaryKey';
    const doubtful = this.#plans.doubtfulTables(transaction.xid, keyless);
    if (doubtful.every(({ printed }) => printed !== table.printed)) doubtful.push(table);
    // Tables that the catalogs do not know come one by one: the second time, ask for all.
    const all = doubtful.length > MOST_NAMES || (!keyless && this.#asked > 1) || this.#asked > 2;
    return all ? { tables: undefined, insertsOnly: true } : { tables: doubtful, insertsOnly: keyless };
  }

  /**
   * Takes an answer.
   *
   * @param asked - the question
   * @param stretches - the answer; undefined: there is none, and no more is asked in this batch
   */
  take(asked: Asked, stretches: readonly KeyStretch[] | undefined): void {
    this.#asked++;
    if (stretches === undefined || asked.tables === undefined) this.#all = true;
    const fresh = new Map<string, KeyStretch[]>();
    for (const stretch of stretches ?? []) {
      const name = nameOf(stretch.schema, stretch.table);
      const known = fresh.get(name);
      if (known === undefined) fresh.set(name, [stretch]);
      else known.push(stretch);
    }
    for (const [name, list] of fresh) {
      // An answer of all actions knows more than one of INSERTs.
      if (!asked.insertsOnly || !this.#stretches.has(name)) this.#stretches.set(name, list);
    }
    for (const { printed } of asked.tables ?? []) this.#covered.add(printed);
  }

  /**
   * The policy for a change by the key of then.
   *
   * @param plan - the policy of the change's table, by the catalogs
   * @param change - valid during the call
   * @param transaction - that it is part of
   * @param lsn - tells its own position
   * @returns `plan` where nothing better is known
   */
  policy(plan: TablePolicy, change: RowChange, transaction: Transaction, lsn: () => Lsn): TablePolicy {
    if (this.#stretches.size === 0 || !this.#plans.isKeyInDoubt(plan, transaction.xid)) return plan;
    const stretches = this.#stretches.get(nameOf(change.table.schema, change.table.name));
    if (stretches === undefined) return plan;
    const stretch = lastUpTo(stretches, transaction.commitLsn, lsn());
    if (stretch === undefined) return plan;
    let made = this.#policies.get(stretch);
    if (made?.version !== plan.version) {
      made = this.#make(plan, stretch, change);
      this.#policies.set(stretch, made);
    }
    return made;
  }

  #make(plan: TablePolicy, { inserted, key }: KeyStretch, change: RowChange): TablePolicy {
    if (key.length === 0) {
      // Without an INSERT this may only mean that the old row was sent by another index's columns.
      if (!inserted) return plan;
      const skip = plan.skip === 'droppedTable' && !plan.hidden ? 'noPrimaryKey' : plan.skip;
      return { ...plan, skip, wasKeyless: true, noted: undefined };
    }
    const tuple = change.newTuple ?? change.oldTuple;
    const printed = key.map((name) => printedIn(tuple, name) ?? printedIn(change.oldTuple, name) ?? name);
    const known = plan.keys.find(
      (each) => each.length === printed.length && each.every((name) => printed.includes(name)),
    );
    const skip = plan.skip === 'noPrimaryKey' || (plan.skip === 'droppedTable' && !plan.hidden) ? undefined : plan.skip;
    return {
      ...plan,
      skip,
      // The catalogs know the order of a composite key; wal2json has the table's.
      keys: [known ?? printed],
      wasKeyless: false,
      identityHoldsKey: false,
      omitted: new Set(plan.omitted),
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
function lastUpTo(stretches: readonly KeyStretch[], commitLsn: Lsn, lsn: Lsn): KeyStretch | undefined {
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
