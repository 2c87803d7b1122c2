// A Lambda consumer of a stream with FORMAT=json and any AGGREGATION.
import { type Change, changesOfEvent, identityOf, type LambdaRecord } from 'pg2kinesis/consumer';

/** Where the rows are kept. `apply` writes the change and its identity in one transaction. */
export interface Store {
  has(identity: string): Promise<boolean>;
  apply(change: Change, identity: string): Promise<void>;
}

export const consumer = (store: Store) => async (event: { Records: LambdaRecord[] }) => {
  // Everything is unpacked first, and each change awaited: a failure fails the invocation, and Lambda sends the batch again.
  for (const change of changesOfEvent(event)) {
    const identity = identityOf(change);
    if (!(await store.has(identity))) await store.apply(change, identity);
  }
};
