/**
 * What an error of the server says of decoding: whether it comes from there, near which position, and the words of it
 * that may be shown. Pure; no value of a row leaves this file (I10).
 */
import { type Lsn, parseLsn } from '../decode/lsn.ts';

/** The fields of an error of the server that are looked at; node-postgres has them all. */
interface ServerError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly file?: unknown;
  readonly routine?: unknown;
  readonly where?: unknown;
}

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** SQLSTATE classes of a session that ends or is refused: not of what it was reading. */
const SESSION_CLASSES = new Set(['08', '25', '28', '3D', '40', '57']);

/** A text that the server cannot put in the client's encoding. Its message quotes the bytes: it goes no further, not even as a cause (I10). */
const INCONVERTIBLE = new Set(['22021', '22P05']);

/** Where the server reads its WAL: a file that is missing there is WAL, elsewhere it is a table's or a library's. */
const WAL_FILES = new Set(['xlog.c', 'xlogreader.c', 'xlogutils.c', 'xlogrecovery.c', 'walsender.c']);
/** Of the server, that go through WAL record by record, and raise XX000 only where a record cannot be read. */
const WAL_LOOPS = new Set([
  'pg_logical_slot_get_changes_guts',
  'pg_logical_replication_slot_advance',
  'LogicalSlotAdvanceAndCheckSnapState',
]);

/**
 * The server's own files whose messages tell of sizes, object ids, types and file names, never of a row's values. An
 * output function, the server's or an extension's, may quote the value that it was given.
 */
const VALUE_FREE_FILES = new Set(
  `aset.c mcxt.c stringinfo.c detoast.c heaptoast.c toast_internals.c toast_compression.c tuptoaster.c heaptuple.c
   heapam.c genam.c indexam.c md.c bufmgr.c fd.c buffile.c tuplestore.c logtape.c relcache.c catcache.c syscache.c
   lsyscache.c typcache.c relmapper.c relfilenumbermap.c relfilenodemap.c inval.c snapbuild.c reorderbuffer.c decode.c
   logical.c logicalfuncs.c pgoutput.c slot.c xlogreader.c dfmgr.c fmgr.c pseudotypes.c format_type.c`.split(/\s+/),
);

/**
 * Whether the server failed while it decoded, at something that is in the WAL or that decoding needs.
 *
 * @param error - what ended a peek, which nothing else explains; or which is of a file or of WAL, and may lie behind what is good
 */
export function isDecodingFailure(error: unknown): boolean {
  const { code } = fieldsOf(error);
  return typeof code === 'string' && SQLSTATE.test(code) && !SESSION_CLASSES.has(code.slice(0, 2));
}

/**
 * Whether the server met a text that is invalid in the database's own encoding, or has no equivalent in UTF-8. A plugin
 * that converts (pgoutput) meets it while it decodes; otherwise it is the statement that converts a row.
 *
 * @param error - of a statement on the slot
 */
export function isInconvertible(error: unknown): boolean {
  return INCONVERTIBLE.has(String(fieldsOf(error).code));
}

/**
 * Whether WAL itself cannot be read: a segment is missing or damaged.
 *
 * @param error - of a statement on the slot
 */
export function isUnreadableWal(error: unknown): boolean {
  const { code, file, routine } = fieldsOf(error);
  return code === '58P01' ? WAL_FILES.has(String(file)) : code === 'XX000' && WAL_LOOPS.has(String(routine));
}

/**
 * Whether the server was writing down the changes that it collects, which it does also with those that the slot has
 * passed and `restart_lsn` has not.
 *
 * @param error - what ended a peek
 */
export function isSpilling(error: unknown): boolean {
  return fieldsOf(error).file === 'reorderbuffer.c';
}

/**
 * @param error - an error that the server sent
 * @returns what may be shown: SQLSTATE, the place in the server, and its message where that can hold no value
 */
export function shownReport(error: unknown): string {
  const { code, message, file, routine } = fieldsOf(error);
  if (isInconvertible(error)) {
    return `SQLSTATE ${String(code)}: a text is invalid in the database's own encoding, or has no equivalent in UTF-8`;
  }
  const words = typeof message === 'string' && VALUE_FREE_FILES.has(String(file)) ? `: ${message}` : '';
  const place = typeof routine === 'string' && /^\w+$/.test(routine) ? `, raised in ${routine}` : '';
  return `SQLSTATE ${String(code)}${place}${words}`;
}

/**
 * Where the server was: logical decoding adds it to the context of its errors, in whatever language.
 *
 * @param error - an error that the server sent
 * @returns the LSN of the change it was at; undefined where it says none
 */
export function lsnNear(error: unknown): Lsn | undefined {
  const { where } = fieldsOf(error);
  const found = typeof where === 'string' ? /\b[0-9A-F]{1,8}\/[0-9A-F]{1,8}\b/.exec(where) : null;
  return found === null ? undefined : parseLsn(found[0]);
}

function fieldsOf(error: unknown): ServerError {
  return typeof error === 'object' && error !== null ? error : {};
}
