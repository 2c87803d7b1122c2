/**
 * Changes that are left out: why, by their table's policy and their transaction, and how many for each reason (I9).
 * Writes no record.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { RowChange, TableName, Transaction, Truncate } from '../decode/messages.ts';
import type { LeftOutChanges, MessageBlock } from '../ports/slot.ts';
import type { AlterationOrder } from './alterations.ts';
import type { Counts, Skipped } from './counts.ts';
import type { KeyHistoryCache } from './key-history-cache.ts';
import type { SkippedLog } from './skipped-log.ts';
import type { TablePolicies } from './table-policies.ts';
import { isSkippedInDoubt, skipReason, type TablePolicy } from './table-policy.ts';

/** What the reasons are taken from, and where they are logged. */
export interface SkippedChangesParts {
  readonly policies: TablePolicies;
  /** Primary keys at write time, where the WAL was asked for them. */
  readonly keyHistory: KeyHistoryCache;
  /** Where transactions that altered tables committed, as far as the WAL was asked. */
  readonly alterations: AlterationOrder;
  /** Where the tables are named whose changes are left out. */
  readonly skippedLog: SkippedLog;
}

/** Says why changes are left out, and counts them. */
export class SkippedChanges {
  readonly #parts: SkippedChangesParts;
  readonly #counts: Counts;
  /** Whether the change under way is left out only because its table may have been a partition of another. */
  #inDoubt = false;

  /**
   * @param parts - what the reasons are taken from
   * @param counts - of the transformation
   */
  constructor(parts: SkippedChangesParts, counts: Counts) {
    this.#parts = parts;
    this.#counts = counts;
  }

  /**
   * Why the next change is left out.
   *
   * @param policy - of its table
   * @param transaction - that it is part of
   * @param row - tells the position of the row it came in
   * @param historicKey - the key at write time, where the plugin shows it
   * @returns undefined: it is published
   */
  reason(
    policy: TablePolicy,
    transaction: Transaction | undefined,
    row: Pick<MessageBlock, 'rowLsn'>,
    historicKey?: readonly string[],
  ): keyof Skipped | undefined {
    const reason = knownReason(policy, transaction, historicKey) ?? this.#partialKey(policy, transaction, historicKey);
    this.#inDoubt = transaction !== undefined && isSkippedInDoubt(policy, transaction);
    if (reason !== undefined || policy.overlaps.length === 0 || transaction === undefined) return reason;
    this.#inDoubt = this.#parts.alterations.isInDoubt(policy.overlaps, transaction, () => row.rowLsn());
    return this.#inDoubt ? 'filtered' : undefined;
  }

  /**
   * Which transactions' commits have to be known before a message is taken: they altered its table, and transaction ids do
   * not tell whether that was before.
   *
   * @param message - valid during the call
   * @param transaction - that it is part of
   * @param row - tells the position of the row it came in
   * @returns 32 bits each; empty: none
   */
  unknownAlterations(
    message: RowChange | Truncate,
    transaction: Transaction,
    row: Pick<MessageBlock, 'rowLsn'>,
  ): number[] {
    const { policies, keyHistory, alterations } = this.#parts;
    const isChange = message.kind === 'change';
    return (isChange ? [message.table] : message.tables).flatMap((table) => {
      const known = policies.of(table);
      if (known.overlaps.length === 0) return [];
      const policy = isChange ? keyHistory.policy(known, message, transaction, () => row.rowLsn()) : known;
      const reason = knownReason(policy, transaction, isChange ? message.historicKey : undefined);
      return reason === undefined ? alterations.unknown(policy.overlaps, transaction) : [];
    });
  }

  /** A publication that leaves out a column of the key, listed or generated, shows the others: two rows may have the same of those. */
  #partialKey(
    policy: TablePolicy,
    transaction: Transaction | undefined,
    historicKey: readonly string[] | undefined,
  ): 'noReplicaIdentity' | undefined {
    const [key = []] = policy.keys;
    if (historicKey === undefined || transaction === undefined || historicKey.length >= key.length) return undefined;
    // A key that was made wider since was whole when it was written.
    if (!historicKey.every((name) => key.includes(name)) || this.#parts.policies.isKeyInDoubt(policy, transaction))
      return undefined;
    return 'noReplicaIdentity';
  }

  /**
   * Counts the change that was asked about last.
   *
   * @param table - its table
   * @param policy - of its table
   * @param reason - undefined: its operation, which is the user's own wish
   * @param transaction - that it is part of
   */
  count(
    table: TableName,
    policy: TablePolicy,
    reason: keyof Skipped | undefined,
    transaction: Transaction | undefined,
  ): void {
    this.#counts.changes++;
    this.#counts.skipped[reason ?? 'filtered']++;
    if (reason === undefined || reason === 'formatter' || policy.noted === reason) return;
    // What a filter takes out is the user's wish. It is logged only where it is a doubt.
    if (reason === 'filtered' && !this.#inDoubt) return;
    policy.noted = reason;
    this.#parts.skippedLog.note(reason, table.printed, transaction?.commitLsn ?? 0n);
  }

  /**
   * Counts changes that the plugin itself has left out.
   *
   * @param changes - of which table, and how many
   * @param boundary - the newest commit LSN of which everything was taken
   */
  countByPlugin({ schema, name, changes }: LeftOutChanges, boundary: Lsn | undefined): void {
    const { policies, skippedLog } = this.#parts;
    const table = policies.named(schema, name);
    const reason = policies.of(table).skip ?? 'noReplicaIdentity';
    this.#counts.changes += changes;
    this.#counts.skipped[reason] += changes;
    if (reason !== 'filtered' && reason !== 'formatter') skippedLog.note(reason, table.printed, boundary ?? 0n);
  }
}

/** @param historicKey - which shows what the catalogs no longer do @returns why a change is left out, by its transaction */
function knownReason(
  policy: TablePolicy,
  transaction: Transaction | undefined,
  historicKey: readonly string[] | undefined,
): keyof Skipped | undefined {
  const reason = transaction === undefined ? policy.skip : skipReason(policy, transaction);
  const shown = reason === 'noPrimaryKey' || (reason === 'droppedTable' && !policy.hidden);
  return historicKey !== undefined && shown ? undefined : reason;
}
