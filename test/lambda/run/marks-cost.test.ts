/** What a round of marks costs where there is one a minute, as docs/records.md says it, and where an answer counts it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import type { MarkOptions } from '../../../lambda/run/marks.ts';
import { run } from '../../../lambda/run/run.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { runKit } from '../../support/run-kit.ts';

const LANES = 64;
const MARKS: MarkOptions = {
  source: 'app/pg2kinesis',
  lanes: LANES,
  system: '7312345678901234567',
  timeline: 1,
  forks: () => Promise.resolve([]),
};

/** A run of a container that knows the last one, over a single change. @returns its answer, and its marks */
async function runOfOne(marks: MarkOptions | undefined) {
  const slot = new FakeSlot();
  const kit = runKit(slot, new FakeKeys({ 'public.t': {} }));
  const runs = async () =>
    await run(
      kit.ports,
      kit.options({
        format: FORMATS.json({ ...FORMAT_OPTIONS, oneLine: true }),
        packer: createPacker({ aggregation: 'kpl', lanes: LANES, maxRecordBytes: 1024 * 1024 }),
        marks,
      }),
    );
  await runs();
  slot.commit('table public.t: INSERT: id[integer]:1');
  return await runs();
}

describe('a round of marks', () => {
  it('is in the bytes and Kinesis records of an answer, not in its records, and as large as docs/records.md says', async () => {
    const [off, on] = [await runOfOne(undefined), await runOfOne(MARKS)];
    assert.deepEqual([off.records, on.records], [1, 1]);
    // The lane of the change has its mark in the same Kinesis record.
    assert.deepEqual([off.kinesisRecords, on.kinesisRecords], [1, LANES]);
    const page = readFileSync(new URL('../../../docs/records.md', import.meta.url), 'utf8');
    const [, bytes, kilobytes] = /a round of them is (\d+) bytes in each lane, .* and ([\d.]+) KB/.exec(page) ?? [];
    const cost = on.bytes - off.bytes;
    assert.ok(cost > Number(bytes) * LANES, String(cost));
    assert.ok(Math.abs(cost - Number(kilobytes) * 1000) < 500, `${cost} bytes, of ${kilobytes ?? ''} KB`);
  });
});
