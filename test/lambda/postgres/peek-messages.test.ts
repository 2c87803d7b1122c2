/** What a peek makes of a decoder's messages, and of errors that come with them: each sequence that no server should send. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UndecodableError } from '../../../lambda/decode/messages.ts';
import type { DecodedMessage, PluginDecoder } from '../../../lambda/decode/plugin-decoder.ts';
import { TestDecodingDecoder } from '../../../lambda/decode/test-decoding/decoder.ts';
import { TYPE_NUMBER } from '../../../lambda/decode/wal2json/row.ts';
import { PeekTooLargeError, ServerDecodingError } from '../../../lambda/peek-errors.ts';
import type { Clock } from '../../../lambda/ports/runtime.ts';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import { SlotPeek } from '../../../lambda/postgres/peek.ts';
import { pgoutput, type SlotPlugin, TEST_DECODING } from '../../../lambda/postgres/plugins.ts';
import { COPY_BEGINS, COPY_ENDS, copyData, failsWith, notice, startWireServer } from '../../support/wire-server.ts';
import { told } from './fixtures.ts';

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);
const TIME = 1_767_322_985_678_901n;

/** Undefined: NULL. */
type Row = readonly [lsn: bigint, data: Buffer | string | undefined];

function encode([lsn, data]: Row): Buffer {
  // Both are NULL then.
  if (data === undefined) return Buffer.concat([Buffer.from([0, 2]), Buffer.alloc(8, 0xff)]);
  const bytes = Buffer.from(data);
  const head = Buffer.alloc(18);
  head.writeInt16BE(2, 0);
  head.writeInt32BE(8, 2);
  head.writeBigUInt64BE(lsn, 6);
  head.writeInt32BE(bytes.length, 14);
  return Buffer.concat([head, bytes]);
}

interface Case {
  readonly rows: readonly Row[];
  readonly decoder?: PluginDecoder;
  readonly encoding?: string;
  readonly plugin?: SlotPlugin;
  /** What comes before the rows, and in place of their end. */
  readonly before?: Buffer;
  readonly end?: Buffer;
  readonly translate?: (error: unknown) => unknown;
}

async function peeked({
  rows,
  decoder = new TestDecodingDecoder(),
  encoding = 'UTF8',
  plugin = TEST_DECODING,
  before,
  end,
  translate,
}: Case) {
  const server = await startWireServer();
  const clock: Clock = { now: () => 0, sleep: () => new Promise(() => undefined), random: () => 0 };
  const asked: string[] = [];
  const query = (text: string) => {
    asked.push(text);
    return Promise.resolve({ rows: [] });
  };
  const main = { pid: 4711, encoding, plugin, client: server.client, query } as unknown as Connection;
  const control = { query } as unknown as Connection;
  const translateError = (error: unknown) => Promise.resolve(translate === undefined ? error : translate(error));
  const peek = new SlotPeek({ main, control, slotName: 's', decoder, clock, translateError }, 1n, undefined, 5_000);
  const data = rows.map((row, i) => copyData(Buffer.concat([i > 0 ? Buffer.alloc(0) : HEADER, encode(row)])));
  const begins = rows.length === 0 && end !== undefined ? [] : [COPY_BEGINS];
  server.send(
    Buffer.concat([
      ...(before === undefined ? [] : [before]),
      ...begins,
      ...data,
      ...(end === undefined ? [copyData(TRAILER), COPY_ENDS] : []),
    ]),
  );
  if (end !== undefined) setImmediate(() => server.send(end));
  return { peek, asked, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** @returns what its messages are, in short; or rejects as the peek does */
async function outcomeOf(given: Case): Promise<string[]> {
  await using peeking = await peeked(given);
  return await told(peeking.peek);
}

/** A decoder whose rows are C, B, M for a message in a transaction, m for one outside, I for a change, and what else is ignored. */
function letters(
  over: Partial<PluginDecoder> = {},
  xids: { begin?: number; commit?: number; commitTime?: bigint | undefined } = {},
): PluginDecoder {
  const { begin = 700, commit = 700 } = xids;
  const commitTime = 'commitTime' in xids ? xids.commitTime : TIME;
  const message = (transactional: boolean) => ({ kind: 'message', transactional, prefix: 'p' });
  const change = {
    kind: 'change',
    operation: 'INSERT',
    table: { printed: 'public.t' },
    newTuple: undefined,
    oldTuple: undefined,
    bytes: Buffer.alloc(0),
  };
  const decode = (bytes: Buffer, start: number): DecodedMessage => {
    const made: Record<string, object> = {
      C: { kind: 'commit', xid: commit, commitTimeMicros: commitTime },
      B: { kind: 'begin', xid: begin, commitTimeMicros: TIME },
      M: message(true),
      m: message(false),
      I: change,
    };
    return (made[String.fromCharCode(bytes[start] ?? 0)] ?? { kind: 'ignored' }) as DecodedMessage;
  };
  return { decode, ...over };
}

const C: Row = [100n, 'C'];
const at = (lsn: bigint, ...lines: readonly (string | undefined)[]): Row[] => lines.map((line) => [lsn, line]);

describe('a peek', () => {
  it('gives the messages of each transaction, and those between two', async () => {
    const rows: Row[] = [C, ...at(90n, 'm', 'B', 'M', 'I', 'x'), C, ...at(110n, 'm')];
    const lines = await outcomeOf({ rows, decoder: letters() });
    assert.deepEqual(lines, ['message p', 'B', 'message p', 'INSERT public.t ', 'ignored', 'C', 'message p']);
  });

  it('passes over rows without data, in both passes, and does not count them', async () => {
    const rows: Row[] = [
      ...at(80n, undefined),
      C,
      ...at(90n, undefined, 'B', undefined, undefined, 'I'),
      ...at(95n, undefined),
      C,
      ...at(100n, undefined),
    ];
    await using peeking = await peeked({ rows, decoder: letters() });
    assert.deepEqual(await told(peeking.peek), ['B', 'INSERT public.t ', 'C']);
    assert.deepEqual([peeking.peek.rows, peeking.peek.lastCommit, peeking.peek.failure], [3, 100n, undefined]);
  });

  for (const [what, rows, expected, where] of [
    [
      'BEGIN inside a transaction',
      [C, C, ...at(90n, 'B', 'B')],
      'COMMIT before another BEGIN',
      /at 0\/5A\. Its transaction's commit LSN is 0\/64;/,
    ],
    ['a change outside', [C, ...at(90n, 'I')], 'BEGIN before a change', /at 0\/5A\. It is part of no transaction;/],
    ['BEGIN without COMMIT', at(90n, 'B'), 'BEGIN of the next transaction committed', /It is part of no transaction;/],
    [
      'COMMIT without BEGIN',
      [C, ...at(90n, 'x'), C],
      'COMMIT of the transaction begun last',
      /at 0\/64\. It is part of no transaction;/,
    ],
    [
      'COMMIT at another place',
      [C, ...at(90n, 'B'), ...at(101n, 'C')],
      'COMMIT of the transaction begun last',
      /at 0\/65\. Its transaction's commit LSN is 0\/64;/,
    ],
    [
      'a transaction’s message outside',
      [C, ...at(90n, 'M')],
      'a message in its transaction, or between two',
      /no transaction;/,
    ],
    [
      'another’s message inside',
      [C, ...at(90n, 'B', 'm')],
      'a message in its transaction, or between two',
      /is 0\/64;/,
    ],
  ] as const)
    it(`I1: fails with ${what}`, () =>
      assert.rejects(outcomeOf({ rows, decoder: letters() }), (error: { code?: string; what?: string }) => {
        assert.equal(error.code, 'DECODE_FAILED');
        assert.ok(error.what?.startsWith(`Slot "s": expected ${expected} in the row at `), error.what);
        assert.match(error.what ?? '', where);
        assert.match(error.what ?? '', /; the slot was not advanced over it\.$/);
        return true;
      }));

  it('I1: tells transactions by their ids, where they are said', async () => {
    const rows: Row[] = [C, ...at(90n, 'B'), C];
    const other = { code: 'DECODE_FAILED', what: /expected BEGIN of the next transaction committed/ };
    await assert.rejects(outcomeOf({ rows, decoder: letters({}, { begin: 701 }) }), other);
    const decoder = letters();
    let commits = 0;
    const late: PluginDecoder = {
      decode: (bytes, start, end) => {
        const made = decoder.decode(bytes, start, end);
        return made.kind === 'commit' && ++commits > 1 ? { ...made, xid: 701 } : made;
      },
    };
    await assert.rejects(outcomeOf({ rows, decoder: late }), { what: /expected COMMIT of the transaction begun last/ });
  });

  it('I1: tells them by the time of the commit, where their ids come with BEGIN only', async () => {
    const rows: Row[] = [C, ...at(90n, 'B'), C];
    const without = (time = TIME): PluginDecoder => {
      const decoder = letters({}, { commitTime: time });
      const forget = (made: DecodedMessage): DecodedMessage =>
        made.kind === 'commit' ? { ...made, xid: undefined } : made;
      return { decode: (...row) => forget(decoder.decode(...row)) };
    };
    assert.deepEqual(await outcomeOf({ rows, decoder: without() }), ['B', 'C']);
    await assert.rejects(outcomeOf({ rows, decoder: without(TIME + 1n) }), {
      what: /expected BEGIN of the next transaction/,
    });
  });

  it('I1: fails where a COMMIT has no time', () =>
    assert.rejects(outcomeOf({ rows: [C, ...at(90n, 'B'), C], decoder: letters({}, { commitTime: undefined }) }), {
      what: /^Slot "s": expected COMMIT with its time in the row at 0\/64\. Its transaction's commit LSN is 0\/64;/,
    }));

  it('tells the decoder whether texts may be of any bytes, and fails where they are no UTF-8', async () => {
    const bad = Buffer.from([0x49, 0xff]);
    const rows: Row[] = [C, ...at(90n, 'B'), [95n, bad], C];
    const begun: boolean[] = [];
    const begin = (anyBytes: boolean) => void begun.push(anyBytes);
    assert.deepEqual(await outcomeOf({ rows, decoder: letters({ begin }) }), ['B', 'INSERT public.t ', 'C']);
    await assert.rejects(outcomeOf({ rows, decoder: letters({ begin }), encoding: 'SQL_ASCII' }), {
      code: 'DECODE_FAILED',
      what: /in the row at 0\/5F\. Its transaction's commit LSN is 0\/64;/,
    });
    assert.deepEqual(begun, [false, true]);
    // What is no text as a whole is the decoder's.
    for (const over of [{ isBinary: true }, { messageByte: 0x49 }])
      assert.equal((await outcomeOf({ rows, decoder: letters(over), encoding: 'SQL_ASCII' })).length, 3);
  });

  it('has a row repaired that is no UTF-8, and no other', async () => {
    const repaired: string[] = [];
    const repair = (bytes: Buffer, start: number, end: number) => {
      repaired.push(bytes.toString('latin1', start, end));
      return Buffer.from('x');
    };
    const rows: Row[] = [C, ...at(90n, 'B', 'I'), [95n, Buffer.from([0x49, 0xff])], C];
    assert.deepEqual(await outcomeOf({ rows, decoder: letters({ repair }) }), [
      'B',
      'INSERT public.t ',
      'ignored',
      'C',
    ]);
    assert.deepEqual(repaired, ['I\xff']);
  });

  it('says of what the decoder cannot read where it is, and of wal2json that is too old what to do', async () => {
    const failing = (expected: string, error = new UndecodableError(expected, 3)): PluginDecoder => ({
      decode: (bytes, start, end) => {
        if (bytes[start] === 0x49) throw error;
        return letters().decode(bytes, start, end);
      },
    });
    const rows: Row[] = [C, ...at(90n, 'B', 'I'), C];
    const cause = new UndecodableError('a comma', 3);
    await assert.rejects(outcomeOf({ rows, decoder: failing('a comma', cause) }), {
      code: 'DECODE_FAILED',
      cause,
      what: `Slot "s": expected a comma in the row at 0/5A, byte 3. Its transaction's commit LSN is 0/64; the slot was not advanced over it.`,
    });
    await assert.rejects(outcomeOf({ rows, decoder: failing(TYPE_NUMBER) }), { code: 'CONFIG_INVALID' });
    const own = new TypeError('of ours');
    await assert.rejects(
      outcomeOf({
        rows,
        decoder: {
          decode: () => {
            throw own;
          },
        },
      }),
      (error) => error === own,
    );
  });
});

describe('an error behind a peek’s first row', () => {
  const rows: Row[] = [C, ...at(90n, 'B', 'I')];

  it('of decoding names the transaction to skip, where it is inside one', async () => {
    await assert.rejects(outcomeOf({ rows, decoder: letters(), end: failsWith('XX000') }), {
      code: 'TRANSACTION_UNDECODABLE',
      what: /0\/64/,
    });
    const outside = [C, ...at(90n, 'm')];
    await assert.rejects(outcomeOf({ rows: outside, decoder: letters(), end: failsWith('XX000') }), { code: 'XX000' });
  });

  it('of text that has no UTF-8 names it, too', () =>
    assert.rejects(outcomeOf({ rows, decoder: letters(), end: failsWith('22P05') }), {
      code: 'DECODE_FAILED',
      what: /expected text that the server can put in UTF-8 behind the row at 0\/5A\. Its transaction's commit LSN is 0\/64;/,
    }));

  it('that is explained is what it is explained as', () => {
    const known = new Error('known');
    return assert.rejects(
      outcomeOf({ rows, decoder: letters(), end: failsWith('XX000'), translate: () => known }),
      (error) => error === known,
    );
  });

  for (const code of ['53400', '53100', '53200', '57014'])
    it(`of ${code} is no reason to ask for less: rows have come`, () => {
      const known = new Error('known');
      return assert.rejects(
        outcomeOf({ rows, decoder: letters(), end: failsWith(code), translate: () => known }),
        (error) => error === known,
      );
    });
});

describe('an error before a peek’s first row', () => {
  it('of decoding is the server’s own', () =>
    assert.rejects(outcomeOf({ rows: [], end: failsWith('XX000') }), (error) => {
      assert.ok(error instanceof ServerDecodingError);
      assert.equal(error.sqlState, 'XX000');
      return true;
    }));

  for (const [code, resource] of [
    ['53400', '53400'],
    ['53100', '53100'],
    ['53200', '53200'],
    ['57014', undefined],
  ] as const)
    it(`of ${code} asks for less`, () =>
      assert.rejects(outcomeOf({ rows: [], end: failsWith(code) }), (error) => {
        assert.ok(error instanceof PeekTooLargeError);
        assert.equal(error.resourceSqlState, resource);
        return true;
      }));

  it('that something is missing is told as the server’s own, too, though it is known: it may be needed further on', async () => {
    const known = new Error('known');
    for (const [code, isServersOwn] of [
      ['58P01', true],
      ['42704', false],
    ] as const)
      await assert.rejects(outcomeOf({ rows: [], end: failsWith(code), translate: () => known }), (error) => {
        if (isServersOwn) assert.ok(error instanceof ServerDecodingError && error.cause === known);
        else assert.equal(error, known);
        return true;
      });
  });

  it('makes a plugin forget that remembers what it has sent', async () => {
    for (const [plugin, rows, forgets] of [
      [pgoutput(['cdc']), [], 1],
      [TEST_DECODING, [], 0],
      [pgoutput(['cdc']), [C, ...at(90n, 'B')], 0],
    ] as const) {
      await using peeking = await peeked({ rows, plugin, decoder: letters(), end: failsWith('XX000') });
      await assert.rejects(told(peeking.peek));
      await peeking.peek.close();
      assert.equal(peeking.asked.filter((text) => text.includes(`('s', '0/1', NULL, 'proto_version'`)).length, forgets);
    }
  });

  it('that says a publication is missing is told as that, though it is a warning', () =>
    assert.rejects(
      outcomeOf({
        rows: [C, ...at(90n, 'B'), C],
        decoder: letters(),
        plugin: pgoutput(['cdc']),
        before: notice('55000', 'skipped loading publication "cdc"', 'LoadPublications'),
      }),
      { code: 'PUBLICATION_MISSING', what: /"s"/ },
    ));
});
