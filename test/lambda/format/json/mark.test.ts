/** A mark, byte for byte. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { jsonMark } from '../../../../lambda/format/json/mark.ts';

const MARK = {
  source: 'app/"slot"',
  commitLsn: 0x16b3748n,
  commitTimeMicros: 1_767_323_045_678_901n,
  lanes: 64,
  system: '7301',
  timeline: 3,
};

it('a mark is one line of JSON that says its lane, place and history', () => {
  assert.equal(
    jsonMark(MARK, 7),
    '{"op":"MARK","source":"app/\\"slot\\"","commitLsn":"0/16B3748","commitTime":"2026-01-02T03:04:05.678901Z","lane":7,"lanes":64,"system":"7301","timeline":3}',
  );
  assert.ok(
    jsonMark({ ...MARK, reading: [['public', 'a']], read: 'all' }, 7).endsWith(
      ',"timeline":3,"reading":[["public","a"]],"read":"all"}',
    ),
  );
  assert.ok(jsonMark({ ...MARK, partial: true }, 0).endsWith(',"timeline":3,"partial":true}'));
  assert.ok(
    jsonMark(
      {
        ...MARK,
        forks: [
          [2, 0x10n],
          [3, 0x1000000ffn],
        ],
      },
      0,
    ).endsWith(',"forks":[[2,"0/10"],[3,"1/FF"]]}'),
  );
});
