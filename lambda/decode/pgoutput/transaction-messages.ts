/**
 * The messages with which pgoutput begins and ends a transaction. Pure; knows no row.
 *
 * @see https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 */
import type { DecodedBegin, DecodedCommit } from '../plugin-decoder.ts';
import { clampMicros } from '../timestamp.ts';
import type { MessageReader } from './reader.ts';

/** Microseconds from 1970-01-01 to 2000-01-01, from which PostgreSQL counts. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;

/** @param reader - behind the kind of a Begin @returns what it says */
export function readBegin(reader: MessageReader): DecodedBegin {
  reader.int64("a commit record's LSN");
  const commitTimeMicros = readCommitTime(reader);
  const xid = reader.uint32('a transaction id');
  reader.end();
  return { kind: 'begin', xid, commitTimeMicros };
}

/** @param reader - behind the kind of a Commit @returns what it says */
export function readCommit(reader: MessageReader): DecodedCommit {
  if (reader.byte('flags') !== 0) throw reader.expected('flags of 0', 1);
  reader.int64("a commit record's LSN");
  reader.int64("a commit record's end");
  const commitTimeMicros = readCommitTime(reader);
  reader.end();
  return { kind: 'commit', xid: undefined, commitTimeMicros };
}

/** Infinity is the least and the largest number of 64 bits: a replication origin may have given it. */
function readCommitTime(reader: MessageReader): bigint {
  return clampMicros(reader.int64('a commit time') + POSTGRES_EPOCH_MICROS);
}
