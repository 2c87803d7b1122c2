/** Writes pgoutput's messages as the server's logicalrep_write_* functions do, and reads changes back. */
import type { RowChange, Tuple } from '../../../../lambda/decode/messages.ts';
import { ValueKind } from '../../../../lambda/decode/messages.ts';
import type { ServerNames } from '../../../../lambda/decode/server-names.ts';

/** A value: text, bytes, NULL, or stored out of line and unchanged. */
export type Value = string | Buffer | null | undefined;

/** A column of a table. */
export interface Column {
  readonly name: string;
  readonly typeOid: number;
  readonly isKey?: boolean;
}

/** A table. */
export interface Table {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly identity?: string;
  readonly columns: readonly Column[];
}

/** What the catalogs of these tests say. */
export const NAMES: ServerNames = {
  typeName: (oid) => ({ 16: 'boolean', 23: 'integer', 25: 'text', 1560: 'bit', 1562: 'bit varying' })[oid],
  isKeyword: (word) => word === 'order' || word === 'user',
};

const int = (bytes: number, value: number | bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
};
const text = (value: string | Buffer): Buffer => Buffer.concat([bytesOf(value), Buffer.alloc(1)]);
const bytesOf = (value: string | Buffer): Buffer => (typeof value === 'string' ? Buffer.from(value) : value);
const kind = (letter: string): Buffer => Buffer.from(letter);

const EPOCH = 946_684_800_000_000n;

export function begin(xid: number, micros: bigint, lsn = 1n): Buffer {
  return Buffer.concat([kind('B'), int(8, lsn), int(8, micros - EPOCH), int(4, xid)]);
}

export function commit(micros: bigint, lsn = 1n, end = 2n): Buffer {
  return Buffer.concat([kind('C'), int(1, 0), int(8, lsn), int(8, end), int(8, micros - EPOCH)]);
}

export function relation({ oid, schema, name, identity = 'd', columns }: Table): Buffer {
  const sent = columns.map((column) =>
    Buffer.concat([
      int(1, column.isKey === true ? 1 : 0),
      text(column.name),
      int(4, column.typeOid),
      int(4, 0xffffffffn),
    ]),
  );
  return Buffer.concat([
    kind('R'),
    int(4, oid),
    text(schema),
    text(name),
    kind(identity),
    int(2, columns.length),
    ...sent,
  ]);
}

export function type(oid: number, schema: string, name: string | Buffer): Buffer {
  return Buffer.concat([kind('Y'), int(4, oid), text(schema), text(name)]);
}

function tuple(values: readonly Value[]): Buffer {
  const parts = values.map((value) => {
    if (value === null) return kind('n');
    if (value === undefined) return kind('u');
    const bytes = bytesOf(value);
    return Buffer.concat([kind('t'), int(4, bytes.length), bytes]);
  });
  return Buffer.concat([int(2, values.length), ...parts]);
}

export function insert(oid: number, values: readonly Value[]): Buffer {
  return Buffer.concat([kind('I'), int(4, oid), kind('N'), tuple(values)]);
}

export function update(oid: number, values: readonly Value[], old?: readonly Value[], part = 'K'): Buffer {
  const before = old === undefined ? [] : [kind(part), tuple(old)];
  return Buffer.concat([kind('U'), int(4, oid), ...before, kind('N'), tuple(values)]);
}

export function remove(oid: number, old: readonly Value[], part = 'K'): Buffer {
  return Buffer.concat([kind('D'), int(4, oid), kind(part), tuple(old)]);
}

export function truncate(oids: readonly number[], flags = 0): Buffer {
  return Buffer.concat([kind('T'), int(4, oids.length), int(1, flags), ...oids.map((oid) => int(4, oid))]);
}

export function message(prefix: string, content: Buffer, transactional = true): Buffer {
  return Buffer.concat([
    kind('M'),
    int(1, transactional ? 1 : 0),
    int(8, 77n),
    text(prefix),
    int(4, content.length),
    content,
  ]);
}

export function origin(name: string): Buffer {
  return Buffer.concat([kind('O'), int(8, 5n), text(name)]);
}

/** A tuple's columns as name, type and text; undefined where there is none. */
export function cells(row: Tuple | undefined, bytes: Buffer): Record<string, readonly [string, Value]> {
  const found: Record<string, readonly [string, Value]> = {};
  for (let i = 0; row !== undefined && i < row.count; i++) {
    const header = row.headers[i];
    if (header !== undefined) found[header.name] = [header.type, valueOf(row, i, bytes)];
  }
  return found;
}

function valueOf(row: Tuple, i: number, bytes: Buffer): Value {
  switch (row.kinds[i]) {
    case ValueKind.null:
      return null;
    case ValueKind.unchanged:
      return undefined;
    case ValueKind.elided:
      return 'elided';
    default:
      return bytes.toString('utf8', row.starts[i], row.ends[i]);
  }
}

/** A change, to be compared. */
export function shown(change: RowChange): object {
  return {
    operation: change.operation,
    table: change.table.printed,
    new: change.newTuple === undefined ? undefined : cells(change.newTuple, change.bytes),
    old: change.oldTuple === undefined ? undefined : cells(change.oldTuple, change.bytes),
  };
}
