/** What a failed resource of a stack shows of an error: the reason, what to do about a stack, and no stack trace. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, PipelineError, REMEDIES } from '../../../lambda/errors.ts';
import { asStackFailure } from '../../../lambda/telemetry/stack-failure.ts';

const error = (code: ErrorCode, remedy?: string): PipelineError =>
  new PipelineError(code, 'Nothing was done.', remedy === undefined ? {} : { remedy });

describe('asStackFailure', () => {
  it('leaves an error of any other invocation as it is', () => {
    for (const event of [undefined, null, {}, { action: 'run' }, 'Create']) {
      const thrown = error('DATABASE_UNREACHABLE');
      assert.equal(asStackFailure(thrown, event, 'log'), thrown);
    }
  });

  it('has the name, and a stack of one line, without fields for Lambda to log', () => {
    const failure = asStackFailure(error('SLOT_BUSY', 'Stop it.\nNow.'), { RequestType: 'Create' }, 'log');
    assert.equal(failure.name, 'SLOT_BUSY');
    assert.equal(failure.stack, String(failure));
    assert.equal(failure.stack.split('\n').length, 1);
    assert.deepEqual(Object.keys(failure), ['name']);
  });

  it('takes one line of an error that is none of ours, too', () => {
    const failure = asStackFailure(new Error('no table "a\n\u001b[2J"'), { RequestType: 'Create' }, undefined);
    assert.equal(failure.message, 'no table "a\\n\\u001b[2J"');
    assert.equal(failure.stack, `Error: ${failure.message}`);
  });

  for (const code of Object.keys(REMEDIES) as ErrorCode[])
    it(`promises no run that fixes ${code}: a stack has to be deployed, or deleted, again`, () => {
      for (const RequestType of ['Create', 'Update', 'Delete'])
        assert.doesNotMatch(asStackFailure(error(code), { RequestType }, undefined).message, /next run/i);
    });

  it('says whether to deploy or to delete again, and where the log is', () => {
    const thrown = error('DATABASE_UNREACHABLE', 'Wait until it is up: the next run tries again.');
    assert.equal(
      asStackFailure(thrown, { RequestType: 'Update' }, 'mine-Log').message,
      'DATABASE_UNREACHABLE: Nothing was done. Wait until it is up: deploy again. The log of this function is the log group mine-Log.',
    );
    assert.equal(
      asStackFailure(error('SLOT_BUSY', 'Stop it. The next run tries again.'), { RequestType: 'Delete' }, undefined)
        .message,
      'SLOT_BUSY: Nothing was done. Stop it. Delete again.',
    );
  });
});
