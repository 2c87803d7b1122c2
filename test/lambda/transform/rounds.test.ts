/** What rounds tell of themselves beside what was sent. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { noCounts } from '../../../lambda/transform/counts.ts';
import { Rounds } from '../../../lambda/transform/rounds.ts';
import { TransactionCursor } from '../../../lambda/transform/transaction-cursor.ts';

it('rounds tell how much was taken, sent or not, however well it is compressed', () => {
  const packer = createPacker({ aggregation: 'lines', lanes: 1, maxRecordBytes: 1024 * 1024, compression: 'gzip' });
  const counts = noCounts();
  const rounds = new Rounds(packer, counts, new TransactionCursor(undefined));
  rounds.add(Buffer.from('k'), Buffer.alloc(10_000), undefined, undefined, 1n);
  assert.deepEqual([rounds.takenBytes, counts.bytes], [10_000, 0]);
  rounds.flush();
  assert.equal(rounds.takenBytes, 10_000);
  assert.ok(counts.bytes > 0 && counts.bytes < 1_000, String(counts.bytes));
});

it('rounds tell their largest record, the first of several, and how many Kinesis records they hold', () => {
  const packer = createPacker({ aggregation: 'none', lanes: 2, maxRecordBytes: 1024 * 1024 });
  const counts = noCounts();
  const rounds = new Rounds(packer, counts, new TransactionCursor(undefined));
  const table = (name: string) => ({ printed: `public.${name}`, schema: 'public', name });
  assert.equal(rounds.ackPosition().largest, undefined);
  for (const [name, bytes, commitLsn] of [
    ['a', 5, 1n],
    ['b', 9, 2n],
    ['c', 9, 3n],
    ['d', 3, 4n],
  ] as const)
    rounds.add(Buffer.from(name), Buffer.alloc(bytes), undefined, table(name), commitLsn);
  rounds.flush();
  assert.deepEqual(rounds.closed[0]?.position.largest, { bytes: 9, table: 'public.b', commitLsn: 2n });
  assert.deepEqual([counts.kinesisRecords, counts.records], [4, 4]);
  assert.equal(rounds.ackPosition().largest, undefined, 'of the next round');
});
