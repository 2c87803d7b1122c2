/** A run of which a test says what it reads, one message or change after the other. */
import type { Chunk } from '../../../lambda/snapshot/chunk.ts';
import { encodeSnapshotMessage } from '../../../lambda/snapshot/snapshot-message.ts';
import { SnapshotTracker } from '../../../lambda/snapshot/tracker.ts';

/** The table that is read. */
export const TABLE = 'public.t';
/** The slot that messages are for. */
export const SLOT = 'test';

/** A run to which a test tells what it reads; positions grow by 10. */
export class Reading {
  readonly tracker = new SnapshotTracker<string>(SLOT);
  #lsn = 0n;

  begin(...tables: string[]): void {
    this.message(encodeSnapshotMessage(SLOT, { kind: 'begin', id: 'a', begunAt: 1, tables, anew: false }));
  }

  stop(...tables: string[]): void {
    this.message(encodeSnapshotMessage(SLOT, { kind: 'stop', tables }));
  }

  message(content: string): readonly string[] | undefined {
    this.#lsn += 10n;
    return [...(this.tracker.message(content, this.#lsn)?.rows.values() ?? [])];
  }

  /** Holds a chunk whose snapshot sees nothing. @returns its message */
  hold(rows: readonly string[], changes: Partial<Chunk<string>> = {}): string {
    const request = this.tracker.next();
    const chunk: Chunk<string> = {
      table: request?.table ?? '',
      key: 'id',
      rows: new Map(rows.map((row) => [row, `row ${row}`])),
      last: rows.length === 0 ? undefined : [rows.at(-1) ?? ''],
      atEnd: false,
      asked: request?.asked,
      sees: () => false,
      ...changes,
    };
    return this.tracker.hold(chunk, `mark ${this.#lsn}`);
  }

  /** A row is moved without a value that did not change. */
  move(from: string, to: string, table = TABLE): string | undefined {
    const keys = { key: [to], oldKey: [from] };
    return this.tracker.changes.changed({
      operation: 'UPDATE',
      table,
      xid: 9,
      ...keys,
      incomplete: true,
      published: true,
    });
  }

  change(operation: 'INSERT' | 'UPDATE' | 'DELETE', key: string, published = true): string | undefined {
    const keys = { key: [key], oldKey: undefined };
    return this.tracker.changes.changed({ operation, table: TABLE, xid: 9, ...keys, incomplete: false, published });
  }

  get pending(): readonly string[] | undefined {
    return this.tracker.progress?.pending;
  }

  get barrier(): bigint | undefined {
    return this.tracker.progress?.barrier;
  }

  get doneRows(): number | undefined {
    return this.tracker.progress?.doneRows;
  }

  get again(): readonly string[] {
    return (this.tracker.progress?.current?.again ?? []).map(([key]) => key ?? '');
  }
}
