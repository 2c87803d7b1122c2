/** Properties of the decoder: what is printed is read back, and what is damaged is refused or read whole, never guessed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Tuple } from '../../../../lambda/decode/messages.ts';
import { UndecodableError, ValueKind } from '../../../../lambda/decode/messages.ts';
import type { DecodedMessage } from '../../../../lambda/decode/plugin-decoder.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import type { Row } from './printer.ts';
import { printRow, printTable, readRow } from './printer.ts';
import { HOSTILE, hostile, row, rowsOfATable, SECRET, table } from './random-rows.ts';

function decode(decoder: TestDecodingDecoder, line: string): DecodedMessage {
  const bytes = Buffer.from(line);
  return decoder.decode(bytes, 0, bytes.length);
}

function assertReadBack(decoder: TestDecodingDecoder, printed: Row): void {
  const line = decode(decoder, printRow(printed));
  assert.equal(line.kind, 'change');
  assert.deepEqual(readRow(line), printed);
}

describe('what test_decoding prints', () => {
  // One decoder over all runs: what it remembers of earlier lines must not matter.
  it('is read back, row by row', () => {
    const decoder = new TestDecodingDecoder();
    fc.assert(
      fc.property(row, (printed) => assertReadBack(decoder, printed)),
      { numRuns: 2_000 },
    );
  });

  it('is read back while columns come and go, also by a decoder that keeps forgetting', () => {
    for (const decoder of [new TestDecodingDecoder(), new TestDecodingDecoder(3)]) {
      fc.assert(
        fc.property(rowsOfATable, (rows) => {
          for (const printed of rows) assertReadBack(decoder, printed);
        }),
        { numRuns: 300 },
      );
    }
  });

  it('is read back for TRUNCATE', () => {
    const decoder = new TestDecodingDecoder();
    const flags = fc.constantFrom(' (no-flags)', ' restart_seqs', ' cascade', ' restart_seqs cascade');
    fc.assert(
      fc.property(fc.array(table, { minLength: 1, maxLength: 6 }), flags, (tables, flag) => {
        const line = decode(decoder, `table ${tables.map(printTable).join(', ')}: TRUNCATE:${flag}`);
        assert.equal(line.kind, 'truncate');
        assert.deepEqual(
          line.tables.map(({ schema, name }) => ({ schema, name })),
          tables,
        );
      }),
    );
  });

  it('is read back for a logical message of any prefix and content, whose prefix is never longer than it was', () => {
    const decoder = new TestDecodingDecoder();
    fc.assert(
      fc.property(
        fc.boolean(),
        hostile,
        fc.uint8Array({ maxLength: 40 }),
        fc.boolean(),
        (transactional, prefix, content, cut) => {
          const head = Buffer.from(
            `message: transactional: ${Number(transactional)} prefix: ${prefix}, sz: ${content.length} content:`,
          );
          const bytes = Buffer.concat([head, content]);
          const line = decoder.decode(bytes, 0, cut ? 'message:'.length : bytes.length);
          if (cut) return assert.deepEqual(line, { kind: 'ignored' });
          assert.ok(line.kind === 'message' && line.prefix !== undefined);
          assert.equal(line.transactional, transactional);
          assert.ok(prefix.startsWith(line.prefix));
          if (!prefix.includes(', sz: ')) assert.equal(line.prefix, prefix);
          const rest = Buffer.from(
            `message: transactional: ${Number(transactional)} prefix: ${line.prefix}, sz: ${line.size} content:`,
          );
          assert.deepEqual(Buffer.concat([rest, bytes.subarray(line.start, line.end)]), bytes);
        },
      ),
    );
  });

  it('is read back for a commit time of any microsecond from the year 0 to 9999', () => {
    const decoder = new TestDecodingDecoder();
    fc.assert(
      fc.property(
        fc.integer({ min: -62_167_219_200, max: 253_402_300_799 }),
        fc.integer({ min: 0, max: 999_999 }),
        (seconds, micros) => {
          const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
          const time = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
          const commitTimeMicros = BigInt(seconds) * 1_000_000n + BigInt(micros);
          assert.deepEqual(decode(decoder, `COMMIT 7 (at ${time}${fraction}+00)`), {
            kind: 'commit',
            xid: 7,
            commitTimeMicros,
          });
        },
      ),
    );
  });
});

/** What a change says, put together again from its names and ranges: the line itself, if nothing of it was passed over. */
function reassemble(line: DecodedMessage): string | undefined {
  if (line.kind !== 'change') return undefined;
  const part = (tuple: Tuple | undefined): string => {
    if (tuple === undefined) return ' (no-tuple-data)';
    let text = '';
    for (let i = 0; i < tuple.count; i++) {
      const raw = line.bytes.toString('utf8', tuple.starts[i], tuple.ends[i]);
      const kind = tuple.kinds[i];
      const quoted = kind === ValueKind.quoted || kind === ValueKind.escaped;
      const shown =
        kind === ValueKind.null
          ? 'null'
          : kind === ValueKind.unchanged
            ? 'unchanged-toast-datum'
            : kind === ValueKind.bits
              ? `B'${raw}'`
              : quoted
                ? `'${raw}'`
                : raw;
      text += ` ${tuple.headers[i]?.printed ?? ''}[${tuple.headers[i]?.type ?? ''}]:${shown}`;
    }
    return text;
  };
  const { operation, table, oldTuple, newTuple } = line;
  const old = operation === 'UPDATE' && oldTuple !== undefined ? ` old-key:${part(oldTuple)} new-tuple:` : '';
  return `table ${table.printed}: ${operation}:${old}${part(operation === 'DELETE' ? oldTuple : newTuple)}`;
}

/** Decodes what may be damaged: a line, or the one error that is allowed, which gives nothing away (I10). */
function decodeDamaged(decoder: TestDecodingDecoder, bytes: Buffer): DecodedMessage | undefined {
  try {
    return decoder.decode(bytes, 0, bytes.length);
  } catch (error) {
    assert.ok(error instanceof UndecodableError, String(error));
    assert.ok(
      Number.isInteger(error.offset) && error.offset >= 0 && error.offset <= bytes.length,
      `offset ${error.offset} of ${bytes.length}`,
    );
    assert.ok(!error.message.includes(SECRET) && !/[^\x20-\x7e]/.test(error.message), error.message);
    return undefined;
  }
}

const line = fc.oneof(
  { weight: 8, arbitrary: row.map(printRow) },
  fc.tuple(table, table).map(([a, b]) => `table ${printTable(a)}, ${printTable(b)}: TRUNCATE: restart_seqs cascade`),
  fc.constantFrom(
    'BEGIN 754',
    'COMMIT 754 (at 2026-01-02 03:04:05.678901+00)',
    `message: transactional: 1 prefix: p, sz: 10 content:${SECRET}`,
  ),
);
const place = fc.double({ min: 0, max: 1, noNaN: true });

describe('what is damaged', () => {
  it('I10: is read whole or refused without a word of it: cuts, insertions, deletions, repeats', () => {
    const decoder = new TestDecodingDecoder();
    const damage = fc.tuple(
      line,
      place,
      place,
      fc.constantFrom('cut', 'delete', 'insert', 'repeat', 'swap'),
      fc.constantFrom(...HOSTILE, SECRET),
    );
    fc.assert(
      fc.property(damage, ([whole, one, two, what, text]) => {
        const points = Array.from(whole);
        const [from = 0, to = 0] = [one, two].map((at) => Math.floor(at * points.length)).sort((a, b) => a - b);
        const [head, middle, tail] = [
          points.slice(0, from).join(''),
          points.slice(from, to).join(''),
          points.slice(to).join(''),
        ];
        const damaged = {
          cut: head,
          delete: head + tail,
          insert: head + text + middle + tail,
          repeat: head + middle + middle + tail,
          swap: middle + head + tail,
        }[what];
        const decoded = decodeDamaged(decoder, Buffer.from(damaged));
        if (decoded?.kind === 'change') assert.equal(reassemble(decoded), damaged);
      }),
      { numRuns: 5_000 },
    );
  });

  it('I10: is read whole or refused without a word of it: any bytes', () => {
    const decoder = new TestDecodingDecoder();
    const damage = fc.tuple(
      line,
      fc.array(fc.tuple(place, fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }),
    );
    fc.assert(
      fc.property(damage, ([whole, changes]) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[Math.min(bytes.length - 1, Math.floor(at * bytes.length))] = byte;
        const decoded = decodeDamaged(decoder, bytes);
        // Names are text: where the damage is no UTF-8 they cannot give the bytes back.
        const text = bytes.toString();
        if (decoded?.kind === 'change' && Buffer.from(text).equals(bytes)) assert.equal(reassemble(decoded), text);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is refused in time that grows with its length, not with its square', () => {
    const decoder = new TestDecodingDecoder();
    for (const unit of [', sz: 1 content:', ', sz: ', "''", '""', 'a[b]:1 ', 'x', ' ']) {
      const tail = unit.repeat(200_000);
      for (const head of [
        'message: transactional: 1 prefix: ',
        "table a.b: INSERT: x[t]:'",
        'table a."',
        'table a.b: INSERT: ',
        'table a.b: INSERT: "',
        'COMMIT 1 (at ',
        'BEGIN ',
      ]) {
        decodeDamaged(decoder, Buffer.from(head + tail));
      }
    }
  });
});
