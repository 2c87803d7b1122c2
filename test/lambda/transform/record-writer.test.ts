/** How often a record is written until it fits. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Format } from '../../../lambda/format/record.ts';
import { RecordWriter } from '../../../lambda/transform/record-writer.ts';
import { recordOf } from '../../support/changes.ts';

it('a record is written again without its row, and without the other key only where there is one', () => {
  const moved = 'table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2';
  for (const [half, expected] of [
    ['INSERT', ['whole', 'without row', 'without other key']],
    [undefined, ['whole', 'without row']],
  ] as const) {
    const written: string[] = [];
    const format: Format = {
      supportsDeleteWithoutKey: false,
      showsRow: true,
      write: ({ truncated, otherKey }) => {
        written.push(
          !truncated ? 'whole' : half === undefined || otherKey !== undefined ? 'without row' : 'without other key',
        );
      },
    };
    const packer = { fits: () => false };
    const writer = new RecordWriter({ format, packer, partitionKey: () => undefined, oversize: 'key-only' });
    assert.equal(writer.write(recordOf(moved, { key: ['id'], ...(half && { half }) })), 'key-too-large');
    assert.deepEqual(written, expected);
  }
});
