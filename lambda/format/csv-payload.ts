/**
 * The format `csv-payload`, the default: `0,CDC,` and one JSON object with the key, spaced and ordered as the Python
 * daemon's: `0,CDC,{"xid": "754", "table": "public.users", "operation": "INSERT", "pkey": "42"}`.
 * Knows the key and nothing else of the row. Names are as test_decoding prints them. Where the daemon wrote \u escapes
 * for what is not ASCII, this writes UTF-8.
 */
import type { TableName } from '../decode/messages.ts';
import { writeKeyJson } from './key-text.ts';
import { byOperation, memoise, ofOperation } from './memo.ts';
import { NULL } from './null.ts';
import type { MakeFormat } from './record.ts';

const BEGIN = Buffer.from('0,CDC,{"xid": "', 'latin1');
const QUOTE = 0x22;

/**
 * Makes the format `csv-payload`.
 *
 * @returns the format; TRUNCATE's `pkey` is null
 */
export const csvPayload: MakeFormat = () => {
  const middle = memoise((table: TableName) =>
    byOperation((operation) =>
      Buffer.from(`, "table": ${JSON.stringify(table.printed)}, "operation": "${operation}", "pkey": `, 'utf8'),
    ),
  );
  return {
    supportsDeleteWithoutKey: false,
    showsRow: false,
    write(record, out) {
      out.copy(BEGIN);
      out.decimal(record.transaction.xid);
      out.byte(QUOTE);
      out.copy(ofOperation(middle(record.table), record.operation));
      if (record.key === undefined || record.change === undefined) out.copy(NULL);
      else writeKeyJson(record.key, record.change.bytes, out);
      out.byte(0x7d);
    },
  };
};
