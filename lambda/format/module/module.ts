/**
 * The format `module`: a formatter of the user's own decides what a change becomes. Pure but for it; what it throws or
 * returns is trusted in nothing. Knows no file: whoever makes the format gives it the formatter.
 */
import { isPromise } from 'node:util/types';
import { ByteWriter } from '../byte-writer.ts';
import { builtInDelimiter } from '../json/value-converters.ts';
import { shortenPartitionKey } from '../partition-key.ts';
import type { ChangeRecord, Format, LogicalMessageRecord, MakeFormat } from '../record.ts';
import { ChangeMaker } from './change.ts';
import { logicalMessageOf } from './logical-message.ts';
import { describeThrown } from './thrown.ts';

const NEWLINE = 0x0a;

/** A formatter failed at a change, or returned what cannot be published. Says what, and quotes no value (I10). */
export class FormatterError extends Error {
  override readonly name = 'FormatterError';
}

/**
 * Makes the format `module`.
 *
 * @param options - `formatter`: the user's; `oneLine`: whether a record may hold a line break
 * @throws {FormatterError} where there is none
 */
export const moduleFormat: MakeFormat = (options) => {
  const { formatter, oneLine = false } = options;
  if (formatter === undefined) throw new FormatterError('there is no formatter');
  const changes = new ChangeMaker(options.source, options.arrayDelimiter ?? builtInDelimiter);

  /** Runs the user's code, and takes out of its answer what is needed: a getter can fail, too. */
  const answerOf = (
    call: () => unknown,
  ): { data: string | Uint8Array; partitionKey: string | undefined } | undefined => {
    let answer: unknown;
    let data: unknown;
    let partitionKey: unknown;
    try {
      answer = call();
      if (answer === undefined) return undefined;
      if (isPromise(answer)) {
        answer.catch(() => undefined);
        throw new FormatterError('returned a promise, but nothing waits for one');
      }
      if (typeof answer !== 'object' || answer === null)
        throw new FormatterError(`returned ${answer === null ? 'null' : `a ${typeof answer}`}`);
      ({ data, partitionKey } = answer as { data?: unknown; partitionKey?: unknown });
    } catch (error) {
      throw error instanceof FormatterError ? error : new FormatterError(`threw ${describeThrown(error)}`);
    }
    if (typeof data !== 'string' && !(data instanceof Uint8Array))
      throw new FormatterError('returned a record whose "data" is neither a string nor bytes');
    if (partitionKey === undefined) return { data, partitionKey };
    if (typeof partitionKey !== 'string' || partitionKey === '')
      throw new FormatterError(
        `returned a record whose "partitionKey" is ${partitionKey === '' ? 'empty' : 'no string'}`,
      );
    return { data, partitionKey };
  };

  const take = (call: () => unknown, out: ByteWriter, partitionKey: ByteWriter): boolean => {
    const answer = answerOf(call);
    if (answer === undefined) return false;
    const start = out.length;
    if (typeof answer.data === 'string') out.utf8(answer.data);
    else out.copy(Buffer.from(answer.data.buffer, answer.data.byteOffset, answer.data.byteLength));
    if (oneLine) requireOneLine(out, start);
    if (answer.partitionKey !== undefined) {
      partitionKey.clear();
      partitionKey.utf8(answer.partitionKey);
      shortenPartitionKey(partitionKey, 0);
    }
    return true;
  };

  const decide = (record: ChangeRecord, out: ByteWriter, partitionKey: ByteWriter): boolean => {
    // What it is given is ours to make: a failure there is none of the formatter's.
    const change = changes.of(record);
    return take(() => formatter.format(change), out, partitionKey);
  };

  const writeLogicalMessage = (record: LogicalMessageRecord, out: ByteWriter, partitionKey: ByteWriter): boolean => {
    const message = logicalMessageOf(options.source, record);
    return take(() => formatter.formatMessage?.(message), out, partitionKey);
  };

  const unused = new ByteWriter(16);
  const format: Format = {
    supportsDeleteWithoutKey: true,
    showsRow: true,
    decide,
    writeLogicalMessage,
    write: (record, out) => void decide(record, out, unused),
  };
  return format;
};

/** A reader of lines would take a line break for the record's end, and such first bytes for a compressed block. */
function requireOneLine(out: ByteWriter, start: number): void {
  const data = out.bytes.subarray(start, out.length);
  if (data.includes(NEWLINE))
    throw new FormatterError('returned a line break, which ends a record of AGGREGATION=lines');
  const first = data.length < 2 ? 0 : data.readUInt16BE();
  if (first === 0x1f8b || first === 0x28b5)
    throw new FormatterError('returned bytes that begin as a compressed block of AGGREGATION=lines does');
}
