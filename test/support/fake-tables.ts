/**
 * A table in memory beside a {@link FakeSlot}: what is written to it is in the slot's WAL, and a snapshot reads it in chunks.
 * Each transaction is over when it is in the WAL. Values go through the real reader of COPY's text.
 */
import { type TableName, ValueKind } from '../../lambda/decode/messages.ts';
import type { ReadChunk, SnapshotSource, WrittenMessage } from '../../lambda/ports/snapshot-source.ts';
import type { ChunkRequest } from '../../lambda/snapshot/chunk.ts';
import { keyText } from '../../lambda/snapshot/chunk.ts';
import { CopyTextReader } from '../../lambda/snapshot/copy-text-reader.ts';
import { type HeldRow, type ReadColumn, RowSet } from '../../lambda/snapshot/row-set.ts';
import { SNAPSHOT_MESSAGE_PREFIX } from '../../lambda/snapshot/snapshot-message.ts';
import type { FakeSlot } from './fake-slot.ts';

/** A row's values besides its key: one that changes, and one that is stored out of line. */
export interface FakeRow {
  readonly v: number;
  readonly big: string;
}

const columnOf = (id: number, name: string, type: string): ReadColumn => ({
  header: { id, printed: name, name, type },
  kind: ValueKind.quoted,
});
const COLUMNS: readonly ReadColumn[] = [
  columnOf(60_000, 'id', 'integer'),
  columnOf(60_001, 'v', 'integer'),
  columnOf(60_002, 'big', 'text'),
];

/** `public.t` with the columns id, v and big; id is its key. */
export class FakeTable implements SnapshotSource {
  readonly name: TableName = { printed: 'public.t', schema: 'public', name: 't' };
  readonly rows = new Map<number, FakeRow>();
  /** What was asked for, in order. */
  readonly requests: ChunkRequest[] = [];
  /** How many rows a chunk has at most. */
  chunkRows = 1_000;
  /** Called before each reading; what it returns is what becomes of it. */
  onRead: (request: ChunkRequest, firstRowMs: number) => ReadChunk | undefined = () => undefined;
  readonly #slot: FakeSlot;

  constructor(slot: FakeSlot) {
    this.#slot = slot;
  }

  /** Asks for a snapshot, as the action does. @param content - a message of ours */
  emit(content: string): void {
    const size = Buffer.byteLength(content);
    this.#slot.message(`message: transactional: 0 prefix: ${SNAPSHOT_MESSAGE_PREFIX}, sz: ${size} content:${content}`);
  }

  put(id: number, row: FakeRow): void {
    this.rows.set(id, row);
    this.#slot.commit(`table public.t: INSERT: id[integer]:${id} v[integer]:${row.v} big[text]:'${row.big}'`);
  }

  /** An UPDATE that does not change `big`, which is not sent then. @param to - another key */
  change(id: number, v: number, to = id): void {
    const row = this.rows.get(id);
    if (row === undefined) return;
    this.rows.delete(id);
    this.rows.set(to, { v, big: row.big });
    const old = to === id ? '' : ` old-key: id[integer]:${id} new-tuple:`;
    this.#slot.commit(
      `table public.t: UPDATE:${old} id[integer]:${to} v[integer]:${v} big[text]:unchanged-toast-datum`,
    );
  }

  remove(id: number): void {
    if (this.rows.delete(id)) this.#slot.commit(`table public.t: DELETE: id[integer]:${id}`);
  }

  truncate(): void {
    this.rows.clear();
    this.#slot.commit('table public.t: TRUNCATE: (no-flags)');
  }

  nextXid(): Promise<bigint> {
    return Promise.resolve(BigInt(this.#slot.nextXid));
  }

  write(content: string): Promise<WrittenMessage> {
    this.emit(content);
    return Promise.resolve({ xid: this.#slot.nextXid, micros: 1_767_400_000_000_000n });
  }

  read(request: ChunkRequest, _maxBytes?: number, firstRowMs = 0): Promise<ReadChunk> {
    this.requests.push(request);
    const other = this.onRead(request, firstRowMs);
    if (other !== undefined) return Promise.resolve(other);
    const { cursor, asked } = request;
    const ids = [...this.rows.keys()].sort((a, b) => a - b);
    const first = cursor === undefined ? -Infinity : Number(cursor[0]);
    const wanted =
      asked === undefined
        ? ids.filter((id) => id > first).slice(0, this.chunkRows)
        : asked.map(([id]) => Number(id)).filter((id) => this.rows.has(id));
    const set = this.#rowSet(wanted);
    const rows = new Map<string, HeldRow>();
    for (let index = 0; index < set.count; index++) rows.set(keyText(set.keyOf(index)), { rows: set, index });
    const next = this.#slot.nextXid;
    return Promise.resolve({
      kind: 'chunk',
      bytes: 10 * wanted.length,
      chunk: {
        table: this.name.printed,
        key: 'id',
        rows,
        last: asked === undefined && wanted.length > 0 ? set.keyOf(set.count - 1) : undefined,
        atEnd: asked === undefined && wanted.length < this.chunkRows,
        asked,
        sees: (xid) => xid < next,
      },
    });
  }

  #rowSet(ids: readonly number[]): RowSet {
    const reader = new CopyTextReader(COLUMNS.length, 1024 * 1024);
    for (const id of ids) {
      const { v, big } = this.rows.get(id) ?? { v: 0, big: '' };
      reader.push(Buffer.from(`${id}\t${v}\t${big}\n`));
    }
    return new RowSet(this.name, COLUMNS, ['id'], reader.values());
  }
}
