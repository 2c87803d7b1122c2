/**
 * Reads tables beside the slot, a chunk at a time, and writes the messages that say how far that has come. Two connections:
 * the one that holds the lock reads (it has nothing else to do meanwhile), the other writes.
 */
import type { ColumnHeader, TableName } from '../decode/messages.ts';
import { ValueKind } from '../decode/messages.ts';
import type { ReadChunk, SnapshotSource, WrittenMessage } from '../ports.ts';
import { keyText } from '../snapshot/chunk.ts';
import { OWN_PREFIX } from '../snapshot/progress.ts';
import { CopyTextReader, type HeldRow, type ReadColumn, RowSet } from '../snapshot/row-set.ts';
import type { ChunkRequest } from '../snapshot/tracker.ts';
import { type Connection, toPipelineError } from './connection.ts';
import { type CopyParts, CopyToStdout } from './copy-to-stdout.ts';
import { codeOf } from './error-context.ts';
import { MvccSnapshot } from './mvcc-snapshot.ts';
import { chunkStatement, DESCRIBE, keySignature, quoted, type TableRow } from './snapshot-tables.ts';

/** What a reader works with. */
export interface SnapshotReaderParts extends CopyParts {
  /** What the stream allows for a record: of a value that is much larger, not all is kept. */
  readonly maxRecordBytes: number;
}

const MAX_CHUNK_ROWS = 20_000;
/** Before anything is known of the size of rows. */
const FIRST_ROWS = 2_000;
const GUESSED_ROW_BYTES = 200;
/** How long to wait for a lock that somebody else has, as who alters the table. */
const LOCK_TIMEOUT_MS = 2_000;

/** LOCK TABLE before anything else: a snapshot that is older than the lock shows an altered table empty. */
const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL row_security = off;
  SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_hashjoin = off`;

const UNDEFINED_TABLE = '42P01';
const LOCK_NOT_AVAILABLE = '55P03';
const INSUFFICIENT_PRIVILEGE = '42501';

/** Reads one database's tables. */
export class SnapshotReader implements SnapshotSource {
  readonly #parts: SnapshotReaderParts;
  readonly #headers = new Map<string, ColumnHeader>();
  /** How large a row is, by table: learned from the last chunk. */
  readonly #rowBytes = new Map<string, number>();

  /** @param parts - connections of a session */
  constructor(parts: SnapshotReaderParts) {
    this.#parts = parts;
  }

  async nextXid(): Promise<bigint> {
    const { control } = this.#parts;
    const { rows } = await told(control, () =>
      control.query('SELECT txid_snapshot_xmax(txid_current_snapshot())::text AS xid'),
    );
    return BigInt(String(rows[0]?.['xid']));
  }

  async write(content: string): Promise<WrittenMessage> {
    const { control } = this.#parts;
    return await told(control, () => writeMessage(control, content));
  }

  async read(request: ChunkRequest, maxBytes: number, firstRowMs: number): Promise<ReadChunk> {
    const { reader } = this.#parts;
    const name = parsePrinted(request.table);
    if (name === undefined) return { kind: 'refused', why: 'its name is none' };
    const found = await told(reader, () =>
      reader.query(`SELECT relkind FROM pg_class WHERE oid = to_regclass($1)`, [request.table]),
    );
    const kind = found.rows[0]?.['relkind'];
    if (kind === undefined) return { kind: 'refused', why: 'it does not exist any more' };
    try {
      await reader.query(BEGIN);
      await reader.query(
        `LOCK TABLE ${kind === 'p' ? '' : 'ONLY '}${quoted(name.schema, name.name)} IN ACCESS SHARE MODE`,
      );
      return await this.#readLocked(request, name, maxBytes, firstRowMs);
    } catch (error) {
      switch (codeOf(error)) {
        case LOCK_NOT_AVAILABLE:
          return { kind: 'locked' };
        case UNDEFINED_TABLE:
          return { kind: 'refused', why: 'it does not exist any more' };
        case INSUFFICIENT_PRIVILEGE:
          return { kind: 'refused', why: 'this role may not read all of its rows' };
        default:
          throw toPipelineError(error, reader.context);
      }
    } finally {
      // Without a connection there is nothing to take back.
      await reader.query('ROLLBACK').catch(() => undefined);
    }
  }

  async #readLocked(request: ChunkRequest, name: TableName, maxBytes: number, firstRowMs: number): Promise<ReadChunk> {
    const { reader } = this.#parts;
    const { rows } = await reader.query('SELECT txid_current_snapshot()::text AS snapshot');
    const text = String(rows[0]?.['snapshot']);
    const snapshot = new MvccSnapshot(text);
    const xmin = BigInt(text.slice(0, text.indexOf(':')));
    if (request.barrier !== undefined && xmin < request.barrier) return { kind: 'waiting', xid: xmin };
    const table = await this.#describe(name);
    if (table === undefined) return { kind: 'refused', why: 'it does not exist any more' };
    const why = whyRefused(table);
    if (why !== undefined) return { kind: 'refused', why };
    const signature = keySignature(table);
    if (request.key !== undefined && request.key !== signature)
      return { kind: 'refused', why: 'its primary key was altered, or the table was made anew' };
    const known = this.#rowBytes.get(request.table);
    const most = known === undefined ? FIRST_ROWS : MAX_CHUNK_ROWS;
    const limit = Math.max(1, Math.min(most, Math.floor(maxBytes / (known ?? GUESSED_ROW_BYTES))));
    const statement = chunkStatement(table, request.cursor, request.asked, request.asked?.length ?? limit);
    const { set, isCut, bytes } = await this.#copy(table, name, statement, maxBytes, firstRowMs);
    const byKey = new Map<string, HeldRow>();
    for (let index = 0; index < set.count; index++) byKey.set(keyText(set.keyOf(index)), { rows: set, index });
    if (set.count > 0) this.#rowBytes.set(request.table, Math.max(1, bytes / set.count));
    const isRange = request.asked === undefined;
    return {
      kind: 'chunk',
      bytes,
      chunk: {
        table: request.table,
        key: signature,
        rows: byKey,
        last: isRange && set.count > 0 ? set.keyOf(set.count - 1) : undefined,
        atEnd: isRange && !isCut && set.count < limit,
        // Of the others it is not known whether they are there.
        asked: isCut ? request.asked?.filter((key) => byKey.has(keyText(key))) : request.asked,
        sees: (xid) => snapshot.isOver(xid),
      },
    };
  }

  async #describe({ schema, name }: TableName): Promise<TableRow | undefined> {
    const { reader } = this.#parts;
    const { publications } = reader.plugin;
    const { rows } = await reader.query(DESCRIBE(reader.versionNum, publications, '= to_regclass($1)'), [
      quoted(schema, name),
    ]);
    return rows[0] as unknown as TableRow | undefined;
  }

  async #copy(
    table: TableRow,
    name: TableName,
    statement: string,
    maxBytes: number,
    firstRowMs: number,
  ): Promise<{ set: RowSet; isCut: boolean; bytes: number }> {
    const columns = (table.columns ?? []).map((column) => this.#column(column));
    const values = new CopyTextReader(columns.length, 2 * this.#parts.maxRecordBytes);
    const copy = new CopyToStdout(this.#parts, statement, firstRowMs);
    let isCut = false;
    let bytes = 0;
    try {
      for await (const chunk of copy.chunks()) {
        copy.took();
        bytes += chunk.length;
        values.push(chunk);
        // Rows are larger than thought. What is read whole is good, and the next chunk asks for less.
        isCut = values.count > 0 && bytes > 2 * maxBytes;
        if (isCut) break;
      }
    } catch (caught) {
      throw copy.failure ?? caught;
    } finally {
      await copy.close();
    }
    const key = (table.key ?? []).map(({ printed }) => printed);
    return { set: new RowSet(name, columns, key, values.values()), isCut, bytes };
  }

  #column({
    name,
    printed,
    type,
  }: {
    readonly name: string;
    readonly printed: string;
    readonly type: string;
  }): ReadColumn {
    const id = `${printed}\0${type}`;
    let header = this.#headers.get(id);
    if (header === undefined) {
      header = { id: FIRST_HEADER - this.#headers.size, printed, name, type };
      this.#headers.set(id, header);
    }
    return { header, kind: KINDS[type] ?? ValueKind.quoted };
  }
}

/** Puts what a statement meets in the operator's words. */
async function told<T>({ context }: Connection, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toPipelineError(error, context);
  }
}

/** Headers of a decoder count up from 0; these down, so that they do not meet in tables by their numbers. */
const FIRST_HEADER = 65_535;

/** The two types whose values COPY and test_decoding print in different ways. A domain over them is not among them. */
const KINDS: Readonly<Record<string, ValueKind>> = {
  boolean: ValueKind.boolean,
  bit: ValueKind.bits,
  'bit varying': ValueKind.bits,
};

/**
 * Writes a message into the WAL, and sees to it that it is flushed: its transaction takes an id, so its commit is a record.
 * It waits for no synchronous standby: one that is away would hold the connection, and no time-out ends that.
 *
 * @param connection - not the one that holds the lock
 * @param content - the message's
 */
export async function writeMessage(connection: Pick<Connection, 'query'>, content: string): Promise<WrittenMessage> {
  const { rows } = await connection.query(
    `SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(false, '${OWN_PREFIX}', $1::text)::text AS lsn,
            (txid_current() & 4294967295)::float8 AS xid, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS micros`,
    [content],
  );
  const [row] = rows;
  return { xid: Number(row?.['xid']), micros: BigInt(String(row?.['micros'])) };
}

/**
 * @param printed - `schema.name`, each quoted where SQL needs it
 * @returns its parts; undefined: it is no such name
 */
export function parsePrinted(printed: string): TableName | undefined {
  const parts = /^([a-z_][a-z0-9_]*|"(?:[^"]|"")*")\.([a-z_][a-z0-9_]*|"(?:[^"]|"")*")$/s.exec(printed);
  if (parts === null) return undefined;
  const plain = (part = ''): string => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part);
  return { printed, schema: plain(parts[1]), name: plain(parts[2]) };
}

/** @returns why a table cannot be read in chunks; undefined: it can be */
export function whyRefused(table: TableRow): string | undefined {
  if (!table.is_table) return 'it is no table, or an unlogged or temporary one';
  if (table.key === null) return 'it has no primary key';
  if (table.deferrable) return 'its primary key is deferrable';
  if (!table.holds)
    return 'its replica identity does not hold the primary key, so a DELETE does not show which row it was';
  if (!table.may_read) return 'this role may not read it';
  if (table.hides_rows) return 'row-level security may hide rows from this role, and half of a table is no snapshot';
  if (!table.published) return 'no publication of the slot has it';
  const sent = new Set((table.columns ?? []).map(({ printed }) => printed));
  if (table.key.some(({ printed }) => !sent.has(printed)))
    return 'the plugin does not send all columns of its primary key';
  return undefined;
}
