/** Keys of lanes: one that falls into each, and those that a lane knows again, though others have the same hash. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kpl } from '../../../lambda/pack/kpl.ts';
import { laneKeys } from '../../../lambda/pack/lane-keys.ts';
import { keyHash, laneOf, lanes } from '../../../lambda/pack/lanes.ts';
import { OpenLane } from '../../../lambda/pack/open-lane.ts';

describe('the keys of lanes', () => {
  it('are one for each lane, always the first that falls into it', () => {
    for (const count of [1, 2, 64, 256]) {
      const keys = laneKeys(count);
      assert.deepEqual(
        keys.map((key) => laneOf(key, count)),
        Array.from({ length: count }, (_, lane) => lane),
      );
      const firsts = keys.map((key) => Number(key.toString().replace('mark-', '')));
      for (let n = 0; n < Math.max(...firsts); n++) {
        const lane = laneOf(Buffer.from(`mark-${n}`), count);
        assert.ok((firsts[lane] ?? Infinity) <= n, `mark-${n} came earlier than the key of lane ${lane}`);
      }
    }
  });

  it('are told apart where their hashes are equal', () => {
    const [lane] = lanes(1);
    assert.ok(lane);
    const open = new OpenLane(lane, kpl);
    const key = Buffer.from('public.t:1');
    const hash = keyHash(key);
    assert.equal(open.indexOf(key, hash), -1);
    open.add(-1, key, hash, Buffer.from('data'));
    assert.equal(open.indexOf(key, hash), 0);
    // The hash is given: these stand for keys that have the same one.
    for (const other of ['public.t:2', 'Public.t:1', 'public.t:', 'public.t:11'])
      assert.equal(open.indexOf(Buffer.from(other), hash), -1, other);
  });
});
