/** What is made of a COPY's frames, however they are cut, and of what may come between and behind them. Real sockets. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { CopyOutQuery } from '../../../lambda/postgres/copy-out-query.ts';
import {
  COPY_BEGINS,
  COPY_ENDS,
  copyData,
  failsWith,
  message,
  notice,
  startWireServer,
  type WireServer,
} from '../../support/wire-server.ts';
import { eventually } from './fixtures.ts';

/** All that comes, and what it ended with. */
async function taken(query: CopyOutQuery): Promise<{ bytes: string; error: unknown }> {
  const blocks: Buffer[] = [];
  try {
    for await (const block of query.blocks()) blocks.push(Buffer.from(block));
  } catch (error) {
    return { bytes: Buffer.concat(blocks).toString(), error };
  }
  return { bytes: Buffer.concat(blocks).toString(), error: undefined };
}

const row = (text: string): Buffer => copyData(Buffer.from(text));

/** Sends pieces one after the other, each when the one before was read. */
async function sendInTurn(server: WireServer, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    server.send(piece);
    for (let i = 0; i < 3; i++) await turn();
  }
}

describe('a COPY to the client', () => {
  it('gives the same bytes however they are cut into packets', async () => {
    await using server = await startWireServer();
    const texts = fc.array(fc.string({ maxLength: 40 }), { maxLength: 6 });
    const between = fc.constantFrom(
      Buffer.alloc(0),
      notice('01000', 'beside'),
      message('S', 'TimeZone\0UTC\0'),
      message('A', '\0\0\0\x01c\0p\0'),
    );
    await fc.assert(
      fc.asyncProperty(texts, between, fc.array(fc.nat(300), { maxLength: 8 }), async (rows, beside, cuts) => {
        const all = Buffer.concat([COPY_BEGINS, beside, ...rows.flatMap((text) => [row(text), beside]), COPY_ENDS]);
        const ends = [...new Set(cuts.map((cut) => cut % all.length)), all.length].toSorted((a, b) => a - b);
        const query = server.client.query(new CopyOutQuery('COPY'));
        const result = taken(query);
        await sendInTurn(
          server,
          ends.map((end, i) => all.subarray(ends[i - 1] ?? 0, end)),
        );
        assert.deepEqual(await result, { bytes: rows.join(''), error: undefined });
      }),
      { numRuns: 60 },
    );
  });

  it('gives a row of many packets in pieces, and keeps none of it', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    const large = Buffer.alloc(3_000_000, 'x');
    server.send(Buffer.concat([COPY_BEGINS, copyData(large), COPY_ENDS]));
    let bytes = 0;
    let blocks = 0;
    for await (const block of query.blocks()) {
      bytes += block.length;
      blocks++;
    }
    assert.equal(bytes, large.length);
    assert.ok(blocks > 10, `${blocks} blocks`);
  });

  it('frees the memory of what was taken, but not what others share', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    const taken: Buffer[] = [];
    const reading = (async () => {
      for await (const block of query.blocks()) taken.push(block);
    })();
    // Its frame's header comes in two packets: they are put together in memory that Node.js shares among small buffers.
    const cut = row('y'.repeat(10_000));
    await sendInTurn(server, [COPY_BEGINS, cut.subarray(0, 3), cut.subarray(3)]);
    await eventually(() => taken.length > 0, 'a piece');
    await turn();
    assert.match(Buffer.concat(taken.splice(0)).toString(), /^y{10000}$/);
    server.send(Buffer.concat(Array.from({ length: 5_000 }, () => row('x'.repeat(500)))));
    await eventually(() => taken.length > 20, 'more pieces');
    // Of the end node-postgres gets a beginning, which lies in the chunk of the last rows.
    const end = Buffer.concat([row('z'.repeat(10_000)), COPY_ENDS]);
    await sendInTurn(server, [end.subarray(0, 8 - COPY_ENDS.length), end.subarray(8 - COPY_ENDS.length)]);
    await reading;
    assert.equal(query.failure, undefined);
    const kept = taken.filter(({ buffer }) => buffer.byteLength > 0);
    assert.ok(kept.length < 5, `${kept.length} of ${taken.length} are kept`);
  });

  it('reads no more than is asked for: the server has to wait', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    const many = Buffer.concat(Array.from({ length: 100_000 }, () => row('x'.repeat(500))));
    server.send(Buffer.concat([COPY_BEGINS, many, COPY_ENDS]));
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    const blocks = query.blocks();
    await blocks.next();
    for (let i = 0; i < 200; i++) await turn();
    const now = process.memoryUsage();
    assert.ok(now.heapUsed + now.arrayBuffers - heapUsed - arrayBuffers < 20_000_000);
    await query.discard();
  });

  it('gives what came before an error, then the error, and the connection goes on', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    server.send(Buffer.concat([COPY_BEGINS, row('a'), row('b'), failsWith('57014')]));
    const { bytes, error } = await taken(query);
    assert.deepEqual([bytes, (error as { code?: string }).code], ['ab', '57014']);
    assert.ok(query.isOver);
    const next = server.client.query(new CopyOutQuery('COPY'));
    server.send(Buffer.concat([COPY_BEGINS, row('c'), COPY_ENDS]));
    assert.deepEqual(await taken(next), { bytes: 'c', error: undefined });
  });

  it('fails where the connection is lost, before rows and among them', async () => {
    for (const sent of [Buffer.alloc(0), Buffer.concat([COPY_BEGINS, row('a'), row('b').subarray(0, 4)])]) {
      await using server = await startWireServer();
      const query = server.client.query(new CopyOutQuery('COPY'));
      const result = taken(query);
      await sendInTurn(server, [sent]);
      server.cut();
      const { error } = await result;
      assert.match(String(error), /terminated|ECONNRESET/);
      await query.finished;
    }
  });

  it('keeps so many texts of warnings, and counts those that it keeps', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    const texts = Array.from({ length: 10_001 }, (_, i) => notice('01000', `${i}`));
    server.send(Buffer.concat([...texts, notice('01000', '9999'), notice('01000', '10000'), COPY_BEGINS, COPY_ENDS]));
    await taken(query);
    assert.equal(query.notices.length, 10_000);
    assert.deepEqual(
      [query.notices[0]?.count, query.notices.at(-1)?.message, query.notices.at(-1)?.count],
      [1, '9999', 2],
    );
  });

  it('tells each warning before the first row once, and how often it came, and none behind it', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    const one = notice('55000', 'one', 'load');
    server.send(
      Buffer.concat([one, COPY_BEGINS, one, notice('01000', 'two'), row('a'), notice('01000', 'three'), COPY_ENDS]),
    );
    assert.equal((await taken(query)).bytes, 'a');
    assert.deepEqual(query.notices, [
      { code: '55000', routine: 'load', message: 'one', count: 2 },
      { code: '01000', routine: 'r', message: 'two', count: 1 },
    ]);
  });

  it('forgets what is left when it is discarded', async () => {
    await using server = await startWireServer();
    const query = server.client.query(new CopyOutQuery('COPY'));
    server.send(Buffer.concat([COPY_BEGINS, row('a')]));
    for await (const block of query.blocks()) {
      assert.equal(block.toString(), 'a');
      break;
    }
    const discarded = query.discard();
    server.send(Buffer.concat([row('b'), failsWith('57014')]));
    await discarded;
    assert.equal((query.failure as { code?: string }).code, '57014');
  });
});
