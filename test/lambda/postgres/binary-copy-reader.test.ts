/** https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BinaryCopyReader } from '../../../lambda/postgres/binary-copy-reader.ts';

interface Row {
  lsn: bigint;
  data: Uint8Array;
}

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);

function encode(row: Row | null): Buffer {
  if (row === null) return Buffer.from([0, 2, 255, 255, 255, 255, 255, 255, 255, 255]);
  const head = Buffer.alloc(18);
  head.writeInt16BE(2, 0);
  head.writeInt32BE(8, 2);
  head.writeBigUInt64BE(row.lsn, 6);
  head.writeInt32BE(row.data.length, 14);
  return Buffer.concat([head, row.data]);
}

/** All rows of the chunks, copied out. Each chunk is gone once its rows are taken. */
function read(chunks: readonly Buffer[]): { rows: (Row | null)[]; ended: boolean } {
  const reader = new BinaryCopyReader();
  const rows: (Row | null)[] = [];
  for (const chunk of chunks.map((each) => Buffer.from(each))) {
    reader.push(chunk);
    while (reader.next()) {
      if (reader.isNull) {
        rows.push(null);
        continue;
      }
      const data = Uint8Array.from(reader.bytes.subarray(reader.start, reader.end));
      rows.push({ lsn: reader.lsn(), data });
      assert.equal(
        reader.isAscii(),
        data.every((byte) => byte < 0x80),
      );
    }
    chunk.fill(0xee);
    const last = rows.at(-1);
    if (last && !reader.ended) assert.equal(reader.lsn(), last.lsn);
  }
  return { rows, ended: reader.ended };
}

/** Cut into pieces of the lengths given, over and over. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

describe('BinaryCopyReader', () => {
  const rows = fc.array(
    fc.oneof(
      fc.constant(null),
      fc.record(
        {
          lsn: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
          data: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ max: 0x80, maxLength: 40 })),
        },
        { noNullPrototype: true },
      ),
    ),
    { maxLength: 12 },
  );

  it('gives back the rows, wherever they are cut', () => {
    fc.assert(
      fc.property(rows, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }), (given, lengths) => {
        const bytes = Buffer.concat([HEADER, ...given.map(encode), TRAILER]);
        assert.deepEqual(read(cut(bytes, lengths)), { rows: given, ended: true });
      }),
    );
  });

  it('gives back rows around the size of its memory, cut at each byte of a header', () => {
    fc.assert(
      fc.property(
        // The memory for what crosses a chunk begins with 64 KiB.
        fc.array(fc.integer({ min: -20, max: 2 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 19 + 18 + 2 }),
        fc.integer({ min: 65_500, max: 65_560 }),
        (sizes, first, later) => {
          const given = sizes.map((size, i) => ({ lsn: BigInt(i), data: new Uint8Array(65_536 + size).fill(i + 1) }));
          const bytes = Buffer.concat([HEADER, ...given.map(encode), encode(null), TRAILER]);
          const chunks = [bytes.subarray(0, first), ...cut(bytes.subarray(first), [later])];
          const { rows, ended } = read(chunks);
          assert.equal(ended, true);
          assert.equal(rows.length, given.length + 1);
          for (const [i, row] of given.entries()) {
            assert.equal(rows[i]?.lsn, row.lsn);
            assert.ok(Buffer.from(row.data).equals(rows[i].data), `row ${i} is another one`);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('takes no row whose LSN has another size', () => {
    for (const bytes of [4, 9]) {
      const row = Buffer.concat([Buffer.from([0, 2, 0, 0, 0, bytes]), Buffer.alloc(bytes + 4)]);
      assert.throws(() => read([Buffer.concat([HEADER, row, TRAILER])]), {
        message: `an LSN of ${bytes} bytes in a COPY row`,
      });
    }
  });

  it('gives back the same rows for each way to cut a stream in three', () => {
    const given = [
      null,
      { lsn: 1n, data: Uint8Array.of(1, 2, 3) },
      null,
      { lsn: (1n << 64n) - 1n, data: Uint8Array.of() },
    ];
    const bytes = Buffer.concat([HEADER, ...given.map(encode), TRAILER]);
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b++) {
        const chunks = [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)];
        assert.deepEqual(read(chunks), { rows: given, ended: true }, `cut at ${a} and ${b}`);
      }
    }
  });

  it('shortens exactly the rows that are larger than it may keep, in any random stream', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 175, max: 190 }), fc.integer({ min: 0, max: 700 })), {
      maxLength: 8,
    });
    const lengths = fc.array(fc.integer({ min: 1, max: 199 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(sizes, lengths, (given, cuts) => {
        const bytes = Buffer.concat([
          HEADER,
          ...given.map((size, i) => encode({ lsn: BigInt(i), data: new Uint8Array(size).fill(i + 1) })),
          TRAILER,
        ]);
        let kept: Buffer[] = [];
        const shortener = {
          begin: (header: Buffer) => (kept = [Buffer.from(header)]),
          write: (from: Buffer, start: number, end: number) => void kept.push(Buffer.from(from.subarray(start, end))),
          end: () => Buffer.concat(kept),
        };
        const reader = new BinaryCopyReader(200, shortener);
        const sent: unknown[] = [];
        for (const chunk of cut(bytes, cuts)) {
          reader.push(chunk);
          while (reader.next()) {
            sent.push([reader.lsn(), reader.end - reader.start, reader.bytes[reader.start] ?? 0]);
            // One that lies whole in a chunk costs no memory, whatever its size.
            if (reader.oversizeBytes !== undefined) assert.ok(reader.oversizeBytes + 18 > 200);
            else assert.ok(reader.end - reader.start + 18 <= 200, 'a row that is too large was collected');
          }
        }
        assert.deepEqual(
          sent,
          given.map((size, i) => [BigInt(i), size, size === 0 ? (sent[i] as unknown[])[2] : i + 1]),
        );
        assert.equal(reader.ended, true);
      }),
      { numRuns: 300 },
    );
  });

  it('puts a row of many chunks together', () => {
    const row = { lsn: 1n, data: new Uint8Array(3_000_000).fill(7) };
    assert.deepEqual(read(cut(Buffer.concat([HEADER, encode(row), encode(null), TRAILER]), [65_536])).rows, [
      row,
      null,
    ]);
  });

  it('shortens a row that is too large for it, wherever it is cut, and no other', () => {
    const pieces: string[] = [];
    let header = Buffer.alloc(0);
    const shortener = {
      begin: (given: Buffer) => {
        header = Buffer.from(given);
        pieces.length = 0;
      },
      write: (bytes: Buffer, start: number, end: number) => void pieces.push(bytes.toString('latin1', start, end)),
      end: () =>
        Buffer.concat([header, Buffer.from(`${pieces.join('').length} bytes of ${pieces.join('').slice(-3)}`)]),
    };
    const large = { lsn: 77n, data: Buffer.from(`${'x'.repeat(300)}end`) };
    const small = { lsn: 78n, data: Buffer.from('small') };
    const bytes = Buffer.concat([
      HEADER,
      encode(small),
      encode(large),
      encode(large),
      encode(null),
      encode(small),
      TRAILER,
    ]);
    for (const lengths of [[1], [7], [18], [19, 300], [50], [280]]) {
      const reader = new BinaryCopyReader(200, shortener);
      const told: string[] = [];
      for (const chunk of cut(bytes, lengths)) {
        reader.push(chunk);
        while (reader.next()) {
          const text = reader.bytes.toString('latin1', reader.start, reader.end);
          told.push(reader.isNull ? 'NULL' : `${reader.lsn()} ${reader.oversizeBytes ?? 'whole'} ${text}`);
        }
      }
      const shortened = '77 303 303 bytes of end';
      assert.deepEqual(
        told,
        ['78 whole small', shortened, shortened, 'NULL', '78 whole small'],
        `cut by ${lengths.join()}`,
      );
      assert.equal(reader.ended, true);
    }
  });

  it('says that the end is not there yet', () => {
    const bytes = Buffer.concat([HEADER, encode({ lsn: 1n, data: new Uint8Array(5) })]);
    assert.equal(read([bytes]).ended, false);
    assert.equal(read([bytes.subarray(0, -1)]).rows.length, 0);
  });

  for (const [what, bytes] of [
    ['fails on what is no binary COPY', Buffer.from('table public.t: INSERT: id[integer]:1')],
    ['fails on rows of three fields', Buffer.concat([HEADER, Buffer.from([0, 3])])],
    [
      'fails on an LSN of four bytes',
      Buffer.concat([HEADER, Buffer.from([0, 2, 0, 0, 0, 4, 1, 2, 3, 4]), Buffer.alloc(20)]),
    ],
    [
      'fails on an LSN without data',
      Buffer.concat([HEADER, Buffer.from([0, 2, 0, 0, 0, 8]), Buffer.alloc(8), Buffer.from([255, 255, 255, 255])]),
    ],
  ] as const) {
    it(what, () => {
      assert.throws(() => read([bytes]), Error);
    });
  }

  it('fails when a chunk comes before the last one is taken', () => {
    const reader = new BinaryCopyReader();
    reader.push(Buffer.concat([HEADER, encode(null), encode(null)]));
    assert.equal(reader.next(), true);
    assert.throws(() => reader.push(TRAILER), /left behind/);
  });
});
