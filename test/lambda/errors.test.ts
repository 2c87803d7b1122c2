/** How an error carries its own remedy. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError, REMEDIES } from '../../lambda/errors.ts';

describe('PipelineError', () => {
  it("ends with its code's remedy", () => {
    const error = new PipelineError('SLOT_BUSY', 'Somebody has it.');
    assert.equal(error.message, `SLOT_BUSY: Somebody has it. ${REMEDIES.SLOT_BUSY}`);
    assert.equal(error.remedy, REMEDIES.SLOT_BUSY);
  });

  it('ends with its own remedy where the cause has one, and only with that', () => {
    const cause = new Error('underneath');
    const error = new PipelineError('SLOT_BUSY', 'Somebody has it.', { cause, remedy: 'Ask them.' });
    assert.equal(error.message, 'SLOT_BUSY: Somebody has it. Ask them.');
    assert.equal(error.what, 'Somebody has it.');
    assert.equal(error.cause, cause);
  });

  it('shows nothing twice to whoever logs its properties', () => {
    assert.deepEqual(Object.keys(new PipelineError('SLOT_BUSY', 'a', { remedy: 'b' })).sort(), ['code', 'name']);
  });
});
