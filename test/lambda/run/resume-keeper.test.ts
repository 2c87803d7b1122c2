/** A position inside a transaction: kept only with proof that nobody has read the slot since. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resumePosition } from '../../../lambda/decode/resume-position.ts';
import { ResumeKeeper } from '../../../lambda/run/resume-keeper.ts';
import { FakeSlot } from '../../support/fake-slot.ts';
import { Recorder } from '../../support/run-kit.ts';

const transaction = { xid: 754, commitLsn: 0x16b3748n, commitTimeMicros: 1n };
const progress = { transaction, ordinal: 12, rows: 7, messages: 0 };
const position = resumePosition(progress, 'read 3 times');

function keeper(evidence: string | undefined) {
  const slot = new FakeSlot();
  slot.evidence = evidence;
  let asked = 0;
  const fingerprint = slot.slotStatsFingerprint.bind(slot);
  slot.slotStatsFingerprint = () => (asked++, fingerprint());
  const log = new Recorder();
  return { keeper: new ResumeKeeper(slot, log), log, asked: () => asked };
}

describe('a position that a run is given', () => {
  it('I1: is used where the server shows that nobody has read the slot since', async () => {
    const { keeper: it, log } = keeper('read 3 times');
    assert.equal(await it.validate(position), position);
    assert.equal(it.canResumeLater, true);
    assert.deepEqual(log.lines, []);
  });

  for (const evidence of ['read 4 times', undefined])
    it(`I1: is refused where the server shows ${evidence ?? 'nothing'}; the transaction starts over`, async () => {
      const { keeper: it, log } = keeper(evidence);
      assert.equal(await it.validate(position), undefined);
      assert.equal(it.canResumeLater, false, 'containers that take turns would begin it over and over');
      assert.deepEqual(log.lines, [
        'info The slot may have been read by another run since: the transaction starts over.',
      ]);
      assert.deepEqual(log.fieldsOf('starts over'), [{ commitLsn: position.commitLsn, ordinal: 12 }]);
    });

  it('is refused, and not known to be of use, before the server was asked', () => {
    assert.equal(keeper('read 3 times').keeper.canResumeLater, false);
  });

  it('may be none: then the next run can go on where the server shows who read', async () => {
    for (const [evidence, can] of [
      ['read 3 times', true],
      [undefined, false],
    ] as const) {
      const { keeper: it, log } = keeper(evidence);
      assert.equal(await it.validate(undefined), undefined);
      assert.deepEqual([it.canResumeLater, log.lines], [can, []]);
    }
  });
});

describe('the position that a run leaves', () => {
  const reached = { progress: undefined, boundary: undefined, resume: undefined };

  it('is where it was cut, with what the server shows now', async () => {
    const { keeper: it } = keeper('read 9 times');
    assert.deepEqual(await it.next({ ...reached, progress }), resumePosition(progress, 'read 9 times'));
    assert.deepEqual(
      await it.next({ progress, boundary: 5n, resume: position }),
      resumePosition(progress, 'read 9 times'),
    );
  });

  it('is where it went on where it passed no COMMIT, with what the server shows now', async () => {
    const { keeper: it } = keeper('read 9 times');
    assert.deepEqual(await it.next({ ...reached, resume: position }), { ...position, evidence: 'read 9 times' });
  });

  it('is none at a COMMIT, or where there was none', async () => {
    const { keeper: it, asked } = keeper('read 9 times');
    assert.equal(await it.next({ ...reached, boundary: 5n, resume: position }), undefined);
    assert.equal(await it.next(reached), undefined);
    assert.equal(asked(), 0, 'the server is not asked for that');
  });

  it('I1: is none where the server cannot show who reads', async () => {
    const { keeper: it } = keeper(undefined);
    assert.equal(await it.next({ ...reached, progress }), undefined);
    assert.equal(await it.next({ ...reached, resume: position }), undefined);
  });
});
