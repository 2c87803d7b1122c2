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
