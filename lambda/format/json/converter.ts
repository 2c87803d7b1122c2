/**
 * What turns a value's text into JSON: the type that the converters of values and of arrays share.
 */
import type { ByteWriter } from '../byte-writer.ts';

/**
 * Writes a value's text as JSON.
 *
 * @param out - appended to
 * @param bytes - what holds the text, UTF-8
 * @param start - its first byte
 * @param end - the index after its last byte
 * @param doubled - whether apostrophes in it are doubled
 */
export type Converter = (out: ByteWriter, bytes: Buffer, start: number, end: number, doubled: boolean) => void;
