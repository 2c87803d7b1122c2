/**
 * test_decoding's lines that carry no row: BEGIN, COMMIT and those of prepared transactions.
 * Pure functions over bytes; knows nothing of tables and columns.
 *
 * @see https://github.com/postgres/postgres/blob/master/contrib/test_decoding/test_decoding.c
 */
import { UndecodableError } from '../messages.ts';
import type { DecodedBegin, DecodedCommit } from '../plugin-decoder.ts';
import { readTimestampMicros } from '../timestamp.ts';
import { literal, readInteger, startsWithAt } from './scan.ts';

const SPACE = 0x20;
const BEGIN = literal('BEGIN');
const COMMIT = literal('COMMIT');
const PREPARE_TRANSACTION = literal('PREPARE TRANSACTION ');
const ROLLBACK_PREPARED = literal('ROLLBACK PREPARED ');
const PREPARED = literal(' PREPARED ');
const AT = literal(' (at ');
const CLOSING_PARENTHESIS = 0x29;
const MAX_XID = 0xffffffff;

/**
 * The error for a line that begins like none that we read.
 *
 * @param bytes - what holds the line
 * @param start - its first byte
 * @param end - the index after its last byte
 * @returns the error: for a prepared transaction another than for garbage
 */
export function unknownLineError(bytes: Buffer, start: number, end: number): UndecodableError {
  const prepared =
    startsWithAt(bytes, start, end, PREPARE_TRANSACTION) || startsWithAt(bytes, start, end, ROLLBACK_PREPARED);
  return prepared ? preparedTransactionError() : new UndecodableError('"table ", "BEGIN", "COMMIT" or "message:"', 0);
}

function preparedTransactionError(): UndecodableError {
  return new UndecodableError(
    'no line of a prepared transaction (the slot was made with two_phase, which is not supported)',
    0,
  );
}

/** The index after ` 754` if the line goes on with that, else the same index. */
function skipXid(bytes: Buffer, at: number, end: number): number {
  let i = at + 1;
  if (at + 1 >= end || bytes[at] !== SPACE) return at;
  while (i < end && bytes[i] !== SPACE) i++;
  return i;
}

/**
 * Decodes `BEGIN 754`.
 *
 * @param bytes - what holds the line
 * @param start - its first byte
 * @param end - the index after its last byte
 * @returns what it says
 * @throws {UndecodableError} when it is anything else
 */
export function decodeBegin(bytes: Buffer, start: number, end: number): DecodedBegin {
  if (!startsWithAt(bytes, start, end, BEGIN)) throw new UndecodableError('"BEGIN"', 0);
  const at = start + BEGIN.length;
  return at === end ? { kind: 'begin', xid: undefined } : { kind: 'begin', xid: readXid(bytes, at, end, start) };
}

/** ` 754`, up to an index. */
function readXid(bytes: Buffer, at: number, end: number, start: number): number {
  if (at >= end || bytes[at] !== SPACE) throw new UndecodableError('" " before a transaction id', at - start);
  const xid = readInteger(bytes, at + 1, end, MAX_XID);
  if (xid < 0) throw new UndecodableError('a transaction id of 32 bits', at + 1 - start);
  return xid;
}

/**
 * Decodes `COMMIT 754 (at 2026-01-02 03:04:05.678901+00)`.
 *
 * @param bytes - what holds the line
 * @param start - its first byte
 * @param end - the index after its last byte
 * @returns what it says
 * @throws {UndecodableError} when it is anything else
 */
export function decodeCommit(bytes: Buffer, start: number, end: number): DecodedCommit {
  if (!startsWithAt(bytes, start, end, COMMIT)) throw new UndecodableError('"COMMIT"', 0);
  let at = start + COMMIT.length;
  if (startsWithAt(bytes, at, end, PREPARED)) throw preparedTransactionError();
  let xid: number | undefined;
  if (at < end && !startsWithAt(bytes, at, end, AT)) {
    const next = skipXid(bytes, at, end);
    xid = readXid(bytes, at, next, start);
    at = next;
  }
  if (at === end) return { kind: 'commit', xid, commitTimeMicros: undefined };
  if (!startsWithAt(bytes, at, end, AT)) throw new UndecodableError('" (at "', at - start);
  at += AT.length;
  if (bytes[end - 1] !== CLOSING_PARENTHESIS) throw new UndecodableError('")" after a commit time', end - start);
  const commitTimeMicros = readTimestampMicros(bytes, at, end - 1);
  if (commitTimeMicros === undefined) throw new UndecodableError('a commit time in ISO style', at - start);
  return { kind: 'commit', xid, commitTimeMicros };
}
