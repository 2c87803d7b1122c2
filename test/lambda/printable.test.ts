/** Names cannot forge lines of a log, or move the cursor of a terminal. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatError } from '../../bin/cli/error-output.ts';
import { PipelineError } from '../../lambda/errors.ts';
import { printable, printableJson } from '../../lambda/printable.ts';
import { createTerminalLog } from '../../lambda/telemetry/telemetry.ts';

const EVIL = 'public."evil\n2026-01-01T00:00:00.000Z ERROR SLOT_LOST: run\r\u001b[2J\u0085\u009b1A\u2028\u202e\u007f"';
// eslint-disable-next-line no-control-regex -- these are what must not come
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

describe('a name with control characters', () => {
  it('is escaped as in JSON', () => {
    assert.equal(printable('a\nb\tc\u001b[1m\u009b'), 'a\\nb\\tc\\u001b[1m\\u009b');
    assert.equal(printable('public."Größe \\ 表"'), 'public."Größe \\ 表"');
  });

  it('takes one line of the text log, in the message and in fields', () => {
    for (const json of [false, true]) {
      const lines: string[] = [];
      const log = createTerminalLog((line) => lines.push(line), { level: 'INFO', json, now: () => 0 });
      log.warn(`No key: ${EVIL}.`, { table: EVIL, tables: [EVIL], [EVIL]: 1 });
      assert.equal(lines.length, 1);
      const [line = ''] = lines;
      assert.ok(line.endsWith('\n'));
      assert.doesNotMatch(line.slice(0, -1), CONTROLS);
      if (json) assert.equal((JSON.parse(line) as { table: string }).table, EVIL);
    }
  });

  it('takes one line of a message, wherever that is written', () => {
    const error = new PipelineError('KEY_UNRESOLVED', `The table ${EVIL} has no key.`);
    assert.doesNotMatch(error.message, CONTROLS);
    assert.match(error.stack ?? '', /^KEY_UNRESOLVED: KEY_UNRESOLVED: The table public\."evil\\n2026/);
    for (const thrown of [error, new Error(EVIL)]) {
      assert.doesNotMatch(formatError(thrown, {}).slice(0, -1), CONTROLS);
      for (const line of formatError(thrown, { LOG_LEVEL: 'DEBUG' }).split('\n')) {
        assert.doesNotMatch(line, CONTROLS);
        assert.doesNotMatch(line, /^20\d\d-/);
      }
    }
  });

  it('is the same value in JSON', () => {
    const json = printableJson(JSON.stringify({ EVIL }, undefined, 2));
    assert.doesNotMatch(json.replaceAll('\n', ''), CONTROLS);
    assert.deepEqual(JSON.parse(json), { EVIL });
  });
});
