/**
 * Caches of encoded bytes: what a table or a transaction adds to every record is encoded once. By identity, since the
 * decoder interns its objects, and weakly: an object that nobody else holds is not kept.
 */
import type { ChangeRecord } from './record.ts';

/**
 * Makes a function remember what it made of each object. The object asked for last is found without a look-up.
 *
 * @param make - called once an object
 * @returns the same function, remembering
 */
export function memoise<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, V>();
  let last: { readonly key: K; readonly value: V } | undefined;
  return (key) => {
    if (last?.key === key) return last.value;
    let value = made.get(key);
    if (value === undefined) {
      value = make(key);
      made.set(key, value);
    }
    last = { key, value };
    return value;
  };
}

/**
 * Makes a function remember what it made of the last object only: for transactions, which come one after another.
 *
 * @param make - called when the object is another than in the last call
 * @returns the same function, remembering
 */
export function memoiseLast<K extends object, V>(make: (key: K) => V): (key: K) => V {
  let last: { readonly key: K; readonly value: V } | undefined;
  return (key) => {
    if (last?.key !== key) last = { key, value: make(key) };
    return last.value;
  };
}

/**
 * Makes one thing for each operation.
 *
 * @param make - called once an operation
 * @returns what was made, by the operation's name
 */
export function byOperation<V>(
  make: (operation: ChangeRecord['operation']) => V,
): Record<ChangeRecord['operation'], V> {
  return {
    INSERT: make('INSERT'),
    UPDATE: make('UPDATE'),
    DELETE: make('DELETE'),
    TRUNCATE: make('TRUNCATE'),
    READ: make('READ'),
  };
}

/**
 * What was made for an operation: by a switch, as an object of five properties that is asked by name is slow.
 *
 * @param made - by operation
 * @param operation - whose
 */
export function ofOperation<V>(
  made: Readonly<Record<ChangeRecord['operation'], V>>,
  operation: ChangeRecord['operation'],
): V {
  switch (operation) {
    case 'INSERT':
      return made.INSERT;
    case 'UPDATE':
      return made.UPDATE;
    case 'DELETE':
      return made.DELETE;
    case 'TRUNCATE':
      return made.TRUNCATE;
    case 'READ':
      return made.READ;
  }
}
