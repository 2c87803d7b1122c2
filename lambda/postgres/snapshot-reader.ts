/**
 * Reads tables beside the slot, a chunk at a time, and writes the messages that say how far that has come. Two connections:
 * the one that holds the lock reads (it has nothing else to do meanwhile), the other writes.
 */
import type { ColumnHeader, TableName } from '../decode/messages.ts';
import { ValueKind } from '../decode/messages.ts';
import type { ReadChunk, SnapshotSource, WrittenMessage } from '../ports/snapshot-source.ts';
import type { ChunkRequest } from '../snapshot/chunk.ts';
import { keyText } from '../snapshot/chunk.ts';
import { CopyTextReader } from '../snapshot/copy-text-reader.ts';
import { type HeldRow, type ReadColumn, RowSet } from '../snapshot/row-set.ts';
import { SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import { type Connection, toPipelineError } from './connection.ts';
import { type CopyParts, CopyToStdout } from './copy-to-stdout.ts';
import { codeOf } from './error-context.ts';
import { MvccSnapshot } from './mvcc-snapshot.ts';
import { NO_TABLE, NOT_UTF8, whyRefused } from './snapshot-refusals.ts';
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

  get publications(): readonly string[] {
    return this.#parts.main.plugin.publications;
  }

  async nextXid(): Promise<bigint> {
    const { control } = this.#parts;
    const { rows } = await translatingErrors(control, () =>
      control.query('SELECT txid_snapshot_xmax(txid_current_snapshot())::text AS xid'),
    );
    return BigInt(String(rows[0]?.['xid']));
  }

  async write(content: string): Promise<WrittenMessage> {
    const { control } = this.#parts;
    return await translatingErrors(control, () => writeMessage(control, content));
  }

  async read(request: ChunkRequest, maxBytes: number, firstRowMs: number): Promise<ReadChunk> {
    const { main } = this.#parts;
    const name = parsePrinted(request.table);
    if (name === undefined) return { kind: 'refused', why: 'its name is none' };
    try {
      // By its names in the catalogs: to_regclass fails where the role may not use the schema.
      const { rows } = await main.query(KIND, [name.schema, name.name]);
      const kind = rows[0]?.['relkind'];
      if (kind === undefined) return { kind: 'refused', why: GONE };
      if (kind !== 'r' && kind !== 'p') return { kind: 'refused', why: NO_TABLE };
      await main.query(BEGIN);
      await main.query(
        `LOCK TABLE ${kind === 'p' ? '' : 'ONLY '}${quoted(name.schema, name.name)} IN ACCESS SHARE MODE`,
      );
      return await this.#readLocked(request, name, maxBytes, firstRowMs);
    } catch (error) {
      const outcome = explainFailure(codeOf(error), request.table, firstRowMs);
      if (outcome === undefined) throw toPipelineError(error, main.context);
      return outcome;
    } finally {
      // Without a connection there is nothing to take back.
      await main.query('ROLLBACK').catch(() => undefined);
    }
  }

  async #readLocked(request: ChunkRequest, name: TableName, maxBytes: number, firstRowMs: number): Promise<ReadChunk> {
    const { main } = this.#parts;
    const { rows } = await main.query('SELECT txid_current_snapshot()::text AS snapshot');
    const text = String(rows[0]?.['snapshot']);
    const snapshot = new MvccSnapshot(text);
    const xmin = BigInt(text.slice(0, text.indexOf(':')));
    if (request.barrier !== undefined && xmin < request.barrier)
      return { kind: 'waiting', what: `transaction ${xmin}, which began before it` };
    const table = await this.#describe(name);
    if (table === undefined) return { kind: 'refused', why: GONE };
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
    if (!set.isUtf8(main.encoding === 'SQL_ASCII')) return { kind: 'refused', why: NOT_UTF8 };
    const byKey = new Map<string, HeldRow>();
    const found = new Set<string>();
    for (let index = 0; index < set.count; index++) {
      const text = keyText(set.keyOf(index));
      found.add(text);
      if (table.filter === null || set.text(index, set.columns.length) === 't') byKey.set(text, { rows: set, index });
    }
    // Of the others it is not known whether they are there.
    const asked = isCut ? request.asked?.filter((key) => found.has(keyText(key))) : request.asked;
    if (asked?.length === 0 && request.asked !== undefined && request.asked.length > 1) {
      // Equal keys may have other texts, as numeric 1.0 and 1.00: so nothing says which of them were found.
      return await this.#readLocked({ ...request, asked: request.asked.slice(0, 1) }, name, maxBytes, firstRowMs);
    }
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
        asked: asked?.length === 0 ? request.asked : asked,
        sees: (xid) => snapshot.isOver(xid),
      },
    };
  }

  async #describe({ schema, name }: TableName): Promise<TableRow | undefined> {
    const { main } = this.#parts;
    const { publications } = main.plugin;
    const { rows } = await main.query(DESCRIBE(main.versionNum, publications, '= to_regclass($1)'), [
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
    const perRow = columns.length + (table.filter === null ? 0 : 1);
    const values = new CopyTextReader(perRow, 2 * this.#parts.maxRecordBytes);
    const copy = new CopyToStdout(this.#parts, statement, firstRowMs);
    let isCut = false;
    let bytes = 0;
    try {
      for await (const chunk of copy.chunks()) {
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

/** The kind of a relation, by its names. */
const KIND = `SELECT c.relkind::text AS relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

const GONE = 'it does not exist any more';

/** Classes of codes that say something of the table and not of the server or the connection; 45 and from I on they are functions' own. */
const OF_THE_TABLE = /^(0A|2[123]|39|42|44|45|54|55|[I-Z][0-9A-Z])...$/;
const OF_THE_SERVER = /^(53|58)...$/;

/**
 * What becomes of a table that could not be read. Where the table is the reason it is given up: a snapshot must never keep
 * changes from being published.
 *
 * @returns undefined: it is nothing of the snapshot's
 */
function explainFailure(code: string, table: string, firstRowMs: number): ReadChunk | undefined {
  switch (code) {
    case '55P03':
    case '40P01':
      return { kind: 'waiting', what: `a lock on ${table}` };
    case '57014':
      return { kind: 'waiting', what: `the next row of ${table}, which took more than ${firstRowMs / 1000} s to find` };
    case '42P01':
    case '3F000':
      return { kind: 'refused', why: GONE };
    case '42809':
      return { kind: 'refused', why: NO_TABLE };
    case '42501':
      return { kind: 'refused', why: 'this role may not read all of its rows' };
    default:
  }
  if (OF_THE_SERVER.test(code)) return { kind: 'waiting', what: `the server, which failed with ${code} on ${table}` };
  if (OF_THE_TABLE.test(code)) return { kind: 'refused', why: `the server cannot read it (${code})` };
  return undefined;
}

/** Puts what a statement meets in the operator's words. */
async function translatingErrors<T>({ context }: Connection, work: () => Promise<T>): Promise<T> {
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
    `SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(false, '${SNAPSHOT_MESSAGE_PREFIX}', $1::text)::text AS lsn,
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
