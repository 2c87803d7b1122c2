/** A line ends where the decoder is told: what lies behind it in the buffer never matters, wherever the line is cut. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UndecodableError, ValueKind } from '../../../lambda/decode/messages.ts';
import { PgoutputDecoder } from '../../../lambda/decode/pgoutput/decoder.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { Wal2jsonDecoder } from '../../../lambda/decode/wal2json/decoder.ts';
import { begin, insert, message, NAMES, origin, relation, truncate, type, update } from './pgoutput/printer.ts';

type Decoder = TestDecodingDecoder | PgoutputDecoder | Wal2jsonDecoder;

const WITHOUT_TEXT = new Set<number | undefined>([ValueKind.null, ValueKind.unchanged, ValueKind.elided]);

/** What a decoder makes of a range, as something to be compared. */
function outcome(make: () => Decoder, bytes: Buffer, start: number, end: number): unknown {
  try {
    const line = make().decode(bytes, start, end);
    if (line.kind !== 'change') {
      return line.kind === 'message'
        ? { ...line, bytes: undefined, content: bytes.toString('latin1', line.start, line.end), start: 0, end: 0 }
        : line;
    }
    const { operation, table, newTuple, oldTuple } = line;
    return [newTuple, oldTuple].map(
      (tuple) =>
        tuple && {
          operation,
          table,
          cells: Array.from({ length: tuple.count }, (_, i) => [
            tuple.headers[i]?.printed,
            tuple.headers[i]?.type,
            tuple.kinds[i],
            WITHOUT_TEXT.has(tuple.kinds[i]) ? '' : line.bytes.toString('latin1', tuple.starts[i], tuple.ends[i]),
          ]),
        },
    );
  } catch (error) {
    assert.ok(error instanceof UndecodableError, String(error));
    return error.message;
  }
}

/** Each cut of a line in front of its rest, and the same cut alone. */
function assertBounded(make: () => Decoder, line: Buffer): void {
  for (let cut = 0; cut <= line.length; cut++) {
    const alone = Buffer.from(line.subarray(0, cut));
    const before = Buffer.concat([Buffer.from('COMMIT'), line]);
    assert.deepEqual(
      outcome(make, before, 6, 6 + cut),
      outcome(make, alone, 0, cut),
      `${line.toString('latin1', 0, cut)} | ${line.toString('latin1', cut)}`,
    );
  }
}

const VALUES = `a[t]:null b[a.b[]]:unchanged-toast-datum c["x y"[]]:true d[double precision]:-1.25e+10 e[t]:B'0101' "f ""g"""[t]:'it''s' h[t]:NaN i[t]:-Infinity j[t]:'${'x'.repeat(70)}'`;

describe('a line of test_decoding', () => {
  for (const line of [
    `table a."b ""c""": INSERT: ${VALUES}`,
    `table a.b: UPDATE: old-key: ${VALUES} new-tuple: ${VALUES}`,
    'table a.b, "c".d: TRUNCATE: restart_seqs cascade',
    'table a.b: DELETE: (no-tuple-data)',
    'BEGIN 754',
    'COMMIT 754 (at 2026-01-02 03:04:05.678901+00)',
    'message: transactional: 1 prefix: p, sz: 3, sz: 12 content:abc, sz: 3 c',
    "PREPARE TRANSACTION 'g', txid 5",
  ])
    it(`is read up to its end: ${line.slice(0, 40)}`, () =>
      assertBounded(() => new TestDecodingDecoder(), Buffer.from(line)));
});

describe('a message of pgoutput', () => {
  const table = {
    oid: 5,
    schema: 's',
    name: 't',
    identity: 'f',
    columns: [
      { name: 'c', typeOid: 25 },
      { name: 'd', typeOid: 16 },
    ],
  };
  const make = (): PgoutputDecoder => {
    const decoder = new PgoutputDecoder(NAMES);
    decoder.begin();
    const told = relation(table);
    decoder.decode(told, 0, told.length);
    return decoder;
  };
  for (const [name, bytes] of Object.entries({
    Begin: begin(7, 1n),
    Relation: relation({ ...table, oid: 6 }),
    Type: type(6, 's', 'x'),
    Origin: origin('other'),
    Truncate: truncate([5, 5]),
    Message: message('prefix', Buffer.from('content')),
    Insert: insert(5, ['value', 't']),
    Update: update(5, ['value', null], [undefined, 'f'], 'O'),
  }))
    it(`is read up to its end: ${name}`, () => assertBounded(make, bytes));
});

describe('a line of wal2json', () => {
  const head = '","xid":754,"timestamp":"2026-01-02 03:04:05.678901+00"';
  const columns = String.raw`{"name":"a\"\\","typeoid":25,"value":"x\n\u0001y"},{"name":"b","typeoid":-2,"value":-1.5e+10},{"name":"c","typeoid":16,"value":true},{"name":"d","typeoid":25,"value":null}`;
  for (const line of [
    `B${head}}`,
    `T${head},"schema":"s","table":"t"}`,
    `I${head},"schema":"s","table":"t","columns":[${columns}],"pk":[{"name":"b","typeoid":23},{"name":"c","typeoid":16}]}`,
    `U${head},"schema":"s","table":"t","columns":[${columns}],"identity":[${columns}],"pk":[]}`,
  ])
    it(`is read up to its end: ${line.slice(0, 1)}`, () =>
      assertBounded(() => new Wal2jsonDecoder(NAMES), Buffer.from(line)));
});
