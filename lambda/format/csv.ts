/**
 * The format `csv`: `0,CDC,754,public.users,INSERT,42`, one line of RFC 4180 a change, as the Python daemon sent it.
 * Knows the key and nothing else of the row. Names are as test_decoding prints them, with quotes.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4180
 */
import type { TableName } from '../decode/messages.ts';
import { ByteWriter } from './byte-writer.ts';
import { writeKeyText } from './key-text.ts';
import { byOperation, memoise, ofOperation } from './memo.ts';
import type { MakeFormat } from './record.ts';
import { CSV_QUOTED, translate } from './text.ts';

const BEGIN = Buffer.from('0,CDC,', 'latin1');

/**
 * Makes the format `csv`.
 *
 * @returns the format; TRUNCATE's key is an empty field
 */
export const csv: MakeFormat = () => {
  const key = new ByteWriter(256);
  const middle = memoise((table: TableName) => {
    const field = new ByteWriter(128);
    const name = Buffer.from(table.printed, 'utf8');
    writeField(name, name.length, field);
    return byOperation((operation) => Buffer.from(`,${field.toString()},${operation},`, 'utf8'));
  });
  return {
    supportsDeleteWithoutKey: false,
    showsRow: false,
    write(record, out) {
      out.copy(BEGIN);
      out.decimal(record.transaction.xid);
      out.copy(ofOperation(middle(record.table), record.operation));
      if (record.key === undefined || record.change === undefined) return;
      key.clear();
      writeKeyText(record.key, record.change.bytes, key);
      writeField(key.bytes, key.length, out);
    },
  };
};

/** Writes the first bytes of a buffer as a field; quoted where it holds a comma, a quote, CR or LF. */
function writeField(text: Buffer, length: number, out: ByteWriter): void {
  if (!needsQuotes(text, length)) {
    out.copy(text, 0, length);
    return;
  }
  out.byte(0x22);
  translate(out, text, 0, length, CSV_QUOTED);
  out.byte(0x22);
}

function needsQuotes(text: Buffer, length: number): boolean {
  for (let i = 0; i < length; i++) {
    const byte = text[i];
    if (byte === 0x2c || byte === 0x22 || byte === 0x0d || byte === 0x0a) return true;
  }
  return false;
}
