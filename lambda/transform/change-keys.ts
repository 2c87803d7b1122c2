/**
 * The primary keys of one change: where its parts are, by the newest reading of the catalogs or by an earlier one, and
 * whether an UPDATE moves it. Pure; what becomes of a change without a key is the transformation's.
 */
import type { RowChange } from '../decode/messages.ts';
import type { Key } from '../format/record.ts';
import { emptyKey, locateKey, sameKey } from './row-key.ts';
import type { TablePolicy } from './table-policy.ts';

/**
 * What became of a search. `key-not-sent`: the server did not send it. `no-primary-key`: the table had none when the
 * change was made. `unknown`: the change shows no key that the catalogs tell of, now or earlier. `too-large`: a part of
 * it was too large to be kept.
 */
export type KeySearch = 'found' | 'key-not-sent' | 'no-primary-key' | 'unknown' | 'too-large';

/**
 * The keys to try, likeliest first: the change's own, in the order that the catalogs give it where they know it.
 *
 * @param known - by the catalogs, the newest reading's first
 * @param historic - the change's own, in the order of the table's columns; undefined: not known
 */
function candidates(known: TablePolicy['keys'], historic: readonly string[] | undefined): TablePolicy['keys'] {
  if (historic === undefined) return known;
  const ordered = known.find((key) => key.length === historic.length && key.every((name) => historic.includes(name)));
  return [ordered ?? historic];
}

/** Finds keys, in memory that is used again from change to change. */
export class ChangeKeys {
  /** The key of the new row; for a DELETE, of the old one. Good after 'found'. */
  readonly key: Key = emptyKey();
  /** The key of the old row. Good after {@link moves} has answered true. */
  readonly oldKey: Key = emptyKey();
  /** The columns by which the key was found. */
  #columns: readonly string[] = [];

  /**
   * Finds the key of a change.
   *
   * @param change - valid during the call
   * @param policy - the policy of the change's table, which is published
   */
  find(change: RowChange, policy: TablePolicy): KeySearch {
    const deletes = change.operation === 'DELETE';
    const tuple = deletes ? change.oldTuple : change.newTuple;
    const fallback = deletes ? undefined : change.oldTuple;
    if (tuple === undefined) return deletes ? 'key-not-sent' : 'unknown';
    let unsent = false;
    for (const columns of candidates(policy.keys, change.historicKey)) {
      const located = locateKey(columns, tuple, fallback, this.key);
      if (located === 'elided') return 'too-large';
      unsent ||= located === 'unsent';
      if (located !== 'found') continue;
      this.#columns = columns;
      return this.#losesOldKey(change) ? 'too-large' : 'found';
    }
    if (unsent || (deletes && !policy.identityHoldsKey)) return 'key-not-sent';
    return policy.wasKeyless ? 'no-primary-key' : 'unknown';
  }

  /** Whether an UPDATE's old key was sent and not kept: nobody could say whether it differs from the new one. */
  #losesOldKey({ oversizeBytes, oldTuple }: RowChange): boolean {
    return (
      oversizeBytes !== undefined &&
      oldTuple !== undefined &&
      locateKey(this.#columns, oldTuple, undefined, this.oldKey) === 'elided'
    );
  }

  /**
   * Whether an UPDATE's old key was sent and differs from its new one. No other change has two rows.
   *
   * @param change - valid during the call
   * @param columns - the key's columns @default those that {@link find} found it by
   */
  moves(change: RowChange, columns: readonly string[] = this.#columns): boolean {
    return (
      change.newTuple !== undefined &&
      change.oldTuple !== undefined &&
      locateKey(columns, change.newTuple, change.oldTuple, this.key) === 'found' &&
      locateKey(columns, change.oldTuple, undefined, this.oldKey) === 'found' &&
      !sameKey(this.key, this.oldKey, change.bytes)
    );
  }
}
